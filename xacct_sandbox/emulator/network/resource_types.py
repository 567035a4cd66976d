"""Types of AWS::EC2 that ministack's CloudFormation lacks, and the properties that all may have.

Properties and return values are those of the CloudFormation template reference.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Mapping
from typing import Any

from xacct_sandbox.emulator.loader import Emulator
from xacct_sandbox.emulator.property_checks import check_properties, refuse_properties
from xacct_sandbox.service_errors import ServiceError

Properties = dict[str, Any]
Made = tuple[str, dict[str, Any]]

SUPPORTED: Mapping[str, frozenset[str]] = {
    f"AWS::EC2::{name}": frozenset(properties.split())
    for name, properties in {
        "EIP": "Domain Tags",
        "InternetGateway": "Tags",
        "NatGateway": "AllocationId ConnectivityType SubnetId Tags",
        "Route": "DestinationCidrBlock GatewayId NatGatewayId RouteTableId VpcPeeringConnectionId",
        "RouteTable": "Tags VpcId",
        "SecurityGroup": "GroupDescription GroupName SecurityGroupEgress SecurityGroupIngress Tags"
        " VpcId",
        "SecurityGroupEgress": "CidrIp Description DestinationSecurityGroupId FromPort GroupId"
        " IpProtocol ToPort",
        "SecurityGroupIngress": "CidrIp Description FromPort GroupId IpProtocol"
        " SourceSecurityGroupId ToPort",
        "Subnet": "AvailabilityZone CidrBlock MapPublicIpOnLaunch Tags VpcId",
        "SubnetRouteTableAssociation": "RouteTableId SubnetId",
        "VPC": "CidrBlock EnableDnsHostnames EnableDnsSupport InstanceTenancy Tags",
        "VPCEndpoint": "PrivateDnsEnabled RouteTableIds SecurityGroupIds ServiceName SubnetIds Tags"
        " VpcEndpointType VpcId",
        "VPCGatewayAttachment": "InternetGatewayId VpcId",
        "VPCPeeringConnection": "PeerVpcId Tags VpcId",
    }.items()
}
"""The properties that the sandbox gives effect to; others are refused by name."""


def add_resource_types(emulator: Emulator) -> None:
    """Adds the missing types, and refuses properties without effect."""
    handlers = emulator.provisioners._RESOURCE_HANDLERS
    handlers.update(
        {
            "AWS::EC2::EIP": _addresses(emulator),
            "AWS::EC2::NatGateway": _nat_gateways(emulator),
            "AWS::EC2::SecurityGroupEgress": _rules(emulator, egress=True),
            "AWS::EC2::SecurityGroupIngress": _rules(emulator, egress=False),
            "AWS::EC2::VPCPeeringConnection": _peerings(emulator),
        }
    )
    association = handlers["AWS::EC2::SubnetRouteTableAssociation"]
    association["create"] = _one_association(emulator, association["create"])
    for type_name, names in SUPPORTED.items():
        _refuse_others(handlers[type_name], type_name, names)


def _refuse_others(handlers: dict[str, Any], type_name: str, names: frozenset[str]) -> None:
    check_properties(handlers, lambda props: refuse_properties(type_name, props.keys() - names))


def _tagged(
    emulator: Emulator, create: Callable[..., Made], delete: Callable[..., None]
) -> dict[str, Any]:
    """A type of which only tags change in place."""
    apply_tags = emulator.provisioners._ec2_apply_tags

    def create_tagged(logical_id: str, props: Properties, stack: str) -> Made:
        id_, attributes = create(logical_id, props, stack)
        apply_tags(id_, props)
        return id_, attributes

    def update(id_: str, old: Properties, new: Properties, _stack: str) -> Made:
        apply_tags(id_, new, old)
        return id_, {}

    return {"create": create_tagged, "update": update, "delete": delete}


def _one_association(emulator: Emulator, create: Callable[..., Made]) -> Callable[..., Made]:
    """A subnet has one route table; AssociateRouteTable does not replace another one.

    The words are those in hashicorp/terraform-provider-aws issue 38960.
    """

    def associate(logical_id: str, props: Properties, stack: str) -> Made:
        for table in emulator.ec2._route_tables.values():
            subnets = [entry.get("SubnetId") for entry in table["Associations"]]
            others = table["RouteTableId"] != props.get("RouteTableId")
            if others and props.get("SubnetId") in subnets:
                raise ServiceError(
                    "Resource.AlreadyAssociated",
                    f"the specified association for route table {props.get('RouteTableId')} "
                    "conflicts with an existing association",
                )
        return create(logical_id, props, stack)

    return associate


def _new_id(prefix: str) -> str:
    return f"{prefix}-{secrets.token_hex(9)[:17]}"


def _require(emulator: Emulator, store: str, id_: str, what: str) -> dict[str, Any]:
    found = getattr(emulator.ec2, store).get(id_)
    if found is None:
        raise ServiceError("InvalidRequest", f"The {what} ID '{id_}' does not exist")
    record: dict[str, Any] = found
    return record


def _peerings(emulator: Emulator) -> dict[str, Any]:
    ec2 = emulator.ec2

    def create(_logical_id: str, props: Properties, _stack: str) -> Made:
        id_, account = _new_id("pcx"), emulator.responses.get_account_id()
        side = {"OwnerId": account, "Region": emulator.responses.get_region()}
        for name in ("VpcId", "PeerVpcId"):
            _require(emulator, "_vpcs", props.get(name, ""), "vpc")
        ec2._put_vpc_peering_record(
            {
                "VpcPeeringConnectionId": id_,
                "RequesterVpcInfo": {"VpcId": props["VpcId"], **side},
                "AccepterVpcInfo": {"VpcId": props["PeerVpcId"], **side},
                # Of the same account: CloudFormation accepts it (template reference).
                "Status": {"Code": "active", "Message": "Active"},
                "Tags": [],
            }
        )
        return id_, {"Id": id_}

    def delete(id_: str, _props: Properties) -> None:
        if id_ in ec2._vpc_peering:
            ec2._set_vpc_peering_status(ec2._vpc_peering[id_], "deleted", "Deleted")

    return _tagged(emulator, create, delete)


def _rules(emulator: Emulator, *, egress: bool) -> dict[str, Any]:
    """A rule of a security group; its id is derived from its content, as ministack does."""
    ec2, provisioners = emulator.ec2, emulator.provisioners
    key = "IpPermissionsEgress" if egress else "IpPermissions"

    def rule_of(group: dict[str, Any], id_: str) -> dict[str, Any] | None:
        ids = {ec2._sg_rule_id(group["GroupId"], egress, rule): rule for rule in group[key]}
        return ids.get(id_)

    def create(_logical_id: str, props: Properties, _stack: str) -> Made:
        group = _require(emulator, "_security_groups", props.get("GroupId", ""), "security group")
        (rule,) = provisioners._ec2_sg_permissions([props])
        id_ = ec2._sg_rule_id(group["GroupId"], egress, rule)
        if egress:
            # "The default rule is removed only when you specify one or more egress rules."
            group[key] = [kept for kept in group[key] if kept.get("IpProtocol") != "-1"]
        same = rule_of(group, id_)
        if same is not None and not ec2._rules_match(same, rule):
            # One that had this content once, and was changed by hand.
            id_ = rule["SecurityGroupRuleId"] = _new_id("sgr")
            same = None
        if same is None:
            group[key].append(rule)
        return id_, {"Id": id_}

    def update(id_: str, _old: Properties, new: Properties, _stack: str) -> Made:
        group = _require(emulator, "_security_groups", new.get("GroupId", ""), "security group")
        (wanted,) = provisioners._ec2_sg_permissions([new])
        rule = rule_of(group, id_)
        if rule is None:
            raise ServiceError(
                "InvalidRequest", f"The security group rule ID '{id_}' does not exist"
            )
        # Of a rule that was changed by hand, the id stays.
        rule.update({**wanted, "SecurityGroupRuleId": id_})
        return id_, {"Id": id_}

    def delete(id_: str, props: Properties) -> None:
        group = ec2._security_groups.get(props.get("GroupId", ""))
        if group is not None:
            group[key] = [
                rule
                for rule in group[key]
                if ec2._sg_rule_id(group["GroupId"], egress, rule) != id_
            ]

    return {"create": create, "update": update, "delete": delete}


def _nat_gateways(emulator: Emulator) -> dict[str, Any]:
    ec2 = emulator.ec2

    def create(_logical_id: str, props: Properties, _stack: str) -> Made:
        subnet = _require(emulator, "_subnets", props.get("SubnetId", ""), "subnet")
        id_ = _new_id("nat")
        ec2._nat_gateways[id_] = {
            "NatGatewayId": id_,
            "SubnetId": subnet["SubnetId"],
            "VpcId": subnet["VpcId"],
            "AllocationId": props.get("AllocationId", ""),
            "ConnectivityType": props.get("ConnectivityType", "public"),
            "State": "available",
            "CreateTime": ec2._now_ts(),
            "Tags": [],
        }
        return id_, {"NatGatewayId": id_}

    def delete(id_: str, _props: Properties) -> None:
        if id_ in ec2._nat_gateways:
            ec2._nat_gateways[id_]["State"] = "deleted"

    return _tagged(emulator, create, delete)


def _addresses(emulator: Emulator) -> dict[str, Any]:
    ec2 = emulator.ec2

    def create(_logical_id: str, props: Properties, _stack: str) -> Made:
        allocation, address = _new_id("eipalloc"), f"198.51.100.{len(ec2._addresses) % 250 + 1}"
        ec2._addresses[allocation] = {
            "AllocationId": allocation,
            "PublicIp": address,
            "Domain": props.get("Domain", "vpc"),
            "AssociationId": "",
            "InstanceId": "",
        }
        return address, {"AllocationId": allocation, "PublicIp": address}

    def delete(address: str, _props: Properties) -> None:
        for allocation, record in list(ec2._addresses.items()):
            if record["PublicIp"] == address:
                ec2._addresses.pop(allocation, None)

    return _tagged(emulator, create, delete)
