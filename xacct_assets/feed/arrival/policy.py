"""The settings of a tick: which days it lists, when a day is complete, how days become runs."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, timedelta

from xacct_assets.contract.days import DayFolders
from xacct_assets.contract.file_patterns import FilePatterns

# Maximum of MaxKeys (ListObjectsV2).
PAGE_SIZE = 1000


@dataclass(frozen=True)
class Policy:
    """The settings of a tick. Times are in seconds, days are UTC days.

    Attributes:
        feed: name of the feed; starts its run keys.
        folders: the day folders of the feed.
        patterns: which files below a day's folder belong to the feed.
        first_day, last_day: first and last partition that may have files; other days are ignored.
        days_back, days_ahead: the window around today.
        settle_seconds, min_files, marker: when a day is complete.
        window_every_seconds: interval at which the whole window is listed; 0 = at every tick.
        sweep_days_back: how many days before today the sweep covers; 0 = no sweep.
        sweep_every_seconds, sweep_days: the sweep's interval, and the days it lists each time.
        range_from_days: this many consecutive days that are complete at the same time become one
            run; fewer become one run each.
        max_days_per_run: maximum of days in one run.
        max_runs_per_tick: maximum of runs requested by one tick; further days wait for the next.
        tick_seconds: time for listing in one tick.
        page_size: keys per page of a listing.
    """

    feed: str
    folders: DayFolders
    patterns: FilePatterns
    first_day: date
    last_day: date
    days_back: int = 7
    days_ahead: int = 1
    settle_seconds: int = 60
    min_files: int = 1
    marker: str | None = None
    window_every_seconds: int = 0
    sweep_days_back: int = 90
    sweep_every_seconds: int = 60
    sweep_days: int = 5
    range_from_days: int = 4
    max_days_per_run: int = 31
    max_runs_per_tick: int = 20
    tick_seconds: float = 20.0
    page_size: int = PAGE_SIZE

    def window(self, today: date) -> list[date]:
        """The days around today, newest first."""
        first = max(self.first_day, today - timedelta(days=self.days_back))
        last = min(self.last_day, today + timedelta(days=self.days_ahead))
        return _newest_first(first, last)

    def sweep(self, today: date) -> list[date]:
        """The days before the window that the sweep covers, newest first."""
        first = max(self.first_day, today - timedelta(days=self.sweep_days_back))
        last = min(self.last_day, today - timedelta(days=self.days_back + 1))
        return _newest_first(first, last)

    def has_partition(self, day: date) -> bool:
        """Whether the feed has a partition for the day."""
        return self.first_day <= day <= self.last_day

    def is_data_file(self, prefix: str, key: str) -> bool:
        """Whether a key below a day's prefix is one of the feed's data files."""
        return self.patterns.is_data_file(key[len(prefix) :])

    def is_unmatched(self, prefix: str, key: str) -> bool:
        """Whether a key below a day's prefix is a file that no pattern matches."""
        return self.patterns.is_unmatched(key[len(prefix) :])

    def marker_key(self, prefix: str) -> str | None:
        """Key of the marker below a day's prefix; None if the feed has no marker."""
        return None if self.marker is None else prefix + self.marker


def _newest_first(first: date, last: date) -> list[date]:
    return [last - timedelta(days=back) for back in range((last - first).days + 1)]
