"""What a tick of the arrival sensor says to people."""

from __future__ import annotations

from collections.abc import Sequence

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.feed.arrival.decision import EmptiedDay
from xacct_assets.feed.arrival.tick import TickOutcome
from xacct_assets.feed.raw_files import describe_unmatched
from xacct_assets.feed.spec import FeedSpec

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


def describe_unmatched_days(feed: FeedSpec, outcome: TickOutcome) -> list[str]:
    """One text for each listed day with files that no pattern matches, newest day first."""
    days = sorted(outcome.unmatched.items(), reverse=True)
    texts = [f"{day}: {describe_unmatched(feed, files)}" for day, files in days[:DAYS_SHOWN]]
    if len(days) > DAYS_SHOWN:
        texts.append(f"{len(days) - DAYS_SHOWN} more days have files that no pattern matches")
    return texts


def describe_no_requests(
    outcome: TickOutcome, failures: Sequence[AwsFailure], unmatched: Sequence[str]
) -> str:
    """Why a tick requests no run: what was listed, which days wait and until when.

    Args:
        outcome: of the tick.
        failures: what could not be listed or received.
        unmatched: from `describe_unmatched_days`.
    """
    parts = [
        f"Nothing to request: listed {outcome.days} days ({outcome.objects} objects, "
        f"{outcome.pages} pages)"
    ]
    waiting = sorted(outcome.waiting.items(), reverse=True)
    parts += [f"{day} waits: {reason}" for day, reason in waiting[:DAYS_SHOWN]]
    if len(waiting) > DAYS_SHOWN:
        parts.append(f"{len(waiting) - DAYS_SHOWN} more days wait")
    parts += unmatched
    if failures:
        parts.append(f"{len(failures)} failures, see the log: {failures[0].what}")
    return "; ".join(parts)
