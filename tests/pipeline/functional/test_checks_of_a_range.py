"""The newest evaluation of each check, which the UI shows, is the worst of the newest run."""

from datetime import date

import dagster as dg
import pytest
from dagster._core.event_api import PartitionKeyFilter

from tests.support.fakes.aws_state import AwsState
from tests.support.in_memory_pipeline import InMemoryPipeline

CHAIN = ("raw_partition", "catalog_table", "staging_table", "fact_table", "s3_export")
DAYS = [f"2026-01-0{n}" for n in range(1, 6)]
MATERIALIZED = "every_partition_materialized"


@pytest.fixture
def landed(state: AwsState) -> AwsState:
    for number, day in enumerate(DAYS, 1):
        state.land(day, rows=number)
    return state


def spoil(state: AwsState, *days: str) -> None:
    for day in days:
        state.land(day, "bad.csv", problem="not UTF-8")


def mend(state: AwsState, day: str) -> None:
    state.land(day, "bad.csv", rows=3)


def failed_days(evaluation: dg.AssetCheckEvaluation) -> object:
    return evaluation.metadata["failed days"].value


def of_day(pipeline: InMemoryPipeline, asset: str, check: str, day: str) -> bool | None:
    """Whether the newest evaluation of one day passed."""
    key = dg.AssetCheckKey(dg.AssetKey(["products", asset]), check)
    (record,) = pipeline.instance.event_log_storage.get_asset_check_execution_history(
        key, limit=1, partition_filter=PartitionKeyFilter(key=day)
    )
    return record.evaluation.passed if record.evaluation else None


@pytest.mark.parametrize("bad", [DAYS[2:3], DAYS[:1], DAYS[-1:], DAYS[1:4]], ids=str)
def test_the_shown_evaluation_of_a_range_is_its_worst_and_names_the_days(
    pipeline: InMemoryPipeline, landed: AwsState, bad: list[str]
) -> None:
    spoil(landed, *bad)
    pipeline.run(DAYS[0], DAYS[-1], checks=True)
    for asset in CHAIN:
        shown = pipeline.shown_evaluation(asset, MATERIALIZED)
        assert (shown.passed, shown.severity) == (False, dg.AssetCheckSeverity.ERROR)
        assert failed_days(shown) == bad
        assert f"{len(bad)} of 5 days failed" in (shown.description or "")
        assert all(f"- {day}: " in (shown.description or "") for day in bad)
        assert pipeline.check_health(asset) == "DEGRADED"
        results = {day: of_day(pipeline, asset, MATERIALIZED, day) for day in DAYS}
        assert results == {day: day not in bad for day in DAYS}


def test_the_checks_of_the_rows_show_the_worst_day_too(
    pipeline: InMemoryPipeline, landed: AwsState
) -> None:
    landed.reject[date.fromisoformat(DAYS[2])] = 2
    pipeline.run(DAYS[0], DAYS[-1], checks=True)
    shown = pipeline.shown_evaluation("staging_table", "rejected_share_within_limit")
    assert not shown.passed
    assert failed_days(shown) == [DAYS[2]]
    shown = pipeline.shown_evaluation("s3_export", "row_counts_reconcile")
    assert failed_days(shown) == [DAYS[2]]
    # The good days have gone on.
    assert pipeline.materialized_days("s3_export") == {day for day in DAYS if day != DAYS[2]}


def test_a_day_with_a_warning_makes_the_range_a_warning_and_no_failure(
    pipeline: InMemoryPipeline, landed: AwsState
) -> None:
    landed.land(DAYS[1], "empty.csv", rows=0)
    assert pipeline.run(DAYS[0], DAYS[-1], checks=True).success
    shown = pipeline.shown_evaluation("raw_partition", "files_have_rows")
    assert (shown.passed, shown.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert shown.metadata["days with a warning"].value == [DAYS[1]]
    assert failed_days(shown) == "none"
    assert pipeline.check_health("raw_partition") == "WARNING"


def test_a_range_of_good_days_shows_a_passed_evaluation_of_all_of_them(
    pipeline: InMemoryPipeline, landed: AwsState
) -> None:
    assert pipeline.run(DAYS[0], DAYS[-1], checks=True).success
    for asset in CHAIN:
        assert pipeline.shown_evaluation(asset, MATERIALIZED).description == "all 5 days passed"
        assert pipeline.check_health(asset) == "HEALTHY"


def test_a_range_of_bad_days_names_them_all_where_they_failed(
    pipeline: InMemoryPipeline, landed: AwsState
) -> None:
    spoil(landed, *DAYS)
    pipeline.run(DAYS[0], DAYS[-1], checks=True)
    shown = pipeline.shown_evaluation("raw_partition", MATERIALIZED)
    assert failed_days(shown) == DAYS
    assert "5 of 5 days failed (2026-01-01 to 2026-01-05)" in (shown.description or "")
    assert pipeline.check_health("raw_partition") == "DEGRADED"


@pytest.mark.parametrize("last", [None, DAYS[2]], ids=["its-own-run", "a-range-of-one-day"])
def test_the_page_is_green_again_once_the_bad_day_was_repaired(
    pipeline: InMemoryPipeline, landed: AwsState, last: str | None
) -> None:
    spoil(landed, DAYS[2])
    pipeline.run(DAYS[0], DAYS[-1], checks=True)
    mend(landed, DAYS[2])
    assert pipeline.run(DAYS[2], last, checks=True).success
    for asset in CHAIN:
        shown = pipeline.shown_evaluation(asset, MATERIALIZED)
        assert (shown.passed, shown.partition) == (True, DAYS[2])
        assert pipeline.check_health(asset) == "HEALTHY"
        assert all(of_day(pipeline, asset, MATERIALIZED, day) for day in DAYS)


def test_the_page_is_green_again_once_the_range_was_repaired(
    pipeline: InMemoryPipeline, landed: AwsState
) -> None:
    spoil(landed, DAYS[2])
    pipeline.run(DAYS[0], DAYS[-1], checks=True)
    mend(landed, DAYS[2])
    assert pipeline.run(DAYS[0], DAYS[-1], checks=True).success
    assert {pipeline.check_health(asset) for asset in CHAIN} == {"HEALTHY"}


def test_a_day_of_its_own_has_one_evaluation_of_each_check(
    pipeline: InMemoryPipeline, landed: AwsState
) -> None:
    result = pipeline.run(DAYS[0], checks=True)
    partitions = [one.partition for one in result.get_asset_check_evaluations()]
    assert set(partitions) == {DAYS[0]}
    assert len(partitions) == len(pipeline.definitions.resolve_asset_graph().asset_check_keys)


def test_checks_executed_for_no_day_show_the_worst_of_the_days_that_are_there(
    pipeline: InMemoryPipeline, landed: AwsState
) -> None:
    assert pipeline.run(DAYS[0], DAYS[-1], checks=True).success
    landed.fact[date.fromisoformat(DAYS[1])] -= 1
    result = pipeline.check_export()
    shown = pipeline.shown_evaluation("s3_export", "row_counts_reconcile")
    assert (shown.passed, shown.partition) == (False, DAYS[1])
    (of_run,) = [
        one
        for one in result.get_asset_check_evaluations()
        if one.partition is None and one.check_name == "row_counts_reconcile"
    ]
    assert failed_days(of_run) == [DAYS[1]]


def test_many_bad_days_are_all_in_the_metadata_and_the_first_in_the_description(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    for day in (*(f"2026-01-{n:02}" for n in range(1, 31)), "2026-01-31"):
        state.land(day, problem="bad " + "x" * 1000 if day != "2026-01-31" else None)
    pipeline.run("2026-01-01", "2026-01-31", checks=True)
    shown = pipeline.shown_evaluation("raw_partition", MATERIALIZED)
    assert len(shown.metadata["failed days"].value) == 30  # type: ignore[arg-type]
    assert "and 10 more" in (shown.description or "")
    assert len(shown.description or "") < 20 * 400
