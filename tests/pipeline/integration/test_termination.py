"""A terminated or killed run leaves no remote work behind, and the next run is right.

Dagster has its own processes, as in operation; runs are launched and terminated through the API of
its UI. The sandbox holds each asset in the middle of its work, so that no remote work can have
ended by itself.
"""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import dagster as dg
import pytest

from tests.support import warehouse
from tests.support.dagster_processes import DagsterProcesses, dagster_dev
from tests.support.network import Network
from tests.support.pipeline import CHAIN, FEED, Pipeline
from tests.support.sandbox import RunningSandbox
from xacct_assets.aws.glue.job_runs import LIVE
from xacct_sandbox import faults
from xacct_sandbox.daemon import latency
from xacct_sandbox.daemon.latency import FixedLatency
from xacct_sandbox.sample_data import ProductFile

ROWS = 40
TERMINATED = {asset: f"2026-09-{number:02}" for number, asset in enumerate(CHAIN, start=1)}
KILLED, CUT_OFF = "2026-09-11", "2026-09-12"
JOB, CRAWLER = f"xacct-local-{FEED}", f"xacct-local-{FEED}"
# The promise: seconds from the termination until no remote work is left.
WITHIN = 30
# How long remote work is held: far longer than the promise.
HELD = 600.0
# Timeout of events without a promise, on a busy machine.
SECONDS = 180

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Interruption:
    """Where a run is terminated.

    Attributes:
        assets: the assets of the run; those before them are materialized by an earlier run.
        hold: holds the work of the asset while the context is open.
        is_running: whether the work of the asset is running.
    """

    assets: tuple[str, ...]
    hold: Callable[[Remote, str], AbstractContextManager[None]]
    is_running: Callable[[Remote, str], bool]


@dataclass(frozen=True)
class TerminatedRun:
    """The outcome of a terminated run.

    Attributes:
        left: remote work that continued for longer than promised.
        seconds: time until there was none.
        fact_rows: number of the day's rows in the fact table at the end.
        job_runs: states of the Glue job runs that the run started.
    """

    status: dg.DagsterRunStatus
    left: list[str]
    seconds: float
    fact_rows: int
    job_runs: list[str]


class Remote:
    """The remote work of the feed in both accounts."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.sandbox = pipeline.sandbox
        self.config = self.sandbox.config
        self.glue = self.sandbox.client("account-b-admin", "glue")
        self.statements = self.sandbox.client("account-b-admin", "redshift-data")

    def job_runs(self, earlier: frozenset[str] = frozenset()) -> list[dict[str, Any]]:
        """All job runs without the earlier ones, whose ids are given."""
        runs = self.glue.get_job_runs(JobName=JOB, MaxResults=100)["JobRuns"]
        return [run for run in runs if run["Id"] not in earlier]

    def job_run_ids(self) -> frozenset[str]:
        return frozenset(run["Id"] for run in self.job_runs())

    def job_is_running(self, earlier: frozenset[str] = frozenset()) -> bool:
        return any(run["JobRunState"] == "RUNNING" for run in self.job_runs(earlier))

    def crawls(self) -> list[dict[str, Any]]:
        return list(self.glue.list_crawls(CrawlerName=CRAWLER, MaxResults=100)["Crawls"])

    def running(self) -> list[str]:
        """Running crawls, job runs, statements and database sessions."""
        found = [f"crawl {one['CrawlId']}" for one in self.crawls() if one["State"] == "RUNNING"]
        state = self.glue.get_crawler(Name=CRAWLER)["Crawler"]["State"]
        found += [f"crawler {state}"] if state != "READY" else []
        found += [
            f"job run {one['Id']} {one['JobRunState']}"
            for one in self.job_runs()
            if one["JobRunState"] in LIVE
        ]
        listed = self.statements.list_statements(Status="ALL", RoleLevel=False)["Statements"]
        found += [
            f"statement {one.get('StatementName')} {one['Status']}"
            for one in [*listed, *self._statements()]
            if one["Status"] in ("SUBMITTED", "PICKED", "STARTED")
        ]
        return found + [f"session {text}" for text in self._busy_sessions()]

    def statement(self, name: str) -> bool:
        """Whether a statement whose name starts so is running."""
        return any(
            one["Status"] == "STARTED" and one.get("StatementName", "").startswith(name)
            for one in self._statements()
        )

    def _statements(self) -> list[dict[str, Any]]:
        with self.pipeline.environment():
            client = self.pipeline.aws.client("redshift-data")
            return list(client.list_statements(Status="ALL")["Statements"])

    def _busy_sessions(self) -> list[str]:
        token = self.config.token_path.read_text()
        with contextlib.closing(warehouse.connect(self.config, "rdsdb", token)) as connection:
            cursor = connection.cursor()
            cursor.execute(
                "SELECT query FROM pg_stat_activity WHERE state = 'active' "
                "AND backend_type = 'client backend' AND pid <> pg_backend_pid()"
            )
            return [str(row[0]) for row in cursor.fetchall()]

    @contextlib.contextmanager
    def slowed(self, **seconds: float) -> Iterator[None]:
        """Crawls, job runs or statements take at least this many seconds."""
        latency.write(self.config, FixedLatency(**seconds))
        try:
            yield
        finally:
            latency.write(self.config, FixedLatency())


@contextlib.contextmanager
def slow_reads(remote: Remote, day: str) -> Iterator[None]:
    """The answer to reading the day's file is delayed."""
    key = f"products/{day.replace('-', '/')}/"
    faults.add(
        remote.config,
        faults.Fault("slow", service="s3", operation="GetObject", match=key, seconds=60),
    )
    try:
        yield
    finally:
        faults.clear(remote.config)


@contextlib.contextmanager
def locked_load_audit(remote: Remote, day: str) -> Iterator[None]:
    """The day's load audit row is locked: the procedure replaces the day's rows, then waits."""
    pipeline = remote.pipeline
    with pipeline.environment(), pipeline.aws.warehouse.connect() as connection:
        connection.cursor().execute(
            "UPDATE public.xacct_load_audit SET loaded_at = loaded_at WHERE partition_date = %s",
            (day,),
        )
        yield


INTERRUPTIONS = {
    "raw_partition": Interruption(
        CHAIN, slow_reads, lambda remote, _: bool(faults.log(remote.config))
    ),
    "catalog_table": Interruption(
        CHAIN,
        lambda remote, _: remote.slowed(crawl=HELD),
        lambda remote, _: any(one["State"] == "RUNNING" for one in remote.crawls()),
    ),
    "staging_table": Interruption(
        CHAIN,
        lambda remote, _: remote.slowed(job=HELD),
        lambda remote, _: remote.job_is_running(),
    ),
    "fact_table": Interruption(
        CHAIN[3:], locked_load_audit, lambda remote, _: remote.statement("products fact_table")
    ),
    "s3_export": Interruption(
        CHAIN[4:],
        lambda remote, _: remote.slowed(statement=HELD),
        lambda remote, _: remote.statement("products s3_export"),
    ),
}


@pytest.fixture(scope="module")
def network(sandbox: RunningSandbox) -> Iterator[Network]:
    with Network(sandbox.config.aws_port) as network:
        yield network


@pytest.fixture(scope="module")
def dagster(
    sandbox: RunningSandbox, network: Network, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DagsterProcesses]:
    """`dagster dev`, whose runs use AWS through that network."""
    with_network = replace(
        sandbox, extra_settings={**sandbox.extra_settings, "AWS_ENDPOINT_URL": network.url}
    )
    with dagster_dev(with_network, tmp_path_factory.mktemp("termination") / "dev") as processes:
        yield processes


@pytest.fixture(scope="module")
def remote(pipeline: Pipeline) -> Remote:
    return Remote(pipeline)


@pytest.fixture(scope="module")
def landed(pipeline: Pipeline) -> dict[str, ProductFile]:
    days = [*TERMINATED.values(), KILLED, CUT_OFF]
    return {day: pipeline.land(day, ROWS, seed=number) for number, day in enumerate(days)}


@pytest.fixture(scope="module")
def terminated_runs(
    dagster: DagsterProcesses, remote: Remote, landed: dict[str, ProductFile]
) -> dict[str, TerminatedRun]:
    """A run terminated inside each of the five assets, each on its own day."""
    faults.forget(remote.config)
    return {asset: terminate_in(asset, dagster, remote) for asset in CHAIN}


def terminate_in(asset: str, dagster: DagsterProcesses, remote: Remote) -> TerminatedRun:
    day, interruption = TERMINATED[asset], INTERRUPTIONS[asset]
    before = [name for name in CHAIN if name not in interruption.assets]
    if before:
        status = dagster.ended(dagster.launch(FEED, day, assets=before), SECONDS)
        assert status is dg.DagsterRunStatus.SUCCESS
    earlier = remote.job_run_ids()
    with interruption.hold(remote, day):
        run_id = dagster.launch(FEED, day, assets=interruption.assets if before else ())
        dagster.wait_for(asset, lambda: interruption.is_running(remote, day), SECONDS)
        dagster.terminate(run_id)
        began = time.monotonic()
        left = remote.running()
        while left and time.monotonic() - began < WITHIN:
            time.sleep(0.3)
            left = remote.running()
        took = time.monotonic() - began
        status = dagster.ended(run_id, SECONDS)
        rows = len(remote.pipeline.fact_rows(day))
    new = [one["JobRunState"] for one in remote.job_runs(earlier)]
    return TerminatedRun(status, left, took, rows, new)


@pytest.mark.parametrize("asset", CHAIN)
def test_a_run_terminated_inside_an_asset_leaves_no_remote_work(
    terminated_runs: dict[str, TerminatedRun],
    asset: str,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    run = terminated_runs[asset]
    record_testsuite_property(f"seconds until {asset} left nothing", round(run.seconds, 1))
    assert run.left == []
    assert run.status is dg.DagsterRunStatus.CANCELED


def test_a_job_run_is_stopped_with_the_run_that_waits_for_it(
    terminated_runs: dict[str, TerminatedRun],
) -> None:
    assert terminated_runs["staging_table"].job_runs == ["STOPPED"]
    assert terminated_runs["catalog_table"].job_runs == [], "the run went on after its termination"


def test_a_call_that_is_cancelled_in_its_middle_keeps_nothing(
    terminated_runs: dict[str, TerminatedRun],
) -> None:
    assert terminated_runs["fact_table"].fact_rows == 0


def test_the_next_run_after_every_termination_is_right(
    dagster: DagsterProcesses,
    pipeline: Pipeline,
    landed: dict[str, ProductFile],
    terminated_runs: dict[str, TerminatedRun],
) -> None:
    first, *_, last = TERMINATED.values()
    run_id = dagster.launch(FEED, first, last)
    assert dagster.ended(run_id, SECONDS) is dg.DagsterRunStatus.SUCCESS
    assert_right(pipeline, landed, *TERMINATED.values())


def test_a_run_whose_process_is_killed_is_taken_up_with_the_job_run_it_had_started(
    dagster: DagsterProcesses,
    pipeline: Pipeline,
    remote: Remote,
    landed: dict[str, ProductFile],
    terminated_runs: dict[str, TerminatedRun],
) -> None:
    earlier = remote.job_run_ids()
    with remote.slowed(job=20):
        run_id = dagster.launch(FEED, KILLED)
        dagster.wait_for("the load", lambda: remote.job_is_running(earlier), SECONDS)
        (start,) = dagster.instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_START)
        assert start.dagster_event is not None
        assert start.dagster_event.pid is not None
        os.kill(start.dagster_event.pid, signal.SIGKILL)
        # Nothing else is done: the daemon detects that the process is gone.
        retry = dagster.wait_for(
            "the re-execution",
            lambda: dagster.runs({"dagster/parent_run_id": run_id}),
            SECONDS,
        )[0]
    reexecuted = retry.dagster_run.run_id
    assert dagster.ended(reexecuted, SECONDS) is dg.DagsterRunStatus.SUCCESS
    assert [one["JobRunState"] for one in remote.job_runs(earlier)] == ["SUCCEEDED"]
    assert_right(pipeline, landed, KILLED)


def test_a_run_outlives_the_loss_of_its_network(
    dagster: DagsterProcesses,
    pipeline: Pipeline,
    remote: Remote,
    network: Network,
    landed: dict[str, ProductFile],
    terminated_runs: dict[str, TerminatedRun],
) -> None:
    earlier = remote.job_run_ids()
    # The load ends during the loss of the network.
    with remote.slowed(job=8):
        run_id = dagster.launch(FEED, CUT_OFF)
        dagster.wait_for("the load", lambda: remote.job_is_running(earlier), SECONDS)
        network.lose()
        try:
            dagster.wait_for("the load's end", lambda: not remote.job_is_running(earlier), SECONDS)
            assert dagster.run(run_id).status is dg.DagsterRunStatus.STARTED
        finally:
            network.restore()
    assert dagster.ended(run_id, SECONDS) is dg.DagsterRunStatus.SUCCESS
    assert [one["JobRunState"] for one in remote.job_runs(earlier)] == ["SUCCEEDED"]
    assert_right(pipeline, landed, CUT_OFF)


def assert_right(pipeline: Pipeline, landed: dict[str, ProductFile], *days: str) -> None:
    """The days reconcile, and the fact table has the valid rows of their files."""
    reconciliation = pipeline.reconcile(*days)
    assert {day: reconciliation.problems(day) for day in days} == dict.fromkeys(days, "")
    for day in days:
        valid = {record.values[:2] for record in landed[day].records() if record.reject is None}
        assert {(str(row["id"]), row["name"]) for row in pipeline.fact_rows(day)} == valid, day
