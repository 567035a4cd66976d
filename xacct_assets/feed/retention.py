"""How long a feed's raw files are kept, if a lifecycle rule deletes them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec


@dataclass(frozen=True)
class Retention:
    """The retention of one day's raw files.

    Attributes:
        days: how long files are kept; None if the feed does not say.
        is_over: whether some of the day's files may be deleted by now.
    """

    days: int | None = None
    is_over: bool = False


def first_kept_day(feed: FeedSpec, today: date) -> date | None:
    """The first day none of whose files has expired; None if they are kept for ever.

    A file that was written on day D and expires after N days is deleted from the midnight at which
    day D+N+1 begins, UTC (AWS re:Post, "S3 lifecycle rule delay"). The first files of a day may
    land ``arrival.days_ahead`` days before it.
    """
    days = feed.source.retention_days
    return None if days is None else today - timedelta(days=days - feed.arrival.days_ahead)


def retention_of(feed: FeedSpec, day: date, today: date) -> Retention:
    """The retention of a day's raw files."""
    first = first_kept_day(feed, today)
    return Retention(feed.source.retention_days, is_over=first is not None and day < first)
