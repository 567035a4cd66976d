"""A year of days, backfilled as the UI does it, with everything killed in the middle.

Killed with ``kill -9``, all at once: daemon, web server, code servers and runs. What AWS was asked
for goes on there. Then Dagster is started again, and nothing else is done.
"""

from __future__ import annotations

import json
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any

import dagster as dg
import pytest

from tests.support.dagster_processes import DagsterProcesses
from tests.support.pipeline import CHAIN
from tests.support.sandbox import RunningSandbox

FEED = "orders"
EXPORT_BUCKET, EXPORTS = "sample-opt-bucket-etl-local", "shop/orders/"
DAYS = [date(2025, 1, 1) + timedelta(days=number) for number in range(365)]
ROWS = 10
RUNS = 12
# Four to eight minutes if the machine has nothing else to do.
SECONDS = 3600

pytestmark = pytest.mark.timeout(SECONDS + 600)


def orders_of(day: date) -> bytes:
    """Five orders of two lines."""
    header = "order_id,line_no,sku,quantity,amount,gift,note,ordered_at\n"
    return (
        header
        + "".join(
            f"{day:%j}{number},{line},S-{line},{number},{number}.50,true,,{day} 10:00:00\n"
            for number in range(ROWS // 2)
            for line in (1, 2)
        )
    ).encode()


@dataclass(frozen=True)
class Outcome:
    """What was seen before the kill, and what there was at the end."""

    finished_before: set[str]
    """Days whose export was made before everything was killed."""
    loads_before: dict[str, str]
    """Glue job runs that had succeeded or were under way by then, by load id."""
    runs: list[dg.RunRecord]
    job_runs: list[dict[str, Any]]
    crawls: list[dict[str, Any]]
    exports: Counter[str]
    """Materializations of s3_export, by day."""


@pytest.fixture(scope="module")
def outcome(sandbox: RunningSandbox, dagster: DagsterProcesses) -> Outcome:
    s3 = sandbox.client("account-a-admin", "s3")

    def put(day: date) -> None:
        key = f"shop/orders/year={day:%Y}/month={day:%m}/day={day:%d}/a.csv"
        s3.put_object(Bucket=sandbox.config.input_bucket, Key=key, Body=orders_of(day))

    with ThreadPoolExecutor(4) as threads:
        list(threads.map(put, DAYS))
    backfill = dagster.backfill(FEED, list(CHAIN), [str(day) for day in DAYS])

    def is_in_the_middle() -> bool:
        done = [run for run in runs_of(dagster, backfill) if run.dagster_run.is_success]
        working = [run for run in job_runs(sandbox) if run["JobRunState"] == "RUNNING"]
        return len(done) >= 3 and bool(working)

    dagster.wait_for("some runs to be done and a load under way", is_in_the_middle, SECONDS / 2)
    dagster.kill()
    before = set(exports(dagster))
    loads = {run["Arguments"]["--load_id"]: run["Id"] for run in job_runs(sandbox)}

    dagster.start_dev()

    def is_over() -> bool:
        known = dagster.instance.get_backfill(backfill)
        return known is not None and known.status.value.startswith("COMPLETED")

    dagster.wait_for("the backfill to be over", is_over, SECONDS)
    crawls = sandbox.client("account-b-admin", "glue").list_crawls(
        CrawlerName=f"xacct-local-{FEED}", MaxResults=1000
    )["Crawls"]
    return Outcome(
        before, loads, runs_of(dagster, backfill), job_runs(sandbox), crawls, exports(dagster)
    )


def runs_of(dagster: DagsterProcesses, backfill: str) -> list[dg.RunRecord]:
    return dagster.runs({"dagster/backfill": backfill})


def job_runs(sandbox: RunningSandbox) -> list[dict[str, Any]]:
    glue = sandbox.client("account-b-admin", "glue")
    pages = glue.get_paginator("get_job_runs").paginate(JobName=f"xacct-local-{FEED}")
    return [run for page in pages for run in page["JobRuns"]]


def exports(dagster: DagsterProcesses) -> Counter[str]:
    """How often each day was exported, as the event log says."""
    key = dg.AssetKey([FEED, CHAIN[-1]])
    records = dagster.instance.fetch_materializations(key, limit=10_000).records
    return Counter(str(record.partition_key) for record in records)


def test_every_day_of_the_year_adds_up(sandbox: RunningSandbox, outcome: Outcome) -> None:
    command = (
        "xacct_assets.operations.cli",
        "--no-env-file",
        "reconcile",
        "--json",
        "--feed",
        FEED,
    )
    rows = json.loads(sandbox.run(*command, check=False).stdout)
    assert [row["partition"] for row in rows] == [str(day) for day in DAYS]
    assert [row for row in rows if not row["ok"]] == []
    assert {(row["raw_rows"], row["exported_rows"], row["manifest"]) for row in rows} == {
        (ROWS, ROWS, "whole")
    }


def test_account_a_holds_one_export_of_each_day_and_nothing_else(sandbox: RunningSandbox) -> None:
    s3 = sandbox.client("account-a-admin", "s3")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=EXPORT_BUCKET, Prefix=EXPORTS)
    keys = [item["Key"] for page in pages for item in page.get("Contents", [])]
    files = Counter(key.rpartition("/")[0] for key in keys if not key.endswith("manifest"))
    manifests = Counter(key.rpartition("/")[0] for key in keys if key.endswith("manifest"))
    assert len(manifests) == len(DAYS)
    assert set(manifests.values()) == {1}
    assert set(files) == set(manifests)


def test_a_year_is_at_most_twelve_runs_of_the_job(outcome: Outcome) -> None:
    work = {run["Arguments"]["--load_id"] for run in outcome.job_runs}
    assert len(work) <= RUNS
    assert len(outcome.job_runs) == len(work), "some work was done twice"
    assert {run["JobRunState"] for run in outcome.job_runs} == {"SUCCEEDED"}


def test_a_year_is_at_most_twelve_crawls(outcome: Outcome) -> None:
    assert len(outcome.crawls) <= RUNS


def test_a_year_is_at_most_twelve_runs_beside_those_that_take_up_the_killed_ones(
    outcome: Outcome,
) -> None:
    ends = Counter(run.dagster_run.status.value for run in outcome.runs)
    first = [run for run in outcome.runs if run.dagster_run.parent_run_id is None]
    assert len(first) <= RUNS
    killed = [run for run in first if not run.dagster_run.is_success]
    assert killed, "nothing was killed in its middle"
    assert ends["SUCCESS"] == len(first)
    assert ends["FAILURE"] == len(outcome.runs) - len(first) == len(killed)


def test_what_was_done_before_the_kill_is_not_done_again(outcome: Outcome) -> None:
    assert outcome.finished_before, "nothing was done before the kill"
    assert len(outcome.exports) == len(DAYS)
    again = {day for day, times in outcome.exports.items() if times > 1}
    assert again & outcome.finished_before == set()


def test_a_load_that_went_on_without_its_run_is_followed_and_not_repeated(outcome: Outcome) -> None:
    known = {run["Arguments"]["--load_id"]: run["Id"] for run in outcome.job_runs}
    assert {work: known[work] for work in outcome.loads_before} == outcome.loads_before
