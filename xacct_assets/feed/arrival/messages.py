"""What a tick of the arrival sensor says to people."""

from __future__ import annotations

from collections.abc import Sequence

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.feed.arrival.decision import EmptiedDay
from xacct_assets.feed.arrival.tick import TickOutcome

# Days named in a tick's message. The counts are always complete.
DAYS_SHOWN = 5


def describe_emptied(feed: str, emptied: EmptiedDay) -> str:
    """The warning about a day whose raw files were all deleted."""
    return (
        f"All raw files of {feed} for {emptied.day} were deleted since the day was requested. Its "
        "rows and its export stay as they are. If the day is to be empty, delete its rows by hand. "
        "If not, upload its files again: the day is requested if they changed."
    )


def describe_failures(feed: str, failures: Sequence[AwsFailure]) -> str:
    """The error of a tick that learned nothing; there is at least one failure."""
    others = f"\n({len(failures) - 1} more failures are in the log.)" if len(failures) > 1 else ""
    return f"The sensor of {feed} could not look for arrivals. {failures[0]}{others}"


def describe_no_requests(outcome: TickOutcome, failures: Sequence[AwsFailure]) -> str:
    """Why a tick requests no run: what was listed, which days wait and until when."""
    parts = [
        f"Nothing to request: listed {outcome.days} days ({outcome.objects} objects, "
        f"{outcome.pages} pages)"
    ]
    waiting = sorted(outcome.waiting.items(), reverse=True)
    parts += [f"{day} waits: {reason}" for day, reason in waiting[:DAYS_SHOWN]]
    if len(waiting) > DAYS_SHOWN:
        parts.append(f"{len(waiting) - DAYS_SHOWN} more days wait")
    if failures:
        parts.append(f"{len(failures)} failures, see the log: {failures[0].what}")
    return "; ".join(parts)
