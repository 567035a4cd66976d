"""EC2's networks in stacks: made, read back, repaired, refused by name; `infra/network.yaml`."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.unit.emulator.conftest import InProcess
from tests.sandbox.unit.emulator.stacks.conftest import Stacks, template
from tests.support.fakes.templates import load_template
from xacct_sandbox.emulator import acting_in
from xacct_sandbox.emulator.network.deployed import deployed_network
from xacct_sandbox.network.model import Place
from xacct_sandbox.network.reachability import missing_path, missing_service

NETWORK: Any = load_template(
    (Path(__file__).parents[5] / "infra" / "network.yaml").read_text(encoding="utf-8")
)
NAME = "network"


@pytest.fixture(scope="module")
def made(aws: InProcess) -> Iterator[Stacks]:
    stacks = Stacks(aws)
    assert stacks.create(NAME, NETWORK, Suffix="test") == "CREATE_COMPLETE", stacks.reasons(NAME)
    yield stacks
    stacks.delete(NAME)


def outputs(stacks: Stacks) -> dict[str, str]:
    stack = stacks.api.describe_stacks(StackName=NAME)["Stacks"][0]
    return {entry["OutputKey"]: entry["OutputValue"] for entry in stack["Outputs"]}


def missing(stacks: Stacks) -> str | None:
    """What keeps Dagster or Glue's jobs from what they need."""
    found = outputs(stacks)
    dagster, glue, warehouse = (
        Place(tuple(found[subnets].split(",")), (found[group],))
        for subnets, group in (
            ("OrchestratorSubnetIds", "OrchestratorSecurityGroupId"),
            ("GlueSubnetId", "GlueSecurityGroupId"),
            ("WarehouseSubnetIds", "WarehouseSecurityGroupId"),
        )
    )
    with acting_in("222222222222", "us-east-1"):
        network = deployed_network()
    services = [(glue, "s3"), (glue, "secretsmanager"), (warehouse, "s3"), (dagster, "ecs")]
    return (
        missing_path(network, dagster, warehouse, 5439)
        or missing_path(network, glue, warehouse, 5439)
        or missing_path(network, glue, glue, 40000)
        or next(
            filter(None, (missing_service(network, who, service) for who, service in services)),
            None,
        )
    )


def test_the_default_network_lets_through_what_the_pipeline_needs(made: Stacks) -> None:
    assert missing(made) is None


def _permissions(*, egress: bool) -> Callable[[Any, dict[str, str]], None]:
    def revoke(ec2: Any, ids: dict[str, str]) -> None:
        name = "GlueSecurityGroup" if egress else "WarehouseSecurityGroup"
        group = ec2.describe_security_groups(GroupIds=[ids[name]])["SecurityGroups"][0]
        key = "IpPermissionsEgress" if egress else "IpPermissions"
        call = ec2.revoke_security_group_egress if egress else ec2.revoke_security_group_ingress
        call(GroupId=ids[name], IpPermissions=group[key][:1])

    return revoke


def _route(table: str, cidr: str) -> Callable[[Any, dict[str, str]], None]:
    return lambda ec2, ids: ec2.delete_route(RouteTableId=ids[table], DestinationCidrBlock=cidr)


def _endpoint(name: str) -> Callable[[Any, dict[str, str]], None]:
    return lambda ec2, ids: ec2.delete_vpc_endpoints(VpcEndpointIds=[ids[name]])


def _self_reference(ec2: Any, ids: dict[str, str]) -> None:
    ec2.revoke_security_group_ingress(
        GroupId=ids["GlueSecurityGroup"], SecurityGroupRuleIds=[ids["GlueFromItself"]]
    )


def _disassociate(ec2: Any, ids: dict[str, str]) -> None:
    ec2.disassociate_route_table(AssociationId=ids["WarehouseSubnetTwoRoutes"])


TAKEN: dict[str, tuple[Callable[[Any, dict[str, str]], object], str, str]] = {
    "a route there": (
        _route("OrchestratorRoutes", "10.61.0.0/16"),
        "a route from subnet",
        "RouteToWarehouse",
    ),
    "a route back": (
        _route("WarehouseRoutes", "10.60.0.0/16"),
        "a route from subnet",
        "RouteToOrchestrator",
    ),
    "the peering": (
        lambda ec2, ids: ec2.delete_vpc_peering_connection(VpcPeeringConnectionId=ids["Peering"]),
        "is not active",
        "Peering",
    ),
    "an ingress rule": (
        _permissions(egress=False),
        "an ingress rule of security group",
        "WarehouseSecurityGroup",
    ),
    "an egress rule": (
        _permissions(egress=True),
        "an egress rule of security group",
        "GlueSecurityGroup",
    ),
    "Glue's self-reference": (_self_reference, "an ingress rule", "GlueFromItself"),
    "the gateway endpoint": (_endpoint("WarehouseS3Endpoint"), "for s3", "WarehouseS3Endpoint"),
    "an interface endpoint": (
        _endpoint("JobSecretsManagerEndpoint"),
        "an endpoint for secretsmanager",
        "JobSecretsManagerEndpoint",
    ),
    "an association": (_disassociate, "a route from subnet", "WarehouseSubnetTwoRoutes"),
}


@pytest.mark.parametrize("piece", TAKEN)
def test_a_piece_that_is_taken_away_is_missing_and_a_drift_aware_change_brings_it_back(
    made: Stacks, piece: str
) -> None:
    take, expected, restored = TAKEN[piece]
    take(made.client("ec2"), made.resources(NAME))
    assert expected in str(missing(made))
    change_set = made.change_set(NAME, NETWORK, revert_drift=True, Suffix="test")
    changed = [entry["ResourceChange"]["LogicalResourceId"] for entry in change_set["Changes"]]
    assert restored in changed
    assert made.execute(NAME) == "UPDATE_COMPLETE", made.reasons(NAME)
    assert missing(made) is None


def test_a_network_without_drift_has_nothing_to_revert(made: Stacks) -> None:
    found = made.change_set(NAME, NETWORK, revert_drift=True, Suffix="test")
    assert "didn't contain changes" in found["StatusReason"], found["Changes"]


def test_a_nat_gateway_takes_the_place_of_the_endpoints(stacks: Stacks) -> None:
    began = time.perf_counter()
    status = stacks.create("nat", NETWORK, Suffix="nat", NatGateway="true")
    assert status == "CREATE_COMPLETE", stacks.reasons("nat")
    assert time.perf_counter() - began < 2  # a fraction of it on an idle machine
    ids = stacks.resources("nat")
    assert "Nat" in ids
    assert "OrchestratorSqsEndpoint" not in ids
    place = Place((ids["OrchestratorSubnetOne"],), (ids["OrchestratorSecurityGroup"],))
    with acting_in("222222222222", "us-east-1"):
        assert missing_service(deployed_network(), place, "sqs") is None


def test_jobs_that_log_in_by_iam_get_the_endpoint_that_they_call(stacks: Stacks) -> None:
    status = stacks.create("by-iam", NETWORK, Suffix="byiam", RedshiftLogin="iam")
    assert status == "CREATE_COMPLETE", stacks.reasons("by-iam")
    ids = stacks.resources("by-iam")
    assert "JobSecretsManagerEndpoint" not in ids
    jobs = Place((ids["WarehouseSubnetOne"],), (ids["GlueSecurityGroup"],))
    with acting_in("222222222222", "us-east-1"):
        network = deployed_network()
    assert missing_service(network, jobs, "redshift-serverless") is None
    assert missing_service(network, jobs, "secretsmanager") is not None


@pytest.mark.parametrize(
    ("type_", "properties", "refused"),
    [
        ("VPC", {"CidrBlock": "10.0.0.0/16", "Ipv4IpamPoolId": "ipam-1"}, "Ipv4IpamPoolId"),
        ("VPCEndpoint", {"VpcId": "vpc-1", "PolicyDocument": {}}, "PolicyDocument"),
        ("Route", {"RouteTableId": "rtb-1", "TransitGatewayId": "tgw-1"}, "TransitGatewayId"),
        ("NetworkAcl", {"VpcId": "vpc-1"}, "AWS::EC2::NetworkAcl"),
    ],
)
def test_what_the_sandbox_gives_no_effect_to_is_refused_by_name(
    stacks: Stacks, type_: str, properties: dict[str, Any], refused: str
) -> None:
    body = template(Thing=(f"AWS::EC2::{type_}", properties))
    try:
        status = stacks.create("refused", body)
        reasons = stacks.reasons("refused")
    except ClientError as error:
        stacks.made.discard("refused")
        status, reasons = "ROLLBACK", str(error)
    assert "ROLLBACK" in status
    assert refused in reasons


def test_the_two_networks_must_differ(stacks: Stacks) -> None:
    with pytest.raises(ClientError, match="must differ"):
        stacks.create(
            "same",
            NETWORK,
            Suffix="x",
            OrchestratorCidr="10.1.0.0/16",
            WarehouseCidr="10.1.0.0/16",
        )
    stacks.made.discard("same")


ACCOUNT_B: Any = load_template(
    (Path(__file__).parents[5] / "infra" / "account_b.yaml").read_text(encoding="utf-8")
)
# Its parameters and rules are what is judged.
RULES = {
    **{name: ACCOUNT_B[name] for name in ("Parameters", "Rules")},
    "Resources": {"Handle": {"Type": "AWS::CloudFormation::WaitConditionHandle"}},
}
WAREHOUSE = {
    "WarehouseSubnetIds": "subnet-1,subnet-2,subnet-3",
    "WarehouseSecurityGroupIds": "sg-1",
}
GLUE = {
    "GlueSubnetId": "subnet-1",
    "GlueSecurityGroupId": "sg-2",
    "GlueAvailabilityZone": "us-east-1a",
}


REQUIRED = {
    name: "111111111111" if name == "AccountAId" else "x"
    for name, declared in ACCOUNT_B["Parameters"].items()
    if "Default" not in declared
}


def without(name: str) -> dict[str, str]:
    return {key: value for key, value in {**WAREHOUSE, **GLUE}.items() if key != name}


@pytest.mark.parametrize(
    ("given", "refusal"),
    [
        (without("WarehouseSubnetIds"), "WarehouseSubnetIds is not"),
        (without("WarehouseSecurityGroupIds"), "WarehouseSecurityGroupIds is not"),
        (without("GlueSubnetId"), "belong together|GlueSubnetId is not"),
        (without("GlueSecurityGroupId"), "belong together"),
        (without("GlueAvailabilityZone"), "belong together"),
        (WAREHOUSE, "GlueSubnetId is not"),
    ],
)
def test_half_of_a_network_of_ones_own_is_refused(
    stacks: Stacks, given: dict[str, str], refusal: str
) -> None:
    with pytest.raises(ClientError, match=refusal):
        stacks.create("half", RULES, **REQUIRED, **given)
    stacks.made.discard("half")


@pytest.mark.parametrize("given", [{}, {**WAREHOUSE, **GLUE}, GLUE])
def test_a_whole_network_of_ones_own_and_none_are_accepted(
    stacks: Stacks, given: dict[str, str]
) -> None:
    assert stacks.create("whole", RULES, **REQUIRED, **given) == "CREATE_COMPLETE"
