"""Eight days at the same moment, in a Redshift where transactions get in each other's way.

Nothing keeps the runs apart but the services themselves: each has an event log, and so pools, of
its own. On top of the conflicts that they make, others are injected wherever the pipeline writes.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import Any

import pytest

from tests.support.pipeline import FEED, Pipeline, Run
from xacct_assets.aws.glue.job_runs import LIVE
from xacct_sandbox import faults
from xacct_sandbox.faults import Fault
from xacct_sandbox.sample_data import ProductFile

DAYS = [f"2026-09-{number}" for number in range(21, 29)]
ROWS = 60
CONFLICT = "serialization_conflict"
# In the procedure's call, the clean-up of staging, the load's COPY, and at any COMMIT.
PLANNED = (
    Fault(CONFLICT, service="redshift", operation="Statement", match="sp_products", count=8),
    Fault(CONFLICT, service="redshift", operation="Statement", match="DELETE FROM", count=8),
    Fault(CONFLICT, service="redshift", operation="Copy", count=1, after=2),
    Fault(CONFLICT, service="redshift", operation="Commit", count=6, probability=0.3, seed=8),
)

# Eight job runs and more; a busy machine takes half a minute for each.
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Contest:
    """The runs by day, what landed, and what was injected."""

    runs: dict[str, Run]
    landed: dict[str, ProductFile]
    injected: Counter[str]


@pytest.fixture(scope="module")
def contest(pipeline: Pipeline) -> Contest:
    config = pipeline.sandbox.config
    landed = {day: pipeline.land(day, ROWS, seed=number) for number, day in enumerate(DAYS)}
    faults.forget(config)
    faults.add(config, *PLANNED)
    try:
        runs = dict(zip(DAYS, pipeline.run_together(DAYS), strict=True))
        injected = Counter(str(entry["operation"]) for entry in faults.log(config))
    finally:
        faults.clear(config)
    return Contest(runs, landed, injected)


def test_conflicts_were_met_wherever_the_pipeline_writes(contest: Contest) -> None:
    assert set(contest.injected) == {"Statement", "Copy", "Commit"}
    assert contest.injected["Statement"] == 16


def test_every_one_of_eight_runs_succeeds(contest: Contest) -> None:
    assert {day: run.why for day, run in contest.runs.items() if not run.success} == {}


def test_every_day_adds_up_and_holds_its_own_rows(pipeline: Pipeline, contest: Contest) -> None:
    reconciliation = pipeline.reconcile(*DAYS)
    assert {day: reconciliation.problems(day) for day in DAYS} == dict.fromkeys(DAYS, "")
    for day, file in contest.landed.items():
        good = {record.values[:2] for record in file.records() if record.reject is None}
        assert {(str(row["id"]), row["name"]) for row in pipeline.fact_rows(day)} == good, day


def test_nothing_is_left_in_staging_or_at_work(pipeline: Pipeline, contest: Contest) -> None:
    left = pipeline.query(
        f"SELECT partition_date, COUNT(*) FROM {pipeline.feed.warehouse.staging} "
        "WHERE partition_date BETWEEN %s AND %s GROUP BY partition_date",
        DAYS[0],
        DAYS[-1],
    )
    assert left == []
    glue = pipeline.sandbox.client("account-b-admin", "glue")
    runs: list[dict[str, Any]] = glue.get_job_runs(JobName=f"xacct-local-{FEED}")["JobRuns"]
    assert [run["Id"] for run in runs if run["JobRunState"] in LIVE] == []
