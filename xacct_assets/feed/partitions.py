"""Days as the partitions of a feed: which there are, how many a run covers, ranges of them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

    from xacct_assets.feed.spec import FeedSpec


# Commands that execute the run in their own process: `dg launch`, `dagster asset materialize`.
LAUNCHING_COMMANDS = ("launch", "materialize")


def parse_day(key: str) -> date:
    """The day of a partition key such as ``2026-01-31``."""
    return date.fromisoformat(key)


def daily_partitions(feed: FeedSpec) -> dg.DailyPartitionsDefinition:
    """The feed's partitions: UTC days from its start to as far ahead as the sensor looks."""
    import dagster as dg

    # Files land during their day, so its partition must exist before the day is over. Files from a
    # time zone ahead of UTC land before the day begins.
    end_offset = 1 + feed.arrival.days_ahead
    return dg.DailyPartitionsDefinition(
        start_date=feed.start_date, timezone="UTC", end_offset=end_offset
    )


def backfill_policy(feed: FeedSpec) -> dg.BackfillPolicy:
    """How many days a run covers: up to ``max_days_per_run``.

    ``dg launch --partition-range`` executes a single run and refuses assets whose policy splits the
    range. There the whole range is one run.
    """
    import click
    import dagster as dg

    command = click.get_current_context(silent=True)
    if command is not None and command.info_name in LAUNCHING_COMMANDS:
        return dg.BackfillPolicy.single_run()
    return dg.BackfillPolicy.multi_run(feed.max_days_per_run)


def contiguous(days: Iterable[date]) -> list[tuple[date, date]]:
    """The days as inclusive ranges without gaps, in order."""
    ranges: list[tuple[date, date]] = []
    for day in sorted(set(days)):
        if ranges and day - ranges[-1][1] == timedelta(days=1):
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges


def batched(days: Sequence[date], size: int) -> Iterator[Sequence[date]]:
    """The days in batches of at most this many."""
    for start in range(0, len(days), size):
        yield days[start : start + size]


def in_words(days: Sequence[date]) -> str:
    """The days for a message: ``2026-01-01 to 2026-01-03, 2026-01-07``."""
    return ", ".join(
        str(first) if first == last else f"{first} to {last}" for first, last in contiguous(days)
    )
