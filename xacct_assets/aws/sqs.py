"""S3 notifications from an SQS queue, deleted once the objects that they name are processed.

Notifications are delivered at least once and in no order. They only say which object changed, so
that duplicates and late ones do no harm, but none may be deleted too early. A message stays on the
queue, invisible, until it is processed. If this process dies, the message becomes visible again
after its visibility timeout, with a new receipt; receipts are therefore kept in memory only.

One queue may serve several feeds, whose sensors run in one process: each message is handed to the
feed that claims it, whichever sensor received it.

Facts: S3 URL-encodes keys in its notifications (a space is ``+``); a test event, without records,
is sent when the notification is set up. EventBridge wraps one object per message and leaves its key
as it is. SNS wraps the text in its own envelope. A standard queue keeps up to 120,000 messages in
flight; a receipt is valid until the visibility timeout ends or the message is received again.
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

logger = logging.getLogger(__name__)

#: Messages that SQS returns, or deletes, in one call at most.
BATCH = 10
#: Longest long poll that SQS allows, in seconds.
LONGEST_WAIT = 20
#: Messages held in memory at most; more stay on the queue until some are processed.
CAPACITY = 5_000
#: Seconds after which a message that no feed claims is deleted. A sensor that is just starting may
#: claim it until then.
UNCLAIMED_SECONDS = 3600
#: Seconds before the end of its visibility timeout from which a receipt is not used any more.
RECEIPT_MARGIN = 10


@dataclass(frozen=True, slots=True)
class ObjectNotice:
    """An object that was written or removed."""

    bucket: str
    key: str


@dataclass(frozen=True, slots=True)
class Notice:
    """An `ObjectNotice` as it was received.

    Attributes:
        message_id: id of its message.
        received: when, in seconds since 1970. A listing made later includes the change.
    """

    message_id: str
    object: ObjectNotice
    received: float


class UnknownNotification(ValueError):
    """The body of a message is no notification of S3, EventBridge or SNS."""


def read_notification(body: str) -> list[ObjectNotice]:
    """The objects that a message names; none for a test event.

    Raises:
        UnknownNotification: the body has another form; says which.
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
class _PendingMessage:
    receipt: str
    received: float
    sent: float
    # Objects still to be processed, and the feed that claims each (None: no feed does).
    open: dict[ObjectNotice, str | None] = field(default_factory=dict)


class Notifications:
    """One queue, shared by the feeds of this process. Safe to use from several threads.

    Args:
        sqs: boto3's ``sqs`` client.
        queue_url: the queue.
        visibility_seconds: how long a received message is invisible to others. It must cover a few
            ticks: a message is deleted one tick after its run was requested at the earliest.
        clock: returns seconds since 1970; for tests.
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
        self._visibility = visibility_seconds
        self._clock = clock
        self._lock = threading.Lock()
        self._claims: dict[str, Callable[[ObjectNotice], bool]] = {}
        self._pending: dict[str, _PendingMessage] = {}

    def claim(self, name: str, claims: Callable[[ObjectNotice], bool]) -> None:
        """Register which objects belong to a feed; call it before every `receive`.

        Args:
            name: of the feed.
            claims: whether an object belongs to it.
        """
        with self._lock:
            self._claims[name] = claims
            for pending in self._pending.values():
                for notice, owner in pending.open.items():
                    if owner is None and claims(notice):
                        pending.open[notice] = name

    def receive(self, *, wait_seconds: float, seconds: float, limit: int = 1000) -> int:
        """Receive messages; wait for a first one if the queue is empty.

        Args:
            wait_seconds: how long to wait if the queue is empty (a long poll, 0 to 20).
            seconds: time for further messages, after that wait.
            limit: messages to receive at most.

        Returns:
            The number of messages received.

        Raises:
            AccessDenied, NotFound, Throttled, Unavailable: naming the queue.
        """
        self._expire()
        began, taken = time.monotonic(), 0
        wait = int(max(0, min(LONGEST_WAIT, wait_seconds)))
        while taken < limit and len(self._pending) < CAPACITY:
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

    def claimed_by(self, name: str) -> list[Notice]:
        """The notices that a feed claims and has not processed yet."""
        self._expire()
        with self._lock:
            return [
                Notice(message_id, notice, pending.received)
                for message_id, pending in self._pending.items()
                for notice, owner in pending.open.items()
                if owner == name
            ]

    def mark_processed(self, notices: Iterable[Notice]) -> None:
        """Mark notices as processed, and delete messages that have no other notices.

        Raises:
            AccessDenied, NotFound, Throttled, Unavailable: naming the queue. A message that was not
                deleted is received again, which does no harm.
        """
        with self._lock:
            for notice in notices:
                if pending := self._pending.get(notice.message_id):
                    pending.open.pop(notice.object, None)
        self._delete_finished()

    def _take(self, messages: Iterable[Mapping[str, Any]]) -> None:
        now = self._clock()
        for message in messages:
            message_id = message["MessageId"]
            try:
                notices = read_notification(message["Body"])
            except UnknownNotification as problem:
                # Left on the queue, so that its redrive policy moves it to the dead-letter queue.
                logger.warning("message %s on %s: %s", message_id, self.queue_url, problem)
                continue
            sent = int(message.get("Attributes", {}).get("SentTimestamp", now * 1000)) / 1000
            pending = _PendingMessage(message["ReceiptHandle"], now, sent)
            with self._lock:
                for notice in notices:
                    pending.open[notice] = next(
                        (name for name, claims in self._claims.items() if claims(notice)), None
                    )
                self._pending[message_id] = pending

    def _expire(self) -> None:
        """Forget messages that are visible to others again."""
        until = self._clock() - max(1, self._visibility - RECEIPT_MARGIN)
        with self._lock:
            for message_id in [
                id_ for id_, pending in self._pending.items() if pending.received < until
            ]:
                del self._pending[message_id]

    def _take_finished(self) -> list[tuple[str, str]]:
        """Forget the messages that are to be deleted; id and receipt of each."""
        finished = []
        with self._lock:
            for message_id, pending in self._pending.items():
                self._drop_unclaimed(pending)
                if not pending.open:
                    finished.append((message_id, pending.receipt))
            for message_id, _ in finished:
                del self._pending[message_id]
        return finished

    def _drop_unclaimed(self, pending: _PendingMessage) -> None:
        age = self._clock() - pending.sent
        unclaimed = [notice for notice, feed in pending.open.items() if feed is None]
        if not unclaimed or age < UNCLAIMED_SECONDS:
            return
        logger.warning(
            "no feed that runs here claims s3://%s/%s; its notification of %.0f s ago is dropped",
            unclaimed[0].bucket,
            unclaimed[0].key,
            age,
        )
        for notice in unclaimed:
            del pending.open[notice]

    def _delete_finished(self) -> None:
        entries = self._take_finished()
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
