"""A run over a range: each day has its own events, and a bad day fails alone."""

import logging
from dataclasses import replace
from datetime import date

import dagster as dg
from dagster._core.definitions.data_version import CachingStaleStatusResolver, StaleStatus
from dagster._core.loader import LoadingContextForTest

from tests.support.fakes.aws_state import AwsState
from tests.support.in_memory_pipeline import InMemoryPipeline

CHAIN = ["raw_partition", "catalog_table", "staging_table", "fact_table", "s3_export"]
DAYS = [f"2026-01-0{n}" for n in range(1, 6)]


def land_all(state: AwsState) -> None:
    for number, day in enumerate(DAYS, 1):
        state.land(day, rows=number)


def test_a_range_is_one_crawl_one_job_run_one_call_and_one_batch(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    land_all(state)
    result = pipeline.run(DAYS[0], DAYS[-1])
    assert result.success, pipeline.failures(result)
    assert [state.count(kind) for kind in ("crawl", "job", "call", "unload")] == [1, 1, 1, 1]


def test_each_day_of_a_range_has_its_own_metadata(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    land_all(state)
    pipeline.run(DAYS[0], DAYS[-1])
    for asset in CHAIN:
        if asset == "catalog_table":
            continue
        rows = [pipeline.metadata(asset, day)["dagster/partition_row_count"] for day in DAYS]
        assert rows == [1, 2, 3, 4, 5]


def test_each_day_of_a_range_has_exactly_one_materialization_per_asset(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    land_all(state)
    result = pipeline.run(DAYS[0], DAYS[-1])
    for asset in CHAIN:
        events = result.asset_materializations_for_node(f"products__{asset}")
        assert [event.partition for event in events] == DAYS


def test_each_day_of_a_range_has_its_own_verdicts(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    land_all(state)
    result = pipeline.run(DAYS[0], DAYS[-1], checks=True)
    assert pipeline.check_results(result, "row_counts_reconcile") == dict.fromkeys(DAYS, True)
    assert pipeline.check_results(result, "every_partition_materialized") == dict.fromkeys(
        DAYS, True
    )


def test_a_bad_day_fails_alone_and_the_others_are_exported(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    land_all(state)
    state.land(DAYS[2], "bad.csv", problem="not UTF-8")
    result = pipeline.run(DAYS[0], DAYS[-1], checks=True)
    good = {day for day in DAYS if day != DAYS[2]}
    assert not result.success
    assert all(pipeline.materialized_days(asset) == good for asset in CHAIN)
    assert pipeline.check_results(result, "row_counts_reconcile") == {d: d in good for d in DAYS}
    assert "not UTF-8" in pipeline.failures(result)
    # The procedure is not called over the bad day in the middle.
    assert [days for operation, days in state.calls if operation == "call"] == [
        (date(2026, 1, 1), date(2026, 1, 2)),
        (date(2026, 1, 4), date(2026, 1, 5)),
    ]


def test_a_bad_day_can_be_run_again_alone(pipeline: InMemoryPipeline, state: AwsState) -> None:
    land_all(state)
    state.land(DAYS[2], "bad.csv", problem="not UTF-8")
    pipeline.run(DAYS[0], DAYS[-1], checks=True)
    state.land(DAYS[2], "bad.csv", rows=7)
    result = pipeline.run(DAYS[2])
    assert result.success, pipeline.failures(result)
    assert state.fact[date(2026, 1, 3)] == 3 + 7


def test_a_day_with_too_many_rejects_does_not_hold_up_the_others(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    land_all(state)
    state.reject[date(2026, 1, 3)] = 2
    result = pipeline.run(DAYS[0], DAYS[-1], checks=True)
    assert not result.success
    assert pipeline.materialized_days("s3_export") == {day for day in DAYS if day != DAYS[2]}
    assert "2 of 3 rows were rejected" in pipeline.failures(result)


def test_a_range_without_a_good_day_stops_at_once(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    result = pipeline.run(DAYS[0], DAYS[-1])
    assert not result.success
    assert state.count("crawl") == 0
    assert "5 days failed (2026-01-01 to 2026-01-05)" in pipeline.failures(result)


def test_a_day_for_which_nothing_has_landed_has_a_verdict_of_its_own(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAYS[1])
    assert pipeline.run(DAYS[1], checks=True).success
    result = pipeline.run(DAYS[0], checks=True)
    assert not result.success
    evaluations = [
        evaluation
        for evaluation in result.get_asset_check_evaluations()
        if evaluation.asset_key.path[-1] == "raw_partition"
    ]
    assert [(one.partition, one.passed) for one in evaluations] == [(DAYS[0], False)]
    assert "nothing has landed" in (evaluations[0].description or "").lower()


def test_without_the_check_the_step_itself_fails_once_the_good_days_are_told(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    land_all(state)
    state.land(DAYS[2], "bad.csv", problem="not UTF-8")
    asset = next(a for a in pipeline.definitions.assets if a.key.path[-1] == "raw_partition")
    result = dg.materialize(
        [asset],
        instance=pipeline.instance,
        resources={"aws": pipeline.aws},
        raise_on_error=False,
        tags=pipeline.range_tags(DAYS[0], DAYS[-1]),
    )
    assert not result.success
    assert pipeline.materialized_days("raw_partition") == {day for day in DAYS if day != DAYS[2]}
    assert "not UTF-8" in pipeline.failures(result)


def test_a_day_that_failed_upstream_is_told_there_and_not_five_times(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    land_all(state)
    state.land(DAYS[2], "bad.csv", problem="not UTF-8")
    result = pipeline.run(DAYS[0], DAYS[-1], checks=True)
    failed = {event.step_key for event in result.all_events if event.is_step_failure}
    assert failed == {
        "products__raw_partition_every_partition_materialized",
        "products__s3_export_row_counts_reconcile",
    }


def test_an_older_load_of_a_bad_day_is_left_alone(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    land_all(state)
    assert pipeline.run(DAYS[0], DAYS[-1], checks=True).success
    state.land(DAYS[2], "bad.csv", problem="not UTF-8")
    before = dict(state.load_audit[date(2026, 1, 3)])
    pipeline.run(DAYS[0], DAYS[-1], checks=True)
    assert state.load_audit[date(2026, 1, 3)] == before
    assert ("unload", 4) in state.calls


def test_after_a_range_no_day_is_stale_and_a_new_file_makes_only_its_day_stale(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    land_all(state)
    assert pipeline.run(DAYS[0], DAYS[-1]).success
    graph = pipeline.definitions.resolve_asset_graph()

    def status(asset: str, day: str) -> StaleStatus:
        loading = LoadingContextForTest(pipeline.instance)
        resolver = CachingStaleStatusResolver(pipeline.instance, graph, loading)
        return resolver.get_status(dg.AssetKey(["products", asset]), day)

    assert {status(asset, day) for asset in CHAIN for day in DAYS} == {StaleStatus.FRESH}
    state.land(DAYS[1], "late.csv", rows=4)
    assert pipeline.run(DAYS[1], assets=["raw_partition"]).success
    assert status("catalog_table", DAYS[1]) is StaleStatus.STALE
    assert status("catalog_table", DAYS[2]) is StaleStatus.FRESH


def test_checks_that_are_run_for_no_day_look_at_the_days_that_are_there(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    land_all(state)
    pipeline.run(DAYS[0], DAYS[-1])
    state.fact[date(2026, 1, 3)] -= 1
    result = pipeline.check_export()
    assert pipeline.check_results(result, "row_counts_reconcile") == {d: d != DAYS[2] for d in DAYS}
    assert "2026-01-03" in pipeline.failures(result)


def test_checks_that_are_run_before_there_is_a_day_say_so(pipeline: InMemoryPipeline) -> None:
    assert "s3_export was never materialized" in pipeline.failures(pipeline.check_export())


def logged(pipeline: InMemoryPipeline, run_id: str, level: str) -> list[str]:
    """Messages of the run's own log at a level, without Dagster's events."""
    return [
        entry.user_message
        for entry in pipeline.instance.all_logs(run_id)
        if entry.dagster_event is None and logging.getLevelName(entry.level) == level
    ]


def test_repairs_of_many_days_are_one_line_of_the_log(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    land_all(state)

    def read_text_as_data(state: AwsState) -> None:
        for values, partition in state.partitions.items():
            columns = [("col0", "string"), *partition.columns[1:]]
            state.partitions[values] = replace(partition, columns=columns)

    state.hooks["crawled"] = read_text_as_data
    result = pipeline.run(DAYS[0], DAYS[-1])
    assert result.success, pipeline.failures(result)
    (line,) = logged(pipeline, result.run_id, "WARNING")
    assert line == (
        "Catalog partitions were repaired: 2026-01-01 to 2026-01-05: updated to the feed's "
        "columns: id was missing; col0 is in no file"
    )


def test_failed_days_of_a_range_are_one_line_of_the_log(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    land_all(state)
    for day in DAYS[1:3]:
        state.land(day, "bad.csv", problem="not UTF-8")
    result = pipeline.run(DAYS[0], DAYS[-1], assets=["raw_partition"])
    (line,) = logged(pipeline, result.run_id, "ERROR")
    assert line.startswith("2 of 5 days failed, the others go on: 2026-01-02: ")


def test_the_same_reason_for_many_days_is_told_once(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    failures = pipeline.failures(pipeline.run(DAYS[0], DAYS[-1], assets=["staging_table"]))
    assert failures.count("was never materialized") == 1
    assert "- 2026-01-01 to 2026-01-05: products/catalog_table was never" in failures


def test_many_different_reasons_are_shown_in_part_and_every_day_is_named(
    pipeline: InMemoryPipeline,
) -> None:
    result = pipeline.run("2026-01-01", "2026-03-31", assets=["raw_partition"])
    failures = pipeline.failures(result)
    assert "90 days failed (2026-01-01 to 2026-03-31)" in failures
    assert failures.count("nothing has landed") == 20
    assert "- 2026-01-21 to 2026-03-31: other reasons, which their events tell" in failures
