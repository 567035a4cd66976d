"""The runs that a tick requests: which days go into which run, and under which run key."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from xacct_assets.feed.arrival.policy import Policy
from xacct_assets.feed.partitions import contiguous


@dataclass(frozen=True, slots=True)
class DayRequest:
    """A day to be processed.

    Attributes:
        day: the day.
        fingerprint: of the files that are there.
        request_number: 1 for the first request of the day, then counting.
        file_count: the day's files.
    """

    day: date
    fingerprint: str
    request_number: int
    file_count: int


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run to be launched, for one day or for several consecutive days in order."""

    days: tuple[DayRequest, ...]

    def run_key(self, feed: str) -> str:
        """The run key: feed, day, fingerprint and request number.

        Dagster silently drops a run request whose run key was ever used. The request number is
        above that of every earlier run of the day, so A -> B -> A gives three keys and a new
        request never has a used key. The key depends on the run history alone: two ticks that
        decide the same thing from the same history give the same key, and Dagster rightly drops
        the second.
        """
        first, last = self.days[0], self.days[-1]
        if first is last:
            return f"{feed}/{first.day}/{first.fingerprint}/{first.request_number}"
        digest = hashlib.blake2b(digest_size=12)
        for day in self.days:
            digest.update(f"{day.day}/{day.fingerprint}/{day.request_number};".encode())
        return f"{feed}/{first.day}...{last.day}/{digest.hexdigest()}"


def plan_runs(policy: Policy, requests: Mapping[date, DayRequest]) -> list[PlannedRun]:
    """Arrange days in runs.

    Returns:
        The runs, newest day first: today's data is more urgent than a backlog.
    """
    runs: list[PlannedRun] = []
    for first, last in contiguous(requests):
        days = [requests[first + timedelta(days=ahead)] for ahead in range((last - first).days + 1)]
        size = policy.max_days_per_run if len(days) >= policy.range_from_days else 1
        runs.extend(
            PlannedRun(tuple(days[start : start + size])) for start in range(0, len(days), size)
        )
    return sorted(runs, key=lambda run: run.days[-1].day, reverse=True)
