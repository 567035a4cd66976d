"""Who cannot reach whom, of the network that an installation has."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from tests.pipeline.unit.aws.test_network import FakeEc2
from xacct_assets.aws.stack_reading import StackDescription
from xacct_assets.network_paths import missing_piece, network_ids
from xacct_assets.settings import Settings

OUTPUTS = {
    "WarehouseSubnetIds": "subnet-1",
    "WarehouseSecurityGroupId": "sg-w",
    "GlueSubnetId": "subnet-g",
    "GlueSecurityGroupId": "sg-g",
    "OrchestratorSubnetIds": "subnet-d",
    "OrchestratorSecurityGroupId": "sg-d",
}
OWN = {
    "WarehouseSubnetIds": "subnet-1",
    "WarehouseSecurityGroupIds": "sg-w",
    "GlueSubnetId": "subnet-g",
    "GlueSecurityGroupId": "sg-g",
    "WarehousePort": "5439",
}


def stack(parameters: dict[str, str], outputs: dict[str, str]) -> StackDescription:
    return StackDescription("s", "CREATE_COMPLETE", parameters, outputs, {})


@pytest.fixture
def ids(settings: Settings) -> Any:
    stacks = {settings.stack_network: stack({}, OUTPUTS), settings.stack_b: stack({}, {})}
    return network_ids(settings, stacks.get)


def ec2(**services: str) -> FakeEc2:
    """A network with endpoints for everything that is called, but those named."""
    found = FakeEc2()
    names = ("glue", "sts")
    for name in (*names, *ALL_OF_DAGSTER):
        vpc = "vpc-w" if name in names else "vpc-d"
        found.items["VpcEndpoints"].append(endpoint(vpc, name))
    for name in ("s3", "secretsmanager", "glue", "sts"):
        found.items["VpcEndpoints"].append(endpoint("vpc-d", name))
    found.items["SecurityGroups"][3]["IpPermissions"].append(
        {
            "IpProtocol": "tcp",
            "FromPort": 443,
            "ToPort": 443,
            "IpRanges": [{"CidrIp": "10.60.0.0/16"}],
        }
    )
    for vpc, service in services.items():
        found.items["VpcEndpoints"] = [
            item
            for item in found.items["VpcEndpoints"]
            if (item["VpcId"], item["ServiceName"].split(".", 3)[-1])
            != (vpc.replace("_", "-"), service)
        ]
    return found


ALL_OF_DAGSTER = (
    *("logs", "redshift-data", "redshift-serverless", "sqs", "sns", "ecr.api", "ecr.dkr", "ecs"),
)


def endpoint(vpc: str, service: str) -> dict[str, Any]:
    return {
        "VpcEndpointId": f"vpce-{vpc}-{service}",
        "VpcEndpointType": "Interface",
        "VpcId": vpc,
        "ServiceName": f"com.amazonaws.us-east-1.{service}",
        "SubnetIds": ["subnet-g" if vpc == "vpc-w" else "subnet-d"],
        "Groups": [{"GroupId": "sg-e"}],
        "PrivateDnsEnabled": True,
    }


def test_a_whole_network_lacks_nothing(ids: Any) -> None:
    assert missing_piece(ids, ec2()) is None


@pytest.mark.parametrize(
    ("vpc", "service", "who"),
    [
        ("vpc_w", "s3", "Glue's jobs cannot reach s3"),
        ("vpc_w", "secretsmanager", "Glue's jobs cannot reach secretsmanager"),
        ("vpc_d", "ecr.dkr", "Dagster cannot reach ecr.dkr"),
        ("vpc_d", "sqs", "Dagster cannot reach sqs"),
    ],
)
def test_a_missing_endpoint_names_who_needs_it(ids: Any, vpc: str, service: str, who: str) -> None:
    assert str(missing_piece(ids, ec2(**{vpc: service}))).startswith(f"{who}; missing: ")


def test_the_path_to_the_warehouse_comes_first(ids: Any) -> None:
    network = ec2(vpc_d="sqs")
    network.items["VpcPeeringConnections"].clear()
    assert str(missing_piece(ids, network)).startswith("Dagster cannot reach the warehouse")


def test_of_a_network_of_ones_own_the_ids_are_parameters(settings: Settings) -> None:
    own = replace(settings, network="own")
    found = network_ids(own, {settings.stack_b: stack(OWN, {})}.get)
    network = ec2()
    assert missing_piece(found, network) is None
    network.items["SecurityGroups"][2]["IpPermissions"].clear()
    assert str(missing_piece(found, network)).startswith("Glue's jobs cannot reach the warehouse")


@pytest.mark.parametrize("network", ["create", "own"])
def test_a_network_that_is_not_known_has_no_ids(settings: Settings, network: str) -> None:
    stacks = {settings.stack_b: stack({}, {})}
    assert not network_ids(replace(settings, network=network), stacks.get)


def test_a_job_that_logs_in_by_iam_needs_another_endpoint(settings: Settings) -> None:
    by_iam = {"RedshiftLogin": "iam"}
    stacks = {settings.stack_network: stack({}, OUTPUTS), settings.stack_b: stack(by_iam, {})}
    ids = network_ids(settings, stacks.get)
    found = missing_piece(ids, ec2())
    assert found is not None
    assert found.startswith("Glue's jobs cannot reach redshift-serverless")
    there = ec2(vpc_w="secretsmanager")
    there.items["VpcEndpoints"].append(endpoint("vpc-w", "redshift-serverless"))
    assert missing_piece(ids, there) is None
