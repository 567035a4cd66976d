"""One run of a feed is executed at a time. The others wait in Dagster's queue."""

from __future__ import annotations

import time
from collections.abc import Iterator

import dagster as dg
import pytest

from tests.support.dagster_processes import DagsterProcesses
from tests.support.pipeline import FEED, Pipeline
from tests.support.sandbox import RunningSandbox
from xacct_sandbox.daemon import latency
from xacct_sandbox.daemon.latency import FixedLatency

FIRST, TERMINATED, LAST = "2026-09-14", "2026-09-15", "2026-09-16"
# The first run's crawl takes this long (seconds), so that the others have to wait.
CRAWL_SECONDS = 15.0
# Upper bound for anything that a busy machine may delay.
SECONDS = 240

pytestmark = pytest.mark.timeout(900)


@pytest.fixture(scope="module")
def dagster(
    sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DagsterProcesses]:
    """`dagster dev` with the repository's dagster.yaml."""
    processes = DagsterProcesses(sandbox, tmp_path_factory.mktemp("queue") / "dev")
    try:
        processes.start_dev()
        yield processes
    finally:
        processes.kill()


def test_a_run_that_waits_for_its_pool_is_started_in_turn_or_terminated(
    dagster: DagsterProcesses, pipeline: Pipeline
) -> None:
    for day in (FIRST, TERMINATED, LAST):
        pipeline.land(day, 20)
    config = pipeline.sandbox.config

    def status(run_id: str) -> dg.DagsterRunStatus:
        return dagster.run(run_id).status

    latency.write(config, FixedLatency(crawl=CRAWL_SECONDS))
    try:
        first = dagster.launch(FEED, FIRST)
        dagster.wait_for(
            "the first run to start",
            lambda: status(first) is dg.DagsterRunStatus.STARTED,
            SECONDS,
        )
        waiting, last = dagster.launch(FEED, TERMINATED), dagster.launch(FEED, LAST)
        # The queue is polled every second.
        time.sleep(3)
        assert status(waiting) is dg.DagsterRunStatus.QUEUED
        assert status(last) is dg.DagsterRunStatus.QUEUED
        dagster.terminate(waiting)
        assert dagster.ended(waiting, SECONDS) is dg.DagsterRunStatus.CANCELED
        assert dagster.ended(first, SECONDS) is dg.DagsterRunStatus.SUCCESS
    finally:
        latency.write(config, FixedLatency())
    assert dagster.ended(last, SECONDS) is dg.DagsterRunStatus.SUCCESS
    one, other = dagster.runs({"dagster/partition": [FIRST, LAST]})
    assert one.end_time is not None
    assert other.start_time is not None
    assert one.end_time <= other.start_time
