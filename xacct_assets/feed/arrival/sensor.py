"""The arrival sensor: a thin layer of Dagster around ``arrival.py``, which decides.

A tick has 60 seconds by default (DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS) before Dagster drops it; the
times below add up to less. What a tick could not do, the next one goes on with.
"""

import time
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.aws.sqs import Notice, Notifications, ObjectNotice
from xacct_assets.aws_clients import AwsClients
from xacct_assets.contract.days import DayFolders
from xacct_assets.contract.file_patterns import FilePatterns, is_hidden
from xacct_assets.feed.arrival.cursor import Cursor, UnreadableCursor
from xacct_assets.feed.arrival.decision import (
    EmptiedDay,
    Outcome,
    Policy,
    evaluate_tick,
)
from xacct_assets.feed.arrival.run_history import MAX_DAYS_PER_RUN, RunHistory, run_request
from xacct_assets.feed.assets import raw_partition
from xacct_assets.feed.assets.defaults import asset_key
from xacct_assets.feed.schedule import job_name
from xacct_assets.feed.spec import FeedSpec

# Seconds of a tick for listing, for waiting for a notification, and for taking off all that came.
# A tick that waited in vain ends before the daemon looks again (below), so that the next begins
# then: nobody listens in between.
LISTING_SECONDS = 20.0
WAIT_SECONDS = 8.0
DRAIN_SECONDS = 5.0
# The daemon looks every five seconds whether a sensor is due, counted from when its last tick
# began, a little after such a look: asked for exactly, most intervals are five seconds longer.
EARLY_SECONDS = 2
# A day that settles within these seconds is waited for: the next tick would come later.
SETTLE_WAIT_SECONDS = 8.0
# Waited in addition, as two clocks tell when it is over.
SETTLE_SLACK_SECONDS = 0.1
# Seconds between two looks at the window if notifications tell most of it.
WINDOW_EVERY_SECONDS = 300
# Days named in a tick's message; the counts are always complete.
DAYS_SHOWN = 5


class ArrivalsUnknown(Exception):
    """The raw bucket or the queue could not be read and nothing else was learned either."""


def build_sensor(
    feed: FeedSpec,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> dg.SensorDefinition:
    """The feed's sensor, which launches the feed's job for each day that has arrived.

    Args:
        feed: the feed.
        clock: seconds since 1970.
        sleep: waits so many seconds.
    """

    @dg.sensor(
        name=f"{feed.name}_arrivals",
        job_name=job_name(feed),
        minimum_interval_seconds=feed.arrival.tick_seconds - EARLY_SECONDS,
        default_status=(
            dg.DefaultSensorStatus.RUNNING
            if feed.arrival.start_running
            else dg.DefaultSensorStatus.STOPPED
        ),
        description=(
            f"Runs each day of {feed.name} whose files are new or changed, once they have settled. "
            "Its cursor may be reset at any time: what was requested is read from the runs."
        ),
        tags={"xacct/arrival_mode": feed.arrival.mode},
    )
    def arrivals(
        context: dg.SensorEvaluationContext, aws: dg.ResourceParam[AwsClients]
    ) -> dg.SensorResult:
        return _Evaluation(feed, aws, context, clock, sleep).result()

    return arrivals


def policy_of(feed: FeedSpec, today: date) -> Policy:
    """The feed's settings as the rules of a tick."""
    arrival = feed.arrival
    events = arrival.mode == "events"
    return Policy(
        feed=feed.name,
        folders=DayFolders(feed.source.prefix, feed.source.layout),
        patterns=FilePatterns(feed.source.patterns),
        first_day=feed.start,
        # As `daily_partitions` has it; a day without a partition cannot be requested.
        last_day=today + timedelta(days=arrival.days_ahead),
        days_back=arrival.days_back,
        days_ahead=arrival.days_ahead,
        settle_seconds=arrival.settle_seconds,
        min_files=arrival.min_files,
        marker=arrival.marker,
        window_every_seconds=(
            (arrival.window_every_seconds or WINDOW_EVERY_SECONDS) if events else 0
        ),
        sweep_days_back=arrival.sweep_days_back,
        range_from_days=arrival.range_from_days,
        max_days_per_run=min(feed.max_days_per_run, MAX_DAYS_PER_RUN),
        tick_seconds=LISTING_SECONDS,
    )


@dataclass
class _Inbox:
    """What notifications say in this tick."""

    queue: Notifications | None = None
    notices: Sequence[tuple[Notice, date]] = ()
    trouble: AwsFailure | None = None


class _Evaluation:
    """One tick."""

    def __init__(
        self,
        feed: FeedSpec,
        aws: AwsClients,
        context: dg.SensorEvaluationContext,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
    ) -> None:
        self._feed = feed
        self._aws_clients = aws
        self._context = context
        self._log = context.log
        self._clock = clock
        self._sleep = sleep
        self._bucket = aws.input_bucket(feed)
        self._policy = policy_of(feed, datetime.fromtimestamp(clock(), UTC).date())

    def result(self) -> dg.SensorResult:
        cursor = self._cursor()
        inbox = self._inbox(cursor)
        policy = self._policy
        if inbox.trouble:
            # Without notifications the sensor polls, as if there had never been any.
            policy = replace(policy, window_every_seconds=0)
        outcome = self._look(policy, cursor, hints={day for _, day in inbox.notices})
        settles_in = _worth_waiting_for(outcome)
        if settles_in is not None:
            self._sleep(settles_in + SETTLE_SLACK_SECONDS)
            # The window was looked at a moment ago; the days that wait are looked at again.
            policy = replace(
                policy,
                window_every_seconds=WINDOW_EVERY_SECONDS,
                tick_seconds=LISTING_SECONDS / 2,
            )
            outcome = self._look(policy, Cursor.decode(outcome.cursor)).after(outcome)
        self._close(inbox, outcome)
        for gone in outcome.emptied:
            self._log.warning(_about_emptied(self._feed, gone))
        for day, failure in outcome.failures.items():
            self._log.error("%s was not looked at. %s", day, failure)
        troubles = [*outcome.failures.values(), *([inbox.trouble] if inbox.trouble else [])]
        if troubles and not outcome.progress:
            # A tick that fails is red in the UI but keeps no cursor: there is nothing to keep.
            raise ArrivalsUnknown(_about_troubles(self._feed, troubles))
        return dg.SensorResult(
            run_requests=[run_request(self._feed.name, ask) for ask in outcome.requests],
            skip_reason=None if outcome.requests else _about_nothing(outcome, troubles),
            cursor=outcome.cursor,
            asset_events=[self._observation(gone) for gone in outcome.emptied],
        )

    def _look(self, policy: Policy, cursor: Cursor, hints: Collection[date] = ()) -> Outcome:
        return evaluate_tick(
            policy,
            cursor,
            self._aws_clients.raw_bucket(self._feed),
            RunHistory(
                self._context.instance,
                self._feed.name,
                asset_key(self._feed, raw_partition.NAME),
            ),
            now=self._clock(),
            hints=hints,
        )

    def _cursor(self) -> Cursor:
        try:
            return Cursor.decode(self._context.cursor)
        except UnreadableCursor as problem:
            self._log.warning("%s. It is made anew from the runs.", problem)
            return Cursor()

    # Notifications

    def _inbox(self, cursor: Cursor) -> _Inbox:
        if self._feed.arrival.mode != "events":
            return _Inbox()
        try:
            queue = self._aws_clients.notifications(self._feed)
            queue.claim(self._feed.name, self._is_mine)
            busy = any(state.needs_attention for state in cursor.days.values())
            queue.receive(
                wait_seconds=0 if busy or queue.claimed_by(self._feed.name) else WAIT_SECONDS,
                seconds=DRAIN_SECONDS,
            )
            return _Inbox(queue, self._sorted_out(queue))
        except AwsFailure as failure:
            self._log.error("No notifications in this tick, the bucket is polled. %s", failure)
            return _Inbox(trouble=failure)

    def _is_mine(self, notice: ObjectNotice) -> bool:
        return notice.bucket == self._bucket and notice.key.startswith(
            f"{self._feed.source.prefix}/"
        )

    def _sorted_out(self, queue: Notifications) -> list[tuple[Notice, date]]:
        """The notices that point at a day of the feed; the others are done with."""
        pointing, idle = [], []
        for notice in queue.claimed_by(self._feed.name):
            day = self._policy.folders.day_of(notice.object.key)
            if day is None or not self._counts(day, notice.object.key):
                idle.append(notice)
            elif day < self._policy.first_day:
                self._log.warning(
                    "s3://%s/%s is of a day before the feed's first, %s: it is not loaded",
                    self._bucket,
                    notice.object.key,
                    self._policy.first_day,
                )
                idle.append(notice)
            else:
                pointing.append((notice, day))
        queue.mark_processed(idle)
        return pointing

    def _counts(self, day: date, key: str) -> bool:
        name = key[len(self._policy.folders.prefix(day)) :]
        if name == self._policy.marker:
            return True
        return not is_hidden(key) and self._policy.patterns.match(name)

    def _close(self, inbox: _Inbox, outcome: Outcome) -> None:
        if inbox.queue is None:
            return
        done = [
            notice
            for notice, day in inbox.notices
            if outcome.handled.get(day, float("-inf")) >= notice.received
        ]
        try:
            inbox.queue.mark_processed(done)
        except AwsFailure as failure:
            # They will come again, and be found dealt with again.
            self._log.error("Notifications could not be deleted. %s", failure)
            inbox.trouble = failure

    def _observation(self, gone: EmptiedDay) -> dg.AssetObservation:
        return dg.AssetObservation(
            asset_key=asset_key(self._feed, raw_partition.NAME),
            partition=gone.day.isoformat(),
            description=_about_emptied(self._feed, gone),
            metadata={"all raw files are gone": True, "content that was requested": gone.requested},
        )


def _worth_waiting_for(outcome: Outcome) -> float | None:
    """Seconds until a day can be requested by this very tick, if it has nothing else to tell."""
    if outcome.requests or outcome.emptied or outcome.failures or outcome.settles_in is None:
        return None
    unfinished = Cursor.decode(outcome.cursor)
    if unfinished.resume is not None or unfinished.halves:
        return None
    return outcome.settles_in if outcome.settles_in <= SETTLE_WAIT_SECONDS else None


def _about_emptied(feed: FeedSpec, gone: EmptiedDay) -> str:
    return (
        f"All raw files of {feed.name} for {gone.day} are gone since the day was requested. Its "
        "rows and its export are left as they are. If the day is to be empty, delete its rows by "
        "hand; if not, land its files again: the sensor then sees whether they changed."
    )


def _about_troubles(feed: FeedSpec, troubles: Sequence[AwsFailure]) -> str:
    more = f"\n({len(troubles) - 1} more of the kind are in the log.)" if len(troubles) > 1 else ""
    return f"The arrivals of {feed.name} could not be seen. {troubles[0]}{more}"


def _about_nothing(outcome: Outcome, troubles: Sequence[AwsFailure]) -> str:
    parts = [
        f"nothing new in {outcome.days} days ({outcome.objects} objects, {outcome.pages} pages)"
    ]
    waiting = sorted(outcome.waiting.items(), reverse=True)
    parts += [f"{day}: {why}" for day, why in waiting[:DAYS_SHOWN]]
    if len(waiting) > DAYS_SHOWN:
        parts.append(f"{len(waiting) - DAYS_SHOWN} more days wait")
    if troubles:
        parts.append(f"{len(troubles)} failures, see the log: {troubles[0].what}")
    return "; ".join(parts)
