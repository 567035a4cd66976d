"""A route, a rule, an endpoint or the peering of the network taken away by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.support.misconfigurations.case import SUFFIX, Case, Hands

PIECES = "routes, rules, endpoints and peering"
STACK = f"xacct-network-{SUFFIX}"

Take = Callable[[Any, Callable[[str], str]], object]
"""(client of EC2, logical id -> physical id)"""


def cases() -> list[Case]:
    return [
        _case("no route to the warehouse", _route("OrchestratorRoutes", "10.61.0.0/16"), "a route"),
        _case("no route back to Dagster", _route("WarehouseRoutes", "10.60.0.0/16"), "a route"),
        _case("the peering deleted", _peering, "an active peering connection"),
        _case("the warehouse's port closed to Dagster", _ingress(0), "an inbound rule"),
        _case("the warehouse's port closed to Glue", _ingress(1), "an inbound rule"),
        _case("Glue's self-reference revoked", _self_reference, "an inbound rule"),
        _case("Glue's outbound rules revoked", _egress("GlueSecurityGroup"), "an outbound rule"),
        _case("no endpoint for S3 at Glue", _endpoint("WarehouseS3Endpoint"), "for s3"),
        _case(
            "no endpoint for Secrets Manager at Glue",
            _endpoint("JobSecretsManagerEndpoint"),
            "for secretsmanager",
        ),
        _case("no endpoint for SQS at Dagster", _endpoint("OrchestratorSqsEndpoint"), "for sqs"),
        _case("a subnet without its route table", _association, "a route"),
    ]


def _case(name: str, take: Take, *names: str) -> Case:
    def make(hands: Hands) -> None:
        cloudformation = hands.b("cloudformation")

        def id_of(logical_id: str) -> str:
            found = cloudformation.describe_stack_resource(
                StackName=STACK, LogicalResourceId=logical_id
            )
            return str(found["StackResourceDetail"]["PhysicalResourceId"])

        take(hands.b("ec2"), id_of)

    return Case(name, PIECES, make, names)


def _route(table: str, cidr: str) -> Take:
    return lambda ec2, id_of: ec2.delete_route(RouteTableId=id_of(table), DestinationCidrBlock=cidr)


def _peering(ec2: Any, id_of: Callable[[str], str]) -> None:
    ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=id_of("Peering"))


def _ingress(number: int) -> Take:
    def revoke(ec2: Any, id_of: Callable[[str], str]) -> None:
        group = id_of("WarehouseSecurityGroup")
        (found,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
        rule = found["IpPermissions"][number]
        ec2.revoke_security_group_ingress(GroupId=group, IpPermissions=[rule])

    return revoke


def _egress(name: str) -> Take:
    def revoke(ec2: Any, id_of: Callable[[str], str]) -> None:
        group = id_of(name)
        (found,) = ec2.describe_security_groups(GroupIds=[group])["SecurityGroups"]
        ec2.revoke_security_group_egress(GroupId=group, IpPermissions=found["IpPermissionsEgress"])

    return revoke


def _self_reference(ec2: Any, id_of: Callable[[str], str]) -> None:
    ec2.revoke_security_group_ingress(
        GroupId=id_of("GlueSecurityGroup"), SecurityGroupRuleIds=[id_of("GlueFromItself")]
    )


def _endpoint(name: str) -> Take:
    return lambda ec2, id_of: ec2.delete_vpc_endpoints(VpcEndpointIds=[id_of(name)])


def _association(ec2: Any, id_of: Callable[[str], str]) -> None:
    ec2.disassociate_route_table(AssociationId=id_of("WarehouseSubnetTwoRoutes"))
