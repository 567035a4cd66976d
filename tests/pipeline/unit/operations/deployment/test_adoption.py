"""Names are free or adopted before a deployment; a bucket that may not be changed is told."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from tests.pipeline.unit.operations.deployment.test_bucket_access import OUTPUTS_B
from tests.support.fakes.bucket_configuration import FakeBucketConfiguration
from tests.support.fakes.modelled_client import ModelledClient, client_error
from tests.support.fakes.stacks import FakeStacks
from xacct_assets.aws.errors import DeployFailed
from xacct_assets.feed.loader import load_feeds
from xacct_assets.operations.deployment import plan
from xacct_assets.operations.deployment.adoption import Adoption
from xacct_assets.settings import Settings
from xacct_assets.sources import sources_root


class FakeAccounts:
    """Account A with one bucket's configuration, and account B with nothing.

    Attributes:
        existing: names of the buckets that exist.
        foreign: names of buckets of other accounts.
    """

    def __init__(self, settings: Settings) -> None:
        self.existing: set[str] = set()
        self.foreign: set[str] = set()
        self.stacks = FakeStacks()
        self.bucket = FakeBucketConfiguration()
        self.bucket.client._operations["head_bucket"] = self._head
        self._ids = {"a": settings.account_a, "b": settings.account_b}
        self.sessions = {"a": self, "b": self}

    def id_of(self, account: str) -> str:
        return self._ids[account]

    def client(self, service: str) -> ModelledClient:
        return {
            "s3": self.bucket.client,
            "cloudformation": self.stacks.client,
            "secretsmanager": ModelledClient("secretsmanager", describe_secret=self._no_secret),
        }[service]

    @staticmethod
    def _no_secret(SecretId: str) -> dict[str, Any]:
        raise client_error("ResourceNotFoundException", f"no {SecretId}", 400)

    def _head(self, Bucket: str, ExpectedBucketOwner: str) -> dict[str, Any]:
        if Bucket in self.foreign:
            raise client_error("403", "Forbidden", 403)
        if Bucket not in self.existing:
            raise client_error("404", "Not Found", 404)
        return {}


@pytest.fixture
def accounts(settings: Settings) -> FakeAccounts:
    return FakeAccounts(settings)


def adoption(
    settings: Settings, accounts: FakeAccounts, *adopted: str, shown: list[str] | None = None
) -> Adoption:
    settings = dataclasses.replace(settings, adopted=frozenset(adopted))
    return Adoption(settings, accounts, (shown if shown is not None else []).append)  # type: ignore[arg-type]


def test_a_bucket_that_exists_is_refused_with_the_setting_that_adopts_it(
    settings: Settings, accounts: FakeAccounts
) -> None:
    accounts.existing = {settings.export_bucket, settings.processing_bucket}
    with pytest.raises(DeployFailed, match=settings.export_bucket) as refusal:
        adoption(settings, accounts).require_names("a")
    assert "add export-bucket to XACCT_ADOPT" in str(refusal.value)
    with pytest.raises(DeployFailed, match="processing-bucket"):
        adoption(settings, accounts).require_names("b")
    adoption(settings, accounts, "export-bucket", "processing-bucket").require_names("b")
    adoption(settings, accounts, "export-bucket").require_names("a")


def test_a_bucket_that_the_stack_made_is_no_stranger(
    settings: Settings, accounts: FakeAccounts
) -> None:
    accounts.existing = {settings.input_bucket, settings.export_bucket}
    accounts.stacks.stacks[settings.stack_a] = {
        "StackName": settings.stack_a,
        "StackId": "id",
        "StackStatus": "CREATE_COMPLETE",
        "CreationTime": "2026-01-01T00:00:00Z",
    }
    accounts.stacks.resources[settings.stack_a] = [
        ("RawBucket", settings.input_bucket, "AWS::S3::Bucket"),
        ("ExportsBucket", settings.export_bucket, "AWS::S3::Bucket"),
    ]
    adoption(settings, accounts).require_names("a")


def test_an_installation_with_short_names_keeps_its_buckets(
    settings: Settings, accounts: FakeAccounts
) -> None:
    short = {"InputBucket": "sample-inp-bucket-etl-test", "ProcessingBucket": "our-own"}
    accounts.stacks.stacks[settings.stack_b] = {
        "StackName": settings.stack_b,
        "StackId": "id",
        "StackStatus": "CREATE_COMPLETE",
        "CreationTime": "2026-01-01T00:00:00Z",
        "Parameters": [
            {"ParameterKey": key, "ParameterValue": value} for key, value in short.items()
        ],
    }
    accounts.stacks.resources[settings.stack_b] = []
    with pytest.raises(DeployFailed) as refusal:
        adoption(settings, accounts).require_names("b")
    assert refusal.value.fix == (
        "keep the buckets; in .env: XACCT_INPUT_BUCKET=sample-inp-bucket-etl-test"
    )
    kept = dataclasses.replace(settings, input_bucket="sample-inp-bucket-etl-test")
    adoption(kept, accounts).require_names("b")


def test_a_bucket_of_somebody_else_is_told_as_a_name_that_is_taken(
    settings: Settings, accounts: FakeAccounts
) -> None:
    accounts.foreign = {settings.input_bucket}
    with pytest.raises(DeployFailed, match="not account A's") as refusal:
        adoption(settings, accounts).require_names("a")
    assert "set XACCT_INPUT_BUCKET" in str(refusal.value)


def test_a_bucket_to_adopt_must_exist(settings: Settings, accounts: FakeAccounts) -> None:
    with pytest.raises(DeployFailed, match="cannot be adopted") as refusal:
        adoption(settings, accounts, "input-bucket").require_names("a")
    assert "leave input-bucket out of XACCT_ADOPT" in str(refusal.value)


def test_what_an_owner_must_add_is_shown_if_the_policy_may_not_be_changed(
    settings: Settings, accounts: FakeAccounts
) -> None:
    shown: list[str] = []
    accounts.bucket.denied = {"put_bucket_policy"}
    adopting = adoption(settings, accounts, "input-bucket", shown=shown)
    planned = plan.account_a(settings, sources_root(), OUTPUTS_B, load_feeds())
    (left,) = adopting.join_buckets(planned, load_feeds())
    statements, _ = json.JSONDecoder().raw_decode(left[left.index("[\n") :])
    assert statements[0]["Sid"] == "XaccttestGlueReadsObjects"
    assert "NOT changed" in shown[0]
    assert "keep those that are there" in left


def test_what_was_merged_is_released_and_a_bucket_that_is_gone_is_no_problem(
    settings: Settings, accounts: FakeAccounts
) -> None:
    shown: list[str] = []
    adopting = adoption(settings, accounts, "input-bucket", shown=shown)
    planned = plan.account_a(settings, sources_root(), OUTPUTS_B, load_feeds())
    assert adopting.join_buckets(planned, load_feeds()) == []
    assert len(accounts.bucket.statements) == 4
    assert adopting.release("a") == []
    assert accounts.bucket.policy is None
    assert adopting.release("a") == []
    accounts.bucket.client._operations["get_bucket_policy"] = accounts.bucket.client._operations[
        "get_bucket_notification_configuration"
    ] = gone
    assert adopting.release("a") == []
    assert "does not exist any more" in shown[-1]


def test_a_release_that_is_denied_is_a_problem(settings: Settings, accounts: FakeAccounts) -> None:
    adopting = adoption(settings, accounts, "input-bucket")
    planned = plan.account_a(settings, sources_root(), OUTPUTS_B, load_feeds())
    adopting.join_buckets(planned, load_feeds())
    accounts.bucket.denied = {"delete_bucket_policy"}
    (problem,) = adopting.release("a")
    assert settings.input_bucket in problem
    assert len(accounts.bucket.statements) == 4


def gone(**_: Any) -> dict[str, Any]:
    raise client_error("NoSuchBucket", "The specified bucket does not exist", 404)
