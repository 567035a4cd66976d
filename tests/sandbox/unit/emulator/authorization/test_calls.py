"""A call is judged for all that it does, and on what its handler reads.

Service authorization reference, and the API reference's pages of the operations.
"""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.sandbox.unit.emulator.authorization.support import allow, deny, session, trusting, when
from tests.sandbox.unit.emulator.conftest import B, InProcess, policy

FORM_TAG = {"Tags.member.1.Key": "team", "Tags.member.1.Value": "data"}
TRUST = policy(trusting(f"arn:aws:iam::{B}:root"))
TAGGED: dict[str, tuple[str, dict[str, Any]]] = {
    "iam:CreateRole iam:TagRole": (
        "iam",
        {"RoleName": "tagged", "AssumeRolePolicyDocument": TRUST, **FORM_TAG},
    ),
    "iam:CreateUser iam:TagUser": ("iam", {"UserName": "tagged", **FORM_TAG}),
    "iam:CreatePolicy iam:TagPolicy": (
        "iam",
        {"PolicyName": "tagged", "PolicyDocument": policy(allow("s3:*")), **FORM_TAG},
    ),
    "sqs:CreateQueue sqs:TagQueue": (
        "sqs",
        {"QueueName": "tagged", "Tag.1.Key": "team", "Tag.1.Value": "data"},
    ),
    "secretsmanager:CreateSecret secretsmanager:TagResource": (
        "secretsmanager",
        {"Name": "tagged", "SecretString": "x", "Tags": [{"Key": "team", "Value": "data"}]},
    ),
}


@pytest.mark.parametrize("actions", TAGGED)
def test_what_is_created_with_tags_takes_permission_to_tag(aws: InProcess, actions: str) -> None:
    service, parameters = TAGGED[actions]
    create, tag = actions.split()

    def made(*rights: str) -> bool:
        who, operation = session(aws, allow(*rights)), create.partition(":")[2]
        if service == "secretsmanager":
            return aws.json_call(who, create.replace(":", "."), **parameters).allowed
        return aws.query_call(who, service, Action=operation, **parameters).allowed

    assert not made(create)
    assert not made(tag)
    assert made(create, tag)


@pytest.mark.parametrize("catalog", ["111111111111", "x", f"{B}:s3tablescatalog"])
def test_another_catalog_is_no_way_around_the_own_one(aws: InProcess, catalog: str) -> None:
    own = f"arn:aws:glue:us-east-1:{B}"
    who = session(aws, allow("glue:*"), deny("glue:*", on=f"{own}:database/*"))
    call = {"CatalogId": catalog, "DatabaseName": "d", "Name": "d"}
    for operation in ("GetDatabase", "GetTables", "GetPartitions"):
        answer = aws.json_call(who, f"AWSGlue.{operation}", **call)
        assert (answer.status, b"another account's catalog" in answer.body) == (400, True)
    assert not aws.json_call(who, "AWSGlue.GetDatabase", Name="d").allowed


def test_a_batch_of_secrets_is_read_secret_by_secret(aws: InProcess) -> None:
    for name in ("batch-one", "batch-two"):
        aws.json_call(aws.keys[B], "secretsmanager.CreateSecret", Name=name, SecretString=name)
    read = "secretsmanager:GetSecretValue"
    batch = {"SecretIdList": ["batch-one", "batch-two"]}

    def values(*statements: Any) -> list[str]:
        who = session(aws, allow("secretsmanager:BatchGetSecretValue"), *statements)
        answer = json.loads(aws.json_call(who, "secretsmanager.BatchGetSecretValue", **batch).body)
        return [secret["SecretString"] for secret in answer["SecretValues"]]

    one = f"arn:aws:secretsmanager:us-east-1:{B}:secret:batch-one-*"
    assert values() == []
    assert values(allow(read, on=one)) == ["batch-one"]
    current = when("StringEquals", "secretsmanager:VersionStage", "AWSCURRENT")
    assert values(allow(read), deny(read, **current)) == []
    assert values(allow(read)) == ["batch-one", "batch-two"]


def test_a_role_in_an_instance_profile_is_passed(aws: InProcess) -> None:
    role = aws.role("of-profile")
    profile = {"InstanceProfileName": "judged"}
    aws.query_call(aws.keys[B], "iam", Action="CreateInstanceProfile", **profile)

    def added(*statements: Any) -> bool:
        who = session(aws, allow("iam:AddRoleToInstanceProfile"), *statements)
        return aws.query_call(
            who, "iam", Action="AddRoleToInstanceProfile", RoleName="of-profile", **profile
        ).allowed

    to_ec2 = when("StringEquals", "iam:PassedToService", "ec2.amazonaws.com")
    assert not added()
    assert not added(allow("iam:PassRole", on=role, **when("Null", "iam:PassedToService", "true")))
    assert added(allow("iam:PassRole", on=role, **to_ec2))


def test_when_a_key_was_used_is_asked_about_its_user(aws: InProcess) -> None:
    key = aws.keys[B].access_key

    def asked(user: str) -> bool:
        who = session(aws, allow("iam:GetAccessKeyLastUsed", on=f"arn:aws:iam::{B}:user/{user}"))
        return aws.query_call(who, "iam", Action="GetAccessKeyLastUsed", AccessKeyId=key).allowed

    assert asked("admin")
    assert not asked("another")
