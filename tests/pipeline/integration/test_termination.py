"""A run that ends before its time leaves nothing behind that works on, and the next one is right.

Dagster is in processes of its own, as it is operated; runs are launched and terminated with the
calls of its UI. The sandbox's means hold each asset in the middle of its work: nothing that is
found ended afterwards can have ended by itself.
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
from tests.support.dagster_processes import DagsterProcesses
from tests.support.network import Network
from tests.support.pipeline import CHAIN, FEED, Pipeline
from tests.support.sandbox import RunningSandbox
from xacct_assets.aws.glue.job import LIVE
from xacct_sandbox import faults
from xacct_sandbox.daemon import latency
from xacct_sandbox.daemon.latency import ServiceTimes
from xacct_sandbox.sample_data import ProductFile

ROWS = 40
TERMINATED = {asset: f"2026-09-{number:02}" for number, asset in enumerate(CHAIN, start=1)}
KILLED, CUT_OFF = "2026-09-11", "2026-09-12"
JOB, CRAWLER = f"xacct-local-{FEED}", f"xacct-local-{FEED}"
# What is promised: seconds from the termination until no remote work is left.
WITHIN = 30
# Far beyond that.
HELD = 600.0
# For what is merely to come about, on a machine that may have much else to do.
SECONDS = 180

pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True)
class Place:
    """An asset, how its work is held, and how one sees that it is under way.

    Attributes:
        assets: what is launched; those before it are materialized without being held.
    """

    assets: tuple[str, ...]
    hold: Callable[[Remote, str], AbstractContextManager[None]]
    under_way: Callable[[Remote, str], bool]


@dataclass(frozen=True)
class Story:
    """What came of a terminated run.

    Attributes:
        left: remote work that went on for longer than promised.
        seconds: until there was none.
        fact_rows: of the day, when the run was over.
    """

    status: dg.DagsterRunStatus
    left: list[str]
    seconds: float
    fact_rows: int
    job_runs: list[str]


class Remote:
    """Everything in the two accounts that works, or holds something, for the feed."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self.sandbox = pipeline.sandbox
        self.config = self.sandbox.config
        self.glue = self.sandbox.client("account-b-admin", "glue")
        self.statements = self.sandbox.client("account-b-admin", "redshift-data")

    def job_runs(self) -> list[dict[str, Any]]:
        return list(self.glue.get_job_runs(JobName=JOB, MaxResults=100)["JobRuns"])

    def crawls(self) -> list[dict[str, Any]]:
        return list(self.glue.list_crawls(CrawlerName=CRAWLER, MaxResults=100)["Crawls"])

    def live(self) -> list[str]:
        """What works now: crawls, job runs, statements, and whatever the database is busy with."""
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
        """Whether a statement of this name is under way."""
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
    def takes(self, **seconds: float) -> Iterator[None]:
        """Crawls, job runs or statements end no sooner than that."""
        latency.write(self.config, ServiceTimes(**seconds))
        try:
            yield
        finally:
            latency.write(self.config, ServiceTimes())


@contextlib.contextmanager
def slow_reads(remote: Remote, day: str) -> Iterator[None]:
    """The day's file is read, but its answer does not come."""
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
    """The procedure has replaced the day's rows and waits for the day's load audit entry."""
    pipeline = remote.pipeline
    with pipeline.environment(), pipeline.aws.warehouse.connect() as connection:
        connection.cursor().execute(
            "UPDATE public.xacct_load_audit SET loaded_at = loaded_at WHERE partition_date = %s",
            (day,),
        )
        yield


PLACES = {
    "raw_partition": Place(CHAIN, slow_reads, lambda remote, _: bool(faults.log(remote.config))),
    "catalog_table": Place(
        CHAIN,
        lambda remote, _: remote.takes(crawl=HELD),
        lambda remote, _: any(one["State"] == "RUNNING" for one in remote.crawls()),
    ),
    "staging_table": Place(
        CHAIN,
        lambda remote, _: remote.takes(job=HELD),
        lambda remote, _: any(one["JobRunState"] == "RUNNING" for one in remote.job_runs()),
    ),
    "fact_table": Place(
        CHAIN[3:], locked_load_audit, lambda remote, _: remote.statement("products fact_table")
    ),
    "s3_export": Place(
        CHAIN[4:],
        lambda remote, _: remote.takes(statement=HELD),
        lambda remote, _: remote.statement("products s3_export"),
    ),
}


@pytest.fixture(scope="module")
def network(sandbox: RunningSandbox) -> Iterator[Network]:
    with Network(sandbox.config.aws_port) as made:
        yield made


@pytest.fixture(scope="module")
def dagster(
    sandbox: RunningSandbox, network: Network, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[DagsterProcesses]:
    """`dagster dev`, whose runs reach AWS by that network; its processes are gone afterwards."""
    reaching = replace(
        sandbox, extra_settings={**sandbox.extra_settings, "AWS_ENDPOINT_URL": network.url}
    )
    processes = DagsterProcesses(reaching, tmp_path_factory.mktemp("termination") / "dev")
    try:
        processes.start_dev()
        yield processes
    finally:
        processes.kill()


@pytest.fixture(scope="module")
def remote(pipeline: Pipeline) -> Remote:
    return Remote(pipeline)


@pytest.fixture(scope="module")
def landed(pipeline: Pipeline) -> dict[str, ProductFile]:
    days = [*TERMINATED.values(), KILLED, CUT_OFF]
    return {day: pipeline.land(day, ROWS, seed=number) for number, day in enumerate(days)}


@pytest.fixture(scope="module")
def stories(
    dagster: DagsterProcesses, remote: Remote, landed: dict[str, ProductFile]
) -> dict[str, Story]:
    """A run terminated inside each of the five assets, each on a day of its own."""
    faults.forget(remote.config)
    return {asset: terminate_in(asset, dagster, remote) for asset in CHAIN}


def terminate_in(asset: str, dagster: DagsterProcesses, remote: Remote) -> Story:
    day, place = TERMINATED[asset], PLACES[asset]
    before = [name for name in CHAIN if name not in place.assets]
    if before:
        done = dagster.ended(dagster.launch(FEED, day, assets=before), SECONDS)
        assert done is dg.DagsterRunStatus.SUCCESS
    earlier = {one["Id"] for one in remote.job_runs()}
    with place.hold(remote, day):
        run_id = dagster.launch(FEED, day, assets=place.assets if before else ())
        dagster.wait_for(f"{asset} to be under way", lambda: place.under_way(remote, day), SECONDS)
        dagster.terminate(run_id)
        began = time.monotonic()
        left = remote.live()
        while left and time.monotonic() - began < WITHIN:
            time.sleep(0.3)
            left = remote.live()
        took = time.monotonic() - began
        status = dagster.ended(run_id, SECONDS)
        rows = len(remote.pipeline.fact_rows(day))
    new = [one["JobRunState"] for one in remote.job_runs() if one["Id"] not in earlier]
    return Story(status, left, took, rows, new)


@pytest.mark.parametrize("asset", CHAIN)
def test_a_run_terminated_inside_an_asset_leaves_no_remote_work(
    stories: dict[str, Story],
    asset: str,
    record_testsuite_property: Callable[[str, object], None],
) -> None:
    story = stories[asset]
    record_testsuite_property(f"seconds until {asset} left nothing", round(story.seconds, 1))
    assert story.left == []
    assert story.status is dg.DagsterRunStatus.CANCELED


def test_a_job_run_is_stopped_with_the_run_that_waits_for_it(stories: dict[str, Story]) -> None:
    assert stories["staging_table"].job_runs == ["STOPPED"]
    assert stories["catalog_table"].job_runs == [], "the run went on after its termination"


def test_a_call_that_is_cancelled_in_its_middle_keeps_nothing(stories: dict[str, Story]) -> None:
    assert stories["fact_table"].fact_rows == 0


def test_the_next_run_after_every_termination_is_right(
    dagster: DagsterProcesses,
    pipeline: Pipeline,
    landed: dict[str, ProductFile],
    stories: dict[str, Story],
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
    stories: dict[str, Story],
) -> None:
    earlier = {one["Id"] for one in remote.job_runs()}

    def ours() -> list[dict[str, Any]]:
        return [one for one in remote.job_runs() if one["Id"] not in earlier]

    with remote.takes(job=20):
        run_id = dagster.launch(FEED, KILLED)
        dagster.wait_for("the load", lambda: any_running(ours()), SECONDS)
        (start,) = dagster.instance.all_logs(run_id, of_type=dg.DagsterEventType.RUN_START)
        assert start.dagster_event is not None
        assert start.dagster_event.pid is not None
        os.kill(start.dagster_event.pid, signal.SIGKILL)
        # Nothing else is done: the daemon finds that the process is gone.
        retry = dagster.wait_for(
            "a run that takes it up",
            lambda: dagster.runs({"dagster/parent_run_id": run_id}),
            SECONDS,
        )[0]
    taken_up = retry.dagster_run.run_id
    assert dagster.ended(taken_up, SECONDS) is dg.DagsterRunStatus.SUCCESS
    assert [one["JobRunState"] for one in ours()] == ["SUCCEEDED"]
    assert_right(pipeline, landed, KILLED)


def test_a_run_outlives_the_loss_of_its_network(
    dagster: DagsterProcesses,
    pipeline: Pipeline,
    remote: Remote,
    network: Network,
    landed: dict[str, ProductFile],
    stories: dict[str, Story],
) -> None:
    earlier = {one["Id"] for one in remote.job_runs()}

    def ours() -> list[dict[str, Any]]:
        return [one for one in remote.job_runs() if one["Id"] not in earlier]

    # The load ends while nobody can be told so.
    with remote.takes(job=8):
        run_id = dagster.launch(FEED, CUT_OFF)
        dagster.wait_for("the load", lambda: any_running(ours()), SECONDS)
        network.lose()
        try:
            dagster.wait_for("the load's end", lambda: not any_running(ours()), SECONDS)
            assert dagster.run(run_id).status is dg.DagsterRunStatus.STARTED
        finally:
            network.restore()
    assert dagster.ended(run_id, SECONDS) is dg.DagsterRunStatus.SUCCESS
    assert [one["JobRunState"] for one in ours()] == ["SUCCEEDED"]
    assert_right(pipeline, landed, CUT_OFF)


def any_running(runs: list[dict[str, Any]]) -> bool:
    return any(one["JobRunState"] == "RUNNING" for one in runs)


def assert_right(pipeline: Pipeline, landed: dict[str, ProductFile], *days: str) -> None:
    """The days add up, and the fact table holds the good rows of their files."""
    told = pipeline.reconcile(*days)
    assert {day: told.problems(day) for day in days} == dict.fromkeys(days, "")
    for day in days:
        good = {record.values[:2] for record in landed[day].records() if record.reject is None}
        assert {(str(row["id"]), row["name"]) for row in pipeline.fact_rows(day)} == good, day
