"""The sensor that sends the alerts of all feeds."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from functools import partial
from pathlib import Path

import dagster as dg

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.aws_clients import AwsClients
from xacct_assets.feed.alerts.alert import Alert, Kind
from xacct_assets.feed.alerts.delivery import deliver
from xacct_assets.feed.alerts.ended_runs import OVERLAP_SECONDS, RunResult, ended_runs
from xacct_assets.feed.alerts.failed_ticks import failed_ticks
from xacct_assets.feed.alerts.message import Message, NotSent, messages
from xacct_assets.feed.alerts.missing_days import late_days, stale_export
from xacct_assets.feed.alerts.resources import dead_letters, full_disk
from xacct_assets.feed.alerts.state import State
from xacct_assets.feed.assets import raw_partition
from xacct_assets.feed.spec import FeedSpec

NAME = "alerts"
INTERVAL_SECONDS = 30
#: The raw folders of late days are listed no more often than this.
LISTING_SECONDS = 300


class AlertsNotSent(Exception):
    """No message of a tick could be sent. The next tick tries again."""


def build_alerts_sensor(
    feeds: Sequence[FeedSpec], *, clock: Callable[[], float] = time.time
) -> dg.SensorDefinition:
    """Build the sensor. It sends one message for each problem, and one when it is mended.

    Args:
        feeds: all feeds of the code location.
        clock: seconds since 1970.
    """

    @dg.sensor(
        name=NAME,
        minimum_interval_seconds=INTERVAL_SECONDS,
        default_status=dg.DefaultSensorStatus.RUNNING,
        description=(
            "Tells the owners of the feeds, by the SNS topic of the installation and by "
            "XACCT_ALERT_URLS: failed runs and checks, failed ticks, late days, stale exports, "
            "dead letters, a full disk. Its cursor holds what it has told; reset, it tells "
            "everything but old runs again."
        ),
    )
    def alerts(
        context: dg.SensorEvaluationContext, aws: dg.ResourceParam[AwsClients]
    ) -> dg.SensorResult:
        return _Tick(feeds, aws, context, clock()).result()

    return alerts


class _Tick:
    """One tick."""

    def __init__(
        self,
        feeds: Sequence[FeedSpec],
        aws: AwsClients,
        context: dg.SensorEvaluationContext,
        now: float,
    ) -> None:
        self._feeds = feeds
        self._aws = aws
        self._context = context
        self._instance = context.instance
        self._now = now
        self._state = State.decode(context.cursor, now)
        self._state.forget_other_feeds({feed.name for feed in feeds})
        self._new: list[Alert] = []
        self._mended: list[Alert] = []
        self._failures: list[str] = []
        self._unsent = 0

    def result(self) -> dg.SensorResult:
        results = ended_runs(
            self._instance,
            [feed.name for feed in self._feeds],
            self._state.runs_after(OVERLAP_SECONDS),
            self._state.seen,
        )
        self._watch_states()
        for result in results:
            self._judge(result)
        sent = self._send()
        for failure in self._failures:
            self._context.log.error("%s", failure)
        if self._unsent and not sent:
            raise AlertsNotSent("\n".join(self._failures))
        if not self._unsent:
            # Otherwise the runs are looked at again.
            self._state.advance({run.run_id: run.ended_at for run in results}, OVERLAP_SECONDS)
        return dg.SensorResult(
            skip_reason=f"{sent} messages sent; {len(self._state.told)} problems are open",
            cursor=self._state.encode(),
        )

    def _watch_states(self) -> None:
        now = datetime.fromtimestamp(self._now, UTC)
        instance, feeds, aws = self._instance, self._feeds, self._aws
        is_listing_due = self._now - self._state.listed >= LISTING_SECONDS
        if is_listing_due:
            self._state.listed = self._now
        for feed in feeds:
            late = self._told(Kind.DAY_LATE, feed.name)
            days = [alert.subject for alert in late]
            if is_listing_due:
                find = partial(late_days, feed, aws, instance, now, days)
                self._compare(Kind.DAY_LATE, late, find)
            stale = self._told(Kind.EXPORT_STALE, feed.name)
            self._compare(Kind.EXPORT_STALE, stale, partial(stale_export, feed, instance, now))
        for kind, find in (
            (Kind.TICK_FAILED, partial(failed_ticks, instance, feeds)),
            (Kind.DEAD_LETTERS, partial(dead_letters, feeds, aws)),
            (Kind.DISK_FULL, partial(full_disk, Path(instance.root_directory))),
        ):
            self._compare(kind, self._told(kind), find)

    def _told(self, kind: Kind, feed: str | None = None) -> list[Alert]:
        """What was told of a kind, of one feed or of all."""
        told = self._state.of_kinds([kind])
        return [alert for alert in told if feed is None or alert.feed == feed]

    def _compare(
        self, kind: Kind, told: Sequence[Alert], find: Callable[[], Sequence[Alert]]
    ) -> None:
        """Find what is wrong now. What cannot be found out stays as it was told."""
        try:
            found = {alert.key: alert for alert in find()}
        except AwsFailure as failure:
            self._context.log.warning("Not known whether there is a %s: %s", kind, failure)
            return
        self._new += [alert for key, alert in found.items() if key not in self._state.told]
        self._mended += [alert for alert in told if alert.key not in found]

    def _judge(self, result: RunResult) -> None:
        """Compare the result of a run with what was told of its days."""
        late = {
            (alert.feed, alert.subject)
            for alert in [*self._state.told.values(), *self._new]
            if alert.kind is Kind.DAY_LATE
        }
        for alert in result.first_alerts():
            self._drop(alert.key)
            is_late = alert.stage == raw_partition.NAME and (alert.feed, alert.subject) in late
            if not is_late and not self._is_known(alert, result):
                self._new.append(alert)
        for told in [*self._state.of_kinds([Kind.RUN_FAILED, Kind.CHECK_FAILED]), *self._new]:
            if result.mends(told) and told.run_id != result.run_id:
                self._drop(told.key)
                if told.key in self._state.told:
                    self._mended.append(told)

    def _is_known(self, alert: Alert, result: RunResult) -> bool:
        """Whether the day has this problem since it was told, or one that this follows from."""
        told = self._state.told.get(alert.key)
        if told is None:
            return False
        is_same = (told.kind, told.stage, told.check) == (alert.kind, alert.stage, alert.check)
        return is_same or told.stage not in result.good.get(alert.subject, ())

    def _drop(self, key: str) -> None:
        """Forget what an earlier run of this tick said."""
        self._new = [alert for alert in self._new if alert.key != key]
        self._mended = [alert for alert in self._mended if alert.key != key]

    def _send(self) -> int:
        settings = self._aws.settings
        owners = {feed.name: feed.owners for feed in self._feeds}
        sent = 0
        for is_new, some in ((True, self._new), (False, self._mended)):
            for message in messages(
                some,
                is_new=is_new,
                installation=settings.suffix,
                owners=owners,
                dagster_url=settings.dagster_url,
            ):
                sent += self._sent(message)
        return sent

    def _sent(self, message: Message) -> bool:
        try:
            self._failures += deliver(message, self._aws)
        except NotSent as failure:
            self._failures.append(str(failure))
            self._unsent += 1
            return False
        for alert in message.alerts:
            if message.is_new:
                self._state.told[alert.key] = alert
            else:
                self._state.told.pop(alert.key, None)
        return True
