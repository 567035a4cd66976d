"""S3 event notifications, received from an SQS queue and deleted once they are acknowledged.

A notification is delivered at least once and out of order, and only says that an object changed.
Two for one object, or an old one after a new one, do no harm. What matters is that none is deleted
too early. A received message stays on the queue, invisible to others, until it is acknowledged. If
this process dies, the message is received again after its visibility timeout, with a new receipt
handle. Receipt handles are therefore kept in memory only.

Several feeds may share one queue. Their sensors run in one process, so each event is kept for the
feed that claims it, whichever sensor received it.

Facts about AWS:

- S3 URL-encodes keys in its notifications (a space is ``+``), and sends a test event without
  records when the notification is set up (S3 User Guide, "Event message structure").
- EventBridge sends one object per message and does not encode its key (S3 User Guide, "EventBridge
  event message structure"). SNS wraps the text in an envelope of its own.
- A standard queue has up to 120,000 messages in flight. A receipt handle is valid until the
  visibility timeout ends or the message is received again (SQS Developer Guide, "Amazon SQS
  visibility timeout").
"""

from __future__ import annotations

import json
import logging
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote_plus

from xacct_assets.aws.botocore_errors import aws_call

if TYPE_CHECKING:
    from mypy_boto3_sqs.client import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

logger = logging.getLogger(__name__)

#: Maximum of messages that SQS returns, or deletes, in one call.
BATCH_SIZE = 10
#: Maximum of a long poll, in seconds (ReceiveMessage, WaitTimeSeconds).
MAX_WAIT_SECONDS = 20
#: Maximum of messages held in memory; more stay on the queue until some are acknowledged.
CAPACITY = 5_000
#: A message that no feed claims is deleted once it is this old (seconds). Until then, a sensor that
#: is just starting may claim it.
UNCLAIMED_SECONDS = 3600
#: A receipt handle is no longer used this long (seconds) before its visibility timeout ends.
RECEIPT_MARGIN_SECONDS = 10


@dataclass(frozen=True, slots=True)
class ObjectEvent:
    """An object was written, deleted or restored."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class ReceivedEvent:
    """An `ObjectEvent` as it was received.

    Attributes:
        message_id: of the message that contained it.
        event: the event.
        received_at: seconds since 1970. A listing that began later shows the change.
    """

    message_id: str
    event: ObjectEvent
    received_at: float


class UnknownNotification(ValueError):
    """The body of a message is no notification of S3, EventBridge or SNS."""


def parse_notification(body: str) -> list[ObjectEvent]:
    """Parse the body of a message.

    Returns:
        The events in it; none for a test event.

    Raises:
        UnknownNotification: the body has a different format; says which.
    """
    try:
        document = json.loads(body)
    except ValueError as error:
        raise UnknownNotification(f"the message is not JSON: {error}") from None
    if not isinstance(document, dict):
        raise UnknownNotification(f"the message is a JSON {type(document).__name__}, not an object")
    if document.get("Type") == "Notification" and isinstance(document.get("Message"), str):
        return parse_notification(document["Message"])
    if document.get("Event") == "s3:TestEvent":
        return []
    try:
        if document.get("source") == "aws.s3" and "detail" in document:
            detail = document["detail"]
            return [ObjectEvent(str(detail["bucket"]["name"]), str(detail["object"]["key"]))]
        if isinstance(document.get("Records"), list):
            return [
                ObjectEvent(
                    str(record["s3"]["bucket"]["name"]),
                    unquote_plus(str(record["s3"]["object"]["key"])),
                )
                for record in document["Records"]
            ]
    except (KeyError, TypeError) as error:
        raise UnknownNotification(
            f"the message lacks a part of a notification: {error!r}"
        ) from None
    raise UnknownNotification(
        f"the message has none of the known formats; its fields are {sorted(document)}"
    )


@dataclass(slots=True)
class _HeldMessage:
    """A received message that is not deleted yet.

    Attributes:
        receipt_handle: needed to delete it.
        received_at, sent_at: seconds since 1970.
        claimants: its unacknowledged events, each with the name that claims it (None: nobody).
    """

    receipt_handle: str
    received_at: float
    sent_at: float
    claimants: dict[ObjectEvent, str | None] = field(default_factory=dict)


class Notifications:
    """One queue, shared by the feeds of this process. Safe to use from several threads.

    Args:
        sqs: boto3's ``sqs`` client.
        queue_url: the queue.
        visibility_seconds: how long a received message is invisible to others. It must cover a few
            ticks, because a message is deleted one tick after its run was requested at the
            earliest.
        clock: seconds since 1970.
    """

    def __init__(
        self,
        sqs: SQSClient,
        queue_url: str,
        *,
        visibility_seconds: int = 300,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._sqs = sqs
        self.queue_url = queue_url
        self._visibility_seconds = visibility_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._claims: dict[str, Callable[[ObjectEvent], bool]] = {}
        self._held: dict[str, _HeldMessage] = {}

    def claim(self, name: str, is_claimed: Callable[[ObjectEvent], bool]) -> None:
        """Register which events a feed claims; call it before every `receive`.

        Args:
            name: of the feed.
            is_claimed: whether the feed claims an event; must be quick.
        """
        with self._lock:
            self._claims[name] = is_claimed
            for message in self._held.values():
                for event, claimant in message.claimants.items():
                    if claimant is None and is_claimed(event):
                        message.claimants[event] = name

    def receive(self, *, wait_seconds: float, seconds: float, limit: int = 1000) -> int:
        """Receive messages until the queue is empty, a limit is reached, or the time is up.

        Args:
            wait_seconds: how long to wait if the queue is empty (a long poll, 0 to 20).
            seconds: time for everything except that wait.
            limit: messages after which no further batch is received.

        Returns:
            The number of messages received.

        Raises:
            AccessDenied, NotFound, Throttled, Unavailable: AWS's answer, naming the queue.
        """
        self._forget_expired()
        started, received = time.monotonic(), 0
        wait = int(max(0, min(MAX_WAIT_SECONDS, wait_seconds)))
        while received < limit and len(self._held) < CAPACITY:
            with aws_call("sqs:ReceiveMessage", self.queue_url):
                response = self._sqs.receive_message(
                    QueueUrl=self.queue_url,
                    MaxNumberOfMessages=BATCH_SIZE,
                    VisibilityTimeout=self._visibility_seconds,
                    WaitTimeSeconds=wait,
                    MessageSystemAttributeNames=["SentTimestamp"],
                )
            if wait:
                started, wait = time.monotonic(), 0
            messages = response.get("Messages", [])
            self._hold(messages)
            received += len(messages)
            if not messages or time.monotonic() - started >= seconds:
                break
        self._delete_acknowledged()
        return received

    def unacknowledged(self, name: str) -> list[ReceivedEvent]:
        """The events that a feed claims and has not acknowledged yet."""
        self._forget_expired()
        with self._lock:
            return [
                ReceivedEvent(message_id, event, message.received_at)
                for message_id, message in self._held.items()
                for event, claimant in message.claimants.items()
                if claimant == name
            ]

    def acknowledge(self, events: Iterable[ReceivedEvent]) -> None:
        """Mark events as processed, and delete the messages that have no other events.

        Raises:
            AccessDenied, NotFound, Throttled, Unavailable: AWS's answer, naming the queue. A
                message that was not deleted is received again, which does no harm.
        """
        with self._lock:
            for received in events:
                if message := self._held.get(received.message_id):
                    message.claimants.pop(received.event, None)
        self._delete_acknowledged()

    def _hold(self, messages: Iterable[MessageTypeDef]) -> None:
        now = self._clock()
        for message in messages:
            message_id = message["MessageId"]
            try:
                events = parse_notification(message["Body"])
            except UnknownNotification as problem:
                # Left on the queue, so that its redrive policy moves it to the dead-letter queue.
                logger.warning("message %s on %s: %s", message_id, self.queue_url, problem)
                continue
            attributes: Mapping[Any, str] = message.get("Attributes", {})
            sent_at = int(attributes.get("SentTimestamp", now * 1000)) / 1000
            held = _HeldMessage(message["ReceiptHandle"], now, sent_at)
            with self._lock:
                for event in events:
                    held.claimants[event] = next(
                        (name for name, is_claimed in self._claims.items() if is_claimed(event)),
                        None,
                    )
                self._held[message_id] = held

    def _forget_expired(self) -> None:
        """Forget messages that are, or soon will be, visible to others again."""
        usable_seconds = max(1, self._visibility_seconds - RECEIPT_MARGIN_SECONDS)
        expired_before = self._clock() - usable_seconds
        with self._lock:
            self._held = {
                message_id: message
                for message_id, message in self._held.items()
                if message.received_at >= expired_before
            }

    def _delete_acknowledged(self) -> None:
        with self._lock:
            receipt_handles = {}
            for message_id, message in self._held.items():
                self._drop_unclaimed(message)
                if not message.claimants:
                    receipt_handles[message_id] = message.receipt_handle
            for message_id in receipt_handles:
                del self._held[message_id]
        entries = list(receipt_handles.items())
        for start in range(0, len(entries), BATCH_SIZE):
            batch = entries[start : start + BATCH_SIZE]
            with aws_call("sqs:DeleteMessage", self.queue_url):
                response = self._sqs.delete_message_batch(
                    QueueUrl=self.queue_url,
                    Entries=[
                        {"Id": str(number), "ReceiptHandle": receipt_handle}
                        for number, (_, receipt_handle) in enumerate(batch)
                    ],
                )
            for failed in response.get("Failed", []):
                logger.warning(
                    "message %s was not deleted from %s and will be received again: %s",
                    batch[int(failed["Id"])][0],
                    self.queue_url,
                    failed.get("Message") or failed.get("Code"),
                )

    def _drop_unclaimed(self, message: _HeldMessage) -> None:
        """Drop the events that no feed claims, once the message is old enough."""
        age_seconds = self._clock() - message.sent_at
        unclaimed = [event for event, claimant in message.claimants.items() if claimant is None]
        if not unclaimed or age_seconds < UNCLAIMED_SECONDS:
            return
        logger.warning(
            "no running feed claims s3://%s/%s; its notification of %.0f s ago is deleted",
            unclaimed[0].bucket,
            unclaimed[0].key,
            age_seconds,
        )
        for event in unclaimed:
            del message.claimants[event]
