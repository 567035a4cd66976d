"""What planned faults do inside the emulator: replace an object, change a queue's deliveries."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from xacct_sandbox.emulator.loader import booted
from xacct_sandbox.emulator.requests import acting_in


def object_exists(bucket: str, key: str) -> bool:
    """Whether an object exists, in either account."""
    emulator = booted()
    owner = emulator.s3._bucket_owner_account(bucket)
    if owner is None:
        return False
    with acting_in(owner):
        record = emulator.s3._buckets.get(bucket)
        return record is not None and key in record["objects"]


def replace_object(bucket: str, key: str, body: bytes) -> None:
    """Replaces the content of an object, as the owner of its bucket."""
    emulator = booted()
    with acting_in(emulator.s3._bucket_owner_account(bucket)):
        status, _, answer = emulator.s3._put_object(bucket, key, body, {})
    if status != 200:
        raise RuntimeError(f"{bucket}/{key} cannot be replaced: {answer!r}")
    emulator.snapshots.mark(["s3"])


def patch_queue_delivery(
    armed: Callable[[], bool], decide: Callable[[str, int], tuple[str, float] | None]
) -> None:
    """Makes ReceiveMessage on standard queues deliver messages twice or out of order.

    Args:
        armed: returns whether that may happen at the moment.
        decide: gets the name of a queue and the number of its visible messages, if there are any.
            Returns the fault of this delivery, if any, as (kind, seconds).
    """
    sqs = booted().sqs
    collect = sqs._collect_msgs

    def collect_with_faults(
        queue: dict[str, Any], max_messages: int, visibility: int
    ) -> list[dict[str, Any]]:
        if queue["is_fifo"] or not armed():
            return list(collect(queue, max_messages, visibility))
        now = time.time()
        visible = [item for item in queue["messages"] if item["visible_at"] <= now]
        kind, seconds = (visible and decide(queue["name"], len(visible))) or ("", 0.0)
        if kind == "reordered_notification":
            positions = [n for n, item in enumerate(queue["messages"]) if item in visible]
            for position, item in zip(positions, reversed(visible), strict=True):
                queue["messages"][position] = item
        delivered = list(collect(queue, max_messages, visibility))
        if kind == "duplicate_notification":
            # SQS stores copies on several servers; a copy on a server that missed the delete is
            # delivered again ("At-least-once delivery" in the SQS developer guide).
            copy = {"receipt_handle": None, "visible_at": now + seconds}
            queue["messages"] += [{**item, **copy} for item in delivered]
        return delivered

    sqs._collect_msgs = collect_with_faults
