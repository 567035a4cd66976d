"""The sensor, the schedule's job and a backfill take the same days at the same moment."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta
from itertools import combinations
from typing import Any

import dagster as dg
import pytest

from tests.support.dagster_processes import DagsterProcesses
from tests.support.pipeline import CHAIN
from tests.support.sandbox import RunningSandbox

FEED = "orders"
SECONDS = 1200
HEADER = "order_id,line_no,sku,quantity,amount,gift,note,ordered_at\n"

pytestmark = pytest.mark.timeout(SECONDS + 600)


def put(sandbox: RunningSandbox, day: date, rows: int) -> None:
    """Replace a file of the day."""
    body = HEADER + "".join(
        f"{number},1,S-{number},1,1.50,true,,{day} 10:00:00\n" for number in range(rows)
    )
    sandbox.client("account-a-admin", "s3").put_object(
        Bucket=sandbox.config.input_bucket,
        Key=f"shop/orders/year={day:%Y}/month={day:%m}/day={day:%d}/a.csv",
        Body=body.encode(),
    )


def test_sensor_schedule_and_backfill_at_once_end_in_one_right_result(
    sandbox: RunningSandbox, dagster: DagsterProcesses
) -> None:
    today = datetime.now(UTC).date()
    days = [today - timedelta(days=back) for back in (3, 2, 1)]
    keys = [str(day) for day in days]
    for day in days:
        put(sandbox, day, 5)
    dagster.wait_for(
        "the sensor to have run each of the days",
        lambda: len(ended(dagster)) == len(days),
        SECONDS,
    )
    backfill = dagster.backfill(FEED, list(CHAIN), keys)
    dagster.wait_for(
        "a run of the backfill", lambda: dagster.runs({"dagster/backfill": backfill}), SECONDS
    )
    # While that run works its files are replaced: the sensor takes up each of the days.
    for number, day in enumerate(days, start=1):
        put(sandbox, day, number * 10)
    # What the schedule asks for: the same job, for the day that ended.
    scheduled = dagster.execute(FEED, keys[-1])
    dagster.wait_for(
        "the sensor to have seen what is new",
        lambda: len(dagster.runs({"xacct/arrival": FEED})) > len(days),
        SECONDS,
    )
    output, _ = scheduled.communicate(timeout=SECONDS)

    def right() -> bool:
        """Whether all runs have ended and every day reconciles (a run may fail)."""
        runs = dagster.runs({})
        return len(ended(dagster)) == len(runs) and all(row["ok"] for row in rows(sandbox, keys))

    dagster.wait_for("all runs to end and the days to be right", right, SECONDS)
    spans = [(run.start_time, run.end_time) for run in dagster.runs({})[len(days) :]]
    assert len(spans) >= 3, output
    assert any(
        one[0] < other[1] and other[0] < one[1]
        for one, other in combinations(spans, 2)
        if None not in (*one, *other)
    ), "no two runs were under way at the same moment"
    assert [(row["fact_rows"], row["exported_rows"]) for row in rows(sandbox, keys)] == [
        (10, 10),
        (20, 20),
        (30, 30),
    ]


def ended(dagster: DagsterProcesses) -> list[dg.RunRecord]:
    return [run for run in dagster.runs({}) if run.dagster_run.is_finished]


def rows(sandbox: RunningSandbox, keys: list[str]) -> list[dict[str, Any]]:
    """What `xacct reconcile` says of the days."""
    options = [part for key in keys for part in ("--partition", key)]
    completed = sandbox.run(
        *("xacct_assets.operations.cli", "--no-env-file", "reconcile", "--json", "--feed", FEED),
        *options,
        check=False,
    )
    answer: list[dict[str, Any]] = json.loads(completed.stdout)
    return answer
