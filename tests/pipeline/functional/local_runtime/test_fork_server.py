"""Runs that are forked off a warm process: real ones, in processes of their own."""

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

from xacct_assets.local_runtime.fork_server import ForkServer, Unreachable
from xacct_assets.local_runtime.run_launcher import PROCESS_TAG, LocalRunLauncher, _machine

CODE = """
import os, time
from pathlib import Path
import dagster as dg

@dg.op
def work(context):
    stop = Path(__file__).with_name("stop")
    context.log.info("version {version}")
    while not stop.exists():
        time.sleep(0.02)

@dg.job(executor_def=dg.in_process_executor)
def day():
    work()
"""


class Place:
    """A Dagster instance on disk, and the file whose job its runs execute."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance, warm: ForkServer) -> None:
        self.folder, self.instance, self.warm = folder, instance, warm
        self.launcher = LocalRunLauncher()
        self.launcher.register_instance(self.instance)
        self.write("one")

    def write(self, version: str) -> None:
        (self.folder / "code.py").write_text(CODE.replace("{version}", version))

    def let_runs_end(self) -> None:
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
        request = ExecuteRunArgs(origin, run_id, self.instance.get_ref(), True)
        pid = self.warm.fork(dg.serialize_value(request))
        process = {"machine": _machine(), "pid": pid, "time": time.time()}
        self.instance.add_run_tags(run_id, {PROCESS_TAG: json.dumps(process)})
        return run_id, pid

    def run(self, run_id: str) -> dg.DagsterRun:
        run = self.instance.get_run_by_id(run_id)
        assert run is not None
        return run

    def says(self, run_id: str, text: str) -> bool:
        return any(text in entry.user_message for entry in self.instance.all_logs(run_id))

    def ends(self, run_id: str) -> dg.DagsterRunStatus:
        wait_for(lambda: self.run(run_id).is_finished)
        return self.run(run_id).status


def wait_for(look: Callable[[], object]) -> None:
    until = time.monotonic() + 60
    while not look():
        assert time.monotonic() < until
        time.sleep(0.05)


@pytest.fixture(scope="module")
def warm() -> Iterator[ForkServer]:
    process = ForkServer()
    yield process
    process.close()


@pytest.fixture(scope="module")
def instance(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.local_temp(str(tmp_path_factory.mktemp("home"))) as instance:
        yield instance


@pytest.fixture
def place(tmp_path: Path, instance: dg.DagsterInstance, warm: ForkServer) -> Iterator[Place]:
    place = Place(tmp_path, instance, warm)
    yield place
    place.let_runs_end()


def test_a_forked_run_ends_well_in_a_process_of_its_own(place: Place) -> None:
    run_id, pid = place.start()
    wait_for(lambda: place.says(run_id, "version one"))
    assert pid != os.getpid()
    assert place.launcher.check_run_worker_health(place.run(run_id)).status is WorkerStatus.RUNNING
    place.let_runs_end()
    assert place.ends(run_id) is dg.DagsterRunStatus.SUCCESS


def test_code_that_was_edited_counts_for_the_next_run(place: Place) -> None:
    place.let_runs_end()
    first, _ = place.start()
    place.ends(first)
    place.write("two")
    second, _ = place.start()
    place.ends(second)
    assert place.says(first, "version one")
    assert place.says(second, "version two")


def test_a_terminated_run_is_interrupted_once_and_canceled(place: Place) -> None:
    run_id, _ = place.start()
    wait_for(lambda: place.says(run_id, "version one"))
    assert place.launcher.terminate(run_id)
    assert place.ends(run_id) is dg.DagsterRunStatus.CANCELED
    assert not place.launcher.terminate(run_id)


def test_a_run_that_is_being_stopped_is_not_interrupted_again(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    run_id, _ = place.start()
    wait_for(lambda: place.says(run_id, "version one"))
    place.instance.report_run_canceling(place.run(run_id))
    monkeypatch.setattr(os, "kill", lambda pid, number: pytest.fail("interrupted again"))
    assert place.launcher.terminate(run_id)


def test_a_killed_run_is_found_out(place: Place) -> None:
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


def test_a_killed_warm_process_is_replaced_and_its_runs_go_on(place: Place) -> None:
    before, _ = place.start()
    process = place.warm._process
    assert process is not None
    process.kill()
    process.wait()
    after, _ = place.start()
    place.let_runs_end()
    assert place.ends(before) is dg.DagsterRunStatus.SUCCESS
    assert place.ends(after) is dg.DagsterRunStatus.SUCCESS


def test_a_warm_process_that_cannot_import_is_no_way_to_run() -> None:
    broken = ForkServer(preload=("there_is_no_such_module",))
    with pytest.raises(Unreachable, match="before it was ready"):
        broken.fork("{}")
    broken.close()
