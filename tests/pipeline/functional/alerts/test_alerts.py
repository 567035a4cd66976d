"""The alerts sensor: each problem is told once, and once more when it is mended."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import dagster as dg
import pytest

from tests.support.fakes.aws_state import AwsState
from tests.support.in_memory_pipeline import InMemoryPipeline
from xacct_assets.aws.errors import AccessDenied, AwsFailure
from xacct_assets.feed.alerts import resources
from xacct_assets.feed.alerts.alert import Alert, Kind
from xacct_assets.feed.alerts.failed_ticks import failed_ticks
from xacct_assets.feed.alerts.sensor import (
    INTERVAL_SECONDS,
    LISTING_SECONDS,
    AlertsNotSent,
    build_alerts_sensor,
)
from xacct_assets.feed.alerts.state import State
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.spec.alerts import Alerts

CHAIN = ["raw_partition", "catalog_table", "staging_table", "fact_table", "s3_export"]
DAY, NEXT_DAY = "2026-01-02", "2026-01-03"
DENIED = AccessDenied("sns:Publish on the topic", fix="allow sns:Publish")


class Alerting:
    """The sensor, ticking by hand on a pipeline in memory."""

    def __init__(self, pipeline: InMemoryPipeline, **deadlines: int) -> None:
        self.pipeline = pipeline
        self.feed = pipeline.feed.model_copy(update={"alerts": Alerts(**deadlines)})
        self.others: list[FeedSpec] = []
        self.cursor: str | None = None
        self.now = datetime.now(UTC)
        self.tick()

    def tick(self) -> list[str]:
        """One tick; the subjects of what it sent."""
        published = self.pipeline.state.published
        before = len(published)
        sensor = build_alerts_sensor([self.feed, *self.others], clock=lambda: self.now.timestamp())
        context = dg.build_sensor_context(
            instance=self.pipeline.instance,
            cursor=self.cursor,
            resources={"aws": self.pipeline.aws},
        )
        self.cursor = sensor.evaluate_tick(context).cursor
        return [subject for subject, _, _ in published[before:]]

    def run(self, first: str, last: str | None = None) -> dg.ExecuteInProcessResult:
        return self.pipeline.run(first, last, CHAIN, checks=True)

    @property
    def text(self) -> str:
        """The last message."""
        return self.pipeline.state.published[-1][1]


@pytest.fixture
def alerting(pipeline: InMemoryPipeline) -> Alerting:
    return Alerting(pipeline)


def raising(error: AwsFailure) -> Callable[[AwsState], None]:
    def hook(_: AwsState) -> None:
        raise error

    return hook


def test_a_good_day_is_no_message(alerting: Alerting, state: AwsState) -> None:
    state.land(DAY)
    assert alerting.run(DAY).success
    assert alerting.tick() == []


def test_a_failed_day_is_told_once_with_day_stage_cause_repair_and_run(
    alerting: Alerting, state: AwsState
) -> None:
    state.land(DAY, problem="not UTF-8")
    run = alerting.run(DAY)
    assert alerting.tick() == [f"[xacct test] products {DAY}: run failed"]
    assert f"days: {DAY}" in alerting.text
    assert "stage: raw_partition" in alerting.text
    assert "not UTF-8" in alerting.text
    assert "repair: remove the cause, then materialize the day" in alerting.text
    assert run.run_id in alerting.text
    assert "owners: team:data-platform" in alerting.text
    assert alerting.tick() == []
    alerting.run(DAY)
    assert alerting.tick() == []


def test_a_mended_day_is_told_once(alerting: Alerting, state: AwsState) -> None:
    state.land(DAY, problem="not UTF-8")
    alerting.run(DAY)
    alerting.tick()
    state.land(DAY)
    assert alerting.run(DAY).success
    assert alerting.tick() == [f"[xacct test] products {DAY}: mended (run failed)"]
    assert alerting.tick() == []


def test_a_day_that_failed_and_was_mended_between_two_ticks_is_no_message(
    alerting: Alerting, state: AwsState
) -> None:
    state.land(DAY, problem="not UTF-8")
    alerting.run(DAY)
    state.land(DAY)
    alerting.run(DAY)
    assert alerting.tick() == []


def test_another_stage_of_a_day_that_is_told_is_a_new_problem(
    alerting: Alerting, state: AwsState, denied: AccessDenied
) -> None:
    state.land(DAY, problem="not UTF-8")
    alerting.run(DAY)
    alerting.tick()
    state.land(DAY)
    state.hooks["crawl"] = raising(denied)
    alerting.run(DAY)
    assert alerting.tick() == [f"[xacct test] products {DAY}: run failed"]
    assert "stage: catalog_table" in alerting.text


def test_a_run_of_another_stage_mends_nothing(alerting: Alerting, state: AwsState) -> None:
    state.land(DAY)
    alerting.run(DAY)
    state.land(DAY, "bad.csv", problem="not UTF-8")
    alerting.run(DAY)
    alerting.tick()
    alerting.pipeline.run(DAY, assets=["fact_table", "s3_export"])
    assert alerting.tick() == []


def test_the_bad_days_of_a_range_are_one_message(alerting: Alerting, state: AwsState) -> None:
    state.land("2026-01-01")
    for day in (DAY, NEXT_DAY):
        state.land(day, problem="not UTF-8")
    alerting.run("2026-01-01", NEXT_DAY)
    assert alerting.tick() == [f"[xacct test] products {DAY} to {NEXT_DAY}: run failed"]
    state.land(DAY)
    alerting.run(DAY)
    assert alerting.tick() == [f"[xacct test] products {DAY}: mended (run failed)"]


def test_a_failed_check_is_told_and_mended(alerting: Alerting, state: AwsState) -> None:
    state.land(DAY, rows=10)
    state.hooks["unload"] = lambda aws: aws.fact.clear()
    alerting.run(DAY)
    assert len(alerting.tick()) == 1
    assert "check row_counts_reconcile" in alerting.text
    del state.hooks["unload"]
    assert alerting.run(DAY).success
    assert alerting.tick() == [f"[xacct test] products {DAY}: mended (check failed)"]


@pytest.mark.parametrize(("tag", "told"), [("true", 0), ("false", 1)])
def test_a_run_that_will_be_retried_is_no_message(
    alerting: Alerting, state: AwsState, tag: str, told: int
) -> None:
    state.land(DAY, problem="not UTF-8")
    run = alerting.run(DAY)
    alerting.pipeline.instance.add_run_tags(run.run_id, {"dagster/will_retry": tag})
    assert len(alerting.tick()) == told


def test_runs_of_before_the_first_tick_are_no_message(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY, problem="not UTF-8")
    pipeline.run(DAY, assets=CHAIN, checks=True)
    alerting = Alerting(pipeline)
    alerting.now += timedelta(hours=1)
    assert state.published == []


def test_while_nobody_can_be_reached_the_tick_fails_and_the_next_one_tells(
    alerting: Alerting, state: AwsState
) -> None:
    state.land(DAY, problem="not UTF-8")
    alerting.run(DAY)
    state.hooks["publish"] = raising(DENIED)
    with pytest.raises(AlertsNotSent, match="allow sns:Publish"):
        alerting.tick()
    del state.hooks["publish"]
    assert alerting.tick() == [f"[xacct test] products {DAY}: run failed"]
    assert alerting.tick() == []


def test_one_address_that_is_reached_is_enough(
    alerting: Alerting, state: AwsState, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []

    class Apprise:
        def add(self, url: str) -> bool:
            return url.startswith("json://")

        def notify(self, *, title: str, body: str) -> bool:
            told.append((title, body))
            return True

    monkeypatch.setattr("apprise.Apprise", Apprise)
    state.alert_urls = ["json://hooks.example.com/t0ken"]
    state.hooks["publish"] = raising(DENIED)
    state.land(DAY, problem="not UTF-8")
    alerting.run(DAY)
    alerting.tick()
    alerting.tick()
    assert [title for title, _ in told] == [f"[xacct test] products {DAY}: run failed"]


@pytest.mark.parametrize("url", ["nonsense://t0ken@host", "json://127.0.0.1:9/t0ken"])
def test_an_address_that_does_not_work_is_named_without_its_token(
    alerting: Alerting, state: AwsState, url: str
) -> None:
    state.alert_urls = [url]
    state.hooks["publish"] = raising(DENIED)
    state.land(DAY, problem="not UTF-8")
    alerting.run(DAY)
    with pytest.raises(AlertsNotSent) as raised:
        alerting.tick()
    assert url.partition("://")[0] in str(raised.value)
    assert "t0ken" not in str(raised.value)


def test_a_late_day_is_told_and_its_failed_run_is_not(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    alerting = Alerting(pipeline, late_after_hours=6)
    state.published.clear()
    alerting.now = datetime(2026, 1, 3, 6, tzinfo=UTC)
    state.land("2026-01-01")
    alerting.cursor = None
    assert alerting.tick() == [f"[xacct test] products {DAY}: day late"]
    assert "6 hours after the day's end" in alerting.text
    alerting.run(DAY)
    assert alerting.tick() == []
    state.land(DAY)
    alerting.now += timedelta(seconds=LISTING_SECONDS)
    assert alerting.tick() == [f"[xacct test] products {DAY}: mended (day late)"]


def test_a_day_that_is_late_in_one_feed_is_told_of_another(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    alerting = Alerting(pipeline)
    told = State(begun=0, since=0)
    late = Alert(Kind.DAY_LATE, DAY, "no file", "ask", feed="orders", stage="raw_partition")
    told.told[late.key] = late
    orders = alerting.feed.model_copy(update={"name": "orders", "alerts": Alerts()})
    state.land(DAY, problem="not UTF-8")
    alerting.run(DAY)
    alerting.cursor, alerting.others = told.encode(), [orders]
    assert f"[xacct test] products {DAY}: run failed" in alerting.tick()


def test_before_the_deadline_no_day_is_late(pipeline: InMemoryPipeline, state: AwsState) -> None:
    alerting = Alerting(pipeline, late_after_hours=6, stale_after_hours=8)
    state.published.clear()
    alerting.cursor = None
    alerting.now = datetime(2026, 1, 2, 5, 59, tzinfo=UTC)
    assert alerting.tick() == []


def test_an_export_that_is_behind_is_told_until_it_is_there(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    alerting = Alerting(pipeline, stale_after_hours=8)
    state.published.clear()
    alerting.cursor = None
    alerting.now = datetime(2026, 1, 3, 8, tzinfo=UTC)
    state.land(DAY)
    assert alerting.tick() == ["[xacct test] products s3_export: export stale"]
    assert f"xacct reconcile --feed products --partition {DAY}" in alerting.text
    assert alerting.tick() == []
    assert alerting.run(DAY).success
    assert alerting.tick() == ["[xacct test] products s3_export: mended (export stale)"]


def test_a_bucket_that_cannot_be_listed_leaves_late_days_as_they_were_told(
    pipeline: InMemoryPipeline, state: AwsState, denied: AccessDenied
) -> None:
    alerting = Alerting(pipeline, late_after_hours=6)
    state.published.clear()
    alerting.cursor = None
    alerting.now = datetime(2026, 1, 2, 6, tzinfo=UTC)
    assert len(alerting.tick()) == 1
    state.hooks["list"] = raising(denied)
    alerting.now += timedelta(seconds=LISTING_SECONDS)
    assert alerting.tick() == []
    del state.hooks["list"]
    alerting.now += timedelta(seconds=LISTING_SECONDS)
    assert alerting.tick() == []


def test_the_folders_of_late_days_are_listed_every_five_minutes_and_not_at_every_tick(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    alerting = Alerting(pipeline, late_after_hours=6)
    alerting.cursor = None
    alerting.now = datetime(2026, 1, 9, 6, tzinfo=UTC)
    listed = []
    for _ in range(2 * LISTING_SECONDS // INTERVAL_SECONDS):
        before = state.count("list")
        alerting.tick()
        listed.append(state.count("list") - before)
        alerting.now += timedelta(seconds=INTERVAL_SECONDS)
    of_first_tick = listed[0]
    assert of_first_tick == 7  # days
    per_round = [of_first_tick] + [0] * (LISTING_SECONDS // INTERVAL_SECONDS - 1)
    assert listed == per_round * 2


def test_dead_letters_are_told_and_mended(pipeline: InMemoryPipeline, state: AwsState) -> None:
    alerting = Alerting(pipeline)
    arrival = alerting.feed.arrival.model_copy(update={"mode": "events"})
    alerting.feed = alerting.feed.model_copy(update={"arrival": arrival})
    state.dead_letters = 3
    name = "xacct-arrivals-dead-test"
    assert alerting.tick() == [f"[xacct test] {name}: dead letters"]
    assert "about 3 messages" in alerting.text
    state.dead_letters = 0
    assert alerting.tick() == [f"[xacct test] {name}: mended (dead letters)"]


def test_a_full_disk_is_told_and_mended(
    alerting: Alerting, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resources, "FULL", 0.0)
    (subject,) = alerting.tick()
    assert subject.endswith("disk nearly full")
    assert "GB left of" in alerting.text
    monkeypatch.setattr(resources, "FULL", 1.1)
    assert len(alerting.tick()) == 1


@pytest.mark.parametrize("missing", ["dagster", "dagster/storage"])
def test_an_instance_that_has_no_folder_yet_is_on_the_disk_of_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, missing: str
) -> None:
    """With PostgreSQL as storage, Dagster makes the folder of its artifacts when it needs it."""
    assert resources.full_disk(tmp_path / missing) == []
    monkeypatch.setattr(resources, "FULL", 0.0)
    (alert,) = resources.full_disk(tmp_path / missing)
    assert str(tmp_path / missing) in str(alert)


def test_a_cursor_that_is_none_of_this_version_begins_anew(alerting: Alerting) -> None:
    for cursor in ("{", '{"version": 0}', "[]"):
        alerting.cursor = cursor
        assert alerting.tick() == []


class Ticks:
    """An instance whose sensors and schedules had these ticks, the newest first."""

    schedule_storage = object()

    def __init__(self, name: str, *statuses: str, state: str = "RUNNING") -> None:
        self._state = SimpleNamespace(
            instigator_name=name,
            status=SimpleNamespace(value=state),
            instigator_origin_id="origin",
            selector_id="selector",
        )
        error = SimpleNamespace(message="ArrivalsUnknown: denied\n", cause=None)
        self._ticks = [
            SimpleNamespace(status=SimpleNamespace(value=status), error=error)
            for status in statuses
        ]

    def all_instigator_state(self) -> list[Any]:
        return [self._state]

    def get_ticks(self, _origin: str, _selector: str, *, limit: int) -> list[Any]:
        return self._ticks[:limit]


@pytest.mark.parametrize(
    ("instance", "told"),
    [
        (Ticks("products_arrivals", "FAILURE", "FAILURE", "SKIPPED"), True),
        (Ticks("products_arrivals", "STARTED", "FAILURE", "FAILURE"), True),
        (Ticks("products_arrivals", "FAILURE", "SUCCESS", "FAILURE"), False),
        (Ticks("products_arrivals", "FAILURE"), False),
        (Ticks("products_arrivals", "FAILURE", "FAILURE", state="STOPPED"), False),
        (Ticks("products_daily", "FAILURE", "SUCCESS"), True),
        (Ticks("products_daily", "SKIPPED", "FAILURE"), False),
        (Ticks("another", "FAILURE", "FAILURE"), False),
        (Ticks("products_daily"), False),
    ],
)
def test_a_sensor_that_fails_twice_and_a_schedule_that_fails_are_told(
    feed: FeedSpec, instance: Any, told: bool
) -> None:
    alerts = failed_ticks(instance, [feed])
    assert bool(alerts) is told
    assert all(alert.cause == "ArrivalsUnknown: denied" for alert in alerts)
