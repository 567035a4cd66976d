"""What a hand does to held resources: found or not, supported or refused by name, with rights."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.unit.emulator.conftest import InProcess
from tests.sandbox.unit.emulator.stacks.conftest import Stacks, template
from xacct_sandbox.emulator import acting_in, scoped_state

Call = Callable[[str], Any]
DATABASE = {
    "DBInstanceIdentifier": "by-hand",
    "Engine": "postgres",
    "DBInstanceClass": "db.t4g.micro",
    "AllocatedStorage": "20",
    "MasterUsername": "dagster",
    "MasterUserPassword": "not-a-real-one",
}
HELD = template(
    Cluster=("AWS::ECS::Cluster", {"ClusterName": "by-hand"}),
    Database=("AWS::RDS::DBInstance", DATABASE, {"DeletionPolicy": "Delete"}),
)
REFUSED: dict[str, tuple[Call, str]] = {
    "repository": (
        lambda c: c("ecr").delete_repository(repositoryName="none"),
        "RepositoryNotFoundException.*'none' does not exist",
    ),
    "cluster": (lambda c: c("ecs").delete_cluster(cluster="none"), "ClusterNotFoundException"),
    "service": (
        lambda c: c("ecs").delete_service(cluster="by-hand", service="none"),
        "ServiceNotFoundException",
    ),
    "task": (
        lambda c: c("ecs").deregister_task_definition(taskDefinition="none:1"),
        "task definition does not exist",
    ),
    "name": (lambda c: c("servicediscovery").delete_service(Id="srv-none"), "ServiceNotFound"),
    "namespace": (
        lambda c: c("servicediscovery").delete_namespace(Id="ns-none"),
        "NamespaceNotFound",
    ),
    "database": (
        lambda c: c("rds").delete_db_instance(DBInstanceIdentifier="none", SkipFinalSnapshot=True),
        "DBInstanceNotFound",
    ),
    "snapshot-unsaid": (
        lambda c: c("rds").delete_db_instance(DBInstanceIdentifier="by-hand"),
        "InvalidParameterCombination.*FinalDBSnapshotIdentifier is required",
    ),
    "other-property": (
        lambda c: c("rds").modify_db_instance(DBInstanceIdentifier="by-hand", MultiAZ=True),
        "does not support MultiAZ of rds ModifyDBInstance",
    ),
    "other-parameter": (
        lambda c: c("rds").delete_db_instance(
            DBInstanceIdentifier="by-hand", SkipFinalSnapshot=True, DeleteAutomatedBackups=True
        ),
        "does not support DeleteAutomatedBackups of rds DeleteDBInstance",
    ),
    "other-member": (
        lambda c: c("servicediscovery").update_service(
            Id="srv-none",
            Service={"Description": "x", "DnsConfig": {"DnsRecords": [{"Type": "A", "TTL": 60}]}},
        ),
        "does not support Service.Description of servicediscovery UpdateService",
    ),
    "endpoint-parameter": (
        lambda c: c("ec2").modify_vpc_endpoint(VpcEndpointId="vpce-none", PolicyDocument="{}"),
        "does not support PolicyDocument of ModifyVpcEndpoint",
    ),
    "unknown-query-operation": (lambda c: c("rds").describe_db_instances(), "DescribeDBInstances"),
    "other-operation": (lambda c: c("ecs").list_clusters(), "ListClusters"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_not_there_or_not_supported_is_refused_by_name(stacks: Stacks, case: str) -> None:
    assert stacks.create("held-calls", HELD) == "CREATE_COMPLETE", stacks.reasons("held-calls")
    call, text = REFUSED[case]
    with pytest.raises(ClientError, match=f"(?s){text}"):
        call(stacks.client)
    found = stacks.change_set("held-calls", HELD, revert_drift=True)
    assert "didn't contain changes" in found["StatusReason"]


def test_a_final_snapshot_that_is_asked_for_stays(stacks: Stacks) -> None:
    stacks.create("held-snapshot", HELD)
    stacks.client("rds").delete_db_instance(
        DBInstanceIdentifier="by-hand", FinalDBSnapshotIdentifier="last"
    )
    with acting_in("222222222222", "us-east-1"):
        assert scoped_state("held-snapshots").pop("last")["DBInstanceIdentifier"] == "by-hand"


def test_a_call_needs_its_permission(aws: InProcess, stacks: Stacks) -> None:
    stacks.create("held-rights", HELD)
    arn = "arn:aws:ecs:us-east-1:222222222222:cluster/other"
    allowed = {"Effect": "Allow", "Action": "ecs:DeleteCluster", "Resource": arn}
    who = aws.become(aws.role("held-rights", allowed))
    with pytest.raises(ClientError, match="not authorized to perform: ecs:DeleteCluster"):
        stacks.client("ecs", who).delete_cluster(cluster="by-hand")
    with pytest.raises(ClientError, match="ClusterNotFoundException"):
        stacks.client("ecs", who).delete_cluster(cluster="other")


def test_a_route_that_is_not_there_is_not_replaced(stacks: Stacks) -> None:
    stacks.create(
        "held-route",
        template(
            Vpc=("AWS::EC2::VPC", {"CidrBlock": "10.7.0.0/16"}),
            Table=("AWS::EC2::RouteTable", {"VpcId": {"Ref": "Vpc"}}),
        ),
    )
    table = stacks.resources("held-route")["Table"]
    with pytest.raises(ClientError, match="There is no route defined for"):
        stacks.client("ec2").replace_route(
            RouteTableId=table, DestinationCidrBlock="10.9.0.0/16", GatewayId="igw-1"
        )
