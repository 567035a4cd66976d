"""Changes and deletes pieces of a deployed network by hand, by EC2's API."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Client = Callable[[str], Any]
Touch = Callable[[Client, str], object]


def _delete_rule(ec2: Any, id_: str) -> None:
    rule = _rule(ec2, id_)
    direction = "egress" if rule["IsEgress"] else "ingress"
    getattr(ec2, f"revoke_security_group_{direction}")(
        GroupId=rule["GroupId"], SecurityGroupRuleIds=[id_]
    )


def _change_rule(ec2: Any, id_: str) -> None:
    rule = _rule(ec2, id_)
    changed = {"IpProtocol": "tcp", "FromPort": 1, "ToPort": rule["ToPort"]}
    other = rule["ReferencedGroupInfo"]["GroupId"] if "ReferencedGroupInfo" in rule else None
    target = {"ReferencedGroupId": other} if other else {"CidrIpv4": rule["CidrIpv4"]}
    ec2.modify_security_group_rules(
        GroupId=rule["GroupId"],
        SecurityGroupRules=[
            {"SecurityGroupRuleId": id_, "SecurityGroupRule": {**changed, **target}}
        ],
    )


def _rule(ec2: Any, id_: str) -> Any:
    (rule,) = ec2.describe_security_group_rules(SecurityGroupRuleIds=[id_])["SecurityGroupRules"]
    return rule


def _open_group(ec2: Any, id_: str) -> None:
    """Let the group connect to everything."""
    everything = {"IpProtocol": "-1", "IpRanges": [{"CidrIp": "0.0.0.0/0"}]}
    ec2.authorize_security_group_egress(GroupId=id_, IpPermissions=[everything])


def _delete_route(ec2: Any, id_: str) -> None:
    table, _, cidr = id_.partition("|")
    ec2.delete_route(RouteTableId=table, DestinationCidrBlock=cidr)


def _change_route(ec2: Any, id_: str) -> None:
    """Lead it elsewhere: to the internet what went to the peer, and the other way round."""
    table, _, cidr = id_.partition("|")
    (found,) = ec2.describe_route_tables(RouteTableIds=[table])["RouteTables"]
    present = next(one for one in found["Routes"] if one.get("DestinationCidrBlock") == cidr)
    if "VpcPeeringConnectionId" in present:
        gateways = ec2.describe_internet_gateways()["InternetGateways"]
        vpcs = {one["InternetGatewayId"]: one["Attachments"] for one in gateways}
        target = next(
            {"GatewayId": id_}
            for id_, attachments in vpcs.items()
            if found["VpcId"] in [one["VpcId"] for one in attachments]
        )
    else:
        peerings = ec2.describe_vpc_peering_connections()["VpcPeeringConnections"]
        active = next(one for one in peerings if one["Status"]["Code"] == "active")
        target = {"VpcPeeringConnectionId": active["VpcPeeringConnectionId"]}
    ec2.replace_route(RouteTableId=table, DestinationCidrBlock=cidr, **target)


def _change_endpoint(ec2: Any, id_: str) -> None:
    (endpoint,) = ec2.describe_vpc_endpoints(VpcEndpointIds=[id_])["VpcEndpoints"]
    if endpoint["VpcEndpointType"] == "Gateway":
        ec2.modify_vpc_endpoint(VpcEndpointId=id_, RemoveRouteTableIds=endpoint["RouteTableIds"])
    else:
        ec2.modify_vpc_endpoint(VpcEndpointId=id_, PrivateDnsEnabled=False)


def _detach(ec2: Any, vpc: str) -> None:
    gateway = next(
        one["InternetGatewayId"]
        for one in ec2.describe_internet_gateways()["InternetGateways"]
        if vpc in [attachment["VpcId"] for attachment in one["Attachments"]]
    )
    ec2.detach_internet_gateway(InternetGatewayId=gateway, VpcId=vpc)


def _release(ec2: Any, address: str) -> None:
    (found,) = ec2.describe_addresses(PublicIps=[address])["Addresses"]
    ec2.release_address(AllocationId=found["AllocationId"])


def _move_association(ec2: Any, id_: str) -> None:
    """Give the subnet the other route table of its VPC."""
    tables = ec2.describe_route_tables()["RouteTables"]
    present = next(
        one
        for one in tables
        if id_ in [entry["RouteTableAssociationId"] for entry in one["Associations"]]
    )
    other = next(
        one["RouteTableId"]
        for one in tables
        if one["VpcId"] == present["VpcId"] and one["RouteTableId"] != present["RouteTableId"]
    )
    ec2.replace_route_table_association(AssociationId=id_, RouteTableId=other)


def _rename(ec2: Any, id_: str) -> None:
    ec2.create_tags(Resources=[id_], Tags=[{"Key": "Name", "Value": "changed by hand"}])


def _ec2(call: Callable[[Any, str], object]) -> Touch:
    return lambda client, id_: call(client("ec2"), id_)


DELETE: dict[str, Touch] = {
    f"AWS::EC2::{name}": _ec2(call)
    for name, call in {
        "EIP": _release,
        "InternetGateway": lambda c, id_: c.delete_internet_gateway(InternetGatewayId=id_),
        "NatGateway": lambda c, id_: c.delete_nat_gateway(NatGatewayId=id_),
        "Route": _delete_route,
        "RouteTable": lambda c, id_: c.delete_route_table(RouteTableId=id_),
        "SecurityGroup": lambda c, id_: c.delete_security_group(GroupId=id_),
        "SecurityGroupEgress": _delete_rule,
        "SecurityGroupIngress": _delete_rule,
        "Subnet": lambda c, id_: c.delete_subnet(SubnetId=id_),
        "SubnetRouteTableAssociation": lambda c, id_: c.disassociate_route_table(AssociationId=id_),
        "VPC": lambda c, id_: c.delete_vpc(VpcId=id_),
        "VPCEndpoint": lambda c, id_: c.delete_vpc_endpoints(VpcEndpointIds=[id_]),
        "VPCGatewayAttachment": lambda c, id_: _detach(c, id_.partition("|")[2]),
        "VPCPeeringConnection": lambda c, id_: c.delete_vpc_peering_connection(
            VpcPeeringConnectionId=id_
        ),
    }.items()
}

CHANGE: dict[str, Touch] = {
    f"AWS::EC2::{name}": _ec2(call)
    for name, call in {
        "InternetGateway": _rename,
        "NatGateway": _rename,
        "Route": _change_route,
        "RouteTable": _rename,
        "SecurityGroup": _open_group,
        "SecurityGroupEgress": _change_rule,
        "SecurityGroupIngress": _change_rule,
        "Subnet": lambda c, id_: c.modify_subnet_attribute(
            SubnetId=id_, MapPublicIpOnLaunch={"Value": True}
        ),
        "SubnetRouteTableAssociation": _move_association,
        "VPC": lambda c, id_: c.modify_vpc_attribute(
            VpcId=id_, EnableDnsHostnames={"Value": False}
        ),
        "VPCEndpoint": _change_endpoint,
        "VPCPeeringConnection": _rename,
    }.items()
}
