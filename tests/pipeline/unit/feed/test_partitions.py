"""Days as folders, as partition values, as ranges."""

from datetime import UTC, date, datetime

import pytest
from dagster._core.definitions.partitions.context import partition_loading_context

from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.partitions import (
    contiguous,
    daily_partitions,
    in_words,
)


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
