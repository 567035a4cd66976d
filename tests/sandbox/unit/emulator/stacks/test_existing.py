"""A name that is taken fails the creation, and what had the name stays as it was.

Handler error codes: CloudFormation CLI guide, AlreadyExists and NotFound.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.sandbox.unit.emulator.boto3_clients import Boto3Clients
from tests.sandbox.unit.emulator.conftest import InProcess
from tests.sandbox.unit.emulator.stacks.conftest import Stacks, template
from tests.sandbox.unit.emulator.stacks.test_change_sets import TRUST

DENY = {
    "Version": "2012-10-17",
    "Statement": [
        {
            "Sid": "Mine",
            "Effect": "Deny",
            "Principal": "*",
            "Action": "s3:*",
            "Resource": "arn:aws:s3:::taken-policy/*",
            "Condition": {"Bool": {"aws:SecureTransport": "false"}},
        }
    ],
}


class Foreign:
    """Resources that no stack made."""

    def __init__(self, aws: InProcess) -> None:
        self._client = Boto3Clients(aws).client
        self._undo: list[Callable[[], Any]] = []

    def later(self, undo: Callable[..., Any], **arguments: Any) -> None:
        self._undo.append(lambda: undo(**arguments))

    def undo(self) -> None:
        for step in reversed(self._undo):
            step()

    def role(self) -> Callable[[], Any]:
        iam = self._client("iam")
        iam.create_role(
            RoleName="taken", AssumeRolePolicyDocument=json.dumps(TRUST), Description="mine"
        )
        self.later(iam.delete_role, RoleName="taken")
        return lambda: iam.get_role(RoleName="taken")["Role"]

    def secret(self) -> Callable[[], Any]:
        secrets = self._client("secretsmanager")
        secrets.create_secret(Name="taken", SecretString="mine")
        self.later(secrets.delete_secret, SecretId="taken", ForceDeleteWithoutRecovery=True)
        return lambda: [
            secrets.get_secret_value(SecretId="taken")[key] for key in ("ARN", "SecretString")
        ]

    def queue(self) -> Callable[[], Any]:
        sqs = self._client("sqs")
        url = sqs.create_queue(QueueName="taken", Attributes={"DelaySeconds": "3"})["QueueUrl"]
        self.later(sqs.delete_queue, QueueUrl=url)
        return lambda: sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["DelaySeconds"])[
            "Attributes"
        ]

    def log_group(self) -> Callable[[], Any]:
        logs = self._client("logs")
        logs.create_log_group(logGroupName="taken")
        logs.put_retention_policy(logGroupName="taken", retentionInDays=7)
        self.later(logs.delete_log_group, logGroupName="taken")
        return lambda: logs.describe_log_groups(logGroupNamePrefix="taken")["logGroups"]

    def database(self) -> Callable[[], Any]:
        glue = self._client("glue")
        glue.create_database(DatabaseInput={"Name": "taken", "Description": "mine"})
        self.later(glue.delete_database, Name="taken")
        return lambda: glue.get_database(Name="taken")["Database"]

    def connection(self) -> Callable[[], Any]:
        glue = self._client("glue")
        glue.create_connection(
            ConnectionInput={
                "Name": "taken",
                "ConnectionType": "JDBC",
                "ConnectionProperties": {"JDBC_CONNECTION_URL": "jdbc:redshift://mine/dev"},
            }
        )
        self.later(glue.delete_connection, ConnectionName="taken")
        return lambda: glue.get_connection(Name="taken")["Connection"]

    def bucket(self) -> Callable[[], Any]:
        s3 = self._client("s3")
        s3.create_bucket(Bucket="taken-bucket")
        s3.put_object(Bucket="taken-bucket", Key="mine", Body=b"1")
        self.later(s3.delete_bucket, Bucket="taken-bucket")
        self.later(s3.delete_object, Bucket="taken-bucket", Key="mine")
        return lambda: [
            entry["Key"] for entry in s3.list_objects_v2(Bucket="taken-bucket")["Contents"]
        ]

    def bucket_policy(self) -> Callable[[], Any]:
        s3 = self._client("s3")
        s3.create_bucket(Bucket="taken-policy")
        s3.put_bucket_policy(Bucket="taken-policy", Policy=json.dumps(DENY))
        self.later(s3.delete_bucket, Bucket="taken-policy")
        return lambda: json.loads(s3.get_bucket_policy(Bucket="taken-policy")["Policy"])


@pytest.fixture
def foreign(aws: InProcess) -> Iterator[Foreign]:
    found = Foreign(aws)
    yield found
    found.undo()


RESOURCES: dict[str, tuple[tuple[str, dict[str, Any]], str]] = {
    "role": (
        ("AWS::IAM::Role", {"RoleName": "Taken", "AssumeRolePolicyDocument": TRUST}),
        "Resource of type 'AWS::IAM::Role' with identifier 'Taken' already exists.",
    ),
    "secret": (
        ("AWS::SecretsManager::Secret", {"Name": "taken", "SecretString": "stolen"}),
        "The operation failed because the secret taken already exists.",
    ),
    "queue": (
        ("AWS::SQS::Queue", {"QueueName": "taken"}),
        "Resource of type 'AWS::SQS::Queue' with identifier 'taken' already exists.",
    ),
    "log_group": (
        ("AWS::Logs::LogGroup", {"LogGroupName": "taken"}),
        "Resource of type 'AWS::Logs::LogGroup' with identifier 'taken' already exists.",
    ),
    "database": (
        ("AWS::Glue::Database", {"CatalogId": "222222222222", "DatabaseInput": {"Name": "taken"}}),
        "Resource of type 'AWS::Glue::Database' with identifier 'taken' already exists.",
    ),
    "connection": (
        (
            "AWS::Glue::Connection",
            {
                "CatalogId": "222222222222",
                "ConnectionInput": {"Name": "taken", "ConnectionType": "JDBC"},
            },
        ),
        "Resource of type 'AWS::Glue::Connection' with identifier 'taken' already exists.",
    ),
    "bucket": (("AWS::S3::Bucket", {"BucketName": "taken-bucket"}), "Validation failed"),
    "bucket_policy": (
        ("AWS::S3::BucketPolicy", {"Bucket": "taken-policy", "PolicyDocument": DENY}),
        "The bucket policy already exists on bucket taken-policy.",
    ),
}


@pytest.mark.parametrize("kind", RESOURCES)
def test_what_has_the_name_stays_as_it_was(stacks: Stacks, foreign: Foreign, kind: str) -> None:
    look = getattr(foreign, kind)()
    before = look()
    resource, text = RESOURCES[kind]
    made = ("AWS::SQS::Queue", {"QueueName": "made-first"})
    body = template(First=made, Taken=(*resource, {"DependsOn": "First"}))
    assert stacks.create(f"taken-{kind.replace('_', '-')}", body) == "ROLLBACK_COMPLETE"
    assert text in stacks.reasons(f"taken-{kind.replace('_', '-')}")
    assert look() == before
    stacks.delete(f"taken-{kind.replace('_', '-')}")
    assert look() == before


@pytest.mark.parametrize("kind", ["secret", "role", "queue"])
def test_an_update_to_a_taken_name_leaves_both(stacks: Stacks, foreign: Foreign, kind: str) -> None:
    look = getattr(foreign, kind)()
    before = look()
    (type_name, properties), _ = RESOURCES[kind]
    name = next(key for key in properties if key in ("Name", "RoleName", "QueueName"))
    body = template(Own=(type_name, {**properties, name: "own-name"}))
    stacks.create("taken-rename", body)
    own = stacks.resources("taken-rename")
    assert stacks.update("taken-rename", template(Own=(type_name, properties))) == (
        "UPDATE_ROLLBACK_COMPLETE"
    )
    assert (look(), stacks.resources("taken-rename")) == (before, own)


def test_a_secret_that_waits_for_its_deletion_keeps_its_name(stacks: Stacks) -> None:
    secrets = stacks.client("secretsmanager")
    secrets.create_secret(Name="waiting", SecretString="mine")
    secrets.delete_secret(SecretId="waiting", RecoveryWindowInDays=7)
    body = template(Own=("AWS::SecretsManager::Secret", {"Name": "waiting", "SecretString": "x"}))
    assert stacks.create("taken-waiting", body) == "ROLLBACK_COMPLETE"
    assert "already scheduled for deletion" in stacks.reasons("taken-waiting")
    secrets.restore_secret(SecretId="waiting")
    assert secrets.get_secret_value(SecretId="waiting")["SecretString"] == "mine"
    secrets.delete_secret(SecretId="waiting", ForceDeleteWithoutRecovery=True)


def test_the_api_does_not_write_over_a_connection(aws: InProcess, foreign: Foreign) -> None:
    look = foreign.connection()
    before = look()
    with pytest.raises(ClientError, match="AlreadyExistsException"):
        Boto3Clients(aws).client("glue").create_connection(
            ConnectionInput={"Name": "taken", "ConnectionType": "JDBC", "ConnectionProperties": {}}
        )
    assert look() == before


def test_what_a_stack_retained_is_not_in_the_way_of_a_generated_name(stacks: Stacks) -> None:
    kept = {"DeletionPolicy": "Retain"}
    body = template(Own=("AWS::SecretsManager::Secret", {"SecretString": "first"}, kept))
    stacks.create("generated", body)
    first = stacks.resources("generated")["Own"]
    stacks.delete("generated")
    assert stacks.create("generated", body) == "CREATE_COMPLETE"
    second = stacks.resources("generated")["Own"]
    assert second != first
    # An update finds it again.
    changed = template(Own=("AWS::SecretsManager::Secret", {"SecretString": "second"}, kept))
    assert stacks.update("generated", changed) == "UPDATE_COMPLETE"
    assert stacks.resources("generated")["Own"] == second
    secrets = stacks.client("secretsmanager")
    assert secrets.get_secret_value(SecretId=first)["SecretString"] == "first"
    assert secrets.get_secret_value(SecretId=second)["SecretString"] == "second"
    stacks.delete("generated")
    for secret in (first, second):
        secrets.delete_secret(SecretId=secret, ForceDeleteWithoutRecovery=True)


def test_the_rights_are_judged_for_the_name_that_is_generated(stacks: Stacks) -> None:
    aws = stacks.aws
    scoped = aws.become(
        aws.role(
            "generated-names",
            {"Effect": "Allow", "Action": "cloudformation:*", "Resource": "*"},
            {
                "Effect": "Allow",
                "Action": ["sqs:CreateQueue", "sqs:DeleteQueue"],
                "Resource": "arn:aws:sqs:us-east-1:222222222222:generated-own-Own-*",
            },
        )
    )
    stacks.made.add("generated-own")
    stacks.client("cloudformation", scoped).create_stack(
        **stacks.request("generated-own", template(Own=("AWS::SQS::Queue", {})), {})
    )
    aws.finish()
    assert stacks.status("generated-own") == "CREATE_COMPLETE"


@pytest.mark.parametrize("kind", ["secret", "role", "queue", "log_group", "database", "connection"])
def test_an_update_of_what_is_gone_fails(stacks: Stacks, foreign: Foreign, kind: str) -> None:
    # Made with the API under the name in the template, so that the undoing deletes it.
    (type_name, properties), _ = RESOURCES[kind]
    if kind == "role":
        properties = {**properties, "RoleName": "taken"}
    body = template(Own=(type_name, properties))
    stacks.create("gone", body)
    client = {
        "secret": lambda c: c("secretsmanager").delete_secret(
            SecretId="taken", ForceDeleteWithoutRecovery=True
        ),
        "role": lambda c: c("iam").delete_role(RoleName="taken"),
        "queue": lambda c: c("sqs").delete_queue(
            QueueUrl=c("sqs").get_queue_url(QueueName="taken")["QueueUrl"]
        ),
        "log_group": lambda c: c("logs").delete_log_group(logGroupName="taken"),
        "database": lambda c: c("glue").delete_database(Name="taken"),
        "connection": lambda c: c("glue").delete_connection(ConnectionName="taken"),
    }[kind]
    client(stacks.client)
    changes: dict[str, dict[str, Any]] = {
        "secret": {"Description": "changed"},
        "role": {"Description": "changed"},
        "queue": {"DelaySeconds": 1},
        "log_group": {"RetentionInDays": 7},
        "database": {"DatabaseInput": {"Name": "taken", "Description": "changed"}},
        "connection": {
            "ConnectionInput": {"Name": "taken", "ConnectionType": "JDBC", "Description": "c"}
        },
    }
    changed = template(Own=(type_name, {**properties, **changes[kind]}))
    assert stacks.update("gone", changed) == "UPDATE_ROLLBACK_COMPLETE"
    assert "was not found" in stacks.reasons("gone")
    assert "HandlerErrorCode: NotFound" in stacks.reasons("gone")


def test_a_policy_of_a_queue_that_is_gone_fails(stacks: Stacks) -> None:
    document = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"Service": "s3.amazonaws.com"},
                "Action": "sqs:SendMessage",
                "Resource": "*",
            }
        ],
    }
    queue = "https://127.0.0.1:4566/222222222222/none"
    body = template(
        Policy=("AWS::SQS::QueuePolicy", {"Queues": [queue], "PolicyDocument": document})
    )
    assert stacks.create("gone-queue", body) == "ROLLBACK_COMPLETE"
    assert "The specified queue does not exist" in stacks.reasons("gone-queue")
