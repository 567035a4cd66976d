"""The arrival sensor: a thin layer of Dagster around `evaluate_tick`, which decides.

Dagster drops a tick that takes more than 60 seconds (DAGSTER_SENSOR_GRPC_TIMEOUT_SECONDS). The
times below add up to less. The next tick continues what a tick could not finish.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import replace
from datetime import UTC, date, datetime

import dagster as dg

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.aws_clients import AwsClients
from xacct_assets.contract.days import DayFolders
from xacct_assets.feed.arrival.cursor import Cursor, UnreadableCursor
from xacct_assets.feed.arrival.decision import EmptiedDay
from xacct_assets.feed.arrival.messages import (
    describe_emptied,
    describe_failures,
    describe_no_requests,
    describe_unmatched_days,
)
from xacct_assets.feed.arrival.notifications import TickNotifications, receive_notifications
from xacct_assets.feed.arrival.policy import Policy
from xacct_assets.feed.arrival.run_history import MAX_DAYS_PER_RUN, RunHistory, run_request
from xacct_assets.feed.arrival.tick import TickOutcome, evaluate_tick
from xacct_assets.feed.assets import raw_partition
from xacct_assets.feed.assets.defaults import asset_key
from xacct_assets.feed.partitions import by_text, last_day
from xacct_assets.feed.raw_files import file_patterns
from xacct_assets.feed.retention import first_kept_day
from xacct_assets.feed.schedule import job_name
from xacct_assets.feed.spec import FeedSpec

# Seconds of a tick for listing, for waiting for a notification, and for receiving all that came. A
# tick that waited without result ends before the daemon's next look (below), so that the next tick
# begins then and somebody waits on the queue nearly all the time.
LISTING_SECONDS = 20.0
WAIT_SECONDS = 8.0
DRAIN_SECONDS = 5.0
# The daemon checks every five seconds whether a sensor is due, counted from the start of its last
# tick, which is a little after such a check. An interval that is asked for exactly would mostly
# become five seconds longer, so it is shortened by this much.
EARLY_SECONDS = 2
# A tick waits for a day that settles within these seconds: the next tick would be later.
SETTLE_WAIT_SECONDS = 8.0
# Waited in addition, because S3's clock and this machine's may differ.
SETTLE_SLACK_SECONDS = 0.1
# Interval at which the window is listed if notifications are used.
WINDOW_EVERY_SECONDS = 300


class ArrivalsUnknown(Exception):
    """The raw bucket or the queue could not be read, and the tick learned nothing else."""


def build_sensor(
    feed: FeedSpec,
    *,
    clock: Callable[[], float] = time.time,
    sleep: Callable[[float], None] = time.sleep,
) -> dg.SensorDefinition:
    """Build the feed's sensor, which runs the feed's job for each day that has arrived.

    Args:
        feed: the feed.
        clock: seconds since 1970.
        sleep: waits for a number of seconds.
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


def tick_policy(feed: FeedSpec, today: date) -> Policy:
    """The feed's settings as those of a tick."""
    arrival = feed.arrival
    window_every_seconds = (
        (arrival.window_every_seconds or WINDOW_EVERY_SECONDS) if arrival.mode == "events" else 0
    )
    kept = first_kept_day(feed, today)
    return Policy(
        feed=feed.name,
        folders=DayFolders(feed.source.prefix, feed.source.layout),
        patterns=file_patterns(feed),
        # A day some of whose files have expired looks like one with deleted files.
        first_day=max(feed.start, kept or feed.start),
        # A day without a partition cannot be requested.
        last_day=last_day(feed, today),
        days_back=arrival.days_back,
        days_ahead=arrival.days_ahead,
        settle_seconds=arrival.settle_seconds,
        min_files=arrival.min_files,
        marker=arrival.marker,
        window_every_seconds=window_every_seconds,
        sweep_days_back=arrival.sweep_days_back,
        range_from_days=arrival.range_from_days,
        max_days_per_run=min(feed.max_days_per_run, MAX_DAYS_PER_RUN),
        tick_seconds=LISTING_SECONDS,
    )


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
        self._aws = aws
        self._context = context
        self._log = context.log
        self._clock = clock
        self._sleep = sleep
        self._policy = tick_policy(feed, datetime.fromtimestamp(clock(), UTC).date())

    def result(self) -> dg.SensorResult:
        cursor = self._cursor()
        notifications = self._receive_notifications(cursor)
        policy = self._policy
        if notifications.failure:
            # Without notifications the sensor polls: the window is listed at every tick.
            policy = replace(policy, window_every_seconds=0)
        outcome = self._evaluate(policy, cursor, notifications.days)
        settles_in_seconds = _seconds_worth_waiting(outcome)
        if settles_in_seconds is not None:
            self._sleep(settles_in_seconds + SETTLE_SLACK_SECONDS)
            # The window was listed a moment ago; only the days that wait are listed again.
            policy = replace(
                policy,
                window_every_seconds=WINDOW_EVERY_SECONDS,
                tick_seconds=LISTING_SECONDS / 2,
            )
            outcome = self._evaluate(policy, Cursor.decode(outcome.cursor)).combined_with(outcome)
        self._delete_handled(notifications, outcome)
        if outcome.emptied_days:
            days = [emptied.day for emptied in outcome.emptied_days]
            self._log.warning(describe_emptied(self._feed, days))
        if outcome.failures:
            problems = {day: str(failure) for day, failure in outcome.failures.items()}
            self._log.error("Days could not be listed. %s", by_text(problems))
        unmatched = describe_unmatched_days(self._feed, outcome)
        if outcome.planned_runs and unmatched:
            # A tick that requests runs has no skip message.
            self._log.warning("%s", "; ".join(unmatched))
        failures = list(outcome.failures.values())
        if notifications.failure:
            failures.append(notifications.failure)
        if failures and not outcome.made_progress:
            # Dagster shows a failed tick in red and stores no cursor. There is nothing to store.
            raise ArrivalsUnknown(describe_failures(self._feed.name, failures))
        return dg.SensorResult(
            run_requests=[run_request(self._feed.name, run) for run in outcome.planned_runs],
            skip_reason=None
            if outcome.planned_runs
            else describe_no_requests(outcome, failures, unmatched),
            cursor=outcome.cursor,
            asset_events=[self._observation(emptied) for emptied in outcome.emptied_days],
        )

    def _evaluate(
        self, policy: Policy, cursor: Cursor, notified_days: Collection[date] = ()
    ) -> TickOutcome:
        return evaluate_tick(
            policy,
            cursor,
            self._aws.raw_bucket(self._feed),
            RunHistory(
                self._context.instance,
                self._feed.name,
                asset_key(self._feed, raw_partition.NAME),
            ),
            now=self._clock(),
            notified_days=notified_days,
        )

    def _cursor(self) -> Cursor:
        try:
            return Cursor.decode(self._context.cursor)
        except UnreadableCursor as problem:
            self._log.warning("%s. A new one is made from the run history.", problem)
            return Cursor()

    def _receive_notifications(self, cursor: Cursor) -> TickNotifications:
        if self._feed.arrival.mode != "events":
            return TickNotifications()
        has_pending_days = any(state.needs_listing for state in cursor.days.values())
        try:
            return receive_notifications(
                self._aws.notifications(self._feed),
                self._feed,
                self._aws.input_bucket(self._feed),
                self._policy,
                self._log,
                wait_seconds=0 if has_pending_days else WAIT_SECONDS,
                drain_seconds=DRAIN_SECONDS,
            )
        except AwsFailure as failure:
            self._log.error(
                "No notifications in this tick: the window is listed instead. %s", failure
            )
            return TickNotifications(failure=failure)

    def _delete_handled(self, notifications: TickNotifications, outcome: TickOutcome) -> None:
        try:
            notifications.delete_handled(outcome.handled_until)
        except AwsFailure as failure:
            self._log.error(
                "Notifications could not be deleted. They are received again, without harm. %s",
                failure,
            )
            notifications.failure = failure

    def _observation(self, emptied: EmptiedDay) -> dg.AssetObservation:
        return dg.AssetObservation(
            asset_key=asset_key(self._feed, raw_partition.NAME),
            partition=emptied.day.isoformat(),
            description=describe_emptied(self._feed, [emptied.day]),
            metadata={
                "all raw files were deleted": True,
                "requested fingerprint": emptied.requested_fingerprint,
            },
        )


def _seconds_worth_waiting(outcome: TickOutcome) -> float | None:
    """Seconds until this tick could request a day; None if it should not wait.

    A tick that already has something to report does not wait.
    """
    if outcome.planned_runs or outcome.emptied_days or outcome.failures:
        return None
    if outcome.settles_in_seconds is None or outcome.settles_in_seconds > SETTLE_WAIT_SECONDS:
        return None
    cursor = Cursor.decode(outcome.cursor)
    if cursor.window_resume_day is not None or cursor.partial_listings:
        return None
    return outcome.settles_in_seconds
