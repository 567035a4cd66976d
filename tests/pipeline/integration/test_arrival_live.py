"""A file is put into account A's bucket with any S3 client, and its day runs by itself.

The daemon is Dagster's own, in a process of its own, with the sensors that the feeds start: orders
polls the bucket every five seconds, customers uses S3's notifications.
"""

from __future__ import annotations

import gzip
import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import dagster as dg
import pytest
from dagster._core.definitions.run_request import InstigatorType

from tests.support.dagster_processes import DagsterProcesses
from tests.support.sandbox import RunningSandbox

ORDERS = (
    b"order_id,line_no,sku,quantity,amount,gift,note,ordered_at\n"
    b"7,1,A-1,2,19.98,true,,2026-02-02 08:00:00\n"
    b"7,2,B-7,1,5.00,false,,2026-02-02 08:00:00\n"
)
CUSTOMERS = gzip.compress(
    b"customer_no;name;city;born;discount;active\n"
    b"C1;Ann;Oslo;1980-02-29;0.125;true\n"
    b"C2;Bo;;;;false\n"
)
# Two to nine on an idle machine; the limit leaves room for a busy one.
SECONDS_TO_A_RUN = 60
SECONDS_OF_A_RUN = 200


@dataclass(frozen=True)
class Arrival:
    """The run that one file caused."""

    day: str
    run: dg.RunRecord
    seconds: float
    """From the answer to the put until the run was created."""
    to_the_start: float = 0
    """The same until the run's process had begun."""
    of_the_run: float = 0
    """From its start to its end: the services' time and Dagster's."""
    later_runs: int = 0
    """Later runs of the same day, while the sensor went on."""

    def ended(self, dagster: DagsterProcesses) -> dg.RunRecord | None:
        """The run once it has ended."""
        known = dagster.instance.get_run_record_by_id(self.run.dagster_run.run_id)
        return known if known and known.dagster_run.is_finished else None


@pytest.fixture(scope="module")
def arrivals(feeds_sandbox: RunningSandbox, tmp_path_factory) -> Iterator[dict[str, Arrival]]:
    """One file for each feed, put while the daemon was running; by feed."""
    dagster = DagsterProcesses(feeds_sandbox, tmp_path_factory.mktemp("live"))
    dagster.start_daemon()
    try:
        yield put_and_wait(feeds_sandbox, dagster)
    finally:
        dagster.kill()


def put_and_wait(sandbox: RunningSandbox, dagster: DagsterProcesses) -> dict[str, Arrival]:
    def both_ticked() -> bool:
        sensors = dagster.instance.all_instigator_state(instigator_type=InstigatorType.SENSOR)
        ticked = {state.name for state in sensors if state.instigator_data.last_tick_timestamp}
        return {"orders_arrivals", "customers_arrivals"} <= ticked

    dagster.wait_for("one tick of each sensor", both_ticked, 120)
    s3 = sandbox.client("account-a-admin", "s3")
    today = datetime.now(UTC).date()
    files = {
        "orders": (f"shop/orders/year={today:%Y}/month={today:%m}/day={today:%d}/a.csv", ORDERS),
        "customers": (f"customers/{today:%Y/%m/%d}/a.csv.gz", CUSTOMERS),
    }
    put = {}
    for feed, (key, body) in files.items():
        s3.put_object(Bucket=sandbox.config.input_bucket, Key=key, Body=body)
        put[feed] = time.time()
    arrived = {}
    for feed in files:
        tags = {"xacct/arrival": feed, "dagster/partition": today.isoformat()}
        (run,) = dagster.wait_for(
            f"a run of {feed}", lambda tags=tags: dagster.runs(tags), SECONDS_TO_A_RUN
        )
        arrived[feed] = Arrival(
            today.isoformat(), run, run.create_timestamp.timestamp() - put[feed]
        )
    for feed, one in arrived.items():
        ended = dagster.wait_for(
            f"the run of {feed} to end", lambda one=one: one.ended(dagster), 200
        )
        later = dagster.runs({"xacct/arrival": feed, "dagster/partition": one.day})[1:]
        assert ended.start_time is not None
        assert ended.end_time is not None
        arrived[feed] = replace(
            one,
            run=ended,
            to_the_start=ended.start_time - put[feed],
            of_the_run=ended.end_time - ended.start_time,
            later_runs=len(later),
        )
    return arrived


@pytest.mark.parametrize("feed", ["orders", "customers"])
def test_a_file_that_is_put_runs_its_day_to_a_verified_export(
    feeds_sandbox: RunningSandbox,
    arrivals: dict[str, Arrival],
    feed: str,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    arrival = arrivals[feed]
    figures = {
        "from put to run created": arrival.seconds,
        "from put to the run's start": arrival.to_the_start,
        "of the run": arrival.of_the_run,
    }
    for name, seconds in figures.items():
        # For measurements (docs/operate.md): shown by `pytest -rP`.
        print(f"{feed}: {seconds:.1f} s {name}")  # noqa: T201
        record_testsuite_property(f"{feed}: seconds {name}", round(seconds, 1))
    assert arrival.run.dagster_run.status is dg.DagsterRunStatus.SUCCESS
    assert arrival.seconds < SECONDS_TO_A_RUN
    reconciled = feeds_sandbox.run(
        *("xacct_assets.operations.cli", "--no-env-file", "reconcile", "--json"),
        *("--feed", feed, "--partition", arrival.day),
    )
    (row,) = json.loads(reconciled.stdout)
    assert row["ok"], row
    assert (row["raw_rows"], row["exported_rows"], row["manifest"]) == (2, 2, "whole")


def test_a_day_is_not_run_again_by_the_next_ticks(
    arrivals: dict[str, Arrival],
) -> None:
    later_runs = {feed: arrival.later_runs for feed, arrival in arrivals.items()}
    assert later_runs == {"orders": 0, "customers": 0}
