"""The network of VPCs: what is missing for a connection, by its name.

Reads routes, security groups, peering connections, gateways and endpoints with EC2's Describe
operations. Sources: VPC guide ("Route tables", "Security group rules"), VPC peering guide ("Update
your route tables", "Update your security groups to reference peer security groups"), PrivateLink
guide ("Gateway endpoints", "Access an AWS service using an interface VPC endpoint"). Network ACLs
are not read: the default one allows everything.
"""

from __future__ import annotations

import ipaddress
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xacct_assets.aws.botocore_errors import aws_call

HTTPS = 443
ANYWHERE = "0.0.0.0/0"
ALL = "-1"

Item = Mapping[str, Any]


@dataclass(frozen=True)
class Place:
    """Where something has its network interfaces.

    Attributes:
        who: for messages, e.g. ``Dagster``.
    """

    who: str
    subnets: tuple[str, ...]
    groups: tuple[str, ...]


class VpcNetwork:
    """The VPCs of some places.

    Args:
        ec2: boto3's client, without types: EC2's stubs are larger than all others together.
        places: whose subnets' VPCs are read.

    Raises:
        NotFound: a subnet or security group does not exist.
    """

    def __init__(self, ec2: Any, places: Sequence[Place]) -> None:
        self._ec2 = ec2
        ids = sorted({subnet for place in places for subnet in place.subnets})
        groups = sorted({group for place in places for group in place.groups})
        self._subnets = {
            item["SubnetId"]: item
            for item in self._read("describe_subnets", "Subnets", SubnetIds=ids)
        }
        vpcs = sorted({item["VpcId"] for item in self._subnets.values()})
        of_vpcs = {"Filters": [{"Name": "vpc-id", "Values": vpcs}]}
        self._tables = list(self._read("describe_route_tables", "RouteTables", **of_vpcs))
        self._endpoints = list(self._read("describe_vpc_endpoints", "VpcEndpoints", **of_vpcs))
        groups = sorted({*groups, *_groups_of(self._endpoints)})
        self._groups = {
            item["GroupId"]: item
            for item in self._read("describe_security_groups", "SecurityGroups", GroupIds=groups)
        }
        for item in self._read(
            "describe_subnets", "Subnets", SubnetIds=_subnets_of(self._endpoints)
        ):
            self._subnets[item["SubnetId"]] = item
        self._peerings = {
            item["VpcPeeringConnectionId"]: item
            for item in self._read("describe_vpc_peering_connections", "VpcPeeringConnections")
        }

    def missing_path(self, source: Place, target: Place, port: int) -> str | None:
        """What keeps a TCP connection from one place to another; None if nothing does."""
        for start in source.subnets:
            for end in target.subnets:
                missing = self._missing_route(start, end) or self._missing_route(end, start)
                if missing:
                    return missing
        return self._missing_rule(source, target, port)

    def missing_service(self, source: Place, service: str) -> str | None:
        """What keeps a place from a service of AWS; None if nothing does.

        Args:
            source: the place.
            service: the end of the endpoint's name, e.g. ``ecr.api``.
        """
        for name in source.subnets:
            missing = self._missing_way_out(Place(source.who, (name,), source.groups), service)
            if missing:
                return missing
        return None

    def _read(self, operation: str, key: str, **request: Any) -> Iterator[Item]:
        if any(value == [] for value in request.values()):
            return
        name = "".join(part.capitalize() for part in operation.split("_"))
        with aws_call(f"ec2:{name}", "the network"):
            for page in self._ec2.get_paginator(operation).paginate(**request):
                yield from page[key]

    def _missing_way_out(self, source: Place, service: str) -> str | None:
        (name,) = source.subnets
        vpc, table = self._subnets[name]["VpcId"], self._table(name)
        reasons = []
        for endpoint in self._endpoints:
            if endpoint["VpcId"] != vpc or not endpoint["ServiceName"].endswith(f".{service}"):
                continue
            id_ = endpoint["VpcEndpointId"]
            if endpoint.get("VpcEndpointType") == "Gateway":
                if table["RouteTableId"] in endpoint.get("RouteTableIds", ()):
                    return self._missing_egress(source)
                reasons.append(f"route table {table['RouteTableId']} in endpoint {id_} ({service})")
            elif not endpoint.get("PrivateDnsEnabled"):
                reasons.append(f"private DNS names of endpoint {id_} ({service})")
            else:
                groups = tuple(group["GroupId"] for group in endpoint.get("Groups", ()))
                there = Place(f"endpoint {id_} ({service})", tuple(endpoint["SubnetIds"]), groups)
                missing = self.missing_path(source, there, HTTPS)
                if missing is None:
                    return None
                reasons.append(missing)
        route = self._route(name, ANYWHERE)
        if route is not None and (route.get("NatGatewayId") or route.get("GatewayId")):
            return self._missing_egress(source)
        return reasons[0] if reasons else f"an endpoint of VPC {vpc} for {service}"

    def _table(self, subnet: str) -> Item:
        """The route table of a subnet; without an association, the main one of its VPC."""
        vpc = self._subnets[subnet]["VpcId"]
        main: Item = {"RouteTableId": f"(none of VPC {vpc})", "Routes": []}
        for table in self._tables:
            for association in table.get("Associations", ()):
                if association.get("SubnetId") == subnet:
                    return table
                if association.get("Main") and table["VpcId"] == vpc:
                    main = table
        return main

    def _route(self, subnet: str, destination: str) -> Item | None:
        """The most specific route to a range of addresses; blackholes are no routes."""
        fitting = [
            route
            for route in self._table(subnet)["Routes"]
            if covers(route.get("DestinationCidrBlock"), destination)
            and route.get("State") != "blackhole"
        ]
        return max(fitting, key=lambda route: _prefix(route["DestinationCidrBlock"]), default=None)

    def _missing_route(self, start: str, end: str) -> str | None:
        here, there = self._subnets[start], self._subnets[end]
        vpcs = {here["VpcId"], there["VpcId"]}
        if len(vpcs) == 1:
            return None
        route = self._route(start, there["CidrBlock"])
        peering = (route or {}).get("VpcPeeringConnectionId")
        if not self._peered(vpcs):
            return f"an active peering connection between VPCs {' and '.join(sorted(vpcs))}"
        if not peering:
            table = self._table(start)["RouteTableId"]
            return f"a route in {table} (of subnet {start}) to {there['CidrBlock']}"
        if not self._peered(vpcs, peering):
            table = self._table(start)["RouteTableId"]
            return f"a route in {table} to {there['CidrBlock']} over a peering that is active"
        return None

    def _peered(self, vpcs: set[str], only: str | None = None) -> bool:
        return any(
            {item["RequesterVpcInfo"]["VpcId"], item["AccepterVpcInfo"]["VpcId"]} == vpcs
            and item["Status"]["Code"] == "active"
            for id_, item in self._peerings.items()
            if only in (None, id_)
        )

    def _missing_rule(self, source: Place, target: Place, port: int) -> str | None:
        for own, other, kind, word in (
            (source, target, "Egress", "to"),
            (target, source, "", "from"),
        ):
            for subnet in other.subnets:
                if not self._allowed(own, other, subnet, port, f"IpPermissions{kind}"):
                    rule = f"{'an outbound' if kind else 'an inbound'} rule of {_ids(own.groups)}"
                    return f"{rule} ({own.who}) for TCP {port} {word} {_ids(other.groups)} " + (
                        f"({other.who}, {self._subnets[subnet]['CidrBlock']})"
                    )
        return None

    def _allowed(self, own: Place, other: Place, subnet: str, port: int, key: str) -> bool:
        """Whether a rule allows it. One that names a group of another VPC needs the peering."""
        vpcs = {self._subnets[own.subnets[0]]["VpcId"], self._subnets[subnet]["VpcId"]}
        near = len(vpcs) == 1 or self._peered(vpcs)
        cidr = self._subnets[subnet]["CidrBlock"]
        return any(
            any(covers(item.get("CidrIp"), cidr) for item in rule.get("IpRanges", ()))
            or (near and _named(rule) & set(other.groups))
            for rule in self._rules(own, key, port)
        )

    def _missing_egress(self, source: Place) -> str | None:
        for rule in self._rules(source, "IpPermissionsEgress", HTTPS):
            if rule.get("PrefixListIds") or any(
                item.get("CidrIp") == ANYWHERE for item in rule.get("IpRanges", ())
            ):
                return None
        return f"an outbound rule of {_ids(source.groups)} ({source.who}) for TCP {HTTPS}"

    def _rules(self, place: Place, key: str, port: int) -> Iterator[Item]:
        for group in place.groups:
            for rule in self._groups[group].get(key, ()):
                ports = range(rule.get("FromPort", -1), rule.get("ToPort", -1) + 1)
                if rule["IpProtocol"] == ALL or (rule["IpProtocol"] == "tcp" and port in ports):
                    yield rule


def covers(cidr: str | None, other: str) -> bool:
    """Whether every IPv4 address of the second range is in the first."""
    if not cidr:
        return False
    return ipaddress.IPv4Network(other).subnet_of(ipaddress.IPv4Network(cidr))


def _prefix(cidr: str) -> int:
    return ipaddress.IPv4Network(cidr).prefixlen


def _named(rule: Item) -> set[str]:
    return {pair["GroupId"] for pair in rule.get("UserIdGroupPairs", ()) if "GroupId" in pair}


def _groups_of(endpoints: Sequence[Item]) -> set[str]:
    return {group["GroupId"] for item in endpoints for group in item.get("Groups", ())}


def _subnets_of(endpoints: Sequence[Item]) -> list[str]:
    return sorted({subnet for item in endpoints for subnet in item.get("SubnetIds", ())})


def _ids(groups: Sequence[str]) -> str:
    return "security group " + ", ".join(groups) if groups else "no security group"
