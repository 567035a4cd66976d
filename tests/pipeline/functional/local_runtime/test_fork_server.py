"""Runs that are forked by the fork server: real runs in processes of their own."""

import json
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.code_pointer import FileCodePointer
from dagster._core.launcher.base import WorkerStatus
from dagster._core.origin import (
    DEFAULT_DAGSTER_ENTRY_POINT,
    JobPythonOrigin,
    RepositoryPythonOrigin,
)
from dagster._grpc.types import ExecuteRunArgs

from xacct_assets.local_runtime.fork_server import ForkServer, RunCommand, Unreachable
from xacct_assets.local_runtime.run_launcher import PROCESS_TAG, LocalRunLauncher, _machine
from xacct_assets.local_runtime.sqlite_tuning import event_databases

CODE = """
import os, time
from pathlib import Path
import dagster as dg

@dg.op
def work(context):
    from xacct_assets.local_runtime import sqlite_tuning
    from sqlalchemy import event
    from sqlalchemy.engine import Engine

    stop = Path(__file__).with_name("stop")
    tuned = event.contains(Engine, "connect", sqlite_tuning._set_synchronous_normal)
    context.log.info(f"version {version}, tuned {tuned}")
    while not stop.exists():
        time.sleep(0.02)

@dg.job(executor_def=dg.in_process_executor)
def day():
    work()
"""


class Place:
    """A Dagster instance on disk, and the file whose job its runs execute."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance, server: ForkServer) -> None:
        self.folder, self.instance, self.server = folder, instance, server
        self.launcher = LocalRunLauncher()
        self.launcher.register_instance(self.instance)
        self.write("one")

    def write(self, version: str) -> None:
        (self.folder / "code.py").write_text(CODE.replace("{version}", version))

    def end_runs(self) -> None:
        (self.folder / "stop").touch()

    def start(self) -> tuple[str, int]:
        """A new run's id and process, with the tag that the launcher gives it."""
        code = FileCodePointer(str(self.folder / "code.py"), "day")
        origin = JobPythonOrigin(
            "day",
            RepositoryPythonOrigin(sys.executable, code, entry_point=DEFAULT_DAGSTER_ENTRY_POINT),
        )
        run_id = self.instance.create_run_for_job(
            code.load_target(), status=dg.DagsterRunStatus.STARTING, job_code_origin=origin
        ).run_id
        arguments = ExecuteRunArgs(origin, run_id, self.instance.get_ref(), True)
        databases = [str(path) for path in event_databases(self.instance, run_id)]
        pid = self.server.fork(RunCommand(dg.serialize_value(arguments), databases).to_line())
        process = {"machine": _machine(), "pid": pid, "time": time.time()}
        self.instance.add_run_tags(run_id, {PROCESS_TAG: json.dumps(process)})
        return run_id, pid

    def run(self, run_id: str) -> dg.DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def has_logged(self, run_id: str, text: str) -> bool:
        return any(text in entry.user_message for entry in self.instance.all_logs(run_id))

    def final_status(self, run_id: str) -> dg.DagsterRunStatus:
        wait_for(lambda: self.run(run_id).is_finished)
        return self.run(run_id).status


def wait_for(look: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not look():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture(scope="module")
def server() -> Iterator[ForkServer]:
    server = ForkServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("home"))) as instance:
        yield instance


@pytest.fixture
def place(tmp_path: Path, instance: dg.DagsterInstance, server: ForkServer) -> Iterator[Place]:
    place = Place(tmp_path, instance, server)
    yield place
    place.end_runs()


def test_a_forked_run_ends_well_in_a_process_of_its_own(place: Place) -> None:
    run_id, pid = place.start()
    wait_for(lambda: place.has_logged(run_id, "version one, tuned True"))
    assert pid != os.getpid()
    assert place.launcher.check_run_worker_health(place.run(run_id)).status is WorkerStatus.RUNNING
    place.end_runs()
    assert place.final_status(run_id) is dg.DagsterRunStatus.SUCCESS


def test_edited_code_takes_effect_with_the_next_run(place: Place) -> None:
    place.end_runs()
    first, _ = place.start()
    place.final_status(first)
    place.write("two")
    second, _ = place.start()
    place.final_status(second)
    assert place.has_logged(first, "version one")
    assert place.has_logged(second, "version two")


def test_a_terminated_run_is_interrupted_once_and_canceled(place: Place) -> None:
    run_id, _ = place.start()
    wait_for(lambda: place.has_logged(run_id, "version one"))
    assert place.launcher.terminate(run_id)
    assert place.final_status(run_id) is dg.DagsterRunStatus.CANCELED
    assert not place.launcher.terminate(run_id)


def test_a_run_that_is_being_stopped_is_not_interrupted_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, _ = place.start()
    wait_for(lambda: place.has_logged(run_id, "version one"))
    place.instance.report_run_canceling(place.run(run_id))
    monkeypatch.setattr(os, "kill", lambda pid, number: pytest.fail("interrupted again"))
    assert place.launcher.terminate(run_id)


def test_a_killed_run_is_detected(place: Place) -> None:
    run_id, pid = place.start()
    os.kill(pid, signal.SIGKILL)
    health = place.launcher.check_run_worker_health
    wait_for(lambda: health(place.run(run_id)).status is WorkerStatus.NOT_FOUND)
    assert not place.launcher.terminate(run_id)


def test_a_process_of_another_machine_is_neither_signalled_nor_called_gone(place: Place) -> None:
    job = dg.GraphDefinition(name="day", node_defs=[]).to_job()
    run_id = place.instance.create_run_for_job(job, status=dg.DagsterRunStatus.STARTED).run_id
    process = {"machine": "elsewhere", "pid": os.getpid(), "time": time.time()}
    place.instance.add_run_tags(run_id, {PROCESS_TAG: json.dumps(process)})
    assert not place.launcher.terminate(run_id)
    run = place.run(run_id)
    assert run.status is dg.DagsterRunStatus.STARTED
    assert place.launcher.check_run_worker_health(run).status is WorkerStatus.RUNNING


def test_a_killed_fork_server_is_replaced_and_its_runs_go_on(place: Place) -> None:
    before, _ = place.start()
    process = place.server._process
    assert process is not None
    process.kill()
    process.wait()
    after, _ = place.start()
    place.end_runs()
    assert place.final_status(before) is dg.DagsterRunStatus.SUCCESS
    assert place.final_status(after) is dg.DagsterRunStatus.SUCCESS


def test_a_fork_server_that_cannot_import_is_unreachable() -> None:
    broken = ForkServer(preload=("there_is_no_such_module",))
    with pytest.raises(Unreachable, match="before it was ready"):
        broken.fork("{}")
    broken.close()
