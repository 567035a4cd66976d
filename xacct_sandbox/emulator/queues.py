"""Completes SQS: the redrive of dead letters, and the limits of a visibility timeout.

SQS API reference, StartMessageMoveTask and ChangeMessageVisibility. A redrive ends at once, so that
there is never one to list or to cancel. aws-claims: sqs-redrive, sqs-visibility-can-be-changed
"""

from __future__ import annotations

import functools
import json
import time
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from xacct_sandbox.emulator.loader import Emulator

MAX_VISIBILITY_SECONDS = 43200
Request = Mapping[str, Any]
Queue = dict[str, Any]


def patch_queues(emulator: Emulator) -> None:
    """Installs the patches of this module."""
    handlers = emulator.sqs._HANDLERS
    handlers["StartMessageMoveTask"] = functools.partial(_move, emulator)
    change = "ChangeMessageVisibility"
    handlers[change] = _within_limits(emulator, handlers[change])


def _within_limits(emulator: Emulator, handler: Callable[..., Any]) -> Callable[..., Any]:
    def checked(data: Request, queue_url: str) -> Any:
        seconds = int(data.get("VisibilityTimeout", 0))
        if not 0 <= seconds <= MAX_VISIBILITY_SECONDS:
            raise emulator.sqs._Err(
                "InvalidParameterValue",
                f"Value {seconds} for parameter VisibilityTimeout is invalid. Reason: Must be "
                f"between 0 and {MAX_VISIBILITY_SECONDS}, if provided.",
            )
        return handler(data, queue_url)

    return checked


def sources_of(emulator: Emulator, dead_letters: str) -> list[str]:
    """ARNs of the queues whose dead letters go to this queue."""
    found = []
    for queue in emulator.sqs._queues.values():
        policy = queue["attributes"].get("RedrivePolicy")
        if policy and json.loads(policy).get("deadLetterTargetArn") == dead_letters:
            found.append(str(queue["attributes"]["QueueArn"]))
    return sorted(found)


def _move(emulator: Emulator, data: Request, _queue_url: str) -> dict[str, str]:
    """StartMessageMoveTask: a letter goes back where it comes from, or to the queue given."""
    sqs = emulator.sqs
    source, destination = str(data.get("SourceArn") or ""), data.get("DestinationArn")
    letters = _queue(emulator, source)
    if not sources_of(emulator, source):
        raise sqs._Err(
            "InvalidParameterValue", "Source queue must be configured as a Dead Letter Queue."
        )
    kept: list[Queue] = []
    now = time.time()
    for message in letters["messages"]:
        target = destination or message["sys"].get("DeadLetterQueueSourceArn")
        queue = sqs._queue_by_arn(target) if target else None
        if queue is None or message["visible_at"] > now:
            kept.append(message)
            continue
        # "the redriven messages are considered as new messages" (StartMessageMoveTask).
        fresh = {"receipt_handle": None, "receive_count": 0, "visible_at": now, "enqueued_at": now}
        queue["messages"].append({**message, **fresh, "sys": {**message["sys"]}})
    letters["messages"] = kept
    emulator.snapshots.mark(["sqs"])
    return {"TaskHandle": str(uuid.uuid4())}


def _queue(emulator: Emulator, arn: str) -> Queue:
    queue: Queue | None = emulator.sqs._queue_by_arn(arn)
    if queue is None:
        raise emulator.sqs._Err(
            "ResourceNotFoundException", "The resource that you specified doesn't exist."
        )
    return queue
