"""Days that are right, then changed behind the pipeline's back: each change is found and mended.

Every kind of change has a day of its own; they are landed, judged and mended together, in runs over
ranges, so that each verdict is also a verdict on its neighbours.
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
    """Something done by hand to a day, and the words in which it must be told."""

    day: str
    do: Callable[[Pipeline, str], None]
    told: str
    manifest: str = "whole"


# First those that need the day to be loaded again, then those that a new export mends.
CHANGES = [
    Change("2026-02-01", swap_a_fact_row, "fact has 97 rows but 96 distinct keys"),
    Change("2026-02-02", delete_a_fact_row, "fact has 96 rows and 3 were rejected, but the raw"),
    Change("2026-02-03", double_a_fact_row, "fact has 98 rows and 3 were rejected, but the raw"),
    Change("2026-02-04", land_a_late_file, "hold 130; files have changed since"),
    Change("2026-02-05", delete_a_file, "files of the manifest are missing", "broken"),
    Change("2026-02-06", copy_a_file, "files are there that the manifest does not name", "broken"),
    Change("2026-02-08", cut_a_file, "files have other sizes than the manifest says", "broken"),
    Change("2026-02-09", delete_the_manifest, "has no manifest", "broken"),
    Change("2026-02-10", cut_the_manifest, "is not a verbose UNLOAD manifest", "broken"),
]
DAYS = sorted([*UNTOUCHED, *(change.day for change in CHANGES)])
each_change = pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.do.__name__)


@dataclass(frozen=True)
class Story:
    """What was found, before and after the days were mended."""

    first_run: Run
    right: Reconciliation
    wrong: Reconciliation
    exit_codes: dict[str, int]
    checked: Run
    exported_again: Run
    after_export: Reconciliation
    loaded_again: Run
    mended: Reconciliation
    rows_before: dict[str, list[dict[str, Any]]]


@pytest.fixture(scope="module")
def story(pipeline: Pipeline) -> Story:
    for day in DAYS:
        pipeline.land(day, rows=100)
    first_run = pipeline.run(*RANGE)
    assert first_run.success, first_run.why
    right = pipeline.reconcile("...".join(RANGE))
    rows_before = {day: pipeline.fact_rows(day) for day in DAYS}
    for change in CHANGES:
        change.do(pipeline, change.day)
    return Story(
        first_run=first_run,
        right=right,
        wrong=pipeline.reconcile("...".join(RANGE)),
        exit_codes={day: pipeline.reconcile(day).exit_code for day in DAYS},
        checked=pipeline.check(*RANGE),
        exported_again=pipeline.run("2026-02-05", "2026-02-10", assets=["s3_export"]),
        after_export=pipeline.reconcile("2026-02-05...2026-02-10"),
        loaded_again=pipeline.run("2026-02-01", "2026-02-04"),
        mended=pipeline.reconcile("...".join(RANGE)),
        rows_before=rows_before,
    )


@each_change
def test_reconcile_names_the_day_and_what_is_wrong(story: Story, change: Change) -> None:
    row = story.wrong.rows[change.day]
    assert not row["ok"]
    assert change.told in story.wrong.problems(change.day)
    assert story.exit_codes[change.day] == 1
    assert row["manifest"] == change.manifest


@each_change
def test_the_check_of_the_changed_day_fails_and_says_what_is_wrong(
    story: Story, change: Change
) -> None:
    assert story.checked.verdicts()[change.day] is False
    assert change.told in story.checked.verdict_texts()[change.day]


@pytest.mark.parametrize("day", UNTOUCHED)
def test_a_day_between_changed_days_stays_right(story: Story, day: str) -> None:
    assert story.wrong.rows[day]["ok"]
    assert story.exit_codes[day] == 0
    assert story.checked.verdicts()[day] is True


def test_the_failed_check_names_exactly_the_changed_days(story: Story) -> None:
    failed = {day for day, passed in story.checked.verdicts().items() if not passed}
    assert failed == {change.day for change in CHANGES}


def test_the_days_were_right_before_they_were_changed(story: Story) -> None:
    assert story.right.exit_code == 0
    assert sorted(story.right.rows) == DAYS
    assert story.first_run.verdicts() == dict.fromkeys(DAYS, True)


@each_change
def test_materializing_again_mends_the_day(story: Story, change: Change) -> None:
    assert story.mended.rows[change.day]["ok"], story.mended.problems(change.day)


def test_an_export_is_mended_by_materializing_the_export_alone(story: Story) -> None:
    assert story.exported_again.success, story.exported_again.why
    assert story.after_export.exit_code == 0


def test_a_late_file_is_loaded_with_its_day(pipeline: Pipeline, story: Story) -> None:
    assert story.loaded_again.success, story.loaded_again.why
    late = ProductFile(seed=1, day=date(2026, 2, 4), rows=30, number=1)
    assert story.mended.rows["2026-02-04"]["fact_rows"] == 97 + late.good_rows


def test_the_mended_rows_are_those_that_were_there_before(pipeline: Pipeline, story: Story) -> None:
    assert story.mended.exit_code == 0
    for day in DAYS:
        if day != "2026-02-04":
            assert pipeline.fact_rows(day) == story.rows_before[day]


def test_one_changed_day_is_found_and_mended_alone(pipeline: Pipeline, story: Story) -> None:
    day = "2026-02-07"
    delete_a_file(pipeline, day)
    answer = pipeline.sandbox.run(
        *("xacct_assets.operations.cli", "reconcile", "--partition", day), check=False
    )
    assert answer.returncode == 1
    assert f"products {day}: files of the manifest are missing" in answer.stdout
    checked = pipeline.check(day)
    assert not checked.success
    assert checked.verdicts() == {day: False}
    assert pipeline.run(day, assets=["s3_export"]).success
    assert pipeline.check(day).verdicts() == {day: True}


def test_the_json_answer_and_the_exit_code_agree(pipeline: Pipeline, story: Story) -> None:
    assert story.wrong.exit_code == 1
    answer = pipeline.sandbox.run(
        *("xacct_assets.operations.cli", "reconcile", "--json", "--partition", "...".join(RANGE))
    )
    assert all(row["ok"] for row in json.loads(answer.stdout))
