"""One run of a feed is executed at a time. The others wait in Dagster's queue.

Its `dagster dev` shows too that the web server takes nothing from pages of other sites.
"""

from __future__ import annotations

import http.client
import time
from collections.abc import Iterator
from urllib.parse import quote

import dagster as dg
import pytest

from tests.support.dagster_processes import DagsterProcesses
from tests.support.pipeline import FEED, Pipeline
from tests.support.sandbox import RunningSandbox
from xacct_sandbox.daemon import latency
from xacct_sandbox.daemon.latency import FixedLatency

FIRST, TERMINATED, LAST = "2026-09-14", "2026-09-15", "2026-09-16"
# The first run's crawl is held, for at most so many seconds, while the others have to wait.
HELD = 600.0
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

    latency.write(config, FixedLatency(crawl=HELD))
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
    finally:
        latency.write(config, FixedLatency())
    assert dagster.ended(first, SECONDS) is dg.DagsterRunStatus.SUCCESS
    assert dagster.ended(last, SECONDS) is dg.DagsterRunStatus.SUCCESS
    one, other = dagster.runs({"dagster/partition": [FIRST, LAST]})
    assert one.end_time is not None
    assert other.start_time is not None
    assert one.end_time <= other.start_time


def test_a_foreign_page_neither_runs_a_mutation_nor_reads_a_query(
    dagster: DagsterProcesses,
) -> None:
    mutation = 'mutation { setConcurrencyLimit(concurrencyKey: "foreign", limit: 7) }'
    foreign = {"Host": "evil.example", "Origin": "https://evil.example"}
    handshake = {
        "Host": f"127.0.0.1:{dagster.port}",
        "Origin": "https://evil.example",
        "Connection": "Upgrade",
        "Upgrade": "websocket",
        "Sec-WebSocket-Version": "13",
        "Sec-WebSocket-Key": "dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Protocol": "graphql-ws",
    }
    for headers, status, path in (
        (foreign, 403, f"/graphql?query={quote(mutation)}"),
        ({}, 405, f"/graphql?query={quote(mutation)}"),
        (foreign, 403, f"/graphql?query={quote('{ version }')}"),
        (handshake, 403, "/graphql"),
    ):
        connection = http.client.HTTPConnection("127.0.0.1", dagster.port, timeout=60)
        connection.request("GET", path, headers=headers)
        answer = connection.getresponse()
        assert (answer.status, "version" in answer.read().decode()) == (status, False), headers
        connection.close()
    keys = dagster.graphql("{ instance { concurrencyLimits { concurrencyKey } } }", {})
    named = {limit["concurrencyKey"] for limit in keys["instance"]["concurrencyLimits"]}
    assert "foreign" not in named
