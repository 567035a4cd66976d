"""The five assets, on an AWS in memory."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.fakes.aws_clients import LANDED_AT, fake_load_job
from tests.support.fakes.aws_state import AwsState
from tests.support.in_memory_pipeline import InMemoryPipeline
from xacct_assets.aws.errors import Unavailable
from xacct_assets.contract.fingerprint import fingerprint
from xacct_assets.contract.load_report import DayLoad
from xacct_assets.feed.metadata import RawFiles
from xacct_assets.feed.raw_files import is_counted_here
from xacct_assets.feed.retention import Retention

CHAIN = ["raw_partition", "catalog_table", "staging_table", "fact_table", "s3_export"]
DAY = "2026-01-02"
RAW = "xacct_assets.feed.assets.raw_partition"


def test_a_day_goes_through_all_five_assets_and_every_row_is_accounted_for(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY, rows=10)
    state.land(DAY, "b.csv.gz", rows=5)
    result = pipeline.run(DAY, checks=True)
    assert result.success, pipeline.failures(result)
    assert all(pipeline.materialized_days(name) == {DAY} for name in CHAIN)
    assert pipeline.metadata("raw_partition", DAY)["dagster/partition_row_count"] == 15
    assert pipeline.metadata("s3_export", DAY)["dagster/partition_row_count"] == 15
    assert pipeline.check_results(result, "row_counts_reconcile") == {DAY: True}
    assert state.staging == {}


def test_a_day_without_files_fails_and_nothing_else_is_touched(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    result = pipeline.run(DAY)
    assert not result.success
    assert (
        "nothing has landed under s3://sample-inp-bucket-etl-test-111111111111/products/2026/01/02/"
        in (pipeline.failures(result))
    )
    assert state.count("crawl") == state.count("job") == state.count("call") == 0


def test_a_malformed_file_fails_its_day_with_file_and_reason(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY, "good.csv")
    state.land(DAY, "bad.csv", problem="its header differs: correct the file")
    result = pipeline.run(DAY)
    failures = pipeline.failures(result)
    assert "1 of 2 files cannot be loaded" in failures
    assert "products/2026/01/02/bad.csv: its header differs: correct the file" in failures
    assert state.count("crawl") == 0


def test_a_file_without_rows_is_loaded_with_a_warning(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY, rows=0)
    result = pipeline.run(DAY, checks=True)
    assert result.success, pipeline.failures(result)
    assert pipeline.check_results(result, "files_have_rows") == {DAY: False}
    assert pipeline.check_results(result, "row_counts_reconcile") == {DAY: True}
    assert pipeline.metadata("s3_export", DAY)["dagster/partition_row_count"] == 0


def test_a_denied_bucket_fails_once_with_principal_action_and_resource(
    pipeline: InMemoryPipeline, state: AwsState, denied: Exception
) -> None:
    state.fail("list", denied)
    result = pipeline.run(DAY)
    failures = pipeline.failures(result)
    assert "xacct-orchestrator-test" in failures
    assert "s3:ListBucket" in failures
    assert state.count("list") == 1  # a denial is not retried


def test_a_first_day_that_the_crawler_can_make_nothing_of_gets_table_and_partition(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    # Empty files, or gzip and plain ones side by side.
    state.land(DAY)
    state.hooks["crawled"] = lambda state: state.partitions.clear()
    result = pipeline.run(DAY, checks=True)
    assert result.success, pipeline.failures(result)
    assert (state.count("create table"), state.count("add partition")) == (1, 1)
    assert pipeline.check_results(result, "schema_matches_feed") == {DAY: True}
    assert pipeline.check_results(result, "row_counts_reconcile") == {DAY: True}


def test_a_folder_that_the_crawler_passes_over_gets_its_partition_all_the_same(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    # Its first files were malformed; an incremental crawl does not look at a folder twice.
    state.land(DAY)
    state.table_location = "s3://sample-inp-bucket-etl-test-111111111111/products/"
    state.hooks["crawled"] = lambda state: state.partitions.clear()
    result = pipeline.run(DAY)
    assert result.success, pipeline.failures(result)
    assert (state.count("create table"), state.count("add partition")) == (0, 1)
    repairs = pipeline.metadata("catalog_table", DAY)["repaired after the crawl"]
    assert repairs.startswith("added: ")


def test_a_partition_of_files_that_are_gone_is_brought_to_the_feed_s_columns(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)

    def other_columns(state: AwsState) -> None:
        for values, partition in state.partitions.items():
            columns = [*partition.columns[1:], ("colour", "string")]
            state.partitions[values] = replace(partition, columns=columns)

    state.hooks["crawled"] = other_columns
    result = pipeline.run(DAY, checks=True)
    assert result.success, pipeline.failures(result)
    assert state.count("update partition") == 1
    assert pipeline.check_results(result, "schema_matches_feed") == {DAY: True}
    repairs = pipeline.metadata("catalog_table", DAY)["repaired after the crawl"]
    assert repairs == "updated to the feed's columns: id was missing; colour is in no file"


@pytest.mark.parametrize(("replaced", "updates"), [(False, 0), (True, 1)])
def test_types_are_the_crawler_s_to_judge_as_long_as_it_saw_these_files(
    pipeline: InMemoryPipeline, state: AwsState, replaced: bool, updates: int
) -> None:
    state.land(DAY)

    def drift(state: AwsState) -> None:
        seen = LANDED_AT + timedelta(hours=-1 if replaced else 1)
        for values, partition in state.partitions.items():
            columns = [(n, "string" if n == "stock" else t) for n, t in partition.columns]
            state.partitions[values] = replace(partition, columns=columns, created=seen)

    state.hooks["crawled"] = drift
    result = pipeline.run(DAY, checks=True)
    assert state.count("update partition") == updates
    assert pipeline.check_results(result, "schema_matches_feed") == {DAY: replaced}


def test_nothing_is_added_to_a_table_of_other_files(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)
    state.table_location = "s3://another-bucket/products/"
    state.hooks["crawled"] = lambda state: state.partitions.clear()
    failures = pipeline.failures(pipeline.run(DAY))
    assert "crawl crawl-1 of xacct-test-products made no partition 2026/01/02 for s3://" in failures
    assert (
        "describes other files than s3://sample-inp-bucket-etl-test-111111111111/products/"
        in failures
    )
    assert (state.count("add partition"), state.count("job")) == (0, 0)


def test_a_partition_at_another_place_fails_the_day(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)

    def move(state: AwsState) -> None:
        values, partition = state.partitions.popitem()
        state.partitions[values] = replace(
            partition, location="s3://elsewhere/products/2026/01/02/"
        )

    state.hooks["crawled"] = move
    failures = pipeline.failures(pipeline.run(DAY))
    assert "is located at s3://elsewhere/products/2026/01/02/, not at s3://sample-inp" in failures


def test_a_type_that_the_crawler_infers_differently_is_reported_and_stops_nothing(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)

    def drift(state: AwsState) -> None:
        values, partition = state.partitions.popitem()
        columns = [(n, "string" if n == "stock" else t) for n, t in partition.columns]
        state.partitions[values] = replace(partition, columns=columns)

    state.hooks["crawled"] = drift
    result = pipeline.run(DAY, checks=True)
    assert result.success, pipeline.failures(result)
    assert pipeline.check_results(result, "schema_matches_feed") == {DAY: False}
    assert pipeline.metadata("catalog_table", DAY)["xacct/type_drift"] == [
        "stock: integer in the feed, string in the files"
    ]


def test_a_file_that_lands_after_it_was_counted_keeps_the_day_from_the_fact_table(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)
    state.hooks["crawl"] = lambda state: state.land(DAY, "late.csv")
    result = pipeline.run(DAY)
    assert "changed while they were loaded" in pipeline.failures(result)
    assert state.count("call") == 0


def test_a_file_that_landed_since_an_earlier_run_counted_stops_the_load(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)
    assert pipeline.run(DAY).success
    state.land(DAY, "late.csv")
    result = pipeline.run(DAY, assets=["staging_table", "fact_table", "s3_export"])
    assert "changed since raw_partition listed them" in pipeline.failures(result)
    assert state.count("job") == 1


def test_a_job_run_is_looked_for_only_if_there_can_be_one(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)
    assert pipeline.run(DAY).success

    state.fail("job ended", RuntimeError("killed"))
    failed = pipeline.run(DAY)
    state.hooks.clear()
    assert pipeline.resume(failed, ["staging_table", "fact_table", "s3_export"]).success
    # The failed steps were retried before the run was re-executed.
    first, second, *others = [hints["first_attempt"] for hints in state.job_hints]
    assert (first, second, any(others)) == (True, True, False)


def test_a_step_that_is_retried_looks_for_its_job_run(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)

    state.fail_once("job ended", Unavailable("connection lost"))
    assert pipeline.run(DAY).success
    assert [hints["first_attempt"] for hints in state.job_hints] == [True, False]


def test_later_job_runs_are_told_how_long_the_earlier_ones_took(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    for day in (DAY, "2026-01-03"):
        state.land(day)
        assert pipeline.run(day).success
    assert [hints["past_seconds"] for hints in state.job_hints] == [[], [60.0]]


def test_a_file_that_lands_during_the_load_keeps_the_day_from_the_fact_table(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)
    state.hooks["job ended"] = lambda state: state.land(DAY, "late.csv")
    result = pipeline.run(DAY)
    assert "changed while they were loaded" in pipeline.failures(result)
    assert state.count("call") == 0


def test_rows_read_must_be_the_rows_that_were_counted(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY, rows=10, etag="same")

    def replace(state: AwsState) -> None:
        state.land(DAY, rows=9, etag="same")
        # The listing still shows what was counted: same key, size and ETag.
        state.hooks["job ended"] = lambda state: state.land(DAY, rows=10, etag="same")

    state.hooks["job"] = replace
    result = pipeline.run(DAY)
    assert "the job read 9 rows, but raw_partition counted 10" in pipeline.failures(result)


def test_too_many_rejected_rows_do_not_reach_the_fact_table(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY, rows=100)
    state.reject[date(2026, 1, 2)] = 6
    result = pipeline.run(DAY, checks=True)
    assert not result.success
    assert pipeline.check_results(result, "rejected_share_within_limit") == {DAY: False}
    assert "6 of 100 rows were rejected (6.0%), more than the 5.0%" in pipeline.failures(result)
    assert state.count("call") == 0


def test_few_rejected_rows_are_counted_and_shown(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY, rows=100)
    state.reject[date(2026, 1, 2)] = 2
    result = pipeline.run(DAY)
    assert result.success, pipeline.failures(result)
    assert pipeline.metadata("staging_table", DAY)["xacct/rows_rejected"] == 2
    assert pipeline.metadata("staging_table", DAY)["reasons"] == {"bad": 2}


def test_links_in_metadata_lead_to_the_console_of_the_installation(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY, rows=100)
    state.reject[date(2026, 1, 2)] = 2
    assert pipeline.run(DAY).success
    url = state.settings.console_url
    crawler = pipeline.metadata("catalog_table", DAY)["crawler"]
    assert crawler.startswith(f"{url}/glue/home?")
    assert crawler.endswith("/crawlers/view/xacct-test-products")
    staged = pipeline.metadata("staging_table", DAY)
    assert staged["rejects in S3"].startswith(
        f"{url}/s3/buckets/xacct-processing-test-222222222222?"
    )
    assert staged["rejects in S3"].endswith(
        f"=rejects/products/2026/01/02/{staged['xacct/load_id']}/"
    )
    assert staged["rejects"].startswith(
        "s3://xacct-processing-test-222222222222/rejects/products/2026/01/02/"
    )


def test_running_a_day_again_loads_it_again_with_another_load_id(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)
    for _ in range(3):
        assert pipeline.run(DAY).success
    assert len(state.job_runs) == 3
    assert state.fact == {date(2026, 1, 2): 10}


def test_a_retried_step_finds_the_job_run_that_it_started(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)

    state.fail_once("job ended", Unavailable("the connection was lost"))
    result = pipeline.run(DAY)
    assert result.success, pipeline.failures(result)
    assert (state.count("job"), len(state.job_runs)) == (2, 1)
    assert pipeline.metadata("staging_table", DAY)["job run reattached"]


def test_a_run_that_takes_up_a_failed_one_does_the_same_work(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)

    state.fail("job ended", RuntimeError("killed"))
    first = pipeline.run(DAY)
    assert not first.success
    state.hooks.clear()
    second = pipeline.resume(first, ["staging_table", "fact_table", "s3_export"])
    assert second.success
    assert len(state.job_runs) == 1
    assert state.fact == {date(2026, 1, 2): 10}


def test_a_crawl_of_the_run_that_is_taken_up_may_spare_one(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)

    state.fail("crawled", RuntimeError("killed"))
    first = pipeline.run(DAY)
    assert not first.success
    state.hooks.clear()
    assert pipeline.resume(first, ["catalog_table"]).success
    began, needed = state.requirements[0].since, state.requirements[-1]
    assert (needed.since, needed.landed, needed.is_there()) == (began, LANDED_AT, True)


def test_a_day_that_is_run_again_on_purpose_wants_a_crawl_of_its_own(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)
    assert pipeline.run(DAY).success
    first_run_ended = datetime.now(UTC)
    assert pipeline.run(DAY).success
    assert state.requirements[-1].since >= first_run_ended


def test_the_fact_table_alone_after_clean_up_changes_nothing(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)
    assert pipeline.run(DAY).success
    result = pipeline.run(DAY, assets=["fact_table"])
    assert result.success, pipeline.failures(result)
    assert state.fact == {date(2026, 1, 2): 10}


def test_a_fact_table_with_a_lost_row_is_found_out(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)
    assert pipeline.run(DAY).success
    state.fact[date(2026, 1, 2)] -= 1
    result = pipeline.run(DAY, assets=["fact_table"])
    assert "has 9 rows, but 10 were loaded" in pipeline.failures(result)


def test_staging_keeps_its_rows_if_the_procedure_fails(
    pipeline: InMemoryPipeline, state: AwsState, denied: Exception
) -> None:
    state.land(DAY)

    state.fail("call", denied)
    assert not pipeline.run(DAY).success
    assert state.staging == {date(2026, 1, 2): 10}
    assert state.count("clean") == 0
    assert state.count("unload") == 0


def test_an_export_without_its_manifest_fails(pipeline: InMemoryPipeline, state: AwsState) -> None:
    state.land(DAY)
    state.hooks["unload"] = lambda state: state.exported.clear()
    result = pipeline.run(DAY)
    assert "left no manifest for 10 rows" in pipeline.failures(result)


def test_an_export_that_lost_a_row_fails(pipeline: InMemoryPipeline, state: AwsState) -> None:
    state.land(DAY)

    def lose(state: AwsState) -> None:
        state.exported["products/2026/01/02/"] = {"0000_part_00.parquet": 9}

    state.hooks["unload"] = lose
    result = pipeline.run(DAY)
    assert "the manifest counts 9 rows, but the fact table had 10" in pipeline.failures(result)


def test_an_asset_whose_upstream_was_never_materialized_says_so(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)
    result = pipeline.run(DAY, assets=["staging_table"])
    assert "2026-01-02: products/catalog_table was never materialized" in pipeline.failures(result)


def test_a_day_with_an_archived_file_fails_by_name_and_the_others_go_on(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    days = [f"2026-01-{number:02}" for number in range(2, 7)]
    for day in days:
        state.land(day)
    state.land(days[2], "b.csv", archive="GLACIER")
    result = pipeline.run(days[0], days[-1], checks=True)
    failures = pipeline.failures(result)
    assert f"{days[2]}: 1 of 2 files cannot be loaded" in failures
    assert "products/2026/01/04/b.csv: archived in GLACIER: restore it" in failures
    assert "policy" not in failures
    others = {*days} - {days[2]}
    assert all(pipeline.materialized_days(name) == others for name in CHAIN)
    state.archived.clear()
    assert pipeline.run(days[2]).success
    assert pipeline.materialized_days("s3_export") == {*days}


def test_a_day_that_was_archived_since_it_was_listed_does_not_fail_the_load_of_the_others(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    days = ("2026-01-02", "2026-01-03")
    for day in days:
        state.land(day)
    assert pipeline.run(*days, assets=CHAIN[:2]).success
    state.land(days[0], archive="DEEP_ARCHIVE")
    result = pipeline.run(*days, assets=CHAIN[2:])
    assert f"{days[0]}: 1 of 1 files are archived in DEEP_ARCHIVE" in pipeline.failures(result)
    assert pipeline.materialized_days("s3_export") == {days[1]}


def test_a_loaded_day_may_be_archived_while_it_goes_on(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY)
    state.hooks["crawled"] = lambda found: found.land(DAY, archive="GLACIER")
    assert pipeline.run(DAY).success


def test_a_day_with_files_of_other_names_only_names_them(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    for name in ("A.CSV", "a.CSV.gz", "sub/a.csv", "b.CSV"):
        state.land(DAY, name)
    failures = pipeline.failures(pipeline.run(DAY))
    assert "nothing has landed under s3://" in failures
    assert "matches: A.CSV, a.CSV.gz, b.CSV and 1 more. Rename them" in failures


def test_files_of_other_names_beside_data_files_are_in_the_days_metadata(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    for name in ("a.csv", "A.CSV", "_SUCCESS"):
        state.land(DAY, name)
    assert pipeline.run(DAY).success
    unmatched = pipeline.metadata("raw_partition", DAY)["files that no pattern matches"]
    assert unmatched == ["A.CSV"]


def test_of_many_bad_files_the_verdict_names_some_and_counts_the_others(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    for number in range(1200):
        state.land(DAY, f"{number:04}.csv", archive="GLACIER")
    failures = pipeline.failures(pipeline.run(DAY))
    assert "1200 of 1200 files cannot be loaded" in failures
    assert "- 1,150 more files cannot be loaded" in failures
    assert failures.count("restore-object") == 50


# -- a day that is too large to be counted by raw_partition ---------------------------------------


def count_until(patch: pytest.MonkeyPatch, pipeline: InMemoryPipeline, megabytes: int) -> None:
    """Change the feed's setting. (The assets have a feed of their own, which all tests share.)"""
    source = pipeline.feed.source.model_copy(update={"count_until_mb": megabytes})
    feed = pipeline.feed.model_copy(update={"source": source})
    patch.setattr(f"{RAW}.is_counted_here", lambda _, objects: is_counted_here(feed, objects))


@pytest.fixture
def uncounted(pipeline: InMemoryPipeline, monkeypatch: pytest.MonkeyPatch) -> InMemoryPipeline:
    """No day is counted before its load."""
    count_until(monkeypatch, pipeline, 0)
    return pipeline


def test_a_day_that_the_load_job_counts_goes_through_all_assets(
    uncounted: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY, rows=10)
    result = uncounted.run(DAY, checks=True)
    assert result.success, uncounted.failures(result)
    assert all(uncounted.materialized_days(name) == {DAY} for name in CHAIN)
    raw = uncounted.metadata("raw_partition", DAY)
    assert "dagster/partition_row_count" not in raw
    assert "xacct/rows" not in raw
    assert uncounted.metadata("staging_table", DAY)["dagster/partition_row_count"] == 10
    assert uncounted.check_results(result, "files_have_rows") == {DAY: True}
    assert uncounted.check_results(result, "row_counts_reconcile") == {DAY: True}
    # The rows in the files are those that the job counted: they are not read once more.
    assert state.count("inspect") == 1


def test_what_the_job_counted_is_known_until_the_files_change(
    uncounted: InMemoryPipeline, state: AwsState
) -> None:
    def is_right() -> bool | None:
        result = uncounted.run(DAY, assets=["s3_export"], checks=True)
        return uncounted.check_results(result, "row_counts_reconcile")[DAY]

    state.land(DAY, rows=10)
    assert uncounted.run(DAY).success
    assert is_right()
    assert uncounted.run(DAY, assets=["raw_partition"]).success
    assert is_right()
    assert state.count("inspect") == 2  # by raw_partition, twice
    state.land(DAY, rows=11)
    assert uncounted.run(DAY, assets=["raw_partition"]).success
    assert not is_right()
    assert state.count("inspect") == 4


def test_a_day_is_counted_by_raw_partition_up_to_the_limit_and_by_the_job_beyond(
    pipeline: InMemoryPipeline, state: AwsState, monkeypatch: pytest.MonkeyPatch
) -> None:
    count_until(monkeypatch, pipeline, 1)
    state.land("2026-01-02", rows=100_000)  # of ten bytes each
    state.land("2026-01-03", rows=100_001)
    result = pipeline.run("2026-01-02", "2026-01-03")
    assert result.success, pipeline.failures(result)
    assert pipeline.metadata("raw_partition", "2026-01-02")["xacct/rows"] == 100_000
    assert "xacct/rows" not in pipeline.metadata("raw_partition", "2026-01-03")


@pytest.mark.parametrize("read", [9, 11])
def test_a_day_of_which_the_job_reads_other_rows_than_it_counted_fails_by_both_numbers(
    uncounted: InMemoryPipeline, state: AwsState, monkeypatch: pytest.MonkeyPatch, read: int
) -> None:
    state.land(DAY, rows=10)

    def misread(*args: Any, **hints: Any) -> Any:
        outcome = fake_load_job(*args, **hints)
        days = {
            day: replace(load, rows_read=read, rows_loaded=read)
            for day, load in outcome.days.items()
        }
        return replace(outcome, days=days)

    monkeypatch.setattr("xacct_assets.feed.assets.staging_table.run_load_job", misread)
    result = uncounted.run(DAY)
    failures = uncounted.failures(result)
    assert f"the job read {read} rows, but its own count found 10: the day was not" in failures
    assert uncounted.materialized_days("staging_table") == set()


def test_a_day_with_a_bad_file_that_the_job_finds_fails_alone_with_the_verdict(
    uncounted: InMemoryPipeline, state: AwsState, monkeypatch: pytest.MonkeyPatch
) -> None:
    verdict = "1 of 2 files cannot be loaded:\n- s3://raw/b.csv: it is not UTF-8: byte 9 is 0xe9"

    def finding(*args: Any, **hints: Any) -> Any:
        outcome = fake_load_job(*args, **hints)
        bad = DayLoad(2, 0, 0, 0, {}, problem=verdict)
        return replace(outcome, days={**outcome.days, date(2026, 1, 3): bad})

    monkeypatch.setattr("xacct_assets.feed.assets.staging_table.run_load_job", finding)
    for day in ("2026-01-02", "2026-01-03", "2026-01-04"):
        state.land(day, rows=10)
    result = uncounted.run("2026-01-02", "2026-01-04", checks=True)
    assert f"2026-01-03: {verdict}" in uncounted.failures(result)
    for name in ("staging_table", "fact_table", "s3_export"):
        assert uncounted.materialized_days(name) == {"2026-01-02", "2026-01-04"}


def test_a_day_that_nobody_counted_fails(
    uncounted: InMemoryPipeline, state: AwsState, monkeypatch: pytest.MonkeyPatch
) -> None:
    state.land(DAY, rows=10)

    def older_job(*args: Any, **hints: Any) -> Any:
        outcome = fake_load_job(*args, **hints)
        days = {day: replace(load, rows_counted=None) for day, load in outcome.days.items()}
        return replace(outcome, days=days)

    monkeypatch.setattr("xacct_assets.feed.assets.staging_table.run_load_job", older_job)
    result = uncounted.run(DAY)
    assert "left the day's rows to the job to count, and the job did not" in (
        uncounted.failures(result)
    )


def test_a_day_whose_retention_is_over_is_counted_whatever_its_size(
    uncounted: InMemoryPipeline, state: AwsState, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(f"{RAW}.retention_of", lambda *_: Retention(5, is_over=True))
    state.land(DAY, rows=10)
    result = uncounted.run(DAY)
    assert result.success, uncounted.failures(result)
    assert uncounted.metadata("raw_partition", DAY)["xacct/rows"] == 10


def test_the_load_is_told_what_the_files_are_so_that_it_need_not_look(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(DAY, rows=10)
    state.land(DAY, "b.csv", rows=5)
    pipeline.run(DAY)
    facts = RawFiles.from_metadata(pipeline.metadata("raw_partition", DAY))
    assert list(facts.header or ()) == pipeline.feed.column_names()
    listed = pipeline.aws.raw_bucket(pipeline.feed).list_objects("products/2026/01/02/", ["*.csv"])
    assert facts.version == fingerprint(listed)
    assert facts.splittable_files is None


def test_readers_of_the_export_are_told_which_columns_changed(
    pipeline: InMemoryPipeline, state: AwsState, tmp_path: Path
) -> None:
    folder = tmp_path / "products" / "migrations"
    folder.mkdir(parents=True)
    state.settings = replace(state.settings, extra_feeds_dir=tmp_path)
    pipeline.aws.settings = state.settings
    state.land(DAY, rows=10)
    assert pipeline.run(DAY).success
    assert state.count("execute") == 0
    assert "schema changes" not in pipeline.metadata("s3_export", DAY)
    for name, change in (("0001-a", "new: colour varchar(9)"), ("0002-b", "gone: stock integer")):
        record = (
            f"INSERT INTO public.xacct_migrations VALUES ('products', '{name}', 'd', GETDATE())"
        )
        (folder / f"{name}.sql").write_text(f"-- {change}\nBEGIN; {record}; COMMIT;")
    assert pipeline.run(DAY).success
    (sql,) = [argument for call, argument in state.calls if call == "execute"]
    assert "/products/_schema_changes/'" in sql
    assert "WHERE feed = ''products'' ORDER BY applied_at, migration" in sql
    records, _schema = pipeline.metadata("s3_export", DAY)["schema changes"]
    assert [record.data for record in records] == [
        {"migration": "0002-b", "change": "gone: stock integer"},
        {"migration": "0001-a", "change": "new: colour varchar(9)"},
    ]
