"""What the pipeline needs around it: an empty dead-letter queue, and room on the disk."""

from __future__ import annotations

import shutil
from collections.abc import Iterable
from pathlib import Path

from xacct_assets.aws_clients import AwsClients
from xacct_assets.feed.alerts.alert import Alert, Kind
from xacct_assets.feed.spec import FeedSpec

#: Share of the disk of the Dagster instance above which it counts as nearly full.
FULL = 0.9


def dead_letters(feeds: Iterable[FeedSpec], aws: AwsClients) -> list[Alert]:
    """An alert for each dead-letter queue that holds messages.

    Raises:
        AwsFailure: a queue cannot be read.
    """
    queues = {aws.queue_name(feed) for feed in feeds if feed.arrival.mode == "events"}
    alerts = []
    for queue in sorted(queues):
        name, messages = aws.dead_letters(queue)
        if messages:
            alerts.append(
                Alert(
                    Kind.DEAD_LETTERS,
                    name,
                    f"about {messages} messages of {queue} could not be read as notifications of "
                    "S3 and were put aside",
                    "look at one (SQS console, Send and receive messages); S3 and EventBridge send "
                    f"others than these. If the sender is mended, redrive them to {queue}, else "
                    "purge them. No day is lost: the sensor lists the days too",
                )
            )
    return alerts


def full_disk(folder: Path) -> list[Alert]:
    """An alert if the disk that holds the folder, or would hold it, is nearly full."""
    # An instance with another storage makes its folder when it first needs it.
    there = next(path for path in (folder, *folder.absolute().parents) if path.exists())
    usage = shutil.disk_usage(there)
    if usage.used / (usage.used + usage.free) < FULL:
        return []
    return [
        Alert(
            Kind.DISK_FULL,
            str(folder),
            f"the disk of the Dagster instance has {usage.free / 1e9:.1f} GB left of "
            f"{usage.total / 1e9:.1f} GB",
            "make room: delete old runs (`dagster run delete`), shorten `retention` in "
            "dagster.yaml, or enlarge the disk; a full disk stops every run",
        )
    ]
