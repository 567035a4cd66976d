"""Types that are held with their properties: as on AWS to a stack, with nothing behind them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.unit.emulator.stacks.conftest import Stacks, template
from xacct_sandbox.emulator.loader import booted

CLUSTER = ("AWS::ECS::Cluster", {"ClusterName": "held"})
DATABASE = {
    "DBInstanceIdentifier": "held-db",
    "Engine": "postgres",
    "DBInstanceClass": "db.t4g.micro",
    "AllocatedStorage": "20",
    "MasterUsername": "dagster",
    "MasterUserPassword": "not-a-real-one",
}


def task(image: str) -> tuple[str, dict[str, Any]]:
    container = {"Name": "run", "Image": image}
    return "AWS::ECS::TaskDefinition", {"Family": "held", "ContainerDefinitions": [container]}


def test_attributes_are_as_on_aws(stacks: Stacks) -> None:
    outputs = {
        "Cluster": {"Fn::GetAtt": ["Cluster", "Arn"]},
        "Uri": {"Fn::GetAtt": ["Repository", "RepositoryUri"]},
        "Host": {"Fn::GetAtt": ["Database", "Endpoint.Address"]},
        "Port": {"Fn::GetAtt": ["Database", "Endpoint.Port"]},
    }
    body = template(
        Cluster=CLUSTER,
        Repository=("AWS::ECR::Repository", {"RepositoryName": "held"}),
        Database=("AWS::RDS::DBInstance", DATABASE, {"DeletionPolicy": "Delete"}),
        outputs=outputs,
    )
    assert stacks.create("held-attributes", body) == "CREATE_COMPLETE", stacks.reasons(
        "held-attributes"
    )
    (stack,) = stacks.api.describe_stacks(StackName="held-attributes")["Stacks"]
    found = {entry["OutputKey"]: entry["OutputValue"] for entry in stack["Outputs"]}
    assert found["Cluster"] == "arn:aws:ecs:us-east-1:222222222222:cluster/held"
    assert found["Uri"] == "222222222222.dkr.ecr.us-east-1.amazonaws.com/held"
    assert found["Host"].startswith("held-db.")
    assert found["Host"].endswith(".us-east-1.rds.amazonaws.com")
    assert found["Port"] == "5432"


def test_a_changed_task_definition_is_another_revision(stacks: Stacks) -> None:
    stacks.create("held-tasks", template(Task=task("a:1")))
    first = stacks.resources("held-tasks")["Task"]
    stacks.update("held-tasks", template(Task=task("a:2")))
    second = stacks.resources("held-tasks")["Task"]
    assert first.rpartition(":")[0] == second.rpartition(":")[0]
    assert int(second.rpartition(":")[2]) == int(first.rpartition(":")[2]) + 1


def test_a_name_that_is_taken_fails_and_stays_the_others(stacks: Stacks) -> None:
    stacks.create("held-one", template(Cluster=CLUSTER))
    assert stacks.create("held-two", template(Cluster=CLUSTER)) == "ROLLBACK_COMPLETE"
    assert "already exists" in stacks.reasons("held-two")
    stacks.delete("held-two")
    assert stacks.resources("held-one") == {"Cluster": "held"}


@pytest.mark.parametrize(
    ("kind", "properties"),
    [
        ("AWS::ECS::Cluster", {"ServiceConnectDefaults": {"Namespace": "x"}}),
        ("AWS::RDS::DBInstance", {**DATABASE, "ManageMasterUserPassword": True}),
    ],
)
def test_a_property_that_the_sandbox_does_not_know_is_refused_by_name(
    stacks: Stacks, kind: str, properties: dict[str, Any]
) -> None:
    stacks.create("held-unknown", template(Thing=(kind, properties)))
    unknown = set(properties) - set(DATABASE)
    assert all(f"does not support {name}" in stacks.reasons("held-unknown") for name in unknown)


def test_only_a_database_may_have_the_policy_snapshot(stacks: Stacks) -> None:
    policy = {"DeletionPolicy": "Snapshot"}
    body = template(Database=("AWS::RDS::DBInstance", DATABASE, policy))
    assert stacks.create("held-snapshot", body) == "CREATE_COMPLETE"
    with pytest.raises(ClientError, match="does not support deletion policy Snapshot"):
        stacks.create("held-none", template(Cluster=(*CLUSTER, policy)))
    stacks.made.discard("held-none")


def test_a_password_is_not_kept(stacks: Stacks) -> None:
    stacks.create("held-secret", template(Database=("AWS::RDS::DBInstance", DATABASE)))
    kept = str(booted().state["xacct-held-AWS-RDS-DBInstance"]._data)
    assert "held-db" in kept
    assert "not-a-real-one" not in kept
