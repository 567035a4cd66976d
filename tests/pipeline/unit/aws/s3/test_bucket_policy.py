"""Statements in the policy of another's bucket: ours come and go, the others stay as they are."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.support.fakes.bucket_configuration import FakeBucketConfiguration
from xacct_assets.aws.errors import AccessDenied, InvalidRequest
from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.aws.s3.bucket_policy import MAX_POLICY_BYTES, BucketPolicy

OWNERS: list[dict[str, Any]] = [
    {
        "Sid": "Auditors read",
        "Effect": "Allow",
        "Principal": {"AWS": "arn:aws:iam::111111111111:role/auditor"},
        "Action": ["s3:GetObject", "s3:ListBucket"],
        "Resource": ["arn:aws:s3:::b", "arn:aws:s3:::b/*"],
        "Condition": {"StringEquals": {"aws:PrincipalOrgID": "o-1"}},
    },
    {"Effect": "Deny", "Principal": "*", "Action": "s3:*", "Resource": "arn:aws:s3:::b/x/*"},
]


def text_of(*statements: dict[str, Any], **more: Any) -> str:
    return json.dumps({"Version": "2008-10-17", "Id": "owners", "Statement": [*statements], **more})


def ours(sid: str = "OurRead", role: str = "arn:aws:iam::222222222222:role/r") -> dict[str, Any]:
    return {
        "Sid": sid,
        "Effect": "Allow",
        "Principal": {"AWS": role},
        "Action": ["s3:ListBucket", "s3:GetBucketLocation"],
        "Resource": "arn:aws:s3:::b",
    }


def policy_of(s3: FakeBucketConfiguration) -> BucketPolicy:
    return BucketPolicy(
        Bucket(s3.client, "b", "111111111111"),  # type: ignore[arg-type]
        lambda sid: sid.startswith("Our"),
    )


@pytest.mark.parametrize("before", [None, text_of(*OWNERS), text_of(OWNERS[1])])
def test_after_merge_and_removal_the_policy_is_as_it_was(before: str | None) -> None:
    s3 = FakeBucketConfiguration(before)
    policy = policy_of(s3)
    assert policy.merge([ours(), ours("OurList")])
    assert s3.statements[-2:] == [ours(), ours("OurList")]
    assert s3.statements[:-2] == ([] if before is None else json.loads(before)["Statement"])
    assert policy.remove()
    assert (s3.policy and json.loads(s3.policy)) == (before and json.loads(before))


def test_a_policy_with_a_single_statement_outside_a_list_keeps_it() -> None:
    s3 = FakeBucketConfiguration(json.dumps({"Version": "2012-10-17", "Statement": OWNERS[0]}))
    policy_of(s3).merge([ours()])
    assert s3.statements == [OWNERS[0], ours()]


@pytest.mark.parametrize(
    "stored",
    [
        ours(),
        # As S3 may answer: another order, no list around one item.
        {**ours(), "Action": ["s3:GetBucketLocation", "s3:ListBucket"]},
        {**ours(), "Resource": ["arn:aws:s3:::b"]},
        {**ours(), "Principal": {"AWS": ["arn:aws:iam::222222222222:role/r"]}},
    ],
)
def test_statements_that_are_there_are_not_written_again(stored: dict[str, Any]) -> None:
    s3 = FakeBucketConfiguration(text_of(*OWNERS, stored))
    policy = policy_of(s3)
    assert policy.missing([ours()]) == []
    assert not policy.merge([ours()])
    assert s3.writes == []


@pytest.mark.parametrize(
    "stored",
    [
        {**ours(), "Action": "s3:ListBucket"},
        {**ours(), "Effect": "Deny"},
        # The role was deleted and made again: S3 shows the deleted one's id.
        {**ours(), "Principal": {"AWS": "AROAEXAMPLEOFDELETED1"}},
    ],
)
def test_a_changed_statement_of_ours_is_named_and_put_right(stored: dict[str, Any]) -> None:
    s3 = FakeBucketConfiguration(text_of(OWNERS[0], stored, OWNERS[1]))
    policy = policy_of(s3)
    assert policy.missing([ours()]) == ["OurRead"]
    assert policy.merge([ours()])
    assert s3.statements == [*OWNERS, ours()]


def test_a_statement_of_ours_that_is_not_wanted_any_more_goes() -> None:
    s3 = FakeBucketConfiguration(text_of(*OWNERS, ours(), ours("OurOld")))
    policy_of(s3).merge([ours()])
    assert s3.statements == [*OWNERS, ours()]


def test_without_statements_of_ours_nothing_is_written() -> None:
    s3 = FakeBucketConfiguration(text_of(*OWNERS))
    assert not policy_of(s3).remove()
    assert s3.writes == []


def test_a_policy_that_would_become_too_long_is_not_sent() -> None:
    long = {**OWNERS[0], "Resource": ["arn:aws:s3:::b/" + "é" * 100] * (MAX_POLICY_BYTES // 210)}
    s3 = FakeBucketConfiguration(text_of(long))
    with pytest.raises(InvalidRequest, match="do not fit"):
        policy_of(s3).merge([ours()])
    assert s3.writes == []


def test_a_deleted_principal_of_another_statement_is_named() -> None:
    stale = {**OWNERS[0], "Principal": {"AWS": "AIDAEXAMPLEOFDELETED1"}}
    s3 = FakeBucketConfiguration(text_of(stale))
    s3.malformed = "Invalid principal in policy"
    with pytest.raises(InvalidRequest, match="AIDAEXAMPLEOFDELETED1") as refusal:
        policy_of(s3).merge([ours()])
    assert "owner remove" in (refusal.value.fix or "")
    s3.policy = text_of(*OWNERS)
    with pytest.raises(InvalidRequest, match="Invalid principal in policy"):
        policy_of(s3).merge([ours()])


@pytest.mark.parametrize("method", ["get_bucket_policy", "put_bucket_policy"])
def test_a_denial_is_told_and_leaves_the_policy(method: str) -> None:
    s3 = FakeBucketConfiguration(text_of(*OWNERS))
    s3.denied = {method}
    with pytest.raises(AccessDenied):
        policy_of(s3).merge([ours()])
    assert s3.policy == text_of(*OWNERS)
