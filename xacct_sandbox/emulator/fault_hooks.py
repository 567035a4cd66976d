# ruff: noqa: SLF001 -- reaching into the emulator is what this package is for
"""What a planned fault does inside the emulator: to an object, to a queue."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from xacct_sandbox.emulator.loader import booted
from xacct_sandbox.emulator.requests import acting_in


def object_exists(bucket: str, key: str) -> bool:
    """Whether S3 has the object, in whichever account."""
    emulator = booted()
    owner = emulator.s3._bucket_owner_account(bucket)
    if owner is None:
        return False
    with acting_in(owner):
        found = emulator.s3._buckets.get(bucket)
        return found is not None and key in found["objects"]


def replace_object(bucket: str, key: str, body: bytes) -> None:
    """Put other bytes in the place of an object, as its bucket's owner would."""
    emulator = booted()
    with acting_in(emulator.s3._bucket_owner_account(bucket)):
        status, _, answer = emulator.s3._put_object(bucket, key, body, {})
    if status != 200:
        raise RuntimeError(f"{bucket}/{key} cannot be replaced: {answer!r}")
    emulator.snapshots.mark(["s3"])


def disturb_queues(
    armed: Callable[[], bool], decide: Callable[[str, int], tuple[str, float] | None]
) -> None:
    """Let ReceiveMessage on standard queues deliver twice, or in the wrong order.

    Args:
        armed: whether that may happen at all just now.
        decide: given a queue's name and how many of its messages can be delivered now, what
            happens to this delivery, (kind, seconds); called only if there is one.
    """
    sqs = booted().sqs
    collect = sqs._collect_msgs

    def collected(queue: dict[str, Any], most: int, visibility: int) -> list[dict[str, Any]]:
        if queue["is_fifo"] or not armed():
            return list(collect(queue, most, visibility))
        now = time.time()
        waiting = [item for item in queue["messages"] if item["visible_at"] <= now]
        kind, seconds = (waiting and decide(queue["name"], len(waiting))) or ("", 0.0)
        if kind == "reordered_notification":
            places = [n for n, item in enumerate(queue["messages"]) if item in waiting]
            for place, item in zip(places, reversed(waiting), strict=True):
                queue["messages"][place] = item
        delivered = list(collect(queue, most, visibility))
        if kind == "duplicate_notification":
            # One server of the queue did not hear of the delivery, and will not of the deletion.
            again = {"receipt_handle": None, "visible_at": now + seconds}
            queue["messages"] += [{**item, **again} for item in delivered]
        return delivered

    sqs._collect_msgs = collected
