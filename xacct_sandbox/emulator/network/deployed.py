"""The network that is deployed in the current account, as `xacct_sandbox.network` reads it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xacct_sandbox.emulator.loader import Emulator, booted
from xacct_sandbox.network.model import (
    Endpoint,
    Group,
    Network,
    Peering,
    Place,
    Route,
    Rule,
    Subnet,
)

_KINDS = {
    "GatewayId": "internet",
    "NatGatewayId": "nat",
    "VpcPeeringConnectionId": "peering",
}


def deployed_network() -> Network:
    """The network of the account and Region of the current request."""
    emulator = booted()
    ec2 = emulator.ec2
    return Network(
        subnets={id_: _subnet(emulator, found) for id_, found in ec2._subnets.items()},
        groups={id_: _group(found) for id_, found in ec2._security_groups.items()},
        peerings={id_: _peering(found) for id_, found in ec2._vpc_peering.items()},
        endpoints={id_: _endpoint(found) for id_, found in ec2._vpc_endpoints.items()},
        gateways=frozenset(
            [id_ for id_, found in ec2._nat_gateways.items() if found["State"] == "available"]
            + [id_ for id_, found in ec2._internet_gateways.items() if found["Attachments"]]
        ),
    )


def _subnet(emulator: Emulator, found: Mapping[str, Any]) -> Subnet:
    table = _table_of(emulator, found)
    if table is None:
        return Subnet(found["VpcId"], found["CidrBlock"], "none")
    routes = tuple(
        Route(entry["DestinationCidrBlock"], kind, entry[key])
        for entry in table["Routes"]
        for key, kind in _KINDS.items()
        if entry.get(key, "local") != "local" and "DestinationCidrBlock" in entry
    )
    return Subnet(found["VpcId"], found["CidrBlock"], table["RouteTableId"], routes)


def _table_of(emulator: Emulator, subnet: Mapping[str, Any]) -> Any:
    """A subnet's route table; without an association, the main one of its VPC."""
    main = None
    for table in emulator.ec2._route_tables.values():
        for entry in table["Associations"]:
            if entry.get("SubnetId") == subnet["SubnetId"]:
                return table
            if entry.get("Main") and table["VpcId"] == subnet["VpcId"]:
                main = table
    return main


def _group(found: Mapping[str, Any]) -> Group:
    ingress, egress = (
        tuple(_rule(entry) for entry in found[key])
        for key in ("IpPermissions", "IpPermissionsEgress")
    )
    return Group(found["VpcId"], ingress, egress)


def _rule(entry: Mapping[str, Any]) -> Rule:
    return Rule(
        str(entry.get("IpProtocol", "-1")),
        int(entry.get("FromPort", -1)),
        int(entry.get("ToPort", -1)),
        tuple(cidr["CidrIp"] for cidr in entry.get("IpRanges", ())),
        tuple(pair["GroupId"] for pair in entry.get("UserIdGroupPairs", ()) if "GroupId" in pair),
    )


def _peering(found: Mapping[str, Any]) -> Peering:
    sides = (found["RequesterVpcInfo"]["VpcId"], found["AccepterVpcInfo"]["VpcId"])
    return Peering(frozenset(sides), found["Status"]["Code"] == "active")


def _endpoint(found: Mapping[str, Any]) -> Endpoint:
    # com.amazonaws.us-east-1.ecr.api
    service = found["ServiceName"].split(".", 3)[-1]
    return Endpoint(
        found["VpcId"],
        service,
        gateway=found["VpcEndpointType"] == "Gateway",
        place=Place(
            tuple(found.get("SubnetIds") or ()), tuple(found.get("SecurityGroupIds") or ())
        ),
        tables=tuple(found.get("RouteTableIds") or ()),
        private_names=found.get("PrivateDnsEnabled") in (True, "true"),
    )


def stack_outputs() -> list[dict[str, str]]:
    """The outputs of each stack of the account and Region of the current request."""
    return [
        {entry["OutputKey"]: str(entry["OutputValue"]) for entry in stack.get("Outputs") or ()}
        for stack in booted().cloudformation._stacks.values()
        if stack["StackStatus"] != "DELETE_COMPLETE"
    ]


def connection_place(name: str) -> Place | None:
    """The place of a Glue connection in the current account; None if it has no subnet."""
    connection = booted().glue._connections.get(name) or {}
    wanted = connection.get("PhysicalConnectionRequirements") or {}
    if not wanted.get("SubnetId"):
        return None
    return Place((wanted["SubnetId"],), tuple(wanted.get("SecurityGroupIdList") or ()))
