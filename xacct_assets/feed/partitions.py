"""Days as the partitions of a feed: which there are, how people name them, ranges of them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import dagster as dg

    from xacct_assets.feed.spec import FeedSpec

# Commands that execute the run in their own process: `dg launch`, `dagster asset materialize`.
LAUNCHING_COMMANDS = ("launch", "materialize")

# Different texts that a message about many days shows.
TEXTS_SHOWN = 5

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}", re.ASCII)

#: The first and the last of consecutive days.
DayRange = tuple[date, date]


def parse_day(key: str) -> date:
    """The day of a partition key such as ``2026-01-31``."""
    return date.fromisoformat(key)


def parse_range(text: str) -> DayRange:
    """A day, or a range of days, as people give it: ``2026-01-31``, ``2026-01-01...2026-01-31``.

    Raises:
        ValueError: it is neither, or the range ends before it starts; the message says so.
    """
    first, dots, last = text.partition("...")
    try:
        start, end = (_day(part) for part in (first, last if dots else first))
    except ValueError:
        raise ValueError(
            f"{text!r} is neither a day (2026-01-31) nor a range (2026-01-01...2026-01-31)"
        ) from None
    if end < start:
        raise ValueError(f"{text!r} ends before it starts; give {end}...{start}")
    return start, end


def _day(text: str) -> date:
    if not _DAY.fullmatch(text):
        raise ValueError(text)
    return date.fromisoformat(text)


def today_utc() -> date:
    """Today, as the partitions have it."""
    return datetime.now(UTC).date()


def last_day(feed: FeedSpec, today: date) -> date:
    """The feed's last partition: as far ahead as the sensor looks.

    Files land during their day, so its partition must exist before the day is over. Files from a
    time zone ahead of UTC land before the day begins.
    """
    return today + timedelta(days=feed.arrival.days_ahead)


def daily_partitions(feed: FeedSpec) -> dg.DailyPartitionsDefinition:
    """The feed's partitions: UTC days from its start to `last_day`."""
    import dagster as dg

    return dg.DailyPartitionsDefinition(
        start_date=feed.start_date, timezone="UTC", end_offset=1 + feed.arrival.days_ahead
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


def inside_days(feed: FeedSpec, ranges: Iterable[DayRange], today: date) -> list[date]:
    """The days of the ranges that are partitions of the feed, in order."""
    last = last_day(feed, today)
    return days_of((max(start, feed.start), min(end, last)) for start, end in ranges)


def outside_days(feed: FeedSpec, ranges: Iterable[DayRange], today: date) -> list[DayRange]:
    """The parts of the ranges that are no partitions of the feed."""
    before, after = feed.start - timedelta(days=1), last_day(feed, today) + timedelta(days=1)
    if after <= feed.start:
        return list(ranges)
    outside = []
    for start, end in ranges:
        outside += [(start, min(end, before)), (max(start, after), end)]
    return [(start, end) for start, end in outside if start <= end]


def describe_outside(feed: FeedSpec, ranges: Sequence[DayRange], today: date) -> str:
    """Says of days that they are no partitions of the feed, and which days are.

    Args:
        ranges: as `outside_days` returns them; at least one.
    """
    one = len(ranges) == 1 and ranges[0][0] == ranges[0][1]
    return (
        f"{ranges_in_words(ranges)} {'is not a day' if one else 'are not days'} of feed "
        f"{feed.name} ({describe_days(feed, today)})"
    )


def describe_days(feed: FeedSpec, today: date) -> str:
    """Says which days the feed has."""
    last = last_day(feed, today)
    end = f"its last day is {last}" if feed.start <= last else "has no day yet"
    return f"it starts {feed.start} and {end}"


def contiguous(days: Iterable[date]) -> list[DayRange]:
    """The days as inclusive ranges without gaps, in order."""
    ranges: list[DayRange] = []
    for day in sorted(set(days)):
        if ranges and day - ranges[-1][1] == timedelta(days=1):
            ranges[-1] = (ranges[-1][0], day)
        else:
            ranges.append((day, day))
    return ranges


def days_of(ranges: Iterable[DayRange]) -> list[date]:
    """Every day of the ranges once, in order."""
    return sorted(
        {start + timedelta(days=n) for start, end in ranges for n in range((end - start).days + 1)}
    )


def batched(days: Sequence[date], size: int) -> Iterator[Sequence[date]]:
    """The days in batches of at most this many."""
    for start in range(0, len(days), size):
        yield days[start : start + size]


def in_words(days: Iterable[date]) -> str:
    """The days for a message: ``2026-01-01 to 2026-01-03, 2026-01-07``."""
    return ranges_in_words(contiguous(days))


def ranges_in_words(ranges: Iterable[DayRange]) -> str:
    """The ranges for a message, as `in_words` has them."""
    return ", ".join(
        str(first) if first == last else f"{first} to {last}" for first, last in ranges
    )


def by_text(texts: Mapping[date, str]) -> str:
    """What is said of days, in one line: each text once, with the days that it is about."""
    groups = grouped(texts)
    shown = [f"{in_words(days)}: {text}" for text, days in groups[:TEXTS_SHOWN]]
    if others := [day for _, days in groups[TEXTS_SHOWN:] for day in days]:
        shown.append(f"{in_words(others)}: see their own events")
    return "; ".join(shown)


def grouped(texts: Mapping[date, str]) -> list[tuple[str, list[date]]]:
    """Each text once, with the days that it is about, in the order of the first of them."""
    days: dict[str, list[date]] = {}
    for day, text in sorted(texts.items()):
        days.setdefault(text, []).append(day)
    return list(days.items())
