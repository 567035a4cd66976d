"""`xacct doctor` on adopted buckets: what is missing, or why it was not looked at."""

from __future__ import annotations

import dataclasses
from typing import Any

import pytest

from tests.support.fakes.bucket_configuration import FakeBucketConfiguration
from xacct_assets.aws.errors import CredentialsProblem, NotFound
from xacct_assets.feed.loader import load_feeds
from xacct_assets.operations.deployment.accounts import Accounts
from xacct_assets.operations.deployment.bucket_access import BucketAccess
from xacct_assets.operations.doctor.adopted_buckets import adopted_bucket, needs_of_buckets
from xacct_assets.operations.doctor.findings import Caution
from xacct_assets.settings import Settings


@pytest.fixture
def adopting(settings: Settings) -> Settings:
    return dataclasses.replace(
        settings, adopted=frozenset({"input-bucket"}), account_a_profile="central"
    )


@pytest.fixture
def access(adopting: Settings) -> BucketAccess:
    return needs_of_buckets(adopting, load_feeds())["adopted input-bucket"]


@pytest.fixture
def bucket(monkeypatch: pytest.MonkeyPatch) -> FakeBucketConfiguration:
    bucket = FakeBucketConfiguration()

    class Sessions:
        def client(self, _service: str) -> Any:
            return bucket.client

    def init(self: Accounts, settings: Settings) -> None:
        self.sessions = {"a": Sessions()}  # type: ignore[dict-item]

    monkeypatch.setattr(Accounts, "__init__", init)
    monkeypatch.setattr(Accounts, "verify", lambda *_: "arn")
    return bucket


def test_nothing_is_checked_if_nothing_is_adopted(settings: Settings) -> None:
    assert needs_of_buckets(settings, load_feeds()) == {}


def test_missing_statements_are_named_with_the_command_that_adds_them(
    adopting: Settings, access: BucketAccess, bucket: FakeBucketConfiguration
) -> None:
    with pytest.raises(NotFound, match="XaccttestGlueReadsObjects") as missing:
        adopted_bucket(adopting, access)
    assert "xacct deploy --account a" in (missing.value.fix or "")
    assert bucket.writes == []


def test_a_bucket_with_all_statements_passes(
    adopting: Settings, access: BucketAccess, bucket: FakeBucketConfiguration
) -> None:
    from xacct_assets.operations.deployment.bucket_access import policy_of

    policy = policy_of(bucket.client, access.name, adopting.account_a, "test")  # type: ignore[arg-type]
    policy.merge(access.statements)
    assert "4 statements" in str(adopted_bucket(adopting, access))


@pytest.mark.parametrize("reason", ["no profile", "denied", "other account"])
def test_what_may_not_be_read_is_a_caution(
    reason: str,
    adopting: Settings,
    access: BucketAccess,
    bucket: FakeBucketConfiguration,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    if reason == "no profile":
        adopting = dataclasses.replace(adopting, account_a_profile=None)
    elif reason == "denied":
        bucket.denied = {"get_bucket_policy"}
    else:

        def refuse(*_: object) -> str:
            raise CredentialsProblem("the credentials are of account B")

        monkeypatch.setattr(Accounts, "verify", refuse)
    found = adopted_bucket(adopting, access)
    assert isinstance(found, Caution)
    assert "was not read" in found.detail
    assert adopting.account_a in found.fix
