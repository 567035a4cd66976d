"""EC2's networks: resource types of stacks, what drift detection reads, what hands change."""

from __future__ import annotations

from xacct_sandbox.emulator.loader import Emulator
from xacct_sandbox.emulator.network.by_hand import patch_calls
from xacct_sandbox.emulator.network.readers import set_readers
from xacct_sandbox.emulator.network.resource_types import add_resource_types


def patch_network(emulator: Emulator) -> None:
    """Installs the patches of this package; before the checks of rights, after ``stacks``."""
    add_resource_types(emulator)
    set_readers(emulator)
    _complete_endpoints(emulator)
    _compare_rules(emulator)
    patch_calls(emulator)


def _complete_endpoints(emulator: Emulator) -> None:
    """Shows what ministack leaves out of DescribeVpcEndpoints, and filters it by VPC."""
    ec2 = emulator.ec2
    fields = ec2._vpce_fields_xml

    def fields_xml(endpoint: dict[str, object], tag: str = "item") -> str:
        groups = endpoint.get("SecurityGroupIds") or ()
        assert isinstance(groups, (list, tuple))
        items = "".join(f"<item><groupId>{group}</groupId></item>" for group in groups)
        private = "true" if endpoint.get("PrivateDnsEnabled") in (True, "true") else "false"
        more = f"<groupSet>{items}</groupSet><privateDnsEnabled>{private}</privateDnsEnabled>"
        start = f"<{tag}>"
        return str(fields(endpoint, tag)).replace(start, start + more, 1)

    def describe_endpoints(parameters: dict[str, list[str]]) -> object:
        filters = ec2._parse_filters(parameters)
        if set(filters) - {"vpc-id"}:
            return ec2._error(
                "InvalidParameterValue",
                "The sandbox filters DescribeVpcEndpoints by vpc-id only; leave the others out.",
                400,
            )
        wanted = ec2._parse_member_list(parameters, "VpcEndpointId") or list(ec2._vpc_endpoints)
        items = [
            ec2._vpce_fields_xml(endpoint)
            for id_, endpoint in ec2._vpc_endpoints.items()
            if id_ in wanted and endpoint["VpcId"] in filters.get("vpc-id", [endpoint["VpcId"]])
        ]
        inner = f"<vpcEndpointSet>{''.join(items)}</vpcEndpointSet>"
        return ec2._xml(200, "DescribeVpcEndpointsResponse", inner)

    ec2._vpce_fields_xml = fields_xml
    ec2._ACTION_MAP["DescribeVpcEndpoints"] = describe_endpoints


def _compare_rules(emulator: Emulator) -> None:
    """Finds a rule that names a group however the request describes that group.

    ministack compares descriptions and owners too, so that a rule that was read could not be
    revoked.
    """
    ec2 = emulator.ec2
    strip = ec2._strip_descriptions

    def comparable(rule: dict[str, object]) -> dict[str, object]:
        found: dict[str, object] = strip(rule)
        pairs = found.get("UserIdGroupPairs") or ()
        assert isinstance(pairs, (list, tuple))
        found["UserIdGroupPairs"] = [{"GroupId": pair.get("GroupId")} for pair in pairs]
        found["PrefixListIds"] = found.get("PrefixListIds") or []
        return found

    ec2._strip_descriptions = comparable
