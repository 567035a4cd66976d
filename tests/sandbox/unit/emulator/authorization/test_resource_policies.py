"""Policies of queues and secrets, and the documents that are refused."""

from __future__ import annotations

import json

import pytest

from tests.sandbox.unit.emulator.authorization.support import (
    ALL,
    Statement,
    allow,
    bucket_policy,
    session,
    trusting,
    when,
)
from tests.sandbox.unit.emulator.conftest import A, B, InProcess, policy
from xacct_sandbox import emulator

TARGET = f"arn:aws:iam::{B}:role/target"

# -- queues and secrets ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("aws:PrincipalType", "AssumedRole"),
        ("aws:PrincipalTag/team", "data"),
        ("aws:userid", "*:case"),
        ("aws:PrincipalArn", f"arn:aws:iam::{B}:role/judged"),
    ],
)
def test_a_queue_policy_sees_the_caller(aws: InProcess, key: str, value: str) -> None:
    who = session(aws, allow("sqs:*"))
    emulator.iam(
        B,
        "TagRole",
        RoleName="judged",
        **{"Tags.member.1.Key": "team", "Tags.member.1.Value": "data"},
    )
    queue = f"arn:aws:sqs:us-east-1:{A}:far"
    for expected, allowed in ((value, True), (value + "x", False)):
        document = policy(
            allow("sqs:SendMessage", on=queue, Principal="*", **when("StringLike", key, expected))
        )
        aws.json_call(aws.keys[A], "AmazonSQS.CreateQueue", QueueName="far")
        url = f"https://127.0.0.1:4566/{A}/far"
        changed = aws.json_call(
            aws.keys[A],
            "AmazonSQS.SetQueueAttributes",
            QueueUrl=url,
            Attributes={"Policy": document},
        )
        assert changed.status == 200
        sent = aws.json_call(who, "AmazonSQS.SendMessage", QueueUrl=url, MessageBody="x")
        assert (sent.status == 200) is allowed, sent.body


def test_a_secrets_policy_lets_another_accounts_role_in(aws: InProcess) -> None:
    made = aws.json_call(
        aws.keys[A], "secretsmanager.CreateSecret", Name="shared", SecretString="s"
    )
    arn = json.loads(made.body)["ARN"]
    who = session(aws, allow("secretsmanager:GetSecretValue"))
    assert not aws.json_call(who, "secretsmanager.GetSecretValue", SecretId=arn).allowed
    document = policy(
        allow("secretsmanager:GetSecretValue", Principal={"AWS": f"arn:aws:iam::{B}:role/judged"})
    )
    aws.json_call(
        aws.keys[A], "secretsmanager.PutResourcePolicy", SecretId=arn, ResourcePolicy=document
    )
    answer = aws.json_call(who, "secretsmanager.GetSecretValue", SecretId=arn)
    assert json.loads(answer.body)["SecretString"] == "s"
    assert not aws.json_call(who, "secretsmanager.DescribeSecret", SecretId=arn).allowed


# -- documents (what is stored) --------------------------------------------------------------------

WRONG_BUCKET_POLICIES = {
    "without a principal": allow("s3:*", on=ALL),
    "of another bucket": allow("s3:*", on="arn:aws:s3:::another/*", Principal="*"),
    "for everything": allow("s3:*", Principal={"AWS": B}),
    "for a role that does not exist": allow(
        "s3:*", on=ALL, Principal={"AWS": f"arn:aws:iam::{B}:role/nobody"}
    ),
}


@pytest.mark.parametrize("wrong", WRONG_BUCKET_POLICIES.values(), ids=WRONG_BUCKET_POLICIES)
def test_a_wrong_bucket_policy_is_refused(aws: InProcess, bucket: str, wrong: Statement) -> None:
    answer = bucket_policy(aws, B, bucket, wrong)
    assert answer.status == 400
    assert b"MalformedPolicy" in answer.body


WRONG_STATEMENTS = {
    "an empty Action": {**allow("s3:*"), "Action": []},
    "an empty Resource": {**allow("s3:*"), "Resource": []},
    "misspelt Conditions": {**allow("s3:*"), "Conditions": {}},
    "an unknown operator": allow("s3:*", Condition={"StringIs": {"aws:userid": "x"}}),
    "a Principal": allow("s3:*", Principal="*"),
}


@pytest.mark.parametrize("wrong", WRONG_STATEMENTS.values(), ids=WRONG_STATEMENTS)
@pytest.mark.parametrize("operation", ["PutRolePolicy", "CreatePolicy", "AssumeRole"])
def test_a_wrong_identity_policy_is_refused(
    aws: InProcess, operation: str, wrong: Statement
) -> None:
    aws.role("target")
    document = policy(wrong)
    parameters: dict[str, str] = {
        "PutRolePolicy": {"RoleName": "target", "PolicyName": "w", "PolicyDocument": document},
        "CreatePolicy": {"PolicyName": "w", "PolicyDocument": document},
        "AssumeRole": {"RoleArn": TARGET, "RoleSessionName": "x", "Policy": document},
    }[operation]
    service = "sts" if operation == "AssumeRole" else "iam"
    answer = aws.query_call(aws.keys[B], service, Action=operation, **parameters)
    assert answer.status == 400
    assert b"MalformedPolicyDocument" in answer.body


def test_a_trust_policy_must_name_someone_who_exists(aws: InProcess) -> None:
    document = policy(trusting(f"arn:aws:iam::{B}:role/nobody"))
    answer = aws.query_call(
        aws.keys[B],
        "iam",
        Action="CreateRole",
        RoleName="trusting",
        AssumeRolePolicyDocument=document,
    )
    assert b"MalformedPolicyDocument" in answer.body
