"""Becoming a role, and who one is then, as STS and IAM decide it."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.credentials import Credentials

from tests.sandbox.unit.emulator.authorization.support import (
    ALL,
    allow,
    bucket_policy,
    deny,
    session,
    trusting,
    when,
)
from tests.sandbox.unit.emulator.conftest import A, Answer, B, InProcess, credentials_in, policy
from xacct_sandbox import emulator

# -- becoming a role (STS API reference, AssumeRole; user guide, "Source identity") ---------------

TARGET = f"arn:aws:iam::{B}:role/target"


def assume(aws: InProcess, who: Credentials, role: str = TARGET, **more: str) -> Answer:
    return aws.query_call(
        who,
        "sts",
        Action="AssumeRole",
        Version="2011-06-15",
        RoleArn=role,
        **{"RoleSessionName": "next", **more},
    )


@pytest.mark.parametrize(
    "named", [f"arn:aws:iam::{B}:role/judged", f"arn:aws:sts::{B}:assumed-role/judged/case"]
)
def test_a_trust_within_the_account_that_names_the_caller_suffices(
    aws: InProcess, named: str
) -> None:
    who = session(aws)
    aws.role("target", trust=trusting(named))
    assert assume(aws, who).status == 200
    aws.role("target", trust=trusting(f"arn:aws:iam::{B}:root"))
    assert not assume(aws, who).allowed


def test_a_trust_within_the_account_that_names_a_user_suffices(aws: InProcess) -> None:
    emulator.iam(B, "CreateUser", UserName="bob")
    text = emulator.iam(B, "CreateAccessKey", UserName="bob")
    who = credentials_in(Answer(200, text.encode()))
    aws.role("target", trust=trusting(f"arn:aws:iam::{B}:user/bob"))
    assert assume(aws, who).status == 200
    aws.role("target", trust=trusting(f"arn:aws:iam::{B}:user/admin"))
    assert not assume(aws, who).allowed


@pytest.mark.parametrize("everyone", [{"AWS": "*"}, "*"])
def test_a_service_may_become_a_role_that_trusts_everyone(aws: InProcess, everyone: Any) -> None:
    role = aws.role(
        "open", trust={"Effect": "Allow", "Principal": everyone, "Action": "sts:AssumeRole"}
    )
    crawler = f"arn:aws:glue:us-east-1:{B}:crawler/c"
    session = emulator.assume_service_role(
        "glue.amazonaws.com", role, source_arn=crawler, session_name="s"
    )
    who = Credentials(session.access_key_id, session.secret_access_key, session.session_token)
    answer = aws.query_call(who, "sts", Action="GetCallerIdentity")
    assert b"assumed-role/open/s" in answer.body


def test_a_deny_in_the_identity_policy_wins_over_the_trust(aws: InProcess) -> None:
    who = session(aws, deny("sts:AssumeRole"))
    aws.role("target", trust=trusting(f"arn:aws:iam::{B}:role/judged"))
    assert not assume(aws, who).allowed


def test_across_accounts_both_sides_are_needed(aws: InProcess) -> None:
    who = session(aws)
    aws.role("far", account=A, trust=trusting(f"arn:aws:iam::{B}:role/judged"))
    far = f"arn:aws:iam::{A}:role/far"
    assert not assume(aws, who, far).allowed
    who = session(aws, allow("sts:AssumeRole"))
    aws.role("far", account=A, trust=trusting(f"arn:aws:iam::{B}:role/judged"))
    assert assume(aws, who, far).status == 200


@pytest.mark.parametrize(
    ("key", "parameter", "value"),
    [
        ("sts:ExternalId", "ExternalId", "external"),
        ("sts:RoleSessionName", "RoleSessionName", "nameX"),
        ("sts:SourceIdentity", "SourceIdentity", "source"),
    ],
)
def test_a_deny_on_a_parameter_of_assume_role_holds(
    aws: InProcess, key: str, parameter: str, value: str
) -> None:
    aws.role("target")
    everything = allow("sts:*")
    who = session(aws, everything, deny("sts:AssumeRole", **when("StringEquals", key, value)))
    assert not assume(aws, who, **{parameter: value}).allowed
    assert assume(aws, who, **{parameter: value + "y"}).status == 200


def test_a_deny_on_the_tag_of_a_role_holds(aws: InProcess) -> None:
    aws.role("target")
    emulator.iam(
        B,
        "TagRole",
        RoleName="target",
        **{"Tags.member.1.Key": "team", "Tags.member.1.Value": "data"},
    )
    for key in ("iam:ResourceTag/team", "aws:ResourceTag/team"):
        denied = deny("sts:AssumeRole", **when("StringEquals", key, "data"))
        assert not assume(aws, session(aws, allow("sts:*"), denied)).allowed


def test_a_source_identity_takes_permission_on_both_sides_and_stays(aws: InProcess) -> None:
    account = f"arn:aws:iam::{B}:root"
    aws.role("target", trust=trusting(account))
    who = session(aws, allow("sts:*"))
    assert not assume(aws, who, SourceIdentity="ann").allowed
    aws.role(
        "target", allow("sts:*"), trust=trusting(account, "sts:AssumeRole", "sts:SetSourceIdentity")
    )
    assert not assume(aws, session(aws, allow("sts:AssumeRole")), SourceIdentity="ann").allowed
    first = aws.become(TARGET, session(aws, allow("sts:*")), SourceIdentity="ann")
    aws.role(
        "after", trust=trusting(account, Condition={"StringEquals": {"aws:SourceIdentity": "ann"}})
    )
    after = f"arn:aws:iam::{B}:role/after"
    assert assume(aws, first, after).status == 200
    assert not assume(aws, session(aws, allow("sts:*")), after).allowed


def test_the_maximum_duration_of_a_role_holds(aws: InProcess) -> None:
    aws.role("target")
    admin = aws.keys[B]
    assert assume(aws, admin, DurationSeconds="3600").status == 200
    assert b"MaxSessionDuration" in assume(aws, admin, DurationSeconds="3601").body
    assert assume(aws, admin, DurationSeconds="899").status == 400
    emulator.iam(B, "UpdateRole", RoleName="target", MaxSessionDuration="7200")
    assert assume(aws, admin, DurationSeconds="7200").status == 200
    chained = assume(aws, session(aws, allow("sts:*")), DurationSeconds="7200")
    assert b"role chaining" in chained.body


# -- principals (user guide, "IAM identifiers" and "AWS JSON policy elements: Principal") ----------


def test_a_role_made_anew_is_another_principal(aws: InProcess, bucket: str) -> None:
    role = aws.role("again")
    old = aws.become(role)
    bucket_policy(aws, B, bucket, allow("s3:GetObject", on=ALL[1], Principal={"AWS": role}))
    aws.role("target", trust=trusting(role))
    assert aws.send(old, "s3", "GET", f"/{bucket}/key").body == b"1"
    aws.role("again")
    new = aws.become(role)
    assert b"InvalidClientTokenId" in aws.query_call(old, "sts", Action="GetCallerIdentity").body
    assert not aws.send(new, "s3", "GET", f"/{bucket}/key").allowed
    assert not assume(aws, new).allowed
    stored = aws.send(aws.keys[B], "s3", "GET", f"/{bucket}", query={"policy": ""}).body.decode()
    assert "AROA" in stored


def test_variables_are_the_callers(aws: InProcess, bucket: str) -> None:
    emulator.iam(B, "CreateUser", UserName="key")
    text = emulator.iam(B, "CreateAccessKey", UserName="key")
    who = credentials_in(Answer(200, text.encode()))
    own = allow("s3:GetObject", on=f"{ALL[0]}/${{aws:username}}")
    for version, allowed in (("2012-10-17", True), ("2008-10-17", False)):
        emulator.iam(
            B,
            "PutUserPolicy",
            UserName="key",
            PolicyName="p",
            PolicyDocument=policy(own, version=version),
        )
        assert aws.send(who, "s3", "GET", f"/{bucket}/key").allowed is allowed
