"""Days as folders, as partition values, as ranges."""

from datetime import UTC, date, datetime

import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.partitions import (
    by_text,
    contiguous,
    daily_partitions,
    describe_outside,
    in_words,
    inside_days,
    outside_days,
    parse_range,
)
from xacct_assets.feed.spec import FeedSpec

TODAY = date(2026, 3, 5)


@pytest.mark.parametrize(("ahead", "last"), [(0, "2026-03-05"), (1, "2026-03-06")])
def test_partitions_reach_as_far_ahead_as_the_sensor_looks(ahead: int, last: str) -> None:
    # Dagster caches the last partition of equal definitions, so these are like no others.
    feed = load_feed("products").model_copy(update={"start_date": f"2025-12-2{ahead}"})
    feed.arrival.days_ahead = ahead
    partitions = daily_partitions(feed)
    now = datetime(2026, 3, 5, 0, 30, tzinfo=UTC)
    with partition_loading_context(now):
        assert partitions.get_last_partition_key() == last
    assert partitions.get_first_partition_key() == feed.start_date


def test_days_are_grouped_into_ranges_without_gaps() -> None:
    days = [date(2026, 1, n) for n in (5, 1, 2, 3, 3)] + [date(2026, 2, 1), date(2026, 1, 31)]
    assert contiguous(days) == [
        (date(2026, 1, 1), date(2026, 1, 3)),
        (date(2026, 1, 5), date(2026, 1, 5)),
        (date(2026, 1, 31), date(2026, 2, 1)),
    ]
    assert in_words(days) == "2026-01-01 to 2026-01-03, 2026-01-05, 2026-01-31 to 2026-02-01"


@pytest.mark.parametrize(
    ("text", "first", "last"),
    [
        ("2026-01-31", date(2026, 1, 31), date(2026, 1, 31)),
        ("2026-01-31...2026-02-02", date(2026, 1, 31), date(2026, 2, 2)),
    ],
)
def test_a_day_or_a_range_is_understood(text: str, first: date, last: date) -> None:
    assert parse_range(text) == (first, last)


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("yesterday", "neither a day"),
        ("2026-02-30", "neither a day"),
        ("20260131", "neither a day"),
        ("2026-W05-6", "neither a day"),
        ("2026-01-31 ", "neither a day"),
        ("٢٠٢٦-01-31", "neither a day"),
        ("2026-01-31...", "neither a day"),
        ("...2026-01-31", "neither a day"),
        ("2026-01-01..2026-01-31", "neither a day"),
        ("2026-01-01....2026-01-31", "neither a day"),
        ("2026-01-02...2026-01-01", "ends before it starts; give 2026-01-01...2026-01-02"),
    ],
)
def test_anything_else_is_refused_by_name(text: str, reason: str) -> None:
    with pytest.raises(ValueError, match=reason) as refused:
        parse_range(text)
    assert repr(text) in str(refused.value)


@pytest.mark.parametrize(
    ("asked", "inside", "outside"),
    [
        ("2026-01-01", "2026-01-01", ""),
        ("2026-03-06", "2026-03-06", ""),
        ("2025-12-31", "", "2025-12-31"),
        ("2026-03-07", "", "2026-03-07"),
        ("2025-12-30...2026-01-02", "2026-01-01 to 2026-01-02", "2025-12-30 to 2025-12-31"),
        ("2026-03-05...2026-03-08", "2026-03-05 to 2026-03-06", "2026-03-07 to 2026-03-08"),
        ("0001-01-01...0001-01-02", "", "0001-01-01 to 0001-01-02"),
        (
            "2025-12-31...9999-12-31",
            "2026-01-01 to 2026-03-06",
            "2025-12-31, 2026-03-07 to 9999-12-31",
        ),
    ],
)
def test_days_before_the_feed_and_too_far_ahead_are_told_from_its_own(
    feed: FeedSpec, asked: str, inside: str, outside: str
) -> None:
    ranges = [parse_range(asked)]
    assert in_words(inside_days(feed, ranges, TODAY)) == inside
    others = outside_days(feed, ranges, TODAY)
    assert bool(others) == bool(outside)
    if outside:
        verb = "is not a day" if outside in (asked, "2026-03-07") else "are not days"
        assert describe_outside(feed, others, TODAY) == (
            f"{outside} {verb} of feed products (it starts 2026-01-01 and its last day is "
            "2026-03-06)"
        )


def test_a_feed_that_starts_later_has_no_day_yet(feed: FeedSpec) -> None:
    later = feed.model_copy(update={"start_date": "2027-01-01"})
    asked = [(TODAY, TODAY)]
    assert inside_days(later, asked, TODAY) == []
    assert "(it starts 2027-01-01 and has no day yet)" in describe_outside(
        later, outside_days(later, asked, TODAY), TODAY
    )


def test_what_is_said_of_many_days_is_said_once() -> None:
    days = [date(2026, 1, n) for n in range(1, 31)]
    assert by_text(dict.fromkeys(days, "no file")) == "2026-01-01 to 2026-01-30: no file"
    line = by_text({day: f"reason {day.day}" for day in days})
    assert line.startswith("2026-01-01: reason 1; 2026-01-02: reason 2; ")
    assert line.endswith("; 2026-01-06 to 2026-01-30: see their own events")
