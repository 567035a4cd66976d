"""What calls of EC2 need: the networks of stacks, read and changed by hand."""

from __future__ import annotations

from collections.abc import Mapping

from xacct_sandbox.emulator.authorization.calls import Call
from xacct_sandbox.emulator.authorization.checks import Check, text, unknown_operation
from xacct_sandbox.emulator.loader import Emulator

_READ = frozenset(
    {
        "DescribeAddresses",
        "DescribeAvailabilityZones",
        "DescribeInternetGateways",
        "DescribeNatGateways",
        "DescribeRouteTables",
        "DescribeSecurityGroupRules",
        "DescribeSecurityGroups",
        "DescribeSubnets",
        "DescribeVpcEndpoints",
        "DescribeVpcPeeringConnections",
        "DescribeVpcs",
    }
)
# Operation -> the resource's type in ARNs, and the parameter with its id.
_CHANGED: Mapping[str, tuple[str, str]] = {
    "AuthorizeSecurityGroupEgress": ("security-group", "GroupId"),
    "AuthorizeSecurityGroupIngress": ("security-group", "GroupId"),
    "CreateRoute": ("route-table", "RouteTableId"),
    "CreateTags": ("", "ResourceId.1"),
    "DeleteInternetGateway": ("internet-gateway", "InternetGatewayId"),
    "DeleteNatGateway": ("natgateway", "NatGatewayId"),
    "DeleteRoute": ("route-table", "RouteTableId"),
    "DeleteRouteTable": ("route-table", "RouteTableId"),
    "DeleteSecurityGroup": ("security-group", "GroupId"),
    "DeleteSubnet": ("subnet", "SubnetId"),
    "DeleteTags": ("", "ResourceId.1"),
    "DeleteVpc": ("vpc", "VpcId"),
    "DeleteVpcEndpoints": ("vpc-endpoint", "VpcEndpointId.1"),
    "DeleteVpcPeeringConnection": ("vpc-peering-connection", "VpcPeeringConnectionId"),
    "DetachInternetGateway": ("vpc", "VpcId"),
    "DisassociateRouteTable": ("route-table", ""),
    "ModifySecurityGroupRules": ("security-group", "GroupId"),
    "ModifySubnetAttribute": ("subnet", "SubnetId"),
    "ModifyVpcAttribute": ("vpc", "VpcId"),
    "ModifyVpcEndpoint": ("vpc-endpoint", "VpcEndpointId"),
    "ReleaseAddress": ("elastic-ip", "AllocationId"),
    "ReplaceRoute": ("route-table", "RouteTableId"),
    "ReplaceRouteTableAssociation": ("route-table", "RouteTableId"),
    "RevokeSecurityGroupEgress": ("security-group", "GroupId"),
    "RevokeSecurityGroupIngress": ("security-group", "GroupId"),
}

_KINDS: Mapping[str, str] = {
    "igw": "internet-gateway",
    "nat": "natgateway",
    "pcx": "vpc-peering-connection",
    "rtb": "route-table",
    "sg": "security-group",
    "subnet": "subnet",
    "vpc": "vpc",
    "vpce": "vpc-endpoint",
}
"""Types of resources that have tags, by the first part of their ids."""


def network_checks(emulator: Emulator, call: Call) -> list[Check]:
    """The checks of a call of EC2."""
    if call.operation in _READ:
        return [Check(f"ec2:{call.operation}", "*")]
    several = {"VpcEndpointId.2", "ResourceId.2"} & call.parameters.keys()
    if call.operation not in _CHANGED or several:
        raise unknown_operation(call)
    kind, parameter = _CHANGED[call.operation]
    account, region = emulator.responses.get_account_id(), emulator.responses.get_region()
    id_ = (text(call, parameter) if parameter else "") or "*"
    kind = kind or _KINDS.get(id_.partition("-")[0], "*")
    return [Check(f"ec2:{call.operation}", f"arn:aws:ec2:{region}:{account}:{kind}/{id_}")]
