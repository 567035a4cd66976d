"""Account A's notifications in account B's queue, and account A's listings, over the real APIs.

One of the deployed feeds uses notifications. Without such a feed, deployment sets none up.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date

import pytest

from xacct_assets.aws.errors import AccessDenied
from xacct_assets.aws.s3.raw_bucket import RawBucket
from xacct_assets.aws.sqs import Notifications, ReceivedEvent
from xacct_assets.contract.days import DayFolders, DayLayout

PREFIX = "products/2031/02/03/"
NAMES = ["a.csv", "b c+d%20e.csv", "é😀.csv", "sub/x.csv", "~'quoted'&=.csv"]
RAW = "sample-inp-bucket-etl-local"


@pytest.fixture(scope="module")
def landed(feeds_sandbox) -> Iterator[list[str]]:
    """Files with awkward names in account A's raw bucket, by key."""
    # Other tests of this sandbox upload files too, and nobody acknowledges their notifications.
    sqs = feeds_sandbox.client("account-b-admin", "sqs")
    sqs.purge_queue(QueueUrl=sqs.get_queue_url(QueueName="xacct-arrivals-local")["QueueUrl"])
    s3 = feeds_sandbox.client("account-a-admin", "s3")
    keys = [PREFIX + name for name in NAMES]
    for key in keys:
        s3.put_object(Bucket=RAW, Key=key, Body=b"id,name\n1,x\n")
    yield sorted(keys, key=str.encode)
    for key in keys:
        s3.delete_object(Bucket=RAW, Key=key)


def inbox_of(feeds_sandbox, profile: str = "orchestrator") -> Notifications:
    account_b = feeds_sandbox.client("account-b-admin", "sqs")
    url = account_b.get_queue_url(QueueName="xacct-arrivals-local")["QueueUrl"]
    inbox = Notifications(feeds_sandbox.client(profile, "sqs"), url)
    inbox.claim("products", lambda event: event.key.startswith("products/"))
    return inbox


def received(inbox: Notifications, keys: list[str]) -> list[ReceivedEvent]:
    """The events received, once all the keys are among them (or the test's time limit is over)."""
    while True:
        inbox.receive(wait_seconds=5, seconds=5)
        events = inbox.unacknowledged("products")
        if {received.event.key for received in events} >= set(keys):
            return events


def test_a_file_of_account_a_is_announced_in_account_b_until_it_is_acknowledged(
    feeds_sandbox, landed: list[str]
) -> None:
    inbox = inbox_of(feeds_sandbox)
    events = received(inbox, landed)
    assert {received.event.bucket for received in events} == {RAW}
    folders = DayFolders("products", DayLayout.PLAIN)
    keys = {received.event.key for received in events} & set(landed)
    assert {folders.day_of(key) for key in keys} == {date(2031, 2, 3)}
    inbox.acknowledge(events)
    assert inbox.unacknowledged("products") == []
    left = feeds_sandbox.client("account-b-admin", "sqs").get_queue_attributes(
        QueueUrl=inbox.queue_url,
        AttributeNames=["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"],
    )["Attributes"]
    assert set(left.values()) == {"0"}


def test_a_deletion_is_announced_too(feeds_sandbox, landed: list[str]) -> None:
    key = PREFIX + "gone.csv"
    inbox = inbox_of(feeds_sandbox)
    s3 = feeds_sandbox.client("account-a-admin", "s3")
    s3.put_object(Bucket=RAW, Key=key, Body=b"x")
    s3.delete_object(Bucket=RAW, Key=key)
    while len([e for e in received(inbox, [key]) if e.event.key == key]) < 2:
        pass
    inbox.acknowledge(inbox.unacknowledged("products"))


def test_a_restored_file_is_announced_too(feeds_sandbox, landed: list[str]) -> None:
    key = PREFIX + "archived.csv"
    inbox = inbox_of(feeds_sandbox)
    s3 = feeds_sandbox.client("account-a-admin", "s3")
    s3.put_object(Bucket=RAW, Key=key, Body=b"x", StorageClass="GLACIER")
    inbox.acknowledge(received(inbox, [key]))
    request = {"Days": 1, "GlacierJobParameters": {"Tier": "Standard"}}
    s3.restore_object(Bucket=RAW, Key=key, RestoreRequest=request)
    inbox.acknowledge(received(inbox, [key]))
    s3.delete_object(Bucket=RAW, Key=key)
    inbox.acknowledge(received(inbox, [key]))


def test_account_a_cannot_read_the_queue(feeds_sandbox) -> None:
    with pytest.raises(AccessDenied) as denied:
        inbox_of(feeds_sandbox, "account-a-admin").receive(wait_seconds=0, seconds=1)
    assert "xacct-arrivals-local" in (denied.value.resource or "")


def test_messages_nobody_processes_are_moved_to_a_dead_letter_queue_and_kept(feeds_sandbox) -> None:
    sqs = feeds_sandbox.client("account-b-admin", "sqs")
    url = sqs.get_queue_url(QueueName="xacct-arrivals-local")["QueueUrl"]
    queue = sqs.get_queue_attributes(QueueUrl=url, AttributeNames=["All"])["Attributes"]
    redrive = json.loads(queue["RedrivePolicy"])
    name = redrive["deadLetterTargetArn"].rpartition(":")[2]
    dead_letter = sqs.get_queue_attributes(
        QueueUrl=sqs.get_queue_url(QueueName=name)["QueueUrl"], AttributeNames=["All"]
    )["Attributes"]
    # A paused feed's messages are received again every 300 s, for at least three days.
    assert int(redrive["maxReceiveCount"]) * 300 > 3 * 24 * 3600
    assert int(dead_letter["MessageRetentionPeriod"]) >= int(queue["MessageRetentionPeriod"])
    assert json.loads(dead_letter["RedriveAllowPolicy"])["sourceQueueArns"] == [queue["QueueArn"]]


def test_a_listing_continues_after_any_key(feeds_sandbox, landed: list[str]) -> None:
    raw_bucket = RawBucket(feeds_sandbox.client("orchestrator", "s3"), RAW, "111111111111")
    seen: list[str] = []
    after, has_more = None, True
    while has_more:
        page, has_more = raw_bucket.list_page(PREFIX, after, 2)
        seen += [item.key for item in page]
        after = page[-1].key
    assert seen == landed
