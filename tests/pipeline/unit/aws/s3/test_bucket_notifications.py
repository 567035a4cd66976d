"""Notifications of another's bucket: ours come and go, the others stay as they are."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.support.fakes.bucket_configuration import FakeBucketConfiguration
from xacct_assets.aws.errors import AccessDenied, InvalidRequest
from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.aws.s3.bucket_notifications import BucketNotifications

QUEUE = "arn:aws:sqs:us-east-1:222222222222:ours"
OTHERS: dict[str, Any] = {
    "QueueConfigurations": [
        {
            "Id": "owners queue",
            "QueueArn": "arn:aws:sqs:us-east-1:111111111111:theirs",
            "Events": ["s3:ObjectCreated:*"],
            "Filter": {"Key": {"FilterRules": [{"Name": "Prefix", "Value": "invoices/"}]}},
        }
    ],
    "TopicConfigurations": [
        {
            "Id": "topic",
            "TopicArn": "arn:aws:sns:us-east-1:111111111111:t",
            "Events": ["s3:ReducedRedundancyLostObject"],
        }
    ],
    "LambdaFunctionConfigurations": [
        {
            "Id": "function",
            "LambdaFunctionArn": "arn:aws:lambda:us-east-1:111111111111:function:f",
            "Events": ["s3:ObjectCreated:Put"],
            "Filter": {"Key": {"FilterRules": [{"Name": "suffix", "Value": ".jpg"}]}},
        }
    ],
    "EventBridgeConfiguration": {},
}


def ours(prefix: str = "products/", suffix: str = "") -> dict[str, Any]:
    rules = [{"Name": "prefix", "Value": prefix}]
    rules += [{"Name": "suffix", "Value": suffix}] if suffix else []
    return {
        "Id": "Ours1",
        "QueueArn": QUEUE,
        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
        "Filter": {"Key": {"FilterRules": rules}},
    }


def notifications_of(s3: FakeBucketConfiguration) -> BucketNotifications:
    return BucketNotifications(
        Bucket(s3.client, "b", "111111111111"),  # type: ignore[arg-type]
        lambda name: name.startswith("Ours"),
    )


@pytest.mark.parametrize("before", [{}, OTHERS])
def test_after_merge_and_removal_the_configuration_is_as_it_was(before: dict[str, Any]) -> None:
    before = copy.deepcopy(before)
    before.get("LambdaFunctionConfigurations", [{}])[0]["Events"] = ["s3:ObjectTagging:Put"]
    s3 = FakeBucketConfiguration(notifications=copy.deepcopy(before))
    notifications = notifications_of(s3)
    assert notifications.missing([ours()]) == ["Ours1"]
    assert notifications.merge([ours()])
    assert s3.notifications["QueueConfigurations"][-1] == ours()
    assert notifications.missing([ours()]) == []
    assert notifications.remove()
    assert s3.notifications == before


def test_an_entry_that_is_there_is_not_written_again_however_s3_writes_it() -> None:
    stored = ours()
    stored["Events"].reverse()
    stored["Filter"]["Key"]["FilterRules"][0]["Name"] = "Prefix"
    s3 = FakeBucketConfiguration(notifications={"QueueConfigurations": [stored]})
    assert not notifications_of(s3).merge([ours()])
    assert s3.writes == []


def test_an_entry_of_ours_for_another_folder_is_put_right() -> None:
    s3 = FakeBucketConfiguration(notifications={"QueueConfigurations": [ours("old/")]})
    assert notifications_of(s3).merge([ours()])
    assert s3.notifications == {"QueueConfigurations": [ours()]}


def test_without_a_wanted_entry_ours_goes() -> None:
    s3 = FakeBucketConfiguration(notifications={"QueueConfigurations": [ours()]})
    assert notifications_of(s3).merge([])
    assert s3.notifications == {}


@pytest.mark.parametrize(
    ("kind", "member", "events", "rules"),
    [
        ("QueueConfigurations", "QueueArn", ["s3:ObjectCreated:*"], {}),
        ("TopicConfigurations", "TopicArn", ["s3:ObjectCreated:Put"], {"prefix": "products/2026/"}),
        ("TopicConfigurations", "TopicArn", ["s3:ObjectRemoved:Delete"], {"Prefix": "prod"}),
        ("LambdaFunctionConfigurations", "LambdaFunctionArn", ["s3:ObjectCreated:*"],
         {"suffix": ".csv"}),
    ],
)  # fmt: skip
def test_what_s3_would_refuse_is_told_with_the_other_destination(
    kind: str, member: str, events: list[str], rules: dict[str, str]
) -> None:
    other = "arn:aws:sns:us-east-1:111111111111:other"
    key = {"FilterRules": [{"Name": name, "Value": value} for name, value in rules.items()]}
    entry = {"Id": "x", member: other, "Events": events, "Filter": {"Key": key}}
    s3 = FakeBucketConfiguration(notifications={kind: [entry]})
    with pytest.raises(InvalidRequest, match=other) as refusal:
        notifications_of(s3).merge([ours()])
    assert "poll" in (refusal.value.fix or "")
    assert s3.writes == []


@pytest.mark.parametrize(
    ("events", "rules"),
    [
        (["s3:ObjectTagging:*"], {}),
        (["s3:ObjectCreated:*"], {"prefix": "invoices/"}),
        (["s3:ObjectCreated:*"], {"prefix": "products/", "suffix": ".jpg"}),
    ],
)
def test_what_s3_would_accept_is_merged(events: list[str], rules: dict[str, str]) -> None:
    key = {"FilterRules": [{"Name": name, "Value": value} for name, value in rules.items()]}
    entry = {"Id": "x", "QueueArn": "arn:q", "Events": events, "Filter": {"Key": key}}
    s3 = FakeBucketConfiguration(notifications={"QueueConfigurations": [entry]})
    assert notifications_of(s3).merge([ours(suffix=".csv")])
    assert s3.notifications["QueueConfigurations"] == [entry, ours(suffix=".csv")]


def test_a_denial_is_told_and_leaves_the_configuration() -> None:
    s3 = FakeBucketConfiguration(notifications=copy.deepcopy(OTHERS))
    s3.denied = {"get_bucket_notification_configuration"}
    with pytest.raises(AccessDenied):
        notifications_of(s3).merge([ours()])
    assert s3.notifications == OTHERS
