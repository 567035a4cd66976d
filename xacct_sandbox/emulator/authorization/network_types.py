"""The permissions that CloudFormation needs for the networks of EC2.

From the ``handlers`` of the resource types' schemas in the CloudFormation registry. Resource types
are those of the service authorization reference of EC2.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping

from xacct_sandbox.emulator.authorization.checks import Check
from xacct_sandbox.emulator.authorization.stack_targets import ResourceType, Target

Checks = Callable[[Target], list[Check]]


def _on(resource: str, actions: str, *, of: str = "") -> Checks:
    """Checks of some actions on a resource.

    Args:
        resource: its type in ARNs.
        actions: names with blanks between.
        of: the property with the resource's id; without it, the id is not known yet.
    """

    def checks(target: Target) -> list[Check]:
        id_ = target.properties.get(of, "*") if of else "*"
        arn = target.arn("ec2", f"{resource}/{id_}")
        return [Check(f"ec2:{action}", arn) for action in actions.split()]

    return checks


def _type(
    resource: str, create: str, delete: str, update: str = "CreateTags", *, of: str = ""
) -> ResourceType:
    return ResourceType(
        "", _on(resource, create, of=of), _on(resource, delete, of=of), _on(resource, update, of=of)
    )


_ROUTES, _GROUPS = "route-table", "security-group"

NETWORK_TYPES: Mapping[str, ResourceType] = {
    "AWS::EC2::EIP": _type("elastic-ip", "AllocateAddress", "ReleaseAddress"),
    "AWS::EC2::InternetGateway": _type(
        "internet-gateway", "CreateInternetGateway", "DeleteInternetGateway"
    ),
    "AWS::EC2::NatGateway": _type("natgateway", "CreateNatGateway", "DeleteNatGateway"),
    "AWS::EC2::Route": _type(
        _ROUTES, "CreateRoute", "DeleteRoute", "ReplaceRoute", of="RouteTableId"
    ),
    "AWS::EC2::RouteTable": _type(_ROUTES, "CreateRouteTable", "DeleteRouteTable"),
    "AWS::EC2::SecurityGroup": _type(
        _GROUPS,
        "CreateSecurityGroup AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress",
        "DeleteSecurityGroup",
        "AuthorizeSecurityGroupEgress AuthorizeSecurityGroupIngress RevokeSecurityGroupEgress "
        "RevokeSecurityGroupIngress",
    ),
    "AWS::EC2::SecurityGroupEgress": _type(
        _GROUPS,
        "AuthorizeSecurityGroupEgress",
        "RevokeSecurityGroupEgress",
        "UpdateSecurityGroupRuleDescriptionsEgress",
        of="GroupId",
    ),
    "AWS::EC2::SecurityGroupIngress": _type(
        _GROUPS,
        "AuthorizeSecurityGroupIngress",
        "RevokeSecurityGroupIngress",
        "UpdateSecurityGroupRuleDescriptionsIngress",
        of="GroupId",
    ),
    "AWS::EC2::Subnet": _type("subnet", "CreateSubnet", "DeleteSubnet", "ModifySubnetAttribute"),
    "AWS::EC2::SubnetRouteTableAssociation": _type(
        _ROUTES, "AssociateRouteTable", "DisassociateRouteTable", of="RouteTableId"
    ),
    "AWS::EC2::VPC": _type(
        "vpc", "CreateVpc ModifyVpcAttribute", "DeleteVpc", "ModifyVpcAttribute"
    ),
    "AWS::EC2::VPCEndpoint": _type(
        "vpc-endpoint", "CreateVpcEndpoint", "DeleteVpcEndpoints", "ModifyVpcEndpoint"
    ),
    "AWS::EC2::VPCGatewayAttachment": _type(
        "vpc", "AttachInternetGateway", "DetachInternetGateway", "AttachInternetGateway", of="VpcId"
    ),
    "AWS::EC2::VPCPeeringConnection": _type(
        "vpc-peering-connection",
        "CreateVpcPeeringConnection AcceptVpcPeeringConnection",
        "DeleteVpcPeeringConnection",
    ),
}

_READ_WITH = {
    "EIP": "DescribeAddresses",
    "InternetGateway": "DescribeInternetGateways",
    "NatGateway": "DescribeNatGateways",
    "Route": "DescribeRouteTables",
    "RouteTable": "DescribeRouteTables",
    "SecurityGroup": "DescribeSecurityGroups",
    "SecurityGroupEgress": "DescribeSecurityGroupRules",
    "SecurityGroupIngress": "DescribeSecurityGroupRules",
    "Subnet": "DescribeSubnets",
    "SubnetRouteTableAssociation": "DescribeRouteTables",
    "VPC": "DescribeVpcs",
    "VPCEndpoint": "DescribeVpcEndpoints",
    "VPCGatewayAttachment": "DescribeInternetGateways",
    "VPCPeeringConnection": "DescribeVpcPeeringConnections",
}


def _reading(action: str) -> Checks:
    # EC2's Describe operations have no resources (service authorization reference).
    return lambda _target: [Check(f"ec2:{action}", "*")]


NETWORK_READS: Mapping[str, Checks] = {
    f"AWS::EC2::{name}": _reading(action) for name, action in _READ_WITH.items()
}
