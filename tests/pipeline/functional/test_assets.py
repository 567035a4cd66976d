"""The five assets, on an AWS in memory."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from tests.pipeline.functional.conftest import LANDED_AT
from xacct_assets.aws.errors import Unavailable

CHAIN = ["raw_partition", "catalog_table", "staging_table", "fact_table", "s3_export"]
DAY = "2026-01-02"


def test_a_day_goes_through_all_five_assets_and_every_row_is_accounted_for(
    pipeline: Any, world: Any
) -> None:
    world.land(DAY, rows=10)
    world.land(DAY, "b.csv.gz", rows=5)
    result = pipeline.run(DAY, checks=True)
    assert result.success, pipeline.why(result)
    assert all(pipeline.days_of(name) == {DAY} for name in CHAIN)
    assert pipeline.metadata("raw_partition", DAY)["dagster/partition_row_count"] == 15
    assert pipeline.metadata("s3_export", DAY)["dagster/partition_row_count"] == 15
    assert pipeline.verdicts(result, "row_counts_reconcile") == {DAY: True}
    assert world.staging == {}


def test_a_day_without_files_fails_and_nothing_else_is_touched(pipeline: Any, world: Any) -> None:
    result = pipeline.run(DAY)
    assert not result.success
    assert "nothing has landed under s3://sample-inp-bucket-etl-test/products/2026/01/02/" in (
        pipeline.why(result)
    )
    assert world.count("crawl") == world.count("job") == world.count("call") == 0


def test_a_malformed_file_fails_its_day_with_file_and_reason(pipeline: Any, world: Any) -> None:
    world.land(DAY, "good.csv")
    world.land(DAY, "bad.csv", problem="its header differs: correct the file")
    result = pipeline.run(DAY)
    why = pipeline.why(result)
    assert "1 of 2 files cannot be loaded" in why
    assert "products/2026/01/02/bad.csv: its header differs: correct the file" in why
    assert world.count("crawl") == 0


def test_a_file_without_rows_is_loaded_with_a_warning(pipeline: Any, world: Any) -> None:
    world.land(DAY, rows=0)
    result = pipeline.run(DAY, checks=True)
    assert result.success, pipeline.why(result)
    assert pipeline.verdicts(result, "files_have_rows") == {DAY: False}
    assert pipeline.verdicts(result, "row_counts_reconcile") == {DAY: True}
    assert pipeline.metadata("s3_export", DAY)["dagster/partition_row_count"] == 0


def test_a_denied_bucket_fails_once_with_principal_action_and_resource(
    pipeline: Any, world: Any, denied: Exception
) -> None:
    def deny(_: Any) -> None:
        raise denied

    world.hooks["list"] = deny
    result = pipeline.run(DAY)
    why = pipeline.why(result)
    assert "xacct-orchestrator-test" in why
    assert "s3:ListBucket" in why
    assert world.count("list") == 1  # no retry: waiting does not mend a policy


def test_a_first_day_that_the_crawler_can_make_nothing_of_gets_table_and_partition(
    pipeline: Any, world: Any
) -> None:
    # Empty files, or gzip and plain ones side by side.
    world.land(DAY)
    world.hooks["crawled"] = lambda w: w.partitions.clear()
    result = pipeline.run(DAY, checks=True)
    assert result.success, pipeline.why(result)
    assert (world.count("create table"), world.count("add partition")) == (1, 1)
    assert pipeline.verdicts(result, "schema_matches_feed") == {DAY: True}
    assert pipeline.verdicts(result, "row_counts_reconcile") == {DAY: True}


def test_a_folder_that_the_crawler_passes_over_gets_its_partition_all_the_same(
    pipeline: Any, world: Any
) -> None:
    # Its first files were malformed; an incremental crawl does not look at a folder twice.
    world.land(DAY)
    world.table_location = "s3://sample-inp-bucket-etl-test/products/"
    world.hooks["crawled"] = lambda w: w.partitions.clear()
    result = pipeline.run(DAY)
    assert result.success, pipeline.why(result)
    assert (world.count("create table"), world.count("add partition")) == (0, 1)
    told = pipeline.metadata("catalog_table", DAY)["repaired after the crawl"]
    assert told.startswith("added: ")


def test_a_partition_of_files_that_are_gone_is_brought_to_the_feed_s_columns(
    pipeline: Any, world: Any
) -> None:
    world.land(DAY)

    def other_columns(w: Any) -> None:
        for values, partition in w.partitions.items():
            columns = [*partition.columns[1:], ("colour", "string")]
            w.partitions[values] = replace(partition, columns=columns)

    world.hooks["crawled"] = other_columns
    result = pipeline.run(DAY, checks=True)
    assert result.success, pipeline.why(result)
    assert world.count("update partition") == 1
    assert pipeline.verdicts(result, "schema_matches_feed") == {DAY: True}
    told = pipeline.metadata("catalog_table", DAY)["repaired after the crawl"]
    assert told == "updated to the feed's columns: id was missing; colour is in no file"


@pytest.mark.parametrize(("replaced", "updates"), [(False, 0), (True, 1)])
def test_types_are_the_crawler_s_to_judge_as_long_as_it_saw_these_files(
    pipeline: Any, world: Any, replaced: bool, updates: int
) -> None:
    world.land(DAY)

    def drift(w: Any) -> None:
        seen = LANDED_AT + timedelta(hours=-1 if replaced else 1)
        for values, partition in w.partitions.items():
            columns = [(n, "string" if n == "stock" else t) for n, t in partition.columns]
            w.partitions[values] = replace(partition, columns=columns, created=seen)

    world.hooks["crawled"] = drift
    result = pipeline.run(DAY, checks=True)
    assert world.count("update partition") == updates
    assert pipeline.verdicts(result, "schema_matches_feed") == {DAY: replaced}


def test_nothing_is_added_to_a_table_of_other_files(pipeline: Any, world: Any) -> None:
    world.land(DAY)
    world.table_location = "s3://another-bucket/products/"
    world.hooks["crawled"] = lambda w: w.partitions.clear()
    why = pipeline.why(pipeline.run(DAY))
    assert "crawl crawl-1 of xacct-test-products made no partition 2026/01/02 for s3://" in why
    assert "describes other files than s3://sample-inp-bucket-etl-test/products/" in why
    assert (world.count("add partition"), world.count("job")) == (0, 0)


def test_a_partition_at_another_place_fails_the_day(pipeline: Any, world: Any) -> None:
    world.land(DAY)

    def move(w: Any) -> None:
        values, partition = w.partitions.popitem()
        w.partitions[values] = replace(partition, location="s3://elsewhere/products/2026/01/02/")

    world.hooks["crawled"] = move
    why = pipeline.why(pipeline.run(DAY))
    assert "is located at s3://elsewhere/products/2026/01/02/, not at s3://sample-inp" in why


def test_columns_that_a_crawler_sees_otherwise_are_told_and_stop_nothing(
    pipeline: Any, world: Any
) -> None:
    world.land(DAY)

    def drift(w: Any) -> None:
        values, partition = w.partitions.popitem()
        columns = [(n, "string" if n == "stock" else t) for n, t in partition.columns]
        w.partitions[values] = replace(partition, columns=columns)

    world.hooks["crawled"] = drift
    result = pipeline.run(DAY, checks=True)
    assert result.success, pipeline.why(result)
    assert pipeline.verdicts(result, "schema_matches_feed") == {DAY: False}
    assert pipeline.metadata("catalog_table", DAY)["xacct/type_drift"] == [
        "stock: integer in the feed, string in the files"
    ]


def test_a_file_that_lands_after_it_was_counted_keeps_the_day_from_the_fact_table(
    pipeline: Any, world: Any
) -> None:
    world.land(DAY)
    world.hooks["crawl"] = lambda w: w.land(DAY, "late.csv")
    result = pipeline.run(DAY)
    assert "changed while they were loaded" in pipeline.why(result)
    assert world.count("call") == 0


def test_a_file_that_landed_since_an_earlier_run_counted_stops_the_load(
    pipeline: Any, world: Any
) -> None:
    world.land(DAY)
    assert pipeline.run(DAY).success
    world.land(DAY, "late.csv")
    result = pipeline.run(DAY, assets=["staging_table", "fact_table", "s3_export"])
    assert "changed since raw_partition listed them" in pipeline.why(result)
    assert world.count("job") == 1


def test_a_job_run_is_looked_for_only_if_there_can_be_one(pipeline: Any, world: Any) -> None:
    world.land(DAY)
    assert pipeline.run(DAY).success

    def crash(w: Any) -> None:
        raise RuntimeError("killed")

    world.hooks["job ended"] = crash
    failed = pipeline.run(DAY)
    world.hooks.clear()
    assert pipeline.take_up(failed, ["staging_table", "fact_table", "s3_export"]).success
    # The steps that failed were retried before the run was taken up.
    first, second, *others = [hints["first_attempt"] for hints in world.job_hints]
    assert (first, second, any(others)) == (True, True, False)


def test_a_step_that_is_retried_looks_for_its_job_run(pipeline: Any, world: Any) -> None:
    world.land(DAY)

    def lose_the_connection(w: Any) -> None:
        w.hooks.clear()
        raise Unavailable("connection lost")

    world.hooks["job ended"] = lose_the_connection
    assert pipeline.run(DAY).success
    assert [hints["first_attempt"] for hints in world.job_hints] == [True, False]


def test_later_job_runs_are_told_how_long_the_earlier_ones_took(pipeline: Any, world: Any) -> None:
    for day in (DAY, "2026-01-03"):
        world.land(day)
        assert pipeline.run(day).success
    assert [hints["past_seconds"] for hints in world.job_hints] == [[], [60.0]]


def test_a_file_that_lands_during_the_load_keeps_the_day_from_the_fact_table(
    pipeline: Any, world: Any
) -> None:
    world.land(DAY)
    world.hooks["job ended"] = lambda w: w.land(DAY, "late.csv")
    result = pipeline.run(DAY)
    assert "changed while they were loaded" in pipeline.why(result)
    assert world.count("call") == 0


def test_rows_read_must_be_the_rows_that_were_counted(pipeline: Any, world: Any) -> None:
    world.land(DAY, rows=10, etag="same")

    def replace(w: Any) -> None:
        w.land(DAY, rows=9, etag="same")
        # The listing still shows what was counted: same key, size and ETag.
        w.hooks["job ended"] = lambda w: w.land(DAY, rows=10, etag="same")

    world.hooks["job"] = replace
    result = pipeline.run(DAY)
    assert "the job read 9 rows, but raw_partition counted 10" in pipeline.why(result)


def test_too_many_rejected_rows_do_not_reach_the_fact_table(pipeline: Any, world: Any) -> None:
    world.land(DAY, rows=100)
    world.reject[date(2026, 1, 2)] = 6
    result = pipeline.run(DAY, checks=True)
    assert not result.success
    assert pipeline.verdicts(result, "rejected_share_within_limit") == {DAY: False}
    assert "6 of 100 rows were rejected (6.0%), more than the 5.0%" in pipeline.why(result)
    assert world.count("call") == 0


def test_few_rejected_rows_are_counted_and_shown(pipeline: Any, world: Any) -> None:
    world.land(DAY, rows=100)
    world.reject[date(2026, 1, 2)] = 2
    result = pipeline.run(DAY)
    assert result.success, pipeline.why(result)
    assert pipeline.metadata("staging_table", DAY)["xacct/rows_rejected"] == 2
    assert pipeline.metadata("staging_table", DAY)["reasons"] == {"bad": 2}


def test_running_a_day_again_loads_it_again_with_another_load_id(pipeline: Any, world: Any) -> None:
    world.land(DAY)
    for _ in range(3):
        assert pipeline.run(DAY).success
    assert len(world.job_runs) == 3
    assert world.fact == {date(2026, 1, 2): 10}


def test_a_retried_step_finds_the_job_run_that_it_started(pipeline: Any, world: Any) -> None:
    world.land(DAY)

    def lose_connection(w: Any) -> None:
        del w.hooks["job ended"]
        raise Unavailable("the connection was lost")

    world.hooks["job ended"] = lose_connection
    result = pipeline.run(DAY)
    assert result.success, pipeline.why(result)
    assert (world.count("job"), len(world.job_runs)) == (2, 1)
    assert pipeline.metadata("staging_table", DAY)["job run reattached"]


def test_a_run_that_takes_up_a_failed_one_does_the_same_work(pipeline: Any, world: Any) -> None:
    world.land(DAY)

    def crash(w: Any) -> None:
        raise RuntimeError("killed")

    world.hooks["job ended"] = crash
    first = pipeline.run(DAY)
    assert not first.success
    world.hooks.clear()
    second = pipeline.take_up(first, ["staging_table", "fact_table", "s3_export"])
    assert second.success
    assert len(world.job_runs) == 1
    assert world.fact == {date(2026, 1, 2): 10}


def test_a_crawl_of_the_run_that_is_taken_up_may_spare_one(pipeline: Any, world: Any) -> None:
    world.land(DAY)

    def crash(w: Any) -> None:
        raise RuntimeError("killed")

    world.hooks["crawled"] = crash
    first = pipeline.run(DAY)
    assert not first.success
    world.hooks.clear()
    assert pipeline.take_up(first, ["catalog_table"]).success
    began, needed = world.needed[0].since, world.needed[-1]
    assert (needed.since, needed.landed, needed.is_there()) == (began, LANDED_AT, True)


def test_a_day_that_is_run_again_on_purpose_wants_a_crawl_of_its_own(
    pipeline: Any, world: Any
) -> None:
    world.land(DAY)
    assert pipeline.run(DAY).success
    over = datetime.now(UTC)
    assert pipeline.run(DAY).success
    assert world.needed[-1].since >= over


def test_the_fact_table_alone_after_clean_up_changes_nothing(pipeline: Any, world: Any) -> None:
    world.land(DAY)
    assert pipeline.run(DAY).success
    result = pipeline.run(DAY, assets=["fact_table"])
    assert result.success, pipeline.why(result)
    assert world.fact == {date(2026, 1, 2): 10}


def test_a_fact_table_with_a_lost_row_is_found_out(pipeline: Any, world: Any) -> None:
    world.land(DAY)
    assert pipeline.run(DAY).success
    world.fact[date(2026, 1, 2)] -= 1
    result = pipeline.run(DAY, assets=["fact_table"])
    assert "has 9 rows, but 10 were loaded" in pipeline.why(result)


def test_staging_keeps_its_rows_if_the_procedure_fails(
    pipeline: Any, world: Any, denied: Exception
) -> None:
    world.land(DAY)

    def fail(_: Any) -> None:
        raise denied

    world.hooks["call"] = fail
    assert not pipeline.run(DAY).success
    assert world.staging == {date(2026, 1, 2): 10}
    assert world.count("clean") == 0
    assert world.count("unload") == 0


def test_an_export_without_its_manifest_fails(pipeline: Any, world: Any) -> None:
    world.land(DAY)
    world.hooks["unload"] = lambda w: w.exported.clear()
    result = pipeline.run(DAY)
    assert "left no manifest for 10 rows" in pipeline.why(result)


def test_an_export_that_lost_a_row_fails(pipeline: Any, world: Any) -> None:
    world.land(DAY)

    def lose(w: Any) -> None:
        w.exported["products/2026/01/02/"] = {"0000_part_00.parquet": 9}

    world.hooks["unload"] = lose
    result = pipeline.run(DAY)
    assert "the manifest counts 9 rows, but the fact table had 10" in pipeline.why(result)


def test_an_asset_whose_upstream_was_never_materialized_says_so(pipeline: Any, world: Any) -> None:
    world.land(DAY)
    result = pipeline.run(DAY, assets=["staging_table"])
    assert "products/catalog_table was never materialized for 2026-01-02" in pipeline.why(result)
