"""IAM and STS: what is allowed within an account and across two, and how roles are assumed."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conformance.target import (
    ALLOWED,
    Statement,
    Target,
    allow,
    document,
    outcome,
    refusal,
    trusting,
)

DENIED = "AccessDenied"


@dataclass
class Reader:
    """A role in account B, and a bucket in account A with one object."""

    target: Target
    bucket: str
    role: str
    s3: Any

    @property
    def whole(self) -> str:
        return f"arn:aws:s3:::{self.bucket}"

    @property
    def objects(self) -> str:
        return f"{self.whole}/*"

    def grants(self, who: str, *actions: str, **more: Any) -> Statement:
        """A statement of the bucket's policy."""
        on = [self.whole, self.objects]
        return {**allow(*actions, on=on, **more), "Principal": {"AWS": who}}

    def bucket_policy(self, *statements: Statement) -> None:
        s3 = self.target.a.client("s3")
        if not statements:
            s3.delete_bucket_policy(Bucket=self.bucket)
            return
        self.target.becomes(
            ALLOWED,
            lambda: outcome(s3.put_bucket_policy, Bucket=self.bucket, Policy=document(*statements)),
        )

    def may(self, *actions: str) -> None:
        """What the role may do by itself."""
        on = [self.whole, self.objects]
        self.target.permit(self.target.b, self.role, *([allow(*actions, on=on)] if actions else []))

    def reads(self) -> str:
        return outcome(self.s3.get_object, Bucket=self.bucket, Key="day/a.csv")

    def lists(self, prefix: str = "") -> str:
        return outcome(self.s3.list_objects_v2, Bucket=self.bucket, Prefix=prefix)

    def sees(self, expected: str, look: Callable[[], str] | None = None) -> None:
        self.target.becomes(expected, look or self.reads)


@pytest.fixture(scope="module")
def reader(target: Target) -> Iterator[Reader]:
    bucket = target.bucket(target.a, "iam")
    target.a.client("s3").put_object(Bucket=bucket, Key="day/a.csv", Body=b"1")
    role = target.role(target.b, "reader", trusting(f"arn:aws:iam::{target.b.id}:root"), Path="/p/")
    session = target.become(target.b, role)
    return Reader(target, bucket, role, target.b.client_of(session, "s3"))


@pytest.mark.claim("iam-cross-account-both")
def test_access_across_accounts_needs_the_policies_of_both(reader: Reader) -> None:
    reader.bucket_policy(reader.grants(reader.role, "s3:GetObject"))
    reader.may("s3:GetObject")
    reader.sees(ALLOWED)
    reader.bucket_policy()
    reader.sees(DENIED)
    reader.bucket_policy(reader.grants(reader.role, "s3:GetObject"))
    reader.sees(ALLOWED)
    reader.may()
    reader.sees(DENIED)


@pytest.mark.claim("iam-account-principal-delegates")
def test_a_bucket_policy_that_names_the_account_leaves_it_to_that_account(reader: Reader) -> None:
    reader.bucket_policy(reader.grants(f"arn:aws:iam::{reader.target.b.id}:root", "s3:GetObject"))
    reader.may("s3:GetObject")
    reader.sees(ALLOWED)
    reader.may("s3:ListBucket")
    reader.sees(DENIED)


@pytest.mark.claim("iam-deny-wins")
def test_an_explicit_deny_wins_over_both_allows(reader: Reader) -> None:
    both = reader.grants(reader.role, "s3:GetObject")
    reader.may("s3:GetObject")
    reader.bucket_policy(both)
    reader.sees(ALLOWED)
    reader.bucket_policy(both, {**both, "Effect": "Deny", "Resource": f"{reader.whole}/day/*"})
    reader.sees(DENIED)


@pytest.mark.claim("iam-principal-arn-is-the-role")
def test_the_principal_of_a_session_is_its_role_with_its_path(reader: Reader) -> None:
    reader.may("s3:GetObject")
    is_role = {"ArnEquals": {"aws:PrincipalArn": reader.role}}
    reader.bucket_policy(reader.grants("*", "s3:GetObject", Condition=is_role))
    reader.sees(ALLOWED)
    assert ":role/p/" in reader.role
    name = reader.role.rpartition("/")[2]
    session = f"arn:aws:sts::{reader.target.b.id}:assumed-role/{name}/claims"
    is_session = {"ArnEquals": {"aws:PrincipalArn": session}}
    reader.bucket_policy(reader.grants("*", "s3:GetObject", Condition=is_session))
    reader.sees(DENIED)


@pytest.mark.claim("iam-session-arn-without-path")
def test_a_session_names_itself_without_the_path_of_its_role(reader: Reader) -> None:
    session = reader.target.become(reader.target.b, reader.role)
    found = reader.target.b.client_of(session, "sts").get_caller_identity()
    name = reader.role.rpartition("/")[2]
    assert found["Arn"] == f"arn:aws:sts::{reader.target.b.id}:assumed-role/{name}/claims"
    assert found["Account"] == reader.target.b.id


@pytest.mark.claim("s3-list-prefix-condition")
def test_listing_can_be_limited_to_a_prefix(reader: Reader) -> None:
    below = {"StringLike": {"s3:prefix": "day/*"}}
    reader.may("s3:ListBucket")
    reader.bucket_policy(reader.grants(reader.role, "s3:ListBucket", Condition=below))
    reader.sees(ALLOWED, lambda: reader.lists("day/"))
    assert reader.lists("") == DENIED
    assert reader.lists("other/") == DENIED


@pytest.mark.claim("s3-missing-key-without-list")
def test_without_the_right_to_list_a_missing_key_is_a_denial(reader: Reader) -> None:
    def read_missing() -> str:
        return outcome(reader.s3.get_object, Bucket=reader.bucket, Key="none")

    reader.bucket_policy(reader.grants(reader.role, "s3:GetObject", "s3:ListBucket"))
    reader.may("s3:GetObject", "s3:ListBucket")
    reader.sees("NoSuchKey", read_missing)
    reader.may("s3:GetObject")
    reader.sees(DENIED, read_missing)
    assert outcome(reader.s3.head_object, Bucket=reader.bucket, Key="none") == "403"


@pytest.mark.claim("s3-policy-principal-must-exist")
def test_a_bucket_policy_cannot_name_a_role_that_does_not_exist(reader: Reader) -> None:
    unknown = f"arn:aws:iam::{reader.target.b.id}:role/{reader.target.name('nobody')}"
    code, message = refusal(
        reader.target.a.client("s3").put_bucket_policy,
        Bucket=reader.bucket,
        Policy=document(reader.grants(unknown, "s3:GetObject")),
    )
    assert code == "MalformedPolicy"
    assert "Invalid principal" in message


@pytest.mark.claim("iam-deleted-role-is-another-principal")
def test_a_role_made_again_under_its_name_is_not_the_one_a_policy_named(reader: Reader) -> None:
    target, iam = reader.target, reader.target.b.client("iam")
    root = f"arn:aws:iam::{target.b.id}:root"
    again = target.role(target.b, "again", trusting(root))
    reader.bucket_policy(reader.grants(again, "s3:GetObject"))
    read = allow("s3:GetObject", on=reader.objects)
    target.permit(target.b, again, read)
    first = target.b.client_of(target.become(target.b, again), "s3")
    read_first = {"Bucket": reader.bucket, "Key": "day/a.csv"}
    target.becomes(ALLOWED, lambda: outcome(first.get_object, **read_first))
    target.permit(target.b, again)
    iam.delete_role(RoleName=target.name("again"))
    assert target.role(target.b, "again", trusting(root)) == again
    target.permit(target.b, again, read)
    second = target.b.client_of(target.become(target.b, again), "s3")
    target.becomes(DENIED, lambda: outcome(second.get_object, **read_first))
    # The owner of the bucket sees a unique id in the place of the name.
    target.becomes(True, lambda: "AROA" in _policy(reader))


def _policy(reader: Reader) -> str:
    answer = reader.target.a.client("s3").get_bucket_policy(Bucket=reader.bucket)
    return json.dumps(json.loads(answer["Policy"])["Statement"][0]["Principal"])


@pytest.mark.claim("sts-trust-decides")
def test_a_role_is_assumed_only_by_whom_its_trust_policy_names(reader: Reader) -> None:
    target = reader.target
    own = target.role(target.a, "trusted", trusting(f"arn:aws:iam::{target.a.id}:root"))
    target.permit(target.b, reader.role, allow("sts:AssumeRole", on=own))
    sts = target.b.client_of(target.become(target.b, reader.role), "sts")

    def assume() -> str:
        return outcome(sts.assume_role, RoleArn=own, RoleSessionName="claims")

    assert assume() == DENIED
    target.a.client("iam").update_assume_role_policy(
        RoleName=target.name("trusted"), PolicyDocument=document(trusting(reader.role))
    )
    reader.sees(ALLOWED, assume)
    # The identity's own permission is needed too, as the role is in another account.
    target.permit(target.b, reader.role)
    reader.sees(DENIED, assume)


@pytest.mark.claim("sts-external-id")
def test_an_external_id_that_is_asked_for_must_be_given(reader: Reader) -> None:
    target = reader.target
    condition = {"StringLike": {"sts:ExternalId": "arn:aws:redshift:*:dbuser:*/etl"}}
    root = f"arn:aws:iam::{target.b.id}:root"
    guarded = target.role(target.b, "guarded", trusting(root, **condition))
    sts, given = target.b.client("sts"), "arn:aws:redshift:x:dbuser:w/etl"
    target.become(target.b, guarded, ExternalId=given)
    who = {"RoleArn": guarded, "RoleSessionName": "claims"}
    assert outcome(sts.assume_role, **who) == DENIED
    assert outcome(sts.assume_role, **who, ExternalId=given + "2") == DENIED


@pytest.mark.claim("sts-chained-one-hour")
def test_a_session_of_a_chained_role_lasts_an_hour_at_most(reader: Reader) -> None:
    target = reader.target
    last = target.role(target.b, "last", trusting(reader.role), MaxSessionDuration=7200)
    target.permit(target.b, reader.role, allow("sts:AssumeRole", on=last))
    sts = target.b.client_of(target.become(target.b, reader.role), "sts")
    target.become(target.b, last, by=sts, DurationSeconds=3600)
    who = {"RoleArn": last, "RoleSessionName": "claims"}
    code, message = refusal(sts.assume_role, **who, DurationSeconds=3601)
    assert code == "ValidationError"
    assert "1 hour session limit for roles assumed by role chaining" in message


@pytest.mark.claim("iam-denial-message")
def test_a_denial_names_principal_action_resource_and_the_missing_policy(reader: Reader) -> None:
    target = reader.target
    glue = target.b.client_of(target.become(target.b, reader.role), "glue")
    code, message = refusal(glue.get_database, Name="default")
    name = reader.role.rpartition("/")[2]
    assert code == "AccessDeniedException"
    assert f"arn:aws:sts::{target.b.id}:assumed-role/{name}/claims is not authorized" in message
    assert f"glue:GetDatabase on resource: arn:aws:glue:{target.region}:{target.b.id}:" in message
    assert "no identity-based policy allows the glue:GetDatabase action" in message


@pytest.mark.claim("iam-pass-role")
def test_a_service_is_handed_a_role_only_by_whom_may_pass_it(reader: Reader) -> None:
    target = reader.target
    passed = target.role(target.b, "passed", trusting({"Service": "glue.amazonaws.com"}))
    glue = target.b.client_of(target.become(target.b, reader.role), "glue")
    name = target.name("job")
    job = {
        "Name": name,
        "Role": passed,
        "Command": {"Name": "glueetl", "ScriptLocation": f"s3://{reader.bucket}/day/a.csv"},
        "GlueVersion": "5.0",
    }
    target.permit(target.b, reader.role, allow("glue:CreateJob", "glue:DeleteJob"))
    target.becomes(lambda seen: "iam:PassRole" in seen, lambda: refusal(glue.create_job, **job)[1])
    target.permit(
        target.b,
        reader.role,
        allow("glue:CreateJob", "glue:DeleteJob"),
        allow("iam:PassRole", on=passed),
    )
    target.becomes(ALLOWED, lambda: outcome(glue.create_job, **job))


@pytest.mark.claim("iam-role-policy-unknown-principal")
def test_a_trust_policy_cannot_name_a_role_that_does_not_exist(reader: Reader) -> None:
    target = reader.target
    unknown = f"arn:aws:iam::{target.b.id}:role/{target.name('nobody')}"
    code, message = refusal(
        target.b.client("iam").create_role,
        RoleName=target.name("never"),
        AssumeRolePolicyDocument=document(trusting(unknown)),
    )
    assert code == "MalformedPolicyDocument"
    assert "Invalid principal in policy" in message
