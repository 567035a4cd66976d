"""The daily schedule: which day it requests, and when it skips."""

from datetime import UTC, date, datetime
from zoneinfo import ZoneInfo

import dagster as dg
import pytest

from tests.support.fakes.aws_state import AwsState
from tests.support.in_memory_pipeline import InMemoryPipeline
from xacct_assets.feed.schedule import build_schedule, last_ended_day, skip_reason

DAY = date(2026, 1, 2)


def reason(pipeline: InMemoryPipeline) -> str | None:
    """Why the schedule would skip the day; None if it would request it."""
    return skip_reason(pipeline.feed, pipeline.aws, pipeline.instance, DAY)


@pytest.mark.parametrize(
    ("now", "day"),
    [
        (datetime(2026, 1, 3, 6, tzinfo=UTC), date(2026, 1, 2)),
        (datetime(2026, 1, 3, 0, 30, tzinfo=ZoneInfo("Europe/Berlin")), date(2026, 1, 1)),
        (datetime(2026, 1, 2, 20, tzinfo=ZoneInfo("America/Los_Angeles")), date(2026, 1, 2)),
    ],
)
def test_the_day_is_the_last_utc_day_that_has_ended(now: datetime, day: date) -> None:
    assert last_ended_day(now) == day


def test_a_day_without_files_is_requested_so_that_it_fails(pipeline: InMemoryPipeline) -> None:
    assert reason(pipeline) is None


def test_a_day_that_was_not_run_is_requested(pipeline: InMemoryPipeline, state: AwsState) -> None:
    state.land(str(DAY))
    assert reason(pipeline) is None


def test_a_day_that_the_sensor_already_processed_is_skipped(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(str(DAY))
    assert pipeline.run(str(DAY)).success
    assert "made from the files that are there" in (reason(pipeline) or "")


def test_a_day_whose_files_changed_since_its_export_is_requested(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(str(DAY))
    assert pipeline.run(str(DAY)).success
    state.land(str(DAY), "late.csv")
    assert reason(pipeline) is None


def test_a_day_whose_export_failed_is_requested(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(str(DAY))
    state.hooks["unload"] = lambda state: state.exported.clear()
    assert not pipeline.run(str(DAY)).success
    assert reason(pipeline) is None


def test_a_day_whose_files_are_gone_since_it_was_exported_is_skipped(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(str(DAY))
    assert pipeline.run(str(DAY)).success
    state.raw.clear()
    assert "the raw files of 2026-01-02 are gone" in (reason(pipeline) or "")


def test_a_day_whose_files_are_gone_before_it_was_exported_is_requested_so_that_it_fails(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(str(DAY))
    assert pipeline.run(str(DAY), assets=["raw_partition"]).success
    state.raw.clear()
    assert reason(pipeline) is None


WHOLE, EXPORT = ("raw_partition", "s3_export"), ("s3_export",)


def start_run(
    pipeline: InMemoryPipeline, first: date, last: date, job: str, assets: tuple[str, ...] | None
) -> None:
    """A run of these days that is under way."""
    range_tags = pipeline.range_tags(str(first), str(last))
    keys = assets and frozenset(dg.AssetKey(["products", name]) for name in assets)
    pipeline.instance.create_run(
        run_id=None,
        job_name=job,
        status=dg.DagsterRunStatus.STARTED,
        tags={"dagster/partition": str(first)} if first == last else range_tags,
        run_config={},
        asset_selection=keys,
        asset_check_selection=None,
        resolved_op_selection=None,
        step_keys_to_execute=None,
        root_run_id=None,
        parent_run_id=None,
        job_snapshot=None,
        execution_plan_snapshot=None,
        parent_job_snapshot=None,
        remote_job_origin=None,
        job_code_origin=None,
        asset_graph=pipeline.definitions.resolve_asset_graph(),
        op_selection=None,
    )


@pytest.mark.parametrize(
    ("first", "last", "job", "assets"),
    [
        pytest.param(DAY, DAY, "products_day", None, id="alone"),
        pytest.param(date(2025, 12, 30), date(2026, 1, 5), "products_day", None, id="in-a-range"),
        pytest.param(date(2026, 1, 1), DAY, "__ASSET_JOB", WHOLE, id="in-a-backfill-of-the-ui"),
    ],
)
def test_a_day_that_is_under_way_is_skipped(
    pipeline: InMemoryPipeline,
    state: AwsState,
    first: date,
    last: date,
    job: str,
    assets: tuple[str, ...] | None,
) -> None:
    state.land(str(DAY))
    start_run(pipeline, first, last, job, assets)
    assert "is under way" in (reason(pipeline) or "")


@pytest.mark.parametrize(
    ("first", "last", "job", "assets"),
    [
        pytest.param(date(2026, 1, 3), date(2026, 1, 9), "products_day", None, id="later-days"),
        pytest.param(DAY, DAY, "__ASSET_JOB", EXPORT, id="its-export-alone"),
        pytest.param(DAY, DAY, "orders_day", None, id="another-feed"),
    ],
)
def test_a_day_is_requested_although_a_run_of_something_else_is_under_way(
    pipeline: InMemoryPipeline,
    state: AwsState,
    first: date,
    last: date,
    job: str,
    assets: tuple[str, ...] | None,
) -> None:
    state.land(str(DAY))
    start_run(pipeline, first, last, job, assets)
    assert reason(pipeline) is None


@pytest.mark.parametrize(
    ("at", "requested"),
    [
        (datetime(2026, 1, 3, 6, tzinfo=UTC), "2026-01-02"),
        (datetime(2026, 1, 1, 6, tzinfo=UTC), None),
    ],
)
def test_a_tick_requests_yesterday_unless_the_feed_starts_later(
    pipeline: InMemoryPipeline, monkeypatch: pytest.MonkeyPatch, at: datetime, requested: str | None
) -> None:
    schedule = build_schedule(pipeline.feed)
    context = dg.build_schedule_context(scheduled_execution_time=at)
    # A context takes the reference of an instance, which an ephemeral one does not have.
    monkeypatch.setattr(dg.ScheduleEvaluationContext, "instance", pipeline.instance)
    result = schedule(context, aws=pipeline.aws)
    if requested is None:
        assert isinstance(result, dg.SkipReason)
    else:
        assert result.partition_key == requested
        # Before the runs of a backfill.
        assert result.tags["dagster/priority"] == "1"
