"""What an adopted bucket needs is what the template grants, under names of this installation."""

from __future__ import annotations

import dataclasses
import json

import pytest

from xacct_assets.feed.loader import load_feeds
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.operations.deployment import plan
from xacct_assets.operations.deployment.bucket_access import (
    BucketAccess,
    adopted_buckets,
    is_ours,
    sid_prefix,
)
from xacct_assets.settings import Settings
from xacct_assets.sources import sources_root

OUTPUTS_B = {
    "GlueRoleArn": "arn:aws:iam::222222222222:role/xacct-glue-test",
    "OrchestratorRoleArn": "arn:aws:iam::222222222222:role/xacct-orchestrator-test",
    "RoleBArn": "arn:aws:iam::222222222222:role/xacct-RoleB-test",
    "ArrivalQueueArn": "arn:aws:sqs:us-east-1:222222222222:xacct-arrivals-test",
    "DatabaseUser": "etl",
}
BOTH = frozenset({"input-bucket", "export-bucket"})


def feeds_in(*prefixes: str) -> list[FeedSpec]:
    """Feeds that read notifications, each with its own folder."""
    (feed, *_) = load_feeds()
    arrival = feed.arrival.model_copy(update={"mode": "events"})
    return [
        feed.model_copy(
            update={
                "arrival": arrival,
                "source": feed.source.model_copy(update={"prefix": prefix}),
            }
        )
        for prefix in prefixes
    ]


def needs(
    settings: Settings, feeds: list[FeedSpec], adopted: frozenset[str] = BOTH
) -> dict[str, BucketAccess]:
    settings = dataclasses.replace(settings, adopted=adopted)
    planned = plan.account_a(settings, sources_root(), OUTPUTS_B, feeds)
    return {access.kind: access for access in adopted_buckets(settings, planned, feeds)}


def test_the_statements_are_those_of_the_template_with_every_reference_filled_in(
    settings: Settings,
) -> None:
    found = needs(settings, load_feeds())
    assert [item["Sid"] for item in found["input-bucket"].statements] == [
        "XaccttestGlueReadsObjects",
        "XaccttestGlueListsBucket",
        "XaccttestOrchestratorReadsObjects",
        "XaccttestOrchestratorListsBucket",
    ]
    assert found["export-bucket"].statements[0] == {
        "Sid": "XaccttestOrchestratorVerifiesExports",
        "Effect": "Allow",
        "Principal": {"AWS": OUTPUTS_B["OrchestratorRoleArn"]},
        "Action": "s3:GetObject",
        "Resource": f"arn:aws:s3:::{settings.export_bucket}/*",
    }
    text = json.dumps([access.statements for access in found.values()])
    assert not any(word in text for word in ("${", "Fn::", '"Ref"', "Deny"))


def test_only_adopted_buckets_need_something(settings: Settings) -> None:
    assert needs(settings, load_feeds(), frozenset()) == {}
    assert list(needs(settings, load_feeds(), frozenset({"export-bucket"}))) == ["export-bucket"]


def test_only_the_feeds_folders_are_notified_of_and_none_twice(settings: Settings) -> None:
    found = needs(settings, feeds_in("shop/orders", "shop", "products", "products_old", "at=x/y"))
    entries = found["input-bucket"].notifications
    folders = [entry["Filter"]["Key"]["FilterRules"][0]["Value"] for entry in entries]
    assert folders == ["at%3Dx/y/", "products/", "products_old/", "shop/"]
    assert {entry["QueueArn"] for entry in entries} == {OUTPUTS_B["ArrivalQueueArn"]}
    assert entries[0]["Events"] == [
        "s3:ObjectCreated:*",
        "s3:ObjectRemoved:*",
        "s3:ObjectRestore:Completed",
    ]
    assert len({entry["Id"] for entry in entries}) == 4
    assert found["export-bucket"].notifications == ()


def test_feeds_that_poll_need_no_notification(settings: Settings, feed: FeedSpec) -> None:
    polling = feed.model_copy(update={"arrival": feed.arrival.model_copy(update={"mode": "poll"})})
    assert needs(settings, [polling])["input-bucket"].notifications == ()


@pytest.mark.parametrize(
    ("suffix", "other"), [("a", "a1"), ("a-b", "a"), ("a-b", "ab"), ("a-1", "a1"), ("a", "a-h")]
)
def test_no_installation_takes_the_statements_of_another_for_its_own(
    suffix: str, other: str
) -> None:
    for mine, theirs in ((suffix, other), (other, suffix)):
        name = sid_prefix(mine) + "GlueReadsObjects"
        assert name.isalnum()
        assert is_ours(mine, name)
        assert not is_ours(theirs, name)


@pytest.mark.parametrize(
    "name", ["", "GlueReadsObjects", "XaccttestA b", "Xaccttest", "xaccttestA"]
)
def test_a_statement_of_the_owner_is_not_ours(name: str) -> None:
    assert not is_ours("test", name)
