"""Runs of days whose raw files were deleted or replaced since they were loaded."""

from datetime import date

import pytest

from tests.support.fakes.aws_state import AwsState
from tests.support.in_memory_pipeline import InMemoryPipeline
from xacct_assets.feed.assets.raw_partition import _files_gone
from xacct_assets.feed.reconciliation.collection import reconcile

DAY = "2026-01-02"


def load_and_lose_the_files(pipeline: InMemoryPipeline, state: AwsState) -> None:
    state.land(DAY, rows=10)
    assert pipeline.run(DAY).success
    state.raw.clear()


def test_a_day_whose_files_are_gone_since_it_was_loaded_is_refused_and_left_as_it_is(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    load_and_lose_the_files(pipeline, state)
    before = (dict(state.fact), dict(state.exported), len(state.calls))
    result = pipeline.run(DAY)
    failures = pipeline.failures(result)
    assert "the day's raw files are gone: 10 rows were loaded from them on 2026-01-31" in failures
    assert "What was loaded and exported stays as it is" in failures
    assert (state.fact, state.exported) == before[:2]
    assert {name for name, _ in state.calls[before[2] :]} <= {"list", "inspect"}


def test_a_day_whose_files_are_gone_fails_alone_in_a_range(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    load_and_lose_the_files(pipeline, state)
    for day in ("2026-01-01", "2026-01-03"):
        state.land(day, rows=4)
    result = pipeline.run("2026-01-01", "2026-01-03", checks=True)
    assert "2026-01-02: the day's raw files are gone" in pipeline.failures(result)
    assert state.fact == {date(2026, 1, 1): 4, date(2026, 1, 2): 10, date(2026, 1, 3): 4}


def test_a_day_whose_files_have_expired_in_part_is_not_replaced_by_what_is_left(
    pipeline: InMemoryPipeline, state: AwsState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline.feed.source, "retention_days", 5)
    state.land(DAY, rows=10)
    state.land(DAY, "b.csv", rows=3)
    inputs = {"feed": pipeline.feed, "aws": pipeline.aws}
    assert _files_gone(**inputs, rows={date(2026, 1, 2): [10, 3]}) == {}
    assert pipeline.run(DAY).success
    assert _files_gone(**inputs, rows={date(2026, 1, 2): [10, 3]}) == {}
    (problem,) = _files_gone(**inputs, rows={date(2026, 1, 2): [10]}).values()
    assert "source.retention_days (5) is over, and those left hold 10 rows" in problem
    assert "to load only what is left, raise source.retention_days" in problem


def test_the_load_alone_of_a_day_whose_files_are_gone_says_what_is_possible(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    load_and_lose_the_files(pipeline, state)
    failures = pipeline.failures(pipeline.run(DAY, assets=["staging_table"]))
    assert "all raw files were deleted since raw_partition listed them" in failures
    assert "can still be transformed and exported" in failures
    assert pipeline.run(DAY, assets=["fact_table", "s3_export"]).success


def test_a_replaced_file_gets_the_same_advice_from_the_run_and_from_reconciling(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY, rows=10)
    assert pipeline.run(DAY).success
    state.land(DAY, rows=12)
    failures = pipeline.failures(pipeline.run(DAY, assets=["staging_table"]))
    (verdict,) = reconcile(state.feed, pipeline.aws, [date(2026, 1, 2)])
    (problem,) = verdict.problems
    advice = "materialize the day from raw_partition on (the arrival sensor does so by itself)"
    assert advice in failures
    assert advice in problem
