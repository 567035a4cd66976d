"""The row-count equation: what makes a day right, and each way in which it can be wrong."""

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tests.support.fakes.aws_state import AwsState
from tests.support.in_memory_pipeline import InMemoryPipeline
from xacct_assets.feed.reconciliation.collection import KnownNumbers, reconcile
from xacct_assets.feed.reconciliation.equation import (
    DayNumbers,
    ExportDay,
    RawDay,
    RejectedRows,
    judge,
    summarize,
)
from xacct_assets.feed.reconciliation.load_audit import LoadAuditEntry

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
    assert "files have landed since it was loaded" in "; ".join(verdict.problems)


def test_a_problem_names_the_asset_to_materialize() -> None:
    verdict = judge(DAY, replace(RIGHT, export=ExportDay(rows=None)))
    assert "materialize s3_export" in summarize([verdict])
    assert summarize([judge(DAY, RIGHT)]) == "1 days are right"


def test_known_files_are_not_read_again(pipeline: InMemoryPipeline, state: AwsState) -> None:
    state.land("2026-01-02")
    assert pipeline.run("2026-01-02", checks=True).success
    # Read once by raw_partition; the check of the export reuses that count.
    assert state.count("inspect") == 1


def test_a_duplicate_row_that_hides_a_lost_one_is_reported(
    pipeline: InMemoryPipeline, state: AwsState
) -> None:
    state.land("2026-01-02")
    assert pipeline.run("2026-01-02").success
    state.duplicates[DAY] = 1
    (verdict,) = reconcile(state.feed, pipeline.aws, [DAY])
    assert "fact has 10 rows but 9 distinct keys" in "; ".join(verdict.problems)


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
    assert verdict.problems == ["the export holds 97 rows, but fact has 98"]


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
