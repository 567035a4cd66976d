"""S3's notifications, read from an SQS queue and deleted once what they announce is dealt with.

A notification is at-least-once, unordered, and says no more than "look there": two for one object,
or an old one after a new one, do no harm. What matters is that none is deleted too early. A message
stays on the queue, invisible, while its place is being looked at; if this process dies it turns up
again after its visibility timeout, with a new receipt. Receipts are therefore kept in memory only.

One queue may serve several feeds, whose sensors live in one process: each message is handed to
whoever claims it, whichever sensor happened to receive it.

Facts: S3 URL-encodes keys in its notifications (a space is ``+``); a test event, without records,
is sent when the notification is set up. EventBridge wraps one object per message and leaves its key
as it is. SNS wraps the text in its own envelope. A standard queue keeps up to 120,000 messages in
flight; a receipt is good until the visibility timeout ends or the message is received again.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote_plus

from xacct_assets.aws.botocore_errors import aws_call

logger = logging.getLogger(__name__)

#: Messages that SQS hands out, or takes back, in one call at most.
BATCH = 10
#: Longest long poll that SQS allows, in seconds.
LONGEST_WAIT = 20
#: Messages held in memory at most; more stay on the queue until some are dealt with.
CAPACITY = 5_000
#: A message that nobody claims is deleted once it is this old (seconds). Until then a sensor that
#: is just starting may still claim it.
UNCLAIMED_SECONDS = 3600
#: A receipt is not used any more this long (seconds) before its visibility timeout ends.
RECEIPT_MARGIN = 10


@dataclass(frozen=True, slots=True)
class ObjectNotice:
    """Something happened to an object (it was written or removed)."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Notice:
    """An `ObjectNotice` as it was received.

    Attributes:
        message_id: of the message it came in.
        received: when, in seconds since 1970; whoever looks at the object later has seen it.
    """

    message_id: str
    object: ObjectNotice
    received: float


class UnknownNotification(ValueError):
    """The text of a message is no notification of S3, EventBridge or SNS."""


def read_notification(body: str) -> list[ObjectNotice]:
    """The objects that a message speaks of; none for a test event.

    Raises:
        UnknownNotification: the text is of another kind; says of which.
    """
    try:
        event = json.loads(body)
    except ValueError as error:
        raise UnknownNotification(f"the message is not JSON: {error}") from None
    if not isinstance(event, dict):
        raise UnknownNotification(f"the message is a JSON {type(event).__name__}, not an object")
    if event.get("Type") == "Notification" and isinstance(event.get("Message"), str):
        return read_notification(event["Message"])
    if event.get("Event") == "s3:TestEvent":
        return []
    try:
        if event.get("source") == "aws.s3" and "detail" in event:
            detail = event["detail"]
            return [ObjectNotice(str(detail["bucket"]["name"]), str(detail["object"]["key"]))]
        if isinstance(event.get("Records"), list):
            return [
                ObjectNotice(
                    str(record["s3"]["bucket"]["name"]),
                    unquote_plus(str(record["s3"]["object"]["key"])),
                )
                for record in event["Records"]
            ]
    except (KeyError, TypeError) as error:
        raise UnknownNotification(
            f"the message lacks a part of a notification: {error!r}"
        ) from None
    raise UnknownNotification(f"the message has none of the known shapes; it has {sorted(event)}")


@dataclass(slots=True)
class _Held:
    receipt: str
    received: float
    sent: float
    # What is still to be dealt with, and by whom (None: nobody claims it).
    open: dict[ObjectNotice, str | None] = field(default_factory=dict)


class Notifications:
    """One queue, shared by the feeds of this process. Safe to use from several threads.

    Args:
        sqs: boto3's ``sqs`` client.
        queue_url: the queue.
        visibility_seconds: how long a received message is kept from others; long enough for a few
            ticks, as a message is deleted one tick after its run was requested at the earliest.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        sqs: Any,
        queue_url: str,
        *,
        visibility_seconds: int = 300,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sqs = sqs
        self.queue_url = queue_url
        self._visibility = visibility_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._claims: dict[str, Callable[[ObjectNotice], bool]] = {}
        self._held: dict[str, _Held] = {}

    def claim(self, name: str, claims: Callable[[ObjectNotice], bool]) -> None:
        """Say which objects are ``name``'s; to be said before every `receive`, cheaply."""
        with self._lock:
            self._claims[name] = claims
            for held in self._held.values():
                for notice, owner in held.open.items():
                    if owner is None and claims(notice):
                        held.open[notice] = name

    def receive(self, *, wait_seconds: float, seconds: float, limit: int = 1000) -> int:
        """Take messages off the queue, waiting for a first one; returns how many.

        Args:
            wait_seconds: how long to wait if the queue is empty (a long poll, 0 to 20).
            seconds: time for all of it beside that wait.
            limit: messages to take at most.

        Raises:
            AccessDenied, NotFound, Throttled, Unavailable: as AWS says, naming the queue.
        """
        self._expire()
        began, taken = time.monotonic(), 0
        wait = int(max(0, min(LONGEST_WAIT, wait_seconds)))
        while taken < limit and len(self._held) < CAPACITY:
            with aws_call("sqs:ReceiveMessage", self.queue_url):
                answer = self._sqs.receive_message(
                    QueueUrl=self.queue_url,
                    MaxNumberOfMessages=BATCH,
                    VisibilityTimeout=self._visibility,
                    WaitTimeSeconds=wait,
                    MessageSystemAttributeNames=["SentTimestamp"],
                )
            if wait:
                began, wait = time.monotonic(), 0
            messages = answer.get("Messages", [])
            self._take(messages)
            taken += len(messages)
            if not messages or time.monotonic() - began >= seconds:
                break
        self._delete_finished()
        return taken

    def mine(self, name: str) -> list[Notice]:
        """What ``name`` claims and has not dealt with yet."""
        self._expire()
        with self._lock:
            return [
                Notice(message_id, notice, held.received)
                for message_id, held in self._held.items()
                for notice, owner in held.open.items()
                if owner == name
            ]

    def dealt_with(self, notices: Iterable[Notice]) -> None:
        """Nothing that these announce can be lost any more: messages without others are deleted.

        Raises:
            AccessDenied, NotFound, Throttled, Unavailable: as AWS says, naming the queue. What was
            not deleted turns up again, which does no harm.
        """
        with self._lock:
            for notice in notices:
                if held := self._held.get(notice.message_id):
                    held.open.pop(notice.object, None)
        self._delete_finished()

    def _take(self, messages: Iterable[dict[str, Any]]) -> None:
        now = self._clock()
        for message in messages:
            message_id = message["MessageId"]
            try:
                notices = read_notification(message["Body"])
            except UnknownNotification as problem:
                # Left on the queue, so that its redrive policy can put it aside to be looked at.
                logger.warning("message %s on %s: %s", message_id, self.queue_url, problem)
                continue
            sent = int(message.get("Attributes", {}).get("SentTimestamp", now * 1000)) / 1000
            held = _Held(message["ReceiptHandle"], now, sent)
            with self._lock:
                for notice in notices:
                    held.open[notice] = next(
                        (name for name, claims in self._claims.items() if claims(notice)), None
                    )
                self._held[message_id] = held

    def _expire(self) -> None:
        """Forget messages that are visible to others again by now."""
        until = self._clock() - max(1, self._visibility - RECEIPT_MARGIN)
        with self._lock:
            for message_id in [id_ for id_, held in self._held.items() if held.received < until]:
                del self._held[message_id]

    def _delete_finished(self) -> None:
        with self._lock:
            finished = {}
            for message_id, held in self._held.items():
                unclaimed = [notice for notice, owner in held.open.items() if owner is None]
                if unclaimed and self._clock() - held.sent >= UNCLAIMED_SECONDS:
                    logger.warning(
                        "no feed that runs here claims s3://%s/%s; its notification of %.0f s ago "
                        "is dropped",
                        unclaimed[0].bucket,
                        unclaimed[0].key,
                        self._clock() - held.sent,
                    )
                    for notice in unclaimed:
                        del held.open[notice]
                if not held.open:
                    finished[message_id] = held.receipt
            for message_id in finished:
                del self._held[message_id]
        entries = list(finished.items())
        for start in range(0, len(entries), BATCH):
            batch = entries[start : start + BATCH]
            with aws_call("sqs:DeleteMessage", self.queue_url):
                answer = self._sqs.delete_message_batch(
                    QueueUrl=self.queue_url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": receipt}
                        for number, (_, receipt) in enumerate(batch)
                    ],
                )
            for failed in answer.get("Failed", []):
                logger.warning(
                    "message %s stays on %s and will come again: %s",
                    batch[int(failed["Id"])][0],
                    self.queue_url,
                    failed.get("Message") or failed.get("Code"),
                )
