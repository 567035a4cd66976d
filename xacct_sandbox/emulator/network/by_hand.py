"""What a hand may delete and change of a network, and what EC2 refuses because others use it.

EC2's API reference says what: DeleteVpc ("You must detach or delete all gateways and resources
that are associated with the VPC"), DeleteSubnet (a network interface in it), DeleteRouteTable ("You
must disassociate the route table from any subnets"), DeleteSecurityGroup ("associated with an
instance or network interface, is referenced by another security group in the same VPC"),
DeleteInternetGateway ("You must detach the internet gateway from the VPC"), ReleaseAddress ("Be
sure to disassociate" it).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from xacct_sandbox.emulator.loader import Emulator
from xacct_sandbox.emulator.stacks.held import held_resources
from xacct_sandbox.emulator.state import scoped_state

Parameters = Mapping[str, list[str]]
Call = Callable[[Parameters], Any]
Users = Callable[[Emulator, str], Iterator[Any]]

_ENDPOINT_LISTS = ("RouteTableId", "SecurityGroupId", "SubnetId")
_ENDPOINT_PARAMETERS = frozenset(
    {
        *("Action", "Version", "VpcEndpointId", "PrivateDnsEnabled"),
        *(f"{change}{name}" for change in ("Add", "Remove") for name in _ENDPOINT_LISTS),
    }
)


def patch_calls(emulator: Emulator) -> None:
    """Installs the operations of this module."""
    calls = emulator.ec2._ACTION_MAP
    calls["DeleteSubnet"] = _with_associations(emulator, calls["DeleteSubnet"])
    for name, parameter, kind, users in (
        ("DeleteInternetGateway", "InternetGatewayId", "internetGateway", _users_of_gateway),
        ("DeleteRouteTable", "RouteTableId", "routeTable", _users_of_route_table),
        ("DeleteSecurityGroup", "GroupId", "", _users_of_group),
        ("DeleteSubnet", "SubnetId", "subnet", _users_of_subnet),
        ("DeleteVpc", "VpcId", "vpc", _users_of_vpc),
    ):
        calls[name] = _unless_used(emulator, calls[name], parameter, kind, users)
    calls["ReleaseAddress"] = _release_address(emulator, calls["ReleaseAddress"])
    calls["ModifyVpcEndpoint"] = _modify_endpoint(emulator)
    calls["ReplaceRoute"] = _replace_route(emulator, calls["CreateRoute"])


def _text(parameters: Parameters, name: str) -> str:
    return (parameters.get(name) or [""])[0]


def _unless_used(emulator: Emulator, call: Call, parameter: str, kind: str, users: Users) -> Call:
    def delete(parameters: Parameters) -> Any:
        id_ = _text(parameters, parameter)
        if next(users(emulator, id_), None) is None:
            return call(parameters)
        text = (
            f"The {kind} '{id_}' has dependencies and cannot be deleted."
            if kind
            else f"resource {id_} has a dependent object"
        )
        return emulator.ec2._error("DependencyViolation", text, 400)

    return delete


def _interfaces(emulator: Emulator) -> Iterator[tuple[list[str], list[str]]]:
    """Subnets and security groups of everything that has network interfaces."""
    for endpoint in emulator.ec2._vpc_endpoints.values():
        yield endpoint.get("SubnetIds") or [], endpoint.get("SecurityGroupIds") or []
    groups = held_resources("AWS::RDS::DBSubnetGroup")
    for database in held_resources("AWS::RDS::DBInstance").values():
        subnets = (groups.get(database.get("DBSubnetGroupName")) or {}).get("SubnetIds") or []
        standby = str(database.get("MultiAZ")).lower() == "true"
        yield subnets[: 2 if standby else 1], database.get("VPCSecurityGroups") or []
    for service in held_resources("AWS::ECS::Service").values():
        place = (service.get("NetworkConfiguration") or {}).get("AwsvpcConfiguration") or {}
        yield (place.get("Subnets") or [])[:1], place.get("SecurityGroups") or []
    for balancer in held_resources("AWS::ElasticLoadBalancingV2::LoadBalancer").values():
        yield balancer.get("Subnets") or [], balancer.get("SecurityGroups") or []
    for workgroup in scoped_state("redshift-serverless-workgroups").values():
        yield workgroup.get("subnetIds") or [], workgroup.get("securityGroupIds") or []


def _users_of_subnet(emulator: Emulator, id_: str) -> Iterator[Any]:
    yield from (subnets for subnets, _ in _interfaces(emulator) if id_ in subnets)
    gateways = emulator.ec2._nat_gateways.values()
    yield from (nat for nat in gateways if nat["SubnetId"] == id_ and nat["State"] != "deleted")


def _users_of_group(emulator: Emulator, id_: str) -> Iterator[Any]:
    yield from (groups for _, groups in _interfaces(emulator) if id_ in groups)
    groups = emulator.ec2._security_groups
    for other, group in groups.items():
        if other == id_ or group["VpcId"] != groups.get(id_, group)["VpcId"]:
            continue
        for rule in (*group["IpPermissions"], *group["IpPermissionsEgress"]):
            pairs = rule.get("UserIdGroupPairs") or ()
            yield from (pair for pair in pairs if pair.get("GroupId") == id_)


def _users_of_route_table(emulator: Emulator, id_: str) -> Iterator[Any]:
    yield from emulator.ec2._route_tables.get(id_, {}).get("Associations", ())


def _users_of_gateway(emulator: Emulator, id_: str) -> Iterator[Any]:
    yield from emulator.ec2._internet_gateways.get(id_, {}).get("Attachments", ())


def _users_of_vpc(emulator: Emulator, id_: str) -> Iterator[Any]:
    ec2 = emulator.ec2
    for store in (ec2._subnets, ec2._vpc_endpoints):
        yield from (found for found in store.values() if found["VpcId"] == id_)
    for peering in ec2._vpc_peering.values():
        sides = (peering["RequesterVpcInfo"]["VpcId"], peering["AccepterVpcInfo"]["VpcId"])
        if id_ in sides and peering["Status"]["Code"] == "active":
            yield peering


def _with_associations(emulator: Emulator, call: Call) -> Call:
    """A subnet's association with a route table goes with it."""

    def delete_subnet(parameters: Parameters) -> Any:
        response = call(parameters)
        id_ = _text(parameters, "SubnetId")
        for table in emulator.ec2._route_tables.values():
            kept = [entry for entry in table["Associations"] if entry.get("SubnetId") != id_]
            if len(kept) < len(table["Associations"]) and id_ not in emulator.ec2._subnets:
                table["Associations"] = kept
        return response

    return delete_subnet


def _release_address(emulator: Emulator, call: Call) -> Call:
    def release_address(parameters: Parameters) -> Any:
        allocation = _text(parameters, "AllocationId")
        if any(
            nat.get("AllocationId") == allocation and nat["State"] != "deleted"
            for nat in emulator.ec2._nat_gateways.values()
        ):
            address = emulator.ec2._addresses[allocation]["PublicIp"]
            return emulator.ec2._error(
                "InvalidIPAddress.InUse", f"The address '{address}' is in use.", 400
            )
        return call(parameters)

    return release_address


def _modify_endpoint(emulator: Emulator) -> Call:
    """Ministack changes route tables and subnets only."""
    ec2 = emulator.ec2

    def modify_endpoint(parameters: Parameters) -> Any:
        if others := sorted({name.partition(".")[0] for name in parameters} - _ENDPOINT_PARAMETERS):
            text = f"The sandbox does not support {', '.join(others)} of ModifyVpcEndpoint."
            return ec2._error("UnsupportedOperation", text, 400)
        id_ = _text(parameters, "VpcEndpointId")
        endpoint = ec2._vpc_endpoints.get(id_)
        if endpoint is None:
            return ec2._error(
                "InvalidVpcEndpointId.NotFound", f"The VPC endpoint '{id_}' does not exist", 400
            )
        for name in _ENDPOINT_LISTS:
            present = list(endpoint.get(f"{name}s") or ())
            added = ec2._parse_member_list(parameters, f"Add{name}")
            removed = ec2._parse_member_list(parameters, f"Remove{name}")
            kept = [entry for entry in present if entry not in removed]
            endpoint[f"{name}s"] = [*kept, *(entry for entry in added if entry not in kept)]
        private = _text(parameters, "PrivateDnsEnabled")
        if private:
            endpoint["PrivateDnsEnabled"] = private == "true"
        return ec2._xml(200, "ModifyVpcEndpointResponse", "<return>true</return>")

    return modify_endpoint


def _replace_route(emulator: Emulator, create: Call) -> Call:
    """Ministack knows no route to a peering connection here."""
    ec2 = emulator.ec2

    def replace_route(parameters: Parameters) -> Any:
        table = ec2._route_tables.get(_text(parameters, "RouteTableId"))
        cidr = _text(parameters, "DestinationCidrBlock")
        routes = table["Routes"] if table else []
        kept = [route for route in routes if route.get("DestinationCidrBlock") != cidr]
        if table is None or len(kept) == len(routes):
            return ec2._error(
                "InvalidParameterValue",
                f"There is no route defined for '{cidr}' in the route table. Use CreateRoute "
                "instead.",
                400,
            )
        table["Routes"] = kept
        create(parameters)
        return ec2._xml(200, "ReplaceRouteResponse", "<return>true</return>")

    return replace_route
