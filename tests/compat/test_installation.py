"""The wheel, in a virtual environment of its own, deploys and runs the pipeline on stock Dagster.

Dagster has no settings but PostgreSQL storage. AWS is the sandbox of the repository's environment.
"""

from __future__ import annotations

import json
import subprocess
from typing import Any

import dagster as dg
import pytest

from tests.compat.conftest import Case
from tests.support.installation import Installation
from tests.support.pipeline import CHAIN, FEED, Pipeline
from tests.support.sandbox import RunningSandbox
from tests.support.stock_dagster import StockDagster, days
from xacct_sandbox.daemon import latency
from xacct_sandbox.daemon.latency import ServiceTimes

SECONDS = 300
# Seconds from the termination until no remote work is left.
WITHIN = 30
JOB = f"xacct-local-{FEED}"

pytestmark = pytest.mark.timeout(1200)


@pytest.fixture
def pipeline(bare_sandbox: RunningSandbox) -> Pipeline:
    return Pipeline(bare_sandbox)


def problems(
    sandbox: RunningSandbox, installation: Installation, first: str, last: str
) -> dict[str, list[str]]:
    """What the installation's `xacct reconcile` finds wrong, by day."""
    command = [installation.commands / "xacct", "--no-env-file", "reconcile", "--json"]
    completed = subprocess.run(
        [*command, "--partition", f"{first}...{last}"],
        cwd=installation.folder,
        env=installation.environment(sandbox.environment),
        capture_output=True,
        text=True,
        check=False,
    )
    rows: list[dict[str, Any]] = json.loads(completed.stdout)
    return {row["partition"]: row["problems"] for row in rows}


def test_the_case_is_what_its_name_says(case: Case, installation: Installation) -> None:
    versions = installation.versions
    assert versions["dagster"].startswith("1.13.")
    assert versions["dagster"] == versions["dagster-webserver"] == versions["dagster-pipes"]
    if case.release.name == "lowest":
        assert f"dagster=={versions['dagster']}" in case.release.requirements
    assert f"Python {case.python}." in installation.run("python", "--version")


def test_the_wheel_deploys_both_accounts_outside_of_a_checkout(deployed: str) -> None:
    for stack in ("xacct-account-a-local", "xacct-account-b-local", "xacct-feed-products-local"):
        assert f"stack {stack}" in deployed


def test_the_code_location_loads(dagster: StockDagster) -> None:
    assert dagster.load_errors() == []


def test_a_day_runs(
    case: Case,
    dagster: StockDagster,
    pipeline: Pipeline,
    bare_sandbox: RunningSandbox,
    installation: Installation,
) -> None:
    day = case.day(1)
    pipeline.land(day, 40)
    run_id = dagster.launch(FEED, day)
    assert dagster.ended(run_id, SECONDS) is dg.DagsterRunStatus.SUCCESS
    assert problems(bare_sandbox, installation, day, day) == {day: []}


def test_a_range_of_ten_days_with_one_bad_day_reports_each_day_by_itself(
    case: Case,
    dagster: StockDagster,
    pipeline: Pipeline,
    bare_sandbox: RunningSandbox,
    installation: Installation,
) -> None:
    first, bad, last = case.day(11), case.day(14), case.day(20)
    for number, day in enumerate(days(first, last)):
        if day != bad:
            pipeline.land(day, 40, seed=number)
    pipeline.put(bad, b"id;name\n1;semicolons\n")
    run_id = dagster.launch(FEED, first, last)
    assert dagster.ended(run_id, SECONDS) is dg.DagsterRunStatus.FAILURE
    expected = {day: "FAILED" if day == bad else "MATERIALIZED" for day in days(first, last)}
    for asset in CHAIN:
        assert dagster.partition_statuses([FEED, asset], first, last) == expected, asset
    (observation,) = dagster.observations([FEED, CHAIN[0]], bad)
    assert "products-0.csv" in observation
    found = problems(bare_sandbox, installation, first, last)
    assert [day for day in expected if found[day]] == [bad]


def test_a_termination_stops_remote_work(
    case: Case, dagster: StockDagster, pipeline: Pipeline, bare_sandbox: RunningSandbox
) -> None:
    day = case.day(25)
    pipeline.land(day, 40)
    glue = bare_sandbox.client("account-b-admin", "glue")
    earlier = {run["Id"] for run in glue.get_job_runs(JobName=JOB, MaxResults=100)["JobRuns"]}

    def state() -> str | None:
        runs = glue.get_job_runs(JobName=JOB, MaxResults=100)["JobRuns"]
        return next((run["JobRunState"] for run in runs if run["Id"] not in earlier), None)

    latency.write(bare_sandbox.config, ServiceTimes(job=600.0))
    try:
        run_id = dagster.launch(FEED, day)
        dagster.wait_for("the load to run", lambda: state() == "RUNNING", SECONDS)
        dagster.terminate(run_id)
        dagster.wait_for("the load to stop", lambda: state() == "STOPPED", WITHIN)
        assert dagster.ended(run_id, SECONDS) is dg.DagsterRunStatus.CANCELED
    finally:
        latency.write(bare_sandbox.config, ServiceTimes())


def test_nothing_of_local_runtime_is_imported(
    case: Case, dagster: StockDagster, installation: Installation
) -> None:
    imported = set(installation.import_log.read_text(encoding="utf-8").split())
    # Run processes import the job's assets, so the log has entries of more than the code server.
    assert {"xacct_assets.definitions", "xacct_assets.feed.component"} <= imported
    assert not {name for name in imported if name.startswith("xacct_assets.local_runtime")}
    assert not {name for name in imported if name.startswith("xacct_sandbox")}
