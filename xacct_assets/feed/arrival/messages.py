"""What a tick of the arrival sensor says to people."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from typing import TYPE_CHECKING

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.feed.arrival.policy import Policy
from xacct_assets.feed.arrival.tick import TickOutcome
from xacct_assets.feed.partitions import in_words
from xacct_assets.feed.raw_files import describe_unmatched

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec

# Days named in a tick's message. The counts are always complete.
DAYS_SHOWN = 5


def describe_emptied(feed: FeedSpec, days: Sequence[date]) -> str:
    """The warning about days whose raw files were all deleted."""
    lifecycle = (
        "If a lifecycle rule deletes them, set source.retention_days in the feed's defs.yaml. "
        if feed.source.retention_days is None
        else ""
    )
    return (
        f"All raw files of {feed.name} for {in_words(days)} were deleted since they were "
        f"requested. What was loaded and exported stays as it is. {lifecycle}If a day is to be "
        "empty, delete its rows by hand. If not, upload its files again: the day is requested if "
        "they changed."
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


def describe_other_days(policy: Policy, keys: Mapping[str, date]) -> str:
    """The warning about notifications of days that are not requested.

    Args:
        keys: of the files, at least one, with the days that their folders name.
    """
    return (
        f"{len(keys)} changed files (the first is {next(iter(keys))}) are of days that the sensor "
        f"of {policy.feed} does not request: {in_words(keys.values())}. It requests "
        f"{policy.first_day} to {policy.last_day}: from start_date, or as far back as "
        "source.retention_days keeps raw files, to arrival.days_ahead. Set an earlier start_date, "
        "move files that are in the wrong folder, or, for a day whose files have expired, "
        "materialize it once all of its files are there again."
    )
