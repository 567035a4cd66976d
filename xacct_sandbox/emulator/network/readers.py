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
        set_reader(emulator, f"AWS::EC2::{name}", read, frozenset(compared.split()))


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
            known = [
                ec2._sg_rule_id(group["GroupId"], key == "IpPermissionsEgress", entry)
                for entry in (group[key] if group else ())
            ]
            return dict(props) if id_ in known else None

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
        "SecurityGroupEgress": (rule("IpPermissionsEgress"), "GroupId"),
        "SecurityGroupIngress": (rule("IpPermissions"), "GroupId"),
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


def _as_property(entry: Mapping[str, Any]) -> dict[str, Any]:
    """A rule that no template gives, as a template would."""
    rule = {name: entry[name] for name in ("IpProtocol", "FromPort", "ToPort") if name in entry}
    for cidr in entry.get("IpRanges", []):
        rule["CidrIp"] = cidr["CidrIp"]
    for group in entry.get("UserIdGroupPairs", []):
        rule["SourceSecurityGroupId"] = group["GroupId"]
    return rule
