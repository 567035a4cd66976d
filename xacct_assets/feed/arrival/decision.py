"""Which days have arrived: snapshots of the raw bucket in, requests for runs and a new cursor out.

Pure logic: no Dagster and no boto3. `evaluate_tick` is one tick of the sensor.

**What is promised.** Call *content* a day's set of (key, size, ETag), as `fingerprint` folds it. A
content is *settled* when it has been the day's content for ``settle_seconds`` (or a marker newer
than every file says so) and has ``min_files``. Then, for every day that is looked at:

1. a settled content that differs from the one requested last is requested;
2. a content that did not change is not requested again, whatever happens to the cursor;
3. a content that went before it settled may never be requested; the one that stays always is.

**Where the truth is.** Dagster drops a run request whose ``run_key`` was ever used, silently and
for ever, and stores the cursor only after it launched the runs of a tick. So a cursor alone can be
wrong both ways: lost after the launch it would repeat days; and if it says "A was asked for
last" while a lost tick asked for B, a bucket that went back to A would stay processed as B. The run
storage has neither fault: every run requested here carries its content and a *generation* (1 for a
day's first request, then counting) in its tags. That is the journal; the cursor is a cache of it:

- Each tick first replays the journal entries newer than the cursor's mark. A run that the cursor
  does not know (its tick died after launching) is adopted as the day's last request.
- A request counts only once its run is in the journal. If it is not there at the next tick (the
  sensor was stopped in mid-launch), the day falls back to what the journal says, and is asked for
  again under the same run_key.
- A day the cursor does not know (first look, cursor reset) is looked up in the journal. A reset
  neither loses nor repeats a day.
- run_key = feed, day, content and generation. The generation is above that of every run the journal
  holds for the day, so A -> B -> A gives three keys: a key is never found used. And it depends on
  the journal alone, so two ticks that decide the same thing from the same journal give the same
  key, which Dagster then drops, rightly.
- A day that the journal does not know, but whose raw partition was materialized with exactly this
  content (a backfill before the sensor was switched on), is taken as requested.

A failed run stays requested: run retries are for passing trouble, and a run that fails on a content
would fail on it again. New content is a new request.

**Went and came back.** If other content was seen since the request and the day then is as it was
requested, nothing is asked for, unless a run of the day was under way meanwhile: what that run read
cannot be known, so the day is requested once more. (A change undone between two looks leaves no
trace in a listing; guarding a run against it is the run's own task.)

**Deleted files.** If some of a day's files are gone, its content changed: it is requested. If all
are gone nothing is requested, as a lifecycle rule that expires raw files must never empty the
warehouse; the day is reported once (`Outcome.emptied`), since its rows now come from files that no
longer exist.

**Time.** A tick ends when its time is up: the days left over are looked at next time, and a day
with more objects than fit is taken up at the very key where its listing stopped. A pass over the
window may take several ticks; what lies outside the window has its turn after each.
"""

from __future__ import annotations

import hashlib
import math
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Protocol

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.contract.days import DayFolders
from xacct_assets.contract.file_patterns import FilePatterns, is_hidden
from xacct_assets.feed.arrival.cursor import EMPTY, MAX_OTHER_DAYS, Cursor, DayState, PartialListing
from xacct_assets.feed.arrival.fingerprint import ListedObject, RollingHash
from xacct_assets.feed.partitions import contiguous

# Keys a page of ListObjectsV2 holds at most.
PAGE_SIZE = 1000

# A half-listed day older than this is listed from its start: too much may have changed behind it.
HALF_LISTED_SECONDS = 3600

# A day outside the window that has not settled for this long is left to the sweep.
OTHER_DAY_PATIENCE_SECONDS = 86_400

# How long a quiet day outside the window is remembered: long enough for the next ticks to see that
# its notifications are dealt with.
OTHER_DAY_MEMORY_SECONDS = 600

# Clocks of S3, of this machine and of the run storage may differ by this much.
CLOCK_SLACK_SECONDS = 5


class Lister(Protocol):
    """A bucket that is listed in pages."""

    def list_page(
        self, prefix: str, start_after: str | None, limit: int
    ) -> tuple[Sequence[ListedObject], bool]:
        """Objects under the prefix with keys after ``start_after``, and whether there are more.

        Never empty with more to come. Raises AwsFailure.
        """
        ...


@dataclass(frozen=True, slots=True)
class Requested:
    """One day of a run that was requested earlier, as the run storage knows it.

    ``created``, ``started`` and ``ended`` are seconds since 1970; None: not yet.
    """

    day: date
    content: str
    generation: int
    created: float
    started: float | None = None
    ended: float | None = None


class Journal(Protocol):
    """The requests made so far, kept by Dagster's run storage."""

    def since(self, mark: float | None) -> Sequence[Requested]:
        """Requests made at ``mark`` or later; with None, those of the newest run only."""
        ...

    def history(self, days: Sequence[date]) -> Mapping[date, Sequence[Requested]]:
        """Every request of these days."""
        ...

    def materialized(self, day: date) -> str | None:
        """Content with which the day's raw partition was last materialized, if it was."""
        ...


@dataclass(frozen=True)
class Policy:
    """What a tick goes by. Times in seconds, days in UTC.

    Attributes:
        feed: name of the feed; begins its run keys.
        folders: where its days lie.
        patterns: which files below a day's folder are its own.
        first_day, last_day: the partitions there are; days outside are left alone.
        days_back, days_ahead: the window around today.
        settle_seconds, min_files, marker: when a day is complete.
        window_every_seconds: how often the whole window is looked at; 0 = at every tick.
        sweep_days_back: how far behind today the sweep goes; 0 = no sweep. Keep it shorter than the
            time after which raw files expire: a half-expired day looks like one with deleted files.
        sweep_every_seconds, sweep_days: how often, and at how many days, the sweep looks.
        range_from_days: as many days in a row, ready at once, become one run; below, a run each.
        max_days_per_run: days of such a run at most.
        max_runs_per_tick: requests of a tick at most; further days wait for the next.
        tick_seconds: time for listing in one tick.
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
        """The days to look at, youngest first."""
        first = max(self.first_day, today - timedelta(days=self.days_back))
        last = min(self.last_day, today + timedelta(days=self.days_ahead))
        return [last - timedelta(days=back) for back in range((last - first).days + 1)]

    def swept(self, today: date) -> list[date]:
        """The days of the sweep, youngest first: what lies behind the window."""
        last = min(self.last_day, today - timedelta(days=self.days_back + 1))
        first = max(self.first_day, today - timedelta(days=self.sweep_days_back))
        return [last - timedelta(days=back) for back in range((last - first).days + 1)]


@dataclass(frozen=True, slots=True)
class DayContent:
    """A day to be processed, with the content that asks for it."""

    day: date
    content: str
    generation: int
    files: int


@dataclass(frozen=True, slots=True)
class PlannedRun:
    """One run to be launched: a day, or several days in a row."""

    days: tuple[DayContent, ...]

    def run_key(self, feed: str) -> str:
        """See the module's text: made of content and generation, never used before."""
        first, last = self.days[0], self.days[-1]
        if first is last:
            return f"{feed}/{first.day}/{first.content}/{first.generation}"
        digest = hashlib.blake2b(digest_size=12)
        for day in self.days:
            digest.update(f"{day.day}/{day.content}/{day.generation};".encode())
        return f"{feed}/{first.day}...{last.day}/{digest.hexdigest()}"


@dataclass(frozen=True, slots=True)
class EmptiedDay:
    """A day that was requested and whose files are all gone since."""

    day: date
    requested: str


@dataclass(slots=True)
class Outcome:
    """What a tick found.

    Attributes:
        cursor: to be stored; hand it to the next tick.
        requests: runs to launch, youngest day first.
        emptied: days to tell people about.
        waiting: why a day that changed was not requested yet.
        settles_in: seconds until the first of them has settled, if time is all they wait for.
        failures: days that could not be looked at.
        handled: days with nothing left to do as this tick began, and when they were last looked at:
            what is known of them is durable, notifications received before that time can go.
        progress: whether the new cursor says anything of weight that the old one did not.
        forgot: why the old cursor was not used, if so.
        days, pages, objects: what was listed.
    """

    cursor: str = ""
    requests: list[PlannedRun] = field(default_factory=list)
    emptied: list[EmptiedDay] = field(default_factory=list)
    waiting: dict[date, str] = field(default_factory=dict)
    settles_in: float | None = None
    failures: dict[date, AwsFailure] = field(default_factory=dict)
    handled: dict[date, float] = field(default_factory=dict)
    progress: bool = False
    forgot: str | None = None
    days: int = 0
    pages: int = 0
    objects: int = 0

    def after(self, earlier: Outcome) -> Outcome:
        """What both looks of a tick found; this one went on from the other's cursor."""
        return replace(
            self,
            # Only what was known as the tick began is durable: its cursor is not stored yet.
            handled=earlier.handled,
            progress=self.progress or earlier.progress,
            days=self.days + earlier.days,
            pages=self.pages + earlier.pages,
            objects=self.objects + earlier.objects,
        )


def evaluate_tick(
    policy: Policy,
    cursor: Cursor,
    lister: Lister,
    journal: Journal,
    *,
    now: float,
    hints: Iterable[date] = (),
    monotonic: Callable[[], float] = time.monotonic,
) -> Outcome:
    """One tick: look at the days that are due, decide, and say what to launch.

    Args:
        policy: what to go by.
        cursor: what the tick before left behind; it is used up.
        lister: the raw bucket.
        journal: the requests made so far.
        now: seconds since 1970.
        hints: days that notifications point at; looked at first, wherever they lie.
        monotonic: clock for the tick's time limit.

    Raises:
        Whatever the journal raises. Failures to list are in the outcome, by day.
    """
    return _Tick(policy, cursor, lister, journal, now, monotonic).run(hints)


@dataclass(slots=True)
class _Look:
    content: str
    count: int
    newest: int
    marker: int | None
    started: float


class _OutOfTime(Exception):
    pass


class _Tick:
    def __init__(
        self,
        policy: Policy,
        cursor: Cursor,
        lister: Lister,
        journal: Journal,
        now: float,
        monotonic: Callable[[], float],
    ) -> None:
        self._policy = policy
        self._cursor = cursor
        self._lister = lister
        self._journal = journal
        self._now = now
        self._monotonic = monotonic
        self._began = monotonic()
        self._today = datetime.fromtimestamp(now, UTC).date()
        self._window = policy.window(self._today)
        self._inside = set(self._window)
        self._ready: dict[date, DayContent] = {}
        self._out = Outcome()

    def run(self, hints: Iterable[date]) -> Outcome:
        cursor, out = self._cursor, self._out
        before = self._weight()
        self._replay_journal()
        out.handled = {
            day: state.looked for day, state in cursor.days.items() if not state.needs_attention
        }
        self._look_at_due_days(hints)
        self._request()
        self._forget_other_days()
        learned = out.pages > 0 and self._weight() != before
        out.progress = bool(out.requests or out.emptied) or learned
        out.cursor = cursor.encode()
        return out

    # What is known from earlier ticks

    def _replay_journal(self) -> None:
        cursor = self._cursor
        for entry in sorted(self._journal.since(cursor.mark), key=lambda entry: entry.created):
            cursor.mark = max(cursor.mark or 0.0, entry.created)
            state = cursor.days.get(entry.day)
            if state and entry.generation >= state.generation:
                _adopt(state, entry)
        # A journal that was empty when this cursor began is replayed from its beginning.
        cursor.mark = cursor.mark or 0.0
        unconfirmed = [day for day, state in cursor.days.items() if not state.confirmed]
        if not unconfirmed:
            return
        history = self._journal.history(unconfirmed)
        for day in unconfirmed:
            state, last = cursor.days[day], _last(history.get(day, ()))
            if last and last.generation >= state.generation:
                _adopt(state, last)
                continue
            # The run was never made. Its content has settled already, so it is asked for again at
            # once if it is still there.
            state.waiting = state.requested
            state.since = state.calm - self._policy.settle_seconds
            state.requested = last.content if last else None
            state.generation = last.generation if last else 0
            state.confirmed = True

    def _recall(self, days: Iterable[date]) -> None:
        unknown = [day for day in days if day not in self._cursor.days]
        if not unknown:
            return
        history = self._journal.history(unknown)
        for day in unknown:
            state = self._cursor.days[day] = DayState()
            if last := _last(history.get(day, ())):
                _adopt(state, last)

    # Looking

    def _look_at_due_days(self, hints: Iterable[date]) -> None:
        cursor, inside = self._cursor, self._inside
        window_due = (
            cursor.resume is not None
            or self._now - cursor.window_done >= self._policy.window_every_seconds
        )
        pointed_at = self._pointed_at(hints)
        pending = [day for day, state in cursor.days.items() if state.needs_attention]
        if window_due:
            # A pass that was cut off is finished before another begins, so that passes do end.
            this_pass = [day for day in self._window if day <= (cursor.resume or day)]
        else:
            this_pass = sorted((day for day in pending if day in inside), reverse=True)
        within = list(dict.fromkeys([*(day for day in pointed_at if day in inside), *this_pass]))
        outside = [day for day in dict.fromkeys([*pointed_at, *pending]) if day not in inside]
        self._recall([*within, *outside])

        left = set(self._look_at(within))
        left_of_pass = [day for day in this_pass if day in left]
        cursor.resume = left_of_pass[0] if left_of_pass and window_due else None
        if left:
            return
        if window_due:
            cursor.window_done = math.floor(self._now)
        # Longest unseen first, as the time may be up after one; a half-listed day goes on.
        outside.sort(key=lambda day: (day not in cursor.halves, cursor.days[day].looked))
        if not self._look_at(outside):
            self._sweep()

    def _pointed_at(self, hints: Iterable[date]) -> list[date]:
        """The half-listed days and the days of notifications, as far as there is room for them."""
        cursor = self._cursor
        cursor.halves = {
            day: half
            for day, half in cursor.halves.items()
            if self._now - half.started <= HALF_LISTED_SECONDS and self._exists(day)
        }
        days = list(cursor.halves)
        room = self._room()
        for day in sorted(set(hints), reverse=True):
            if not self._exists(day):
                continue
            if day not in self._inside and day not in cursor.days:
                if room == 0:
                    continue
                room -= 1
            days.append(day)
        return days

    def _exists(self, day: date) -> bool:
        return self._policy.first_day <= day <= self._policy.last_day

    def _room(self) -> int:
        """How many more days outside the window can be taken up."""
        taken = sum(
            state.needs_attention and day not in self._inside
            for day, state in self._cursor.days.items()
        )
        return max(0, MAX_OTHER_DAYS - taken)

    def _look_at(self, queue: Sequence[date]) -> list[date]:
        """Look at the days in turn; returns those that were not got to, or not to their end."""
        for position, day in enumerate(queue):
            # The first of the days is always begun, or with too little time nothing would get on.
            if position and self._time_is_up():
                return list(queue[position:])
            try:
                look = self._list(day)
            except _OutOfTime:
                return list(queue[position:])
            except AwsFailure as failure:
                self._out.failures[day] = failure
                if failure.retryable:
                    # Throttled or out of reach: more calls now would make it worse.
                    return list(queue[position:])
                continue
            self._decide(day, look)
        return []

    def _list(self, day: date) -> _Look:
        policy, prefix = self._policy, self._policy.folders.prefix(day)
        marker_key = None if policy.marker is None else prefix + policy.marker
        half = self._cursor.halves.pop(day, None)
        if half is None:
            half = PartialListing(
                "", RollingHash().digest, 0, 0, None, _to_milliseconds(self._time())
            )
        fold, more = RollingHash(half.digest), True
        while more:
            try:
                page, more = self._lister.list_page(prefix, half.after or None, policy.page_size)
            except AwsFailure:
                if half.after:
                    self._keep_half(day, half)
                raise
            self._out.pages += 1
            self._out.objects += len(page)
            for item in page:
                modified = math.floor(item.last_modified.timestamp())
                if item.key == marker_key:
                    half.marker = modified
                elif not is_hidden(item.key) and policy.patterns.match(item.key[len(prefix) :]):
                    fold.add(item)
                    half.count += 1
                    half.newest = max(half.newest, modified)
            if more and not page:
                raise RuntimeError(f"listing {prefix} gave an empty page and promised more")
            if more:
                half.after, half.digest = page[-1].key, fold.digest
                if self._time_is_up():
                    self._keep_half(day, half)
                    raise _OutOfTime
        self._out.days += 1
        content = fold.digest if half.count else EMPTY
        return _Look(content, half.count, half.newest, half.marker, half.started)

    def _keep_half(self, day: date, half: PartialListing) -> None:
        # One within the window and one outside, so that neither side takes the other's place.
        side = day in self._inside
        self._cursor.halves = {
            other: kept
            for other, kept in self._cursor.halves.items()
            if (other in self._inside) != side
        }
        self._cursor.halves[day] = half

    def _sweep(self) -> None:
        cursor, policy = self._cursor, self._policy
        if self._now - cursor.swept < policy.sweep_every_seconds:
            return
        days = policy.swept(self._today)
        if not days or not self._room():
            return
        if cursor.sweep is not None and days[-1] <= cursor.sweep <= days[0]:
            position = (days[0] - cursor.sweep).days
        else:
            position = 0
        portion = days[position : position + policy.sweep_days]
        self._recall(portion)
        # Days of this portion that need another look have become days that need attention; one that
        # was not got to is where the sweep goes on.
        left = self._look_at(portion)
        following = left[0] if left else portion[-1] - timedelta(days=1)
        if left and left[0] in cursor.halves:
            following = left[0] - timedelta(days=1)
        cursor.sweep = following if following >= days[-1] else None
        cursor.swept = math.floor(self._now)

    def _time(self) -> float:
        return self._now + (self._monotonic() - self._began)

    def _time_is_up(self) -> bool:
        return self._monotonic() - self._began >= self._policy.tick_seconds

    # Deciding

    def _decide(self, day: date, look: _Look) -> None:
        state = self._cursor.days[day]
        looked_before, state.looked = state.looked, look.started
        nothing_new = look.content == state.requested or (
            look.content == EMPTY and state.requested is None
        )
        if nothing_new and state.waiting is None and not state.emptied:
            state.calm = math.floor(look.started)
            return
        if look.content == EMPTY and (state.emptied or state.requested is None):
            state.waiting = None
            return
        if state.waiting != look.content:
            state.waiting = look.content
            state.since = self._came_to_be(look, looked_before)
        elif state.since < look.newest <= self._time():
            # Somebody is still uploading, if only the same again.
            state.since = look.newest
        if reason := self._unsettled(look, state):
            self._out.waiting[day] = reason
        elif look.content == EMPTY:
            self._out.emptied.append(EmptiedDay(day, state.requested or ""))
            state.emptied, state.waiting = True, None
        elif self._is_done_already(day, look.content, state):
            state.requested = look.content
            state.emptied, state.waiting = False, None
            state.calm = math.floor(look.started)
        else:
            self._ready[day] = DayContent(day, look.content, state.generation + 1, look.count)

    def _came_to_be(self, look: _Look, looked_before: float) -> float:
        """Since when the day has had this content.

        The newest object tells, if the change is one that puts explain: always at the first look,
        and later if that object is younger than the look before. A deletion leaves no time behind:
        then it is now. A clock of S3 that is ahead counts as now.
        """
        # S3 shows whole seconds, rounded down: hence the one second of doubt.
        now = _to_milliseconds(self._time())
        if look.content != EMPTY and (looked_before == 0 or look.newest + 1 > looked_before):
            return min(look.newest, now)
        return now

    def _unsettled(self, look: _Look, state: DayState) -> str | None:
        """Why the day is not complete yet; None if it is."""
        policy = self._policy
        quiet_for = self._time() - state.since
        quiet = quiet_for >= policy.settle_seconds
        still = f"unchanged for {max(0, quiet_for):.0f} of {policy.settle_seconds} s"
        if look.content == EMPTY:
            reason = f"no files are left, {still}"
        elif look.count < policy.min_files:
            return f"{look.count} of {policy.min_files} files"
        elif policy.marker is None:
            reason = still
        elif look.marker is None:
            return f"{look.count} files, no {policy.marker} yet"
        elif look.marker >= look.newest:
            return None
        else:
            reason = f"changed after its {policy.marker}, {still}"
        if quiet:
            return None
        left = policy.settle_seconds - quiet_for
        self._out.settles_in = min(left, self._out.settles_in or left)
        return reason

    def _is_done_already(self, day: date, content: str, state: DayState) -> bool:
        if state.requested is None:
            return self._journal.materialized(day) == content
        if content != state.requested:
            return False
        # It went and came back; only a run that was at work meanwhile can have read something else.
        return not any(
            run.started is not None
            and (run.ended is None or run.ended >= state.calm - CLOCK_SLACK_SECONDS)
            for run in self._journal.history([day]).get(day, ())
        )

    # Asking

    def _request(self) -> None:
        asks = []
        for first, last in contiguous(self._ready):
            stretch = [
                self._ready[first + timedelta(days=ahead)]
                for ahead in range((last - first).days + 1)
            ]
            size = self._policy.max_days_per_run
            if len(stretch) < self._policy.range_from_days:
                size = 1
            asks.extend(
                PlannedRun(tuple(stretch[start : start + size]))
                for start in range(0, len(stretch), size)
            )
        # Youngest first: today's data is more urgent than a backlog.
        asks.sort(key=lambda ask: ask.days[-1].day, reverse=True)
        self._out.requests = asks[: self._policy.max_runs_per_tick]
        for ask in self._out.requests:
            for asked in ask.days:
                state = self._cursor.days[asked.day]
                self._cursor.days[asked.day] = replace(
                    state,
                    requested=asked.content,
                    generation=asked.generation,
                    confirmed=False,
                    calm=math.floor(state.looked),
                    waiting=None,
                    emptied=False,
                )
        for ask in asks[self._policy.max_runs_per_tick :]:
            for asked in ask.days:
                self._out.waiting[asked.day] = "complete; waits for the next tick"

    # Forgetting

    def _forget_other_days(self) -> None:
        now, days = self._now, self._cursor.days
        others = {}
        for day in [day for day in days if day not in self._inside]:
            state = days.pop(day)
            wanted = (
                not state.confirmed
                or (state.waiting is not None and now - state.since <= OTHER_DAY_PATIENCE_SECONDS)
                or (not state.needs_attention and now - state.looked <= OTHER_DAY_MEMORY_SECONDS)
            )
            if wanted and self._exists(day):
                others[day] = state
        kept = sorted(
            others, key=lambda day: (others[day].needs_attention, others[day].looked), reverse=True
        )
        # A request that is not confirmed is kept whatever the limit: it is at most one tick old.
        for position, day in enumerate(kept):
            if position < MAX_OTHER_DAYS or not others[day].confirmed:
                days[day] = others[day]

    def _weight(self) -> object:
        cursor = self._cursor
        return (
            {
                day: (state.requested, state.generation, state.confirmed, state.waiting)
                for day, state in cursor.days.items()
                if state.requested or state.waiting
            },
            {day: half.after for day, half in cursor.halves.items()},
            cursor.resume,
            cursor.sweep,
        )


def _to_milliseconds(seconds: float) -> float:
    return math.floor(seconds * 1000) / 1000


def _last(entries: Sequence[Requested]) -> Requested | None:
    return max(entries, key=lambda entry: (entry.generation, entry.created), default=None)


def _adopt(state: DayState, entry: Requested) -> None:
    """Take the journal's word for what was requested last."""
    if (state.requested, state.generation) != (entry.content, entry.generation):
        # A tick that was lost had seen this content when it asked.
        state.requested, state.generation = entry.content, entry.generation
        state.calm = math.floor(entry.created)
        state.emptied = False
        if state.waiting == entry.content:
            state.waiting = None
    state.confirmed = True
