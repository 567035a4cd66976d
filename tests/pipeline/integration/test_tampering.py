"""Days that were changed by hand after their run: each change is found and can be repaired.

Each kind of change has its own day. All days are uploaded, checked and repaired together, in runs
over ranges, so that each verdict also proves that neighbouring days are judged apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest

from tests.support.pipeline import Pipeline, Reconciliation, Run
from xacct_sandbox.sample_data import ProductFile

RANGE = ("2026-02-01", "2026-02-10")
UNTOUCHED = ("2026-02-07",)


def delete_a_fact_row(pipeline: Pipeline, day: str) -> None:
    pipeline.execute("DELETE FROM public.products_f WHERE partition_date = %s AND id = 100001", day)


def double_a_fact_row(pipeline: Pipeline, day: str) -> None:
    pipeline.execute(
        "INSERT INTO public.products_f "
        "SELECT * FROM public.products_f WHERE partition_date = %s AND id = 100001",
        day,
    )


def swap_a_fact_row(pipeline: Pipeline, day: str) -> None:
    delete_a_fact_row(pipeline, day)
    pipeline.execute(
        "INSERT INTO public.products_f "
        "SELECT * FROM public.products_f WHERE partition_date = %s AND id = 100002",
        day,
    )


def land_a_late_file(pipeline: Pipeline, day: str) -> None:
    pipeline.land(day, rows=30, number=1)


def delete_a_file(pipeline: Pipeline, day: str) -> None:
    client(pipeline).delete_object(Bucket=pipeline.export_bucket, Key=a_file(pipeline, day))


def copy_a_file(pipeline: Pipeline, day: str) -> None:
    key = a_file(pipeline, day)
    client(pipeline).copy_object(
        Bucket=pipeline.export_bucket,
        Key=f"{key.removesuffix('.parquet')}-copy.parquet",
        CopySource={"Bucket": pipeline.export_bucket, "Key": key},
    )


def cut_a_file(pipeline: Pipeline, day: str) -> None:
    s3, key = client(pipeline), a_file(pipeline, day)
    body = s3.get_object(Bucket=pipeline.export_bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=pipeline.export_bucket, Key=key, Body=body[:-1])


def delete_the_manifest(pipeline: Pipeline, day: str) -> None:
    key = f"{pipeline.export_prefix(day)}manifest"
    client(pipeline).delete_object(Bucket=pipeline.export_bucket, Key=key)


def cut_the_manifest(pipeline: Pipeline, day: str) -> None:
    s3, key = client(pipeline), f"{pipeline.export_prefix(day)}manifest"
    body = s3.get_object(Bucket=pipeline.export_bucket, Key=key)["Body"].read()
    s3.put_object(Bucket=pipeline.export_bucket, Key=key, Body=body[: len(body) // 2])


def client(pipeline: Pipeline) -> Any:
    return pipeline.sandbox.client("account-a-admin", "s3")


def a_file(pipeline: Pipeline, day: str) -> str:
    names = sorted(name for name in pipeline.exported(day) if name != "manifest")
    return pipeline.export_prefix(day) + names[0]


@dataclass(frozen=True)
class Change:
    """A change made by hand to a day, and a part of the message that must report it."""

    day: str
    do: Callable[[Pipeline, str], None]
    message: str
    manifest: str = "whole"


# First the changes that need a new load of the day, then those that a new export repairs.
CHANGES = [
    Change("2026-02-01", swap_a_fact_row, "96 distinct keys (doubled: id=100002)"),
    Change("2026-02-02", delete_a_fact_row, "fact has 96 rows and 3 were rejected, but the raw"),
    Change("2026-02-03", double_a_fact_row, "fact has 98 rows and 3 were rejected, but the raw"),
    Change("2026-02-04", land_a_late_file, "hold 130); materialize the day from raw_partition on"),
    Change("2026-02-05", delete_a_file, "files of the manifest are missing", "broken"),
    Change("2026-02-06", copy_a_file, "files are there that the manifest does not name", "broken"),
    Change("2026-02-08", cut_a_file, "files have other sizes than the manifest says", "broken"),
    Change("2026-02-09", delete_the_manifest, "has no manifest", "broken"),
    Change("2026-02-10", cut_the_manifest, "is not a verbose UNLOAD manifest", "broken"),
]
DAYS = sorted([*UNTOUCHED, *(change.day for change in CHANGES)])
each_change = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.do.__name__)


@dataclass(frozen=True)
class Results:
    """Runs and reconciliations before and after the repair."""

    first_run: Run
    right: Reconciliation
    wrong: Reconciliation
    exit_codes: dict[str, int]
    checked: Run
    exported_again: Run
    after_export: Reconciliation
    loaded_again: Run
    repaired: Reconciliation
    rows_before: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def results(pipeline: Pipeline) -> Results:
    for day in DAYS:
        pipeline.land(day, rows=100)
    first_run = pipeline.run(*RANGE)
    assert first_run.success, first_run.why
    right = pipeline.reconcile("...".join(RANGE))
    rows_before = {day: pipeline.fact_rows(day) for day in DAYS}
    for change in CHANGES:
        change.do(pipeline, change.day)
    return Results(
        first_run=first_run,
        right=right,
        wrong=pipeline.reconcile("...".join(RANGE)),
        exit_codes={day: pipeline.reconcile(day).exit_code for day in DAYS},
        checked=pipeline.check(*RANGE),
        exported_again=pipeline.run("2026-02-05", "2026-02-10", assets=["s3_export"]),
        after_export=pipeline.reconcile("2026-02-05...2026-02-10"),
        loaded_again=pipeline.run("2026-02-01", "2026-02-04"),
        repaired=pipeline.reconcile("...".join(RANGE)),
        rows_before=rows_before,
    )


@each_change
def test_reconcile_names_the_day_and_what_is_wrong(results: Results, change: Change) -> None:
    row = results.wrong.rows[change.day]
    assert not row["ok"]
    assert change.message in results.wrong.problems(change.day)
    assert results.exit_codes[change.day] == 1
    assert row["manifest"] == change.manifest


@each_change
def test_the_check_fails_for_the_changed_day_and_names_the_problem(
    results: Results, change: Change
) -> None:
    assert results.checked.check_results()[change.day] is False
    assert change.message in results.checked.check_descriptions()[change.day]


@pytest.mark.parametrize("day", UNTOUCHED)
def test_a_day_between_changed_days_stays_right(results: Results, day: str) -> None:
    assert results.wrong.rows[day]["ok"]
    assert results.exit_codes[day] == 0
    assert results.checked.check_results()[day] is True


def test_the_failed_check_names_exactly_the_changed_days(results: Results) -> None:
    failed = {day for day, passed in results.checked.check_results().items() if not passed}
    assert failed == {change.day for change in CHANGES}


def test_the_days_were_right_before_they_were_changed(results: Results) -> None:
    assert results.right.exit_code == 0
    assert sorted(results.right.rows) == DAYS
    assert results.first_run.check_results() == dict.fromkeys(DAYS, True)


@each_change
def test_materializing_again_repairs_the_day(results: Results, change: Change) -> None:
    assert results.repaired.rows[change.day]["ok"], results.repaired.problems(change.day)


def test_materializing_s3_export_alone_repairs_an_export(results: Results) -> None:
    assert results.exported_again.success, results.exported_again.why
    assert results.after_export.exit_code == 0


def test_a_late_file_is_loaded_with_its_day(pipeline: Pipeline, results: Results) -> None:
    assert results.loaded_again.success, results.loaded_again.why
    late = ProductFile(seed=1, day=date(2026, 2, 4), rows=30, number=1)
    assert results.repaired.rows["2026-02-04"]["fact_rows"] == 97 + late.good_rows


def test_the_repaired_rows_are_those_of_before_the_change(
    pipeline: Pipeline, results: Results
) -> None:
    assert results.repaired.exit_code == 0
    for day in DAYS:
        if day != "2026-02-04":
            assert pipeline.fact_rows(day) == results.rows_before[day]


def test_one_changed_day_is_found_and_repaired_alone(pipeline: Pipeline, results: Results) -> None:
    day = "2026-02-07"
    delete_a_file(pipeline, day)
    answer = pipeline.sandbox.run(
        *("xacct_assets.operations.cli", "reconcile", "--partition", day), check=False
    )
    assert answer.returncode == 1
    assert f"products {day}: files of the manifest are missing" in answer.stdout
    checked = pipeline.check(day)
    assert not checked.success
    assert checked.check_results() == {day: False}
    assert pipeline.run(day, assets=["s3_export"]).success
    assert pipeline.check(day).check_results() == {day: True}


def test_the_json_answer_and_the_exit_code_agree(pipeline: Pipeline, results: Results) -> None:
    assert results.wrong.exit_code == 1
    answer = pipeline.sandbox.run(
        *("xacct_assets.operations.cli", "reconcile", "--json", "--partition", "...".join(RANGE))
    )
    assert all(row["ok"] for row in json.loads(answer.stdout))


def test_a_day_whose_raw_files_are_gone_stays_right_and_is_not_loaded_again(
    pipeline: Pipeline,
) -> None:
    day, s3 = "2026-02-20", client(pipeline)
    pipeline.land(day, rows=20)
    assert pipeline.run(day).success
    before, bucket = pipeline.fact_rows(day), pipeline.sandbox.config.input_bucket
    prefix = f"products/{day.replace('-', '/')}/"
    for item in s3.list_objects_v2(Bucket=bucket, Prefix=prefix)["Contents"]:
        s3.delete_object(Bucket=bucket, Key=item["Key"])
    gone = pipeline.reconcile(day)
    assert (gone.exit_code, gone.rows[day]["raw_state"]) == (0, "gone")
    assert "set source.retention_days" in gone.rows[day]["warnings"][0]
    refused = pipeline.run(day)
    assert not refused.success
    assert "the day's raw files are gone: " in refused.failures["raw_partition"]
    assert pipeline.run(day, assets=["fact_table", "s3_export"]).success
    assert pipeline.fact_rows(day) == before
    assert pipeline.reconcile(day).exit_code == 0
