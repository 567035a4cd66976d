"""One evaluation of the arrival sensor: from the cursor to planned runs and the next cursor.

A tick ends when its time is up. The days left over are listed by the next tick, and a day with more
objects than fit is continued at the very key where its listing stopped. A pass over the window may
take several ticks. Days outside the window are listed after the window, and the sweep comes last.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.aws.s3.keys import KeySample
from xacct_assets.feed.arrival.cursor import MAX_OTHER_DAYS, Cursor, PartialListing
from xacct_assets.feed.arrival.decision import EmptiedDay, Wait, decide_day, mark_requested
from xacct_assets.feed.arrival.listing import (
    DayLister,
    DayListing,
    Lister,
    TickClock,
    new_listing,
)
from xacct_assets.feed.arrival.planned_runs import DayRequest, PlannedRun, plan_runs
from xacct_assets.feed.arrival.policy import Policy
from xacct_assets.feed.arrival.request_history import (
    RequestHistory,
    recall_days,
    replay_requests,
)

# A partial listing older than this is dropped: too much may have changed among the keys listed.
PARTIAL_LISTING_SECONDS = 3600

# A day outside the window that has not settled for this long is left to the sweep.
OTHER_DAY_PATIENCE_SECONDS = 86_400

# How long an unchanged day outside the window is remembered: until the next ticks have seen that
# its notifications are handled.
OTHER_DAY_MEMORY_SECONDS = 600


@dataclass(slots=True)
class TickOutcome:
    """What a tick found and decided.

    Attributes:
        cursor: for the next tick.
        planned_runs: runs to launch, newest day first.
        emptied_days: days to report.
        waiting: why a day that changed is not requested yet.
        unmatched: by listed day, files that no pattern matches.
        settles_in_seconds: until the first of them is settled, if time is all that it waits for.
        failures: days that could not be listed.
        handled_until: days with nothing left to do when the tick began, with the time of their last
            listing. What is known of them is stored, so notifications received up to that time can
            be deleted.
        made_progress: whether the new cursor holds anything important that the old one did not.
        days, pages, objects: what was listed.
    """

    cursor: str = ""
    planned_runs: list[PlannedRun] = field(default_factory=list)
    emptied_days: list[EmptiedDay] = field(default_factory=list)
    waiting: dict[date, str] = field(default_factory=dict)
    unmatched: dict[date, KeySample] = field(default_factory=dict)
    settles_in_seconds: float | None = None
    failures: dict[date, AwsFailure] = field(default_factory=dict)
    handled_until: dict[date, float] = field(default_factory=dict)
    made_progress: bool = False
    days: int = 0
    pages: int = 0
    objects: int = 0

    def combined_with(self, earlier: TickOutcome) -> TickOutcome:
        """This outcome and an earlier one of the same tick, whose cursor this one started from."""
        return replace(
            self,
            # The earlier outcome's cursor is not stored yet, so only what was known before it can
            # be relied on.
            handled_until=earlier.handled_until,
            unmatched=earlier.unmatched | self.unmatched,
            made_progress=self.made_progress or earlier.made_progress,
            days=self.days + earlier.days,
            pages=self.pages + earlier.pages,
            objects=self.objects + earlier.objects,
        )


def evaluate_tick(
    policy: Policy,
    cursor: Cursor,
    lister: Lister,
    history: RequestHistory,
    *,
    now: float,
    notified_days: Iterable[date] = (),
    monotonic: Callable[[], float] = time.monotonic,
) -> TickOutcome:
    """List the days that are due and decide which runs to launch.

    Args:
        policy: the settings of the tick.
        cursor: what the last tick remembered. It is mutated; do not reuse it.
        lister: the raw bucket.
        history: the requests made so far.
        now: seconds since 1970.
        notified_days: days that notifications name; listed first, inside the window or outside.
        monotonic: clock for the tick's time limit, in seconds.

    Raises:
        Exception: whatever ``history`` raises. Failed listings are in the outcome, by day.
    """
    return _Tick(policy, cursor, lister, history, now, monotonic).run(notified_days)


class _Tick:
    def __init__(
        self,
        policy: Policy,
        cursor: Cursor,
        lister: Lister,
        history: RequestHistory,
        now: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._cursor = cursor
        self._history = history
        self._now = now
        self._clock = TickClock(now, policy.tick_seconds, monotonic)
        self._lister = DayLister(lister, policy, self._clock)
        self._today = datetime.fromtimestamp(now, UTC).date()
        self._window = policy.window(self._today)
        self._window_days = frozenset(self._window)
        self._requests: dict[date, DayRequest] = {}
        self._outcome = TickOutcome()

    def run(self, notified_days: Iterable[date]) -> TickOutcome:
        cursor, outcome, lister = self._cursor, self._outcome, self._lister
        before = _important_parts(cursor)
        replay_requests(cursor, self._history, settle_seconds=self._policy.settle_seconds)
        outcome.handled_until = {
            day: state.listed_at for day, state in cursor.days.items() if not state.needs_listing
        }
        self._list_due_days(notified_days)
        self._plan_runs()
        _forget_other_days(self._policy, cursor, self._window_days, self._now)
        outcome.days, outcome.pages, outcome.objects = lister.days, lister.pages, lister.objects
        has_learned = lister.pages > 0 and _important_parts(cursor) != before
        outcome.made_progress = bool(outcome.planned_runs or outcome.emptied_days) or has_learned
        outcome.cursor = cursor.encode()
        return outcome

    # Which days to list

    def _list_due_days(self, notified_days: Iterable[date]) -> None:
        cursor, window_days = self._cursor, self._window_days
        is_window_due = (
            cursor.window_resume_day is not None
            or self._now - cursor.window_finished_at >= self._policy.window_every_seconds
        )
        first_days = self._days_to_list_first(notified_days)
        pending = [
            day
            for day, state in cursor.days.items()
            # A day whose files have begun to expire meanwhile must not be requested any more.
            if state.needs_listing and self._policy.has_partition(day)
        ]
        if is_window_due:
            # An interrupted pass is finished before another begins, so that each pass does end.
            this_pass = [day for day in self._window if day <= (cursor.window_resume_day or day)]
        else:
            this_pass = sorted((day for day in pending if day in window_days), reverse=True)
        within = list(
            dict.fromkeys([*(day for day in first_days if day in window_days), *this_pass])
        )
        outside = [day for day in dict.fromkeys([*first_days, *pending]) if day not in window_days]
        recall_days(cursor, self._history, [*within, *outside])

        not_listed = set(self._list_in_turn(within))
        rest_of_pass = [day for day in this_pass if day in not_listed]
        cursor.window_resume_day = rest_of_pass[0] if rest_of_pass and is_window_due else None
        if not_listed:
            return
        if is_window_due:
            cursor.window_finished_at = math.floor(self._now)
        # Partial listings first, then the day listed longest ago: the time may end after one day.
        outside.sort(
            key=lambda day: (day not in cursor.partial_listings, cursor.days[day].listed_at)
        )
        if not self._list_in_turn(outside):
            self._sweep()

    def _days_to_list_first(self, notified_days: Iterable[date]) -> list[date]:
        """Days with a partial listing, and days of notifications as far as there is room."""
        cursor, policy = self._cursor, self._policy
        cursor.partial_listings = {
            day: partial
            for day, partial in cursor.partial_listings.items()
            if self._now - partial.started_at <= PARTIAL_LISTING_SECONDS
            and policy.has_partition(day)
        }
        days = list(cursor.partial_listings)
        room = self._room_for_other_days()
        for day in sorted(set(notified_days), reverse=True):
            if not policy.has_partition(day):
                continue
            if day not in self._window_days and day not in cursor.days:
                if room == 0:
                    continue
                room -= 1
            days.append(day)
        return days

    def _room_for_other_days(self) -> int:
        """How many more days outside the window can be remembered."""
        taken = sum(
            state.needs_listing and day not in self._window_days
            for day, state in self._cursor.days.items()
        )
        return max(0, MAX_OTHER_DAYS - taken)

    def _sweep(self) -> None:
        cursor, policy = self._cursor, self._policy
        if self._now - cursor.swept_at < policy.sweep_every_seconds:
            return
        days = policy.sweep(self._today)
        if not days or not self._room_for_other_days():
            return
        newest, oldest = days[0], days[-1]
        first = cursor.sweep_next_day
        if first is None or not oldest <= first <= newest:
            first = newest
        position = (newest - first).days
        portion = days[position : position + policy.sweep_days]
        recall_days(cursor, self._history, portion)
        not_listed = self._list_in_turn(portion)
        # The sweep continues at the first day that was not listed. A day with a partial listing is
        # continued by itself, and so is a listed day that needs another listing.
        next_day = not_listed[0] if not_listed else portion[-1] - timedelta(days=1)
        if not_listed and next_day in cursor.partial_listings:
            next_day -= timedelta(days=1)
        cursor.sweep_next_day = next_day if next_day >= oldest else None
        cursor.swept_at = math.floor(self._now)

    # List and decide

    def _list_in_turn(self, days: Sequence[date]) -> list[date]:
        """List days and decide on each; returns those that were not listed to their end."""
        for position, day in enumerate(days):
            # The first day is always begun. Otherwise a tick with too little time would never get
            # anywhere.
            if position and self._clock.is_expired():
                return list(days[position:])
            try:
                listing = self._list_day(day)
            except AwsFailure as failure:
                self._outcome.failures[day] = failure
                if failure.retryable:
                    # Throttled or unreachable: more calls now would make it worse.
                    return list(days[position:])
                continue
            if listing is None:
                return list(days[position:])
            self._decide(day, listing)
        return []

    def _list_day(self, day: date) -> DayListing | None:
        """List a day; None if the time is up. What was listed until then is kept."""
        partial = self._cursor.partial_listings.pop(day, None) or new_listing(self._clock.now())
        listing = None
        try:
            listing = self._lister.list_day(day, partial)
        finally:
            if listing is None and partial.start_after:
                self._keep_partial_listing(day, partial)
        return listing

    def _keep_partial_listing(self, day: date, partial: PartialListing) -> None:
        # One inside the window and one outside, so that neither displaces the other.
        is_inside = day in self._window_days
        self._cursor.partial_listings = {
            other: kept
            for other, kept in self._cursor.partial_listings.items()
            if (other in self._window_days) != is_inside
        }
        self._cursor.partial_listings[day] = partial

    def _decide(self, day: date, listing: DayListing) -> None:
        outcome = self._outcome
        if listing.unmatched:
            outcome.unmatched[day] = listing.unmatched
        decision = decide_day(
            self._policy,
            day,
            self._cursor.days[day],
            listing,
            self._history,
            now=self._clock.now(),
        )
        if isinstance(decision, DayRequest):
            self._requests[day] = decision
        elif isinstance(decision, EmptiedDay):
            outcome.emptied_days.append(decision)
        elif isinstance(decision, Wait):
            outcome.waiting[day] = decision.reason
            if decision.settles_in_seconds is not None:
                outcome.settles_in_seconds = min(
                    decision.settles_in_seconds, outcome.settles_in_seconds or math.inf
                )

    def _plan_runs(self) -> None:
        runs = plan_runs(self._policy, self._requests)
        limit = self._policy.max_runs_per_tick
        self._outcome.planned_runs = runs[:limit]
        for run in runs[:limit]:
            for request in run.days:
                mark_requested(self._cursor.days[request.day], request)
        for run in runs[limit:]:
            for request in run.days:
                self._outcome.waiting[request.day] = (
                    f"complete, but this tick already requests {limit} runs; the next one goes on"
                )


def _forget_other_days(
    policy: Policy, cursor: Cursor, window_days: frozenset[date], now: float
) -> None:
    """Forget days outside the window, so that the cursor's size stays bounded."""
    other_days = {}
    for day in [day for day in cursor.days if day not in window_days]:
        state = cursor.days.pop(day)
        is_wanted = (
            not state.confirmed
            or (
                state.pending_fingerprint is not None
                and now - state.pending_since <= OTHER_DAY_PATIENCE_SECONDS
            )
            or (not state.needs_listing and now - state.listed_at <= OTHER_DAY_MEMORY_SECONDS)
        )
        if is_wanted and policy.has_partition(day):
            other_days[day] = state
    by_importance = sorted(
        other_days,
        key=lambda day: (other_days[day].needs_listing, other_days[day].listed_at),
        reverse=True,
    )
    for position, day in enumerate(by_importance):
        # A request that is not confirmed is kept whatever the limit: it is at most one tick old.
        if position < MAX_OTHER_DAYS or not other_days[day].confirmed:
            cursor.days[day] = other_days[day]


def _important_parts(cursor: Cursor) -> object:
    """What a tick must change to have made progress."""
    return (
        {
            day: (
                state.requested_fingerprint,
                state.request_number,
                state.confirmed,
                state.pending_fingerprint,
            )
            for day, state in cursor.days.items()
            if state.requested_fingerprint or state.pending_fingerprint
        },
        {day: partial.start_after for day, partial in cursor.partial_listings.items()},
        cursor.window_resume_day,
        cursor.sweep_next_day,
    )
