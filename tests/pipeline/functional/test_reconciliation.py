"""The row-count equation: what makes a day right, and each way in which it can be wrong."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest

from tests.support.fakes.aws_state import AwsState
from tests.support.in_memory_pipeline import InMemoryPipeline
from xacct_assets.feed.reconciliation.collection import KnownNumbers, reconcile
from xacct_assets.feed.reconciliation.equation import (
    NO_KEY,
    DayNumbers,
    ExportDay,
    RawDay,
    RejectedRows,
    judge,
)
from xacct_assets.feed.reconciliation.load_audit import LoadAuditEntry
from xacct_assets.feed.retention import Retention

DAY = date(2026, 1, 2)
RIGHT = DayNumbers(
    raw=RawDay(files=2, rows=100, version="v"),
    staged=0,
    load_audit=LoadAuditEntry("w1", 98, transformed=True),
    rejected=RejectedRows(2, "w1"),
    fact=98,
    export=ExportDay(rows=98, files=1, bytes=10),
)


def test_a_day_whose_rows_are_all_accounted_for_is_right() -> None:
    verdict = judge(DAY, RIGHT)
    assert verdict.ok
    assert (verdict.manifest, verdict.exported_rows, verdict.rejected_rows) == ("whole", 98, 2)


def test_staging_may_still_hold_the_day_between_load_and_clean_up() -> None:
    assert judge(DAY, replace(RIGHT, staged=98)).ok


def test_a_day_without_rows_needs_no_export() -> None:
    verdict = judge(
        DAY,
        DayNumbers(
            raw=RawDay(1, 0, "v"),
            staged=0,
            load_audit=LoadAuditEntry("w1", 0, transformed=True),
            rejected=RejectedRows(0, "w1"),
            fact=0,
            export=ExportDay(rows=None),
        ),
    )
    assert verdict.ok
    assert verdict.manifest == "not needed"


def test_a_day_without_any_data_is_no_problem() -> None:
    nothing = DayNumbers(RawDay(0, 0, "v"), 0, None, None, 0, ExportDay(rows=None))
    assert judge(DAY, nothing).ok


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"fact": 97}, "fact has 97 rows and 2 were rejected, but the raw files hold 100"),
        ({"fact": 99}, "fact has 99 rows"),
        ({"fact_keys": 97}, "fact has 98 rows but 97 distinct keys"),
        ({"export": ExportDay(rows=97)}, "the export holds 97 rows, but fact has 98"),
        ({"export": ExportDay(rows=None)}, "there is no export manifest"),
        ({"export": ExportDay(98, problems=("stray file x",))}, "stray file x"),
        ({"rejected": None}, "no manifest of rejected rows"),
        (
            {"rejected": RejectedRows(3, "w1")},
            "98 rows were loaded and 3 rejected, but the raw files hold 100",
        ),
        ({"rejected": RejectedRows(2, "w0")}, "rejected rows is of load w0"),
        ({"load_audit": None}, "never loaded"),
        ({"load_audit": LoadAuditEntry("w1", 98, False)}, "not yet in the fact table"),
        (
            {"load_audit": LoadAuditEntry("w1", 98, False), "staged": 5},
            "staging has 5 rows of 98 loaded",
        ),
        ({"staged": 5}, "staging has 5 rows left of 98"),
        ({"raw": RawDay(3, 120, "v2")}, "but the raw files hold 120"),
        ({"raw": RawDay(2, 100, "v", ("x.csv: not UTF-8",))}, "x.csv: not UTF-8"),
    ],
)
def test_each_mismatch_is_reported(change: dict[str, Any], problem: str) -> None:
    verdict = judge(DAY, replace(RIGHT, **change))
    assert not verdict.ok
    assert problem in "; ".join(verdict.problems)


def test_a_file_that_landed_after_the_load_is_reported_though_the_counts_agree() -> None:
    load = LoadAuditEntry("w1", 98, True, loaded_at=datetime(2026, 1, 3, 12, 0, 0, 500_000))
    before, after = (datetime(2026, 1, 3, 12, 0, second, tzinfo=UTC) for second in (0, 1))
    landed = replace(RIGHT, load_audit=load, raw=RawDay(2, 100, "v", newest=before))
    assert judge(DAY, landed).ok
    verdict = judge(DAY, replace(landed, raw=RawDay(2, 100, "v2", newest=after)))
    assert "the raw files changed since they were loaded" in "; ".join(verdict.problems)


def test_a_feed_without_a_key_says_what_is_not_proven() -> None:
    verdict = judge(DAY, replace(RIGHT, fact_keys=None, has_key=False))
    assert verdict.ok
    assert verdict.notes == [NO_KEY]
    assert "not proven" in NO_KEY
    assert judge(DAY, RIGHT).notes == []


def test_a_problem_names_the_asset_to_materialize() -> None:
    verdict = judge(DAY, replace(RIGHT, export=ExportDay(rows=None)))
    assert "materialize s3_export" in "; ".join(verdict.problems)


def test_a_replaced_file_is_one_problem_with_one_advice() -> None:
    load = LoadAuditEntry("w1", 98, True, loaded_at=datetime(2026, 1, 3, 12))
    later = datetime(2026, 1, 3, 13, tzinfo=UTC)
    raw = RawDay(2, 120, "v2", newest=later)
    verdict = judge(DAY, replace(RIGHT, load_audit=load, raw=raw))
    assert verdict.problems == [
        "the raw files changed since they were loaded (the newest file is of 2026-01-03 13:00:00, "
        "the load of 2026-01-03 12:00:00 UTC; 98 rows were loaded and 2 rejected, but the raw "
        "files hold 120); materialize the day from raw_partition on (the arrival sensor does so "
        "by itself)"
    ]


def test_deleted_files_are_named_as_such_with_the_setting_for_a_lifecycle_rule() -> None:
    (problem,) = judge(DAY, replace(RIGHT, raw=RawDay(1, 60, "v2"))).problems
    assert "If a lifecycle rule deleted some, set source.retention_days instead" in problem


# -- raw files that are gone ---------------------------------------------------------------------

GONE = replace(RIGHT, raw=RawDay(0, 0, ""))
KEPT, OVER = Retention(90), Retention(90, is_over=True)


def test_raw_files_that_are_gone_after_the_load_are_a_warning_that_names_the_setting() -> None:
    verdict = judge(DAY, GONE)
    assert (verdict.ok, verdict.problems, verdict.raw_state) == (True, [], "gone")
    assert (verdict.raw_files, verdict.raw_rows) == (0, None)
    (warning,) = verdict.warnings
    assert warning.startswith("raw files are gone; loaded and exported agree. ")
    assert "set source.retention_days" in warning


def test_raw_files_that_are_gone_once_their_retention_is_over_are_right() -> None:
    verdict = judge(DAY, replace(GONE, retention=OVER))
    assert (verdict.ok, verdict.warnings, verdict.raw_state) == (True, [], "gone")


def test_raw_files_that_are_gone_too_early_are_a_warning() -> None:
    (warning,) = judge(DAY, replace(GONE, retention=KEPT)).warnings
    assert "source.retention_days (90) is not over yet" in warning


def test_files_without_rows_may_be_gone_too() -> None:
    empty = DayNumbers(
        raw=RawDay(0, 0, ""),
        staged=0,
        load_audit=LoadAuditEntry("w1", 0, transformed=True),
        rejected=RejectedRows(0, "w1"),
        fact=0,
        export=ExportDay(rows=None),
        retention=OVER,
    )
    assert judge(DAY, empty).ok


def test_files_that_have_expired_in_part_are_right_and_no_change() -> None:
    left = replace(RIGHT, raw=RawDay(1, 60, "v2"), retention=OVER)
    verdict = judge(DAY, left)
    assert (verdict.ok, verdict.raw_state, verdict.raw_rows) == (True, "partly gone", 60)


def test_a_file_that_lands_among_expired_ones_is_a_problem_that_warns_of_the_loss() -> None:
    load = LoadAuditEntry("w1", 98, True, loaded_at=datetime(2026, 1, 3))
    late = RawDay(1, 5, "v2", newest=datetime(2026, 6, 1, tzinfo=UTC))
    (problem,) = judge(DAY, replace(RIGHT, load_audit=load, raw=late, retention=OVER)).problems
    assert "source.retention_days (90) is over: the day would lose rows" in problem
    assert "Delete the new files, or land all of its files again" in problem


def test_all_files_landed_again_after_they_had_expired_are_a_change_like_any_other() -> None:
    load = LoadAuditEntry("w1", 98, True, loaded_at=datetime(2026, 1, 3))
    again = RawDay(2, 100, "v2", newest=datetime(2026, 6, 1, tzinfo=UTC))
    (problem,) = judge(DAY, replace(RIGHT, load_audit=load, raw=again, retention=OVER)).problems
    assert "materialize the day from raw_partition on" in problem


@pytest.mark.parametrize("retention", [Retention(), KEPT, OVER])
@pytest.mark.parametrize(
    ("change", "problem", "advice"),
    [
        ({"fact": 97}, "fact has 97 rows but 98 were loaded", "land all of its files again"),
        ({"fact_keys": 97}, "97 distinct keys", "land all of its files again"),
        ({"rejected": None}, "no manifest of rejected rows", "land all of its files again"),
        ({"rejected": RejectedRows(2, "w0")}, "of load w0", "land all of its files again"),
        ({"export": ExportDay(rows=97)}, "the export holds 97 rows", "materialize s3_export"),
        ({"export": ExportDay(rows=None)}, "no export manifest", "materialize s3_export"),
        (
            {"load_audit": LoadAuditEntry("w1", 98, False), "staged": 98},
            "not yet in the fact table",
            "materialize the day from fact_table on",
        ),
        (
            {"load_audit": LoadAuditEntry("w1", 98, False), "staged": 5},
            "staging has 5 rows of 98 loaded",
            "land all of its files again",
        ),
        ({"staged": 5}, "staging has 5 rows left", "materialize the day from fact_table on"),
        ({"load_audit": None}, "never loaded", "land all of its files again"),
    ],
)
def test_without_raw_files_each_mismatch_has_an_advice_that_can_be_followed(
    change: dict[str, Any], problem: str, advice: str, retention: Retention
) -> None:
    verdict = judge(DAY, replace(GONE, **change, retention=retention))
    (told,) = verdict.problems
    assert not verdict.ok
    assert problem in told
    assert advice in told


def test_nothing_landed_is_told_from_gone_by_the_load_audit() -> None:
    nothing = DayNumbers(RawDay(0, 0, "v"), 0, None, None, 0, ExportDay(rows=None))
    verdict = judge(DAY, nothing)
    assert (verdict.ok, verdict.raw_state, verdict.warnings) == (True, "none", [])


def test_the_check_of_the_export_warns_of_gone_files_and_fails_nothing(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land("2026-01-02")
    assert pipeline.run("2026-01-02").success
    state.raw.clear()
    result = pipeline.run("2026-01-02", assets=["s3_export"], checks=True)
    assert result.success, pipeline.failures(result)
    (evaluation,) = (
        evaluation
        for evaluation in result.get_asset_check_evaluations()
        if evaluation.check_name == "row_counts_reconcile"
    )
    assert (evaluation.passed, evaluation.severity) == (False, dg.AssetCheckSeverity.WARN)
    assert "raw files are gone; loaded and exported agree" in (evaluation.description or "")


# -- days that are none of the feed --------------------------------------------------------------


def test_days_that_are_no_partitions_are_named_and_nothing_of_them_is_read(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    others = [date(2025, 12, 31), date(2026, 1, 1) + timedelta(days=36500)]
    for day in others:
        state.land(str(day))
        state.fact[day] = 5
    early, late = reconcile(state.feed, pipeline.aws, others)
    assert (early.raw_state, early.ok, early.problems) == ("not a day", True, [])
    assert "not a day of the feed (it starts 2026-01-01 and its last day is " in early.warnings[0]
    assert "set an earlier start_date" in early.warnings[0]
    assert "it becomes one in time" in late.warnings[0]
    assert state.count("list") == state.count("inspect") == 0


def test_known_files_are_not_read_again(pipeline: InMemoryPipeline, state: AwsState) -> None:
    state.land("2026-01-02")
    assert pipeline.run("2026-01-02", checks=True).success
    # Read once by raw_partition; the check of the export reuses that count.
    assert state.count("inspect") == 1


def test_without_a_key_rows_are_counted_and_no_keys_compared(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land("2026-01-02")
    assert pipeline.run("2026-01-02").success
    state.duplicates[date(2026, 1, 2)] = 1
    keyless = state.feed.model_copy(update={"key": []})
    (verdict,) = reconcile(keyless, pipeline.aws, [date(2026, 1, 2)])
    assert (verdict.ok, verdict.notes) == (True, [NO_KEY])


def test_a_sensitive_key_is_not_shown(pipeline: InMemoryPipeline, state: AwsState) -> None:
    state.land("2026-01-02")
    assert pipeline.run("2026-01-02").success
    state.duplicates[date(2026, 1, 2)] = 1
    first, *others = state.feed.columns
    hidden = first.model_copy(update={"sensitive": True})
    feed = state.feed.model_copy(update={"columns": [hidden, *others]})
    (verdict,) = reconcile(feed, pipeline.aws, [date(2026, 1, 2)])
    assert "(doubled: id=***)" in "; ".join(verdict.problems)


def test_a_duplicate_row_that_hides_a_lost_one_is_reported(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land("2026-01-02")
    assert pipeline.run("2026-01-02").success
    state.duplicates[DAY] = 1
    (verdict,) = reconcile(state.feed, pipeline.aws, [DAY])
    assert "fact has 10 rows but 9 distinct keys (doubled: id=100000)" in "; ".join(
        verdict.problems
    )


def test_files_that_changed_since_are_read_again(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land("2026-01-02")
    assert pipeline.run("2026-01-02").success
    state.land("2026-01-02", "late.csv", rows=5)
    known = KnownNumbers(raw={DAY: RawDay(files=1, rows=10, version="old")})
    (verdict,) = reconcile(state.feed, pipeline.aws, [DAY], known)
    assert not verdict.ok
    assert verdict.raw_rows == 15


def test_a_day_that_cannot_be_read_does_not_hide_the_others(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    days = [date(2026, 1, day) for day in (2, 3, 4)]
    for day in days:
        state.land(str(day))
    state.land(str(days[1]), archive="GLACIER")
    assert not pipeline.run(str(days[0]), str(days[2]), checks=True).success
    verdicts = reconcile(state.feed, pipeline.aws, days)
    assert [verdict.partition for verdict in verdicts] == [str(day) for day in days]
    assert [verdict.ok for verdict in verdicts] == [True, False, True]
    problems = "; ".join(verdicts[1].problems)
    assert "products/2026/01/03/a.csv: archived in GLACIER: restore it" in problems
    assert "raw files hold" not in problems
    assert verdicts[1].raw_rows is None


def test_a_loaded_day_whose_files_were_archived_since_is_right_with_a_note(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(str(DAY))
    state.land(str(DAY), "b.csv")
    assert pipeline.run(str(DAY)).success
    for name in ("a.csv", "b.csv"):
        state.land(str(DAY), name, archive="GLACIER")
    (verdict,) = reconcile(state.feed, pipeline.aws, [DAY])
    assert verdict.ok, verdict.problems
    (note,) = verdict.notes
    assert "archived after it was loaded" in note
    assert "a.csv: archived in GLACIER" in note
    assert note.endswith("(and 1 more)")


def test_a_loaded_and_archived_day_is_still_compared_with_its_export() -> None:
    archived = RawDay(1, 0, "v", archived=("a.csv: archived in GLACIER",))
    assert judge(DAY, replace(RIGHT, raw=archived)).ok
    verdict = judge(DAY, replace(RIGHT, raw=archived, export=ExportDay(rows=97)))
    assert verdict.problems == [
        "the export holds 97 rows, but fact has 98; materialize s3_export of the day again"
    ]


@pytest.mark.parametrize("name", ["A.CSV", "a.CSV.gz", "sub/a.csv"])
@pytest.mark.parametrize("has_data", [True, False])
def test_files_that_no_pattern_matches_are_named(
    pipeline: InMemoryPipeline, state: AwsState, name: str, has_data: bool
) -> None:
    if has_data:
        state.land(str(DAY))
        assert pipeline.run(str(DAY)).success
    state.land(str(DAY), name)
    state.land(str(DAY), "_SUCCESS")
    (verdict,) = reconcile(state.feed, pipeline.aws, [DAY])
    assert verdict.ok, verdict.problems
    (note,) = verdict.notes
    assert f"matches: {name}. Rename them" in note


def test_what_this_run_has_counted_is_reported_with_the_files_it_left_out(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land(str(DAY))
    state.land(str(DAY), "A.CSV")
    result = pipeline.run(str(DAY), checks=True)
    (evaluation,) = [
        found
        for found in result.get_asset_check_evaluations()
        if found.check_name == "row_counts_reconcile"
    ]
    assert evaluation.passed
    assert "A.CSV" in str(evaluation.metadata["notes"])
