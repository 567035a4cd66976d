"""What a message says, who it belongs to, and when it may be deleted."""

from __future__ import annotations

import json

import pytest

from tests.support.fakes.sqs import FakeQueue
from xacct_assets.aws.errors import AccessDenied
from xacct_assets.aws.sqs import (
    UNCLAIMED_SECONDS,
    Notifications,
    ObjectEvent,
    UnknownNotification,
    parse_notification,
)

URL = "https://sqs.us-east-1.amazonaws.com/222222222222/arrivals"


def s3_event(*keys: str, bucket: str = "raw", name: str = "ObjectCreated:Put") -> str:
    """The shape S3 sends; the keys are encoded as S3 encodes them."""
    return json.dumps(
        {
            "Records": [
                {
                    "eventVersion": "2.1",
                    "eventSource": "aws:s3",
                    "awsRegion": "us-east-1",
                    "eventTime": "2026-03-10T12:00:00.000Z",
                    "eventName": name,
                    "s3": {
                        "s3SchemaVersion": "1.0",
                        "bucket": {"name": bucket, "arn": f"arn:aws:s3:::{bucket}"},
                        "object": {"key": key, "size": 1, "eTag": "aa", "sequencer": "01"},
                    },
                }
                for key in keys
            ]
        }
    )


TEST_EVENT = json.dumps(
    {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "raw", "RequestId": "1"}
)
BRIDGE_EVENT = json.dumps(
    {
        "source": "aws.s3",
        "detail-type": "Object Created",
        "detail": {"bucket": {"name": "raw"}, "object": {"key": "products/a+b%20.csv"}},
    }
)


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("products/2026/03/10/a.csv", "products/2026/03/10/a.csv"),
        ("a+b.csv", "a b.csv"),
        ("a%2Bb.csv", "a+b.csv"),
        ("100%25.csv", "100%.csv"),
        ("%C3%A9%F0%9F%98%80.csv", "é😀.csv"),
        ("year%3D2026/a.csv", "year=2026/a.csv"),
    ],
)
def test_keys_of_s3_are_decoded(encoded: str, key: str) -> None:
    assert parse_notification(s3_event(encoded)) == [ObjectEvent("raw", key)]


def test_keys_of_eventbridge_are_taken_as_they_are() -> None:
    assert parse_notification(BRIDGE_EVENT) == [ObjectEvent("raw", "products/a+b%20.csv")]


def test_a_notification_in_an_envelope_of_sns_is_read() -> None:
    body = json.dumps({"Type": "Notification", "Message": s3_event("a+b.csv")})
    assert parse_notification(body) == [ObjectEvent("raw", "a b.csv")]


def test_a_test_event_names_no_object() -> None:
    assert parse_notification(TEST_EVENT) == []


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ("hello", "not JSON"),
        ("[]", "a JSON list"),
        ('{"a": 1}', r"none of the known formats; its fields are \['a'\]"),
        ('{"Records": [{}]}', "lacks a part"),
        ('{"Records": [5]}', "lacks a part"),
    ],
)
def test_anything_else_is_refused_with_a_reason(body: str, reason: str) -> None:
    with pytest.raises(UnknownNotification, match=reason):
        parse_notification(body)


@pytest.fixture
def queue() -> FakeQueue:
    return FakeQueue(URL)


@pytest.fixture
def inbox(queue: FakeQueue) -> Notifications:
    inbox = Notifications(queue.client, URL, visibility_seconds=300, clock=lambda: queue.now)
    inbox.claim("products", lambda event: event.key.startswith("products/"))
    inbox.claim("orders", lambda event: event.key.startswith("orders/"))
    return inbox


def fill(inbox: Notifications) -> int:
    return inbox.receive(wait_seconds=0, seconds=5)


def test_a_message_stays_on_the_queue_until_it_is_acknowledged(queue, inbox) -> None:
    queue.send(s3_event("products/a.csv"))
    fill(inbox)
    (received,) = inbox.unacknowledged("products")
    assert received.event == ObjectEvent("raw", "products/a.csv")
    assert queue.messages
    inbox.acknowledge([received])
    assert not queue.messages
    assert inbox.unacknowledged("products") == []


def test_a_message_of_another_feed_is_kept_for_that_feed(queue, inbox) -> None:
    queue.send(s3_event("orders/a.csv"))
    fill(inbox)
    assert inbox.unacknowledged("products") == []
    inbox.acknowledge(inbox.unacknowledged("orders"))
    assert not queue.messages


def test_a_message_of_two_feeds_is_deleted_when_both_acknowledged_it(queue, inbox) -> None:
    queue.send(s3_event("products/a.csv", "orders/a.csv"))
    fill(inbox)
    inbox.acknowledge(inbox.unacknowledged("products"))
    assert queue.messages
    inbox.acknowledge(inbox.unacknowledged("orders"))
    assert not queue.messages


def test_duplicates_are_all_deleted(queue, inbox) -> None:
    for _ in range(25):
        queue.send(s3_event("products/a.csv"))
    assert fill(inbox) == 25
    inbox.acknowledge(inbox.unacknowledged("products"))
    assert not queue.messages


def test_a_process_that_dies_loses_no_message(queue, inbox) -> None:
    queue.send(s3_event("products/a.csv"))
    fill(inbox)
    queue.now += 301
    reborn = Notifications(queue.client, URL, visibility_seconds=300, clock=lambda: queue.now)
    reborn.claim("products", lambda event: True)
    fill(reborn)
    reborn.acknowledge(reborn.unacknowledged("products"))
    assert not queue.messages


def test_a_receipt_that_is_about_to_expire_is_not_used_and_the_message_is_received_again(
    queue, inbox
) -> None:
    queue.send(s3_event("products/a.csv"))
    fill(inbox)
    (old,) = inbox.unacknowledged("products")
    queue.now += 295
    assert inbox.unacknowledged("products") == []
    inbox.acknowledge([old])
    assert queue.messages
    queue.now += 10
    fill(inbox)
    inbox.acknowledge(inbox.unacknowledged("products"))
    assert not queue.messages


def test_a_test_event_is_deleted_at_once(queue, inbox) -> None:
    queue.send(TEST_EVENT)
    fill(inbox)
    assert not queue.messages


def test_an_unknown_message_is_left_on_the_queue_and_logged(queue, inbox, caplog) -> None:
    message_id = queue.send("hello")
    fill(inbox)
    assert list(queue.messages) == [message_id]
    assert message_id in caplog.text
    assert "not JSON" in caplog.text


def test_what_nobody_claims_waits_for_a_feed_that_is_just_starting(queue, inbox) -> None:
    queue.send(s3_event("customers/a.csv"))
    fill(inbox)
    inbox.claim("customers", lambda event: event.key.startswith("customers/"))
    inbox.acknowledge(inbox.unacknowledged("customers"))
    assert not queue.messages


def test_what_nobody_claims_for_an_hour_is_deleted_and_logged(queue, inbox, caplog) -> None:
    queue.send(s3_event("nobody/a.csv"))
    fill(inbox)
    assert queue.messages
    queue.now += UNCLAIMED_SECONDS
    fill(inbox)
    assert not queue.messages
    assert "s3://raw/nobody/a.csv" in caplog.text


def test_a_message_that_could_not_be_deleted_is_received_again(queue, inbox, caplog) -> None:
    message_id = queue.send(s3_event("products/a.csv"))
    queue.undeletable.add(message_id)
    fill(inbox)
    inbox.acknowledge(inbox.unacknowledged("products"))
    assert message_id in caplog.text
    queue.undeletable.clear()
    queue.now += 301
    fill(inbox)
    inbox.acknowledge(inbox.unacknowledged("products"))
    assert not queue.messages


def test_draining_stops_at_its_limit(queue, inbox) -> None:
    for number in range(60):
        queue.send(s3_event(f"products/{number}.csv"))
    assert inbox.receive(wait_seconds=0, seconds=5, limit=30) == 30
    assert len(queue.client.named("receive_message")) == 3


def test_only_the_first_call_waits_and_never_longer_than_sqs_allows(queue, inbox) -> None:
    for number in range(15):
        queue.send(s3_event(f"products/{number}.csv"))
    inbox.receive(wait_seconds=60, seconds=5)
    waits = [call["WaitTimeSeconds"] for call in queue.client.named("receive_message")]
    assert waits == [20, 0, 0]


def test_a_denied_receive_names_the_queue(queue, inbox) -> None:
    queue.denied.add("receive")
    with pytest.raises(AccessDenied) as refused:
        fill(inbox)
    assert refused.value.resource == URL


def test_a_denied_delete_names_the_queue(queue, inbox) -> None:
    queue.send(s3_event("products/a.csv"))
    fill(inbox)
    queue.denied.add("delete")
    with pytest.raises(AccessDenied) as refused:
        inbox.acknowledge(inbox.unacknowledged("products"))
    assert refused.value.resource == URL
