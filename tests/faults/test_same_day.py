"""The sensor, the schedule's job and a backfill take the same days at the same moment."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.integration.conftest import RunningSandbox
from tests.integration.dagster_processes import DagsterProcesses
from tests.integration.pipeline import CHAIN

FEED = "orders"
SECONDS = 1200
HEADER = "order_id,line_no,sku,quantity,amount,gift,note,ordered_at\n"

pytestmark = pytest.mark.timeout(SECONDS + 600)


def put(sandbox: RunningSandbox, day: date, rows: int) -> None:
    """A file of the day, in place of the one that is there."""
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
    for number, day in enumerate(days, start=1):
        put(sandbox, day, number * 10)
    backfill = dagster.backfill(FEED, list(CHAIN), keys)
    # What the schedule asks for: the same job, for the day that ended.
    scheduled = dagster.execute(FEED, keys[-1])
    dagster.wait_for(
        "the sensor to have asked for each of the days",
        lambda: len(dagster.runs({"xacct/arrival": FEED})) >= len(days),
        SECONDS,
    )
    said, _ = scheduled.communicate(timeout=SECONDS)
    assert scheduled.returncode == 0, said

    def all_over() -> bool:
        runs = dagster.runs({})
        return bool(runs) and all(run.dagster_run.is_finished for run in runs)

    dagster.wait_for("all runs to end", all_over, SECONDS)
    ends = {run.dagster_run.status.value for run in dagster.runs({})}
    assert ends == {"SUCCESS"}
    assert dagster.runs({"dagster/backfill": backfill})
    options = [part for key in keys for part in ("--partition", key)]
    told = sandbox.run(
        *("xacct_assets.cli", "--no-env-file", "reconcile", "--json", "--feed", FEED), *options
    )
    rows = json.loads(told.stdout)
    assert [row["problems"] for row in rows] == [[], [], []]
    assert [(row["fact_rows"], row["exported_rows"]) for row in rows] == [
        (10, 10),
        (20, 20),
        (30, 30),
    ]
