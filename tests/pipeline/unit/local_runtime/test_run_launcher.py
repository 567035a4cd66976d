"""Runs whose process is gone are distinguished from runs that work."""

import json
import os
import time
from collections.abc import Iterator

import dagster as dg
import pytest
from dagster._core.events import DagsterEvent
from dagster._core.launcher.base import WorkerStatus
from dagster._core.storage.tags import GRPC_INFO_TAG

from xacct_assets.local_runtime.run_launcher import LocalRunLauncher, is_alive

HERE = json.dumps({"host": "localhost", "socket": "/tmp/code-server"})
ELSEWHERE = json.dumps({"host": "code-server", "port": 4000})
# Linux gives out no higher one.
NOBODY = 2**22 + 1


@pytest.fixture
def launcher() -> Iterator[LocalRunLauncher]:
    with dg.DagsterInstance.ephemeral() as instance:
        launcher = LocalRunLauncher()
        launcher.register_instance(instance)
        yield launcher


def started_run(launcher: LocalRunLauncher, pid: int | None, server: str | None) -> dg.DagsterRun:
    """A run that a process has begun, as the event log has it; with None, that none has yet."""
    instance = launcher._instance
    run = instance.create_run_for_job(dg.GraphDefinition(name="day", node_defs=[]).to_job())
    if server:
        instance.add_run_tags(run.run_id, {GRPC_INFO_TAG: server})
    if pid is not None:
        begun = DagsterEvent(
            event_type_value=dg.DagsterEventType.RUN_START.value, job_name="day", pid=pid
        )
        instance.report_dagster_event(begun, run.run_id)
    known = instance.get_run_by_id(run.run_id)
    assert known is not None
    return known


def test_a_run_whose_process_is_gone_is_detected(launcher: LocalRunLauncher) -> None:
    health = launcher.check_run_worker_health(started_run(launcher, NOBODY, HERE))
    assert health.status is WorkerStatus.NOT_FOUND
    assert f"process {NOBODY} ended without reporting" in (health.msg or "")


@pytest.mark.parametrize(
    ("pid", "server"),
    [(os.getpid(), HERE), (None, HERE), (NOBODY, ELSEWHERE), (NOBODY, None)],
    ids=["works", "has not begun", "may be on another machine", "was not launched by a server"],
)
def test_a_run_that_may_be_working_is_left_alone(
    launcher: LocalRunLauncher, pid: int | None, server: str | None
) -> None:
    run = started_run(launcher, pid, server)
    assert launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING


def test_a_process_that_was_given_the_same_id_later_is_another() -> None:
    assert is_alive(os.getpid(), time.time())
    assert not is_alive(os.getpid(), time.time() - 86_400 * 365)


def test_a_killed_process_that_nobody_waited_for_is_gone() -> None:
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
    assert not is_alive(child, time.time())
    os.waitpid(child, 0)
