"""The requests made so far, and how the cursor is brought in line with them.

**Where the truth is.** Dagster drops a run request whose ``run_key`` was ever used, silently and
for ever. It stores the cursor only after it launched the runs of a tick. So a cursor alone can be
wrong in two ways. If it is lost after the launch, it would repeat days. If it says that A was
requested last while a lost tick requested B, a bucket that went back to A would stay processed as
B. The run storage has neither fault: each run requested by the sensor carries its fingerprint and
its request number (1 for a day's first request, then counting) in its tags. These runs are the
request history, and the cursor is a cache of it:

- Each tick first reads the requests that are newer than the cursor's high watermark. A run that the
  cursor does not know (its tick died after launching) becomes the day's last request.
- A request counts only once its run is in the history. If the run is not there at the next tick
  (the sensor was stopped while it launched), the day goes back to what the history says, and is
  requested again under the same run key.
- A day that the cursor does not know (first listing, cursor reset) is looked up in the history. A
  reset neither loses nor repeats a day.

A failed run stays requested: run retries are for transient failures, and a run that fails because
of its files would fail on them again. A new fingerprint is a new request.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Protocol

from xacct_assets.feed.arrival.cursor import Cursor, DayState


@dataclass(frozen=True, slots=True)
class PastRequest:
    """One day of a run that was requested earlier. Times are seconds since 1970.

    Attributes:
        day: the day.
        fingerprint: of the files that the run was requested for.
        request_number: 1 for the first request of the day, then counting.
        created_at, started_at, ended_at: of the run; None if it has not started or ended.
    """

    day: date
    fingerprint: str
    request_number: int
    created_at: float
    started_at: float | None = None
    ended_at: float | None = None


class RequestHistory(Protocol):
    """The requests made so far, as the run storage has them."""

    def since(self, high_watermark: float | None) -> Sequence[PastRequest]:
        """Requests made at ``high_watermark`` or later; with None, those of the newest run only."""
        ...

    def of_days(self, days: Sequence[date]) -> Mapping[date, Sequence[PastRequest]]:
        """All requests of these days."""
        ...

    def materialized_fingerprint(self, day: date) -> str | None:
        """Fingerprint with which the day's raw partition was last materialized; None if never."""
        ...


def replay_requests(cursor: Cursor, history: RequestHistory, *, settle_seconds: int) -> None:
    """Bring the cursor in line with the requests made since its high watermark.

    Args:
        cursor: updated in place.
        history: the requests made so far.
        settle_seconds: how long a fingerprint must stay before it is requested.
    """
    newer = sorted(history.since(cursor.high_watermark), key=lambda request: request.created_at)
    for request in newer:
        cursor.high_watermark = max(cursor.high_watermark or 0.0, request.created_at)
        known = cursor.days.get(request.day)
        if known and request.request_number >= known.request_number:
            _adopt(known, request)
    # If there was no request when this cursor began, later ticks read all of them.
    cursor.high_watermark = cursor.high_watermark or 0.0
    unconfirmed = [day for day, state in cursor.days.items() if not state.confirmed]
    if not unconfirmed:
        return
    requests = history.of_days(unconfirmed)
    for day in unconfirmed:
        state, last = cursor.days[day], _last(requests.get(day, ()))
        if last and last.request_number >= state.request_number:
            _adopt(state, last)
            continue
        # The run was never created. Its fingerprint had settled, so the day is requested again at
        # once if it still has that fingerprint.
        state.pending_fingerprint = state.requested_fingerprint
        state.pending_since = state.last_unchanged_at - settle_seconds
        state.requested_fingerprint = last.fingerprint if last else None
        state.request_number = last.request_number if last else 0
        state.confirmed = True


def recall_days(cursor: Cursor, history: RequestHistory, days: Iterable[date]) -> None:
    """Look up the days that the cursor does not know, with one query for all of them.

    Args:
        cursor: gets a state for each of the days.
        history: the requests made so far.
        days: the days about to be listed.
    """
    unknown = [day for day in days if day not in cursor.days]
    if not unknown:
        return
    requests = history.of_days(unknown)
    for day in unknown:
        state = cursor.days[day] = DayState()
        if last := _last(requests.get(day, ())):
            _adopt(state, last)


def _last(requests: Sequence[PastRequest]) -> PastRequest | None:
    return max(
        requests, key=lambda request: (request.request_number, request.created_at), default=None
    )


def _adopt(state: DayState, request: PastRequest) -> None:
    """Make the request the day's last one."""
    known = (state.requested_fingerprint, state.request_number)
    if known != (request.fingerprint, request.request_number):
        # A tick whose cursor was lost had listed this fingerprint when it requested it.
        state.requested_fingerprint = request.fingerprint
        state.request_number = request.request_number
        state.last_unchanged_at = math.floor(request.created_at)
        state.emptied_reported = False
        if state.pending_fingerprint == request.fingerprint:
            state.pending_fingerprint = None
    state.confirmed = True
