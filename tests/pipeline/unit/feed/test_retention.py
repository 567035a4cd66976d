"""Days whose raw files have expired, by the feed's own setting."""

from datetime import date, timedelta

import pytest

from xacct_assets.feed.retention import first_kept_day, retention_of
from xacct_assets.feed.spec import FeedSpec

TODAY = date(2026, 6, 30)


def with_retention(feed: FeedSpec, days: int | None, ahead: int = 1) -> FeedSpec:
    values = feed.model_dump(exclude_unset=True)
    values["source"]["retention_days"] = days
    values["arrival"] = {"days_ahead": ahead}
    return FeedSpec.model_validate(values)


def expires_on(written: date, days: int) -> date:
    """The day at whose first moment S3 deletes a file: 2020-01-01 and 3 days give 2020-01-05."""
    return written + timedelta(days=days + 1)


def test_by_default_files_are_kept_for_ever(feed: FeedSpec) -> None:
    assert first_kept_day(feed, TODAY) is None
    assert not retention_of(feed, date(2026, 1, 1), TODAY).is_over


@pytest.mark.parametrize("ahead", [0, 1, 3])
@pytest.mark.parametrize("days", [5, 30, 90])
def test_a_day_is_kept_as_long_as_its_earliest_file(feed: FeedSpec, days: int, ahead: int) -> None:
    kept = with_retention(feed, days, ahead)
    for back in range(1, 100):
        day = TODAY - timedelta(days=back)
        earliest = day - timedelta(days=ahead)
        is_deleted = expires_on(earliest, days) <= TODAY
        assert retention_of(kept, day, TODAY).is_over == is_deleted
