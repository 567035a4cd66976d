"""Lists a day's folder page by page, within the time of a tick.

A listing whose time is up stops between two pages. What it has seen so far is kept in a
`PartialListing`, and a later tick continues after the very key where it stopped.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Protocol

from xacct_assets.aws.s3.keys import KeySample
from xacct_assets.contract.fingerprint import NO_FILES, ListedObject, RollingHash
from xacct_assets.feed.arrival.cursor import PartialListing
from xacct_assets.feed.arrival.policy import Policy


class Lister(Protocol):
    """A bucket that is listed in pages."""

    def list_page(
        self, prefix: str, start_after: str | None, limit: int
    ) -> tuple[Sequence[ListedObject], bool]:
        """List one page.

        Args:
            prefix: of the keys.
            start_after: only keys that sort after this one; None for all.
            limit: maximum of objects.

        Returns:
            The objects by key, and whether there are more. If there are, the page is not empty.

        Raises:
            AwsFailure: the bucket cannot be listed.
        """
        ...


class TickClock:
    """The time within one tick.

    Args:
        started_at: when the tick started, in seconds since 1970.
        limit_seconds: time for listing.
        monotonic: a monotonic clock, in seconds.
    """

    def __init__(
        self, started_at: float, limit_seconds: float, monotonic: Callable[[], float]
    ) -> None:
        self._started_at = started_at
        self._limit_seconds = limit_seconds
        self._monotonic = monotonic
        self._start = monotonic()

    def now(self) -> float:
        """Seconds since 1970."""
        return self._started_at + (self._monotonic() - self._start)

    def is_expired(self) -> bool:
        """Whether the time for listing is up."""
        return self._monotonic() - self._start >= self._limit_seconds


@dataclass(frozen=True, slots=True)
class DayListing:
    """A day's folder as one complete listing shows it. Times are seconds since 1970.

    Attributes:
        fingerprint: of the day's files; `NO_FILES` if there are none.
        file_count: the day's files.
        newest_modified: LastModified of the newest file; 0 if there is none.
        marker_modified: LastModified of the day's marker; None if there is none.
        started_at: when the listing began. It shows every change made before.
        archived: those of the day's files that must be restored before they can be read.
        unmatched: other files, which no pattern matches.
    """

    fingerprint: str
    file_count: int
    newest_modified: int
    marker_modified: int | None
    started_at: float
    archived: KeySample = field(default_factory=KeySample)
    unmatched: KeySample = field(default_factory=KeySample)


class DayLister:
    """Lists day folders and counts what it lists.

    Attributes:
        days, pages, objects: what was listed so far.
    """

    def __init__(self, lister: Lister, policy: Policy, clock: TickClock) -> None:
        self._lister = lister
        self._policy = policy
        self._clock = clock
        self.days = self.pages = self.objects = 0

    def list_day(self, day: date, partial: PartialListing) -> DayListing | None:
        """List the day's folder, or continue to.

        Args:
            day: the day.
            partial: what earlier ticks have listed; updated after each page.

        Returns:
            The listing; None if the time is up, and ``partial`` tells where to continue.

        Raises:
            AwsFailure: a page cannot be listed; ``partial`` tells where to continue.
        """
        policy, prefix = self._policy, self._policy.folders.prefix(day)
        marker_key = policy.marker_key(prefix)
        rolling_hash, has_more = RollingHash(partial.digest), True
        while has_more:
            page, has_more = self._lister.list_page(
                prefix, partial.start_after or None, policy.page_size
            )
            self.pages += 1
            self.objects += len(page)
            for item in page:
                modified = math.floor(item.last_modified.timestamp())
                if item.key == marker_key:
                    partial.marker_modified = modified
                elif policy.is_data_file(prefix, item.key):
                    rolling_hash.add(item)
                    partial.file_count += 1
                    partial.newest_modified = max(partial.newest_modified, modified)
                    if item.archive:
                        partial.archived.add(item.key[len(prefix) :])
                elif policy.is_unmatched(prefix, item.key):
                    partial.unmatched.add(item.key[len(prefix) :])
            if has_more:
                if not page:
                    raise RuntimeError(f"the listing of {prefix} has an empty page before its end")
                partial.start_after, partial.digest = page[-1].key, rolling_hash.digest
                if self._clock.is_expired():
                    return None
        self.days += 1
        return DayListing(
            fingerprint=rolling_hash.digest if partial.file_count else NO_FILES,
            file_count=partial.file_count,
            newest_modified=partial.newest_modified,
            marker_modified=partial.marker_modified,
            started_at=partial.started_at,
            archived=partial.archived,
            unmatched=partial.unmatched,
        )


def new_listing(now: float) -> PartialListing:
    """A listing of which nothing has been listed yet."""
    return PartialListing(
        start_after="",
        digest=RollingHash().digest,
        file_count=0,
        newest_modified=0,
        marker_modified=None,
        started_at=to_milliseconds(now),
    )


def to_milliseconds(seconds: float) -> float:
    """Round down to milliseconds, which keeps the cursor short."""
    return math.floor(seconds * 1000) / 1000
