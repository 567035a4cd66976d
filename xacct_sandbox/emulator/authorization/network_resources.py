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
    "DeleteRoute": ("route-table", "RouteTableId"),
    "DeleteVpcEndpoints": ("vpc-endpoint", "VpcEndpointId.1"),
    "DeleteVpcPeeringConnection": ("vpc-peering-connection", "VpcPeeringConnectionId"),
    "DisassociateRouteTable": ("route-table", ""),
    "RevokeSecurityGroupEgress": ("security-group", "GroupId"),
    "RevokeSecurityGroupIngress": ("security-group", "GroupId"),
}


def network_checks(emulator: Emulator, call: Call) -> list[Check]:
    """The checks of a call of EC2."""
    if call.operation in _READ:
        return [Check(f"ec2:{call.operation}", "*")]
    if call.operation not in _CHANGED or "VpcEndpointId.2" in call.parameters:
        raise unknown_operation(call)
    kind, parameter = _CHANGED[call.operation]
    account, region = emulator.responses.get_account_id(), emulator.responses.get_region()
    id_ = (text(call, parameter) if parameter else "") or "*"
    return [Check(f"ec2:{call.operation}", f"arn:aws:ec2:{region}:{account}:{kind}/{id_}")]
