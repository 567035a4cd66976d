"""What drift detection reads of EC2's networks (read handlers of the resource types' schemas)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from xacct_sandbox.emulator.loader import Emulator
from xacct_sandbox.emulator.stacks.drift import Properties, Read, set_reader

Found = dict[str, Any] | None


def set_readers(emulator: Emulator) -> None:
    """Has drift detection compare the networks of stacks."""
    for name, (read, compared) in _readers(emulator).items():
        type_name, names = f"AWS::EC2::{name}", set(compared.split())
        if name not in _TAGGED:
            set_reader(emulator, type_name, read, names)
            continue
        # Stack-level tags are compared too (user guide).
        emulator.provisioners._STACK_TAG_PROPERTY[type_name] = ("Tags", "list")
        set_reader(emulator, type_name, _with_tags(emulator, read), {*names, "Tags"})


_TAGGED = frozenset(
    {
        "InternetGateway",
        "NatGateway",
        "RouteTable",
        "SecurityGroup",
        "Subnet",
        "VPC",
        "VPCEndpoint",
        "VPCPeeringConnection",
    }
)


def _with_tags(emulator: Emulator, read: Read) -> Read:
    def read_with_tags(id_: str, props: Properties) -> Found:
        found = read(id_, props)
        return None if found is None else {**found, "Tags": emulator.ec2._tags.get(id_) or []}

    return read_with_tags


def _readers(emulator: Emulator) -> dict[str, tuple[Read, str]]:
    ec2 = emulator.ec2

    def record(store: str, *names: str) -> Read:
        def read(id_: str, _props: Properties) -> Found:
            found = getattr(ec2, store).get(id_)
            if found is None or found.get("State") == "deleted":
                return None
            return {name: found[name] for name in names if name in found}

        return read

    def route(id_: str, props: Properties) -> Found:
        table = ec2._route_tables.get(props.get("RouteTableId", ""))
        for entry in table["Routes"] if table else ():
            if entry.get("DestinationCidrBlock") == props.get("DestinationCidrBlock"):
                return {**entry, "RouteTableId": props["RouteTableId"]}
        return None

    def association(id_: str, _props: Properties) -> Found:
        for table in ec2._route_tables.values():
            for entry in table["Associations"]:
                if entry["RouteTableAssociationId"] == id_:
                    return {"RouteTableId": table["RouteTableId"], "SubnetId": entry["SubnetId"]}
        return None

    def attachment(_id: str, props: Properties) -> Found:
        gateway = ec2._internet_gateways.get(props.get("InternetGatewayId", ""))
        vpcs = [entry["VpcId"] for entry in gateway["Attachments"]] if gateway else []
        return dict(props) if props.get("VpcId") in vpcs else None

    def peering(id_: str, _props: Properties) -> Found:
        found = ec2._vpc_peering.get(id_)
        if found is None or found["Status"]["Code"] != "active":
            return None
        return {
            "VpcId": found["RequesterVpcInfo"]["VpcId"],
            "PeerVpcId": found["AccepterVpcInfo"]["VpcId"],
        }

    def address(id_: str, _props: Properties) -> Found:
        known = [entry for entry in ec2._addresses.values() if entry["PublicIp"] == id_]
        return {"Domain": known[0]["Domain"]} if known else None

    def rule(key: str) -> Read:
        def read(id_: str, props: Properties) -> Found:
            group = ec2._security_groups.get(props.get("GroupId", ""))
            for entry in group[key] if group else ():
                if ec2._sg_rule_id(group["GroupId"], key == "IpPermissionsEgress", entry) == id_:
                    return {**props, **_as_property(entry, egress=key == "IpPermissionsEgress")}
            return None

        return read

    return {
        "EIP": (address, "Domain"),
        "InternetGateway": (record("_internet_gateways"), ""),
        "NatGateway": (record("_nat_gateways", "SubnetId", "AllocationId"), "SubnetId"),
        "Route": (
            route,
            "DestinationCidrBlock GatewayId NatGatewayId RouteTableId VpcPeeringConnectionId",
        ),
        "RouteTable": (record("_route_tables", "VpcId"), "VpcId"),
        "SecurityGroup": (
            _group(emulator),
            "GroupDescription VpcId SecurityGroupEgress SecurityGroupIngress",
        ),
        "SecurityGroupEgress": (
            rule("IpPermissionsEgress"),
            f"{_RULE} DestinationSecurityGroupId",
        ),
        "SecurityGroupIngress": (rule("IpPermissions"), f"{_RULE} SourceSecurityGroupId"),
        "Subnet": (
            record("_subnets", "AvailabilityZone", "CidrBlock", "MapPublicIpOnLaunch", "VpcId"),
            "AvailabilityZone CidrBlock MapPublicIpOnLaunch VpcId",
        ),
        "SubnetRouteTableAssociation": (association, "RouteTableId SubnetId"),
        "VPC": (
            record("_vpcs", "CidrBlock", "EnableDnsHostnames", "EnableDnsSupport"),
            "CidrBlock EnableDnsHostnames EnableDnsSupport",
        ),
        "VPCEndpoint": (
            record(
                "_vpc_endpoints",
                *("PrivateDnsEnabled", "RouteTableIds", "SecurityGroupIds", "ServiceName"),
                *("SubnetIds", "VpcEndpointType", "VpcId"),
            ),
            "PrivateDnsEnabled RouteTableIds SecurityGroupIds ServiceName SubnetIds VpcId",
        ),
        "VPCGatewayAttachment": (attachment, "InternetGatewayId VpcId"),
        "VPCPeeringConnection": (peering, "PeerVpcId VpcId"),
    }


def _group(emulator: Emulator) -> Callable[[str, Properties], Found]:
    """A security group; its rules in the template's order and words, as far as they are there."""
    ec2, permissions = emulator.ec2, emulator.provisioners._ec2_sg_permissions

    def rules(stored: list[dict[str, Any]], wanted: list[Mapping[str, Any]]) -> list[Any]:
        left, found = list(stored), []
        for rule in wanted:
            (same,) = permissions([rule])
            match = next((entry for entry in left if ec2._rules_match(entry, same)), None)
            if match is not None:
                left.remove(match)
                found.append(dict(rule))
        return [*found, *(_as_property(entry) for entry in left)]

    def read(id_: str, props: Properties) -> Found:
        group = ec2._security_groups.get(id_)
        if group is None:
            return None
        found = {"GroupDescription": group["Description"], "VpcId": group["VpcId"]}
        for name, key in (
            ("SecurityGroupEgress", "IpPermissionsEgress"),
            ("SecurityGroupIngress", "IpPermissions"),
        ):
            if name in props:
                found[name] = rules(group[key], props[name])
        return found

    return read


_RULE = "CidrIp Description FromPort GroupId IpProtocol ToPort"


def _as_property(entry: dict[str, Any], *, egress: bool = False) -> dict[str, Any]:
    """A rule as a template would give it."""
    names = ("IpProtocol", "FromPort", "ToPort")
    rule: dict[str, Any] = {name: entry[name] for name in names if name in entry}
    side = "DestinationSecurityGroupId" if egress else "SourceSecurityGroupId"
    for other in (*entry.get("IpRanges", ()), *entry.get("UserIdGroupPairs", ())):
        rule |= {"CidrIp": other["CidrIp"]} if "CidrIp" in other else {side: other["GroupId"]}
        if other.get("Description"):
            rule["Description"] = other["Description"]
    return rule
