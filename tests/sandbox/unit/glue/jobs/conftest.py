"""A fake emulator and a fake pool of Spark workers, and Glue jobs that use them."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from xacct_sandbox.credentials import Credentials
from xacct_sandbox.glue.jobs import definitions, execution, logs, run_records, runs
from xacct_sandbox.glue.jobs.worker import Ended, WorkerFailed
from xacct_sandbox.glue.jobs.worker_pool import WaitEnded
from xacct_sandbox.service_errors import ServiceError

JOB = {
    "Name": "load",
    "Role": "arn:aws:iam::222222222222:role/glue",
    "Command": {"Name": "glueetl", "PythonVersion": "3", "ScriptLocation": "s3://b/load.py"},
    "GlueVersion": "5.0",
    "WorkerType": "G.1X",
    "NumberOfWorkers": 2,
    "Timeout": 1,
    "ExecutionProperty": {"MaxConcurrentRuns": 1},
    "DefaultArguments": {"--a": "default", "--b": "default"},
}
KEYS = Credentials("id", "secret", "token", datetime.now(UTC) + timedelta(hours=1))


class Emulator:
    """The parts of `xacct_sandbox.emulator` that job runs use."""

    def __init__(self) -> None:
        self.states: dict[str, dict[str, Any]] = {}
        self.log: list[tuple[str, str, list[str]]] = []
        self.refusal: ServiceError | None = None

    def scoped_state(self, name: str) -> dict[str, Any]:
        return self.states.setdefault(name, {})

    def account_id(self) -> str:
        return "222222222222"

    def region(self) -> str:
        return "us-east-1"

    def role_arn(self, role: str) -> str:
        return role

    def emulated_glue(self, _operation: str, _request: dict[str, Any]) -> dict[str, Any]:
        return {}

    def write_log(self, group: str, stream: str, messages: list[str]) -> None:
        self.log.append((group, stream, messages))

    def start_thread(self, fn: Callable[..., Any], *args: Any, name: str) -> threading.Thread:
        thread = threading.Thread(target=fn, args=args, name=name, daemon=True)
        thread.start()
        return thread

    def assume_service_role(self, *_: Any, **__: Any) -> Credentials:
        if self.refusal:
            raise self.refusal
        return KEYS

    def acting_in(self, _account: str) -> Any:
        return threading.Lock()


class Spark:
    """A pool of one worker. Its script ends when ``finish`` is set, with ``error``."""

    def __init__(self) -> None:
        self.free = threading.Semaphore(1)
        self.error: str | None = None
        self.failure: WorkerFailed | None = None
        self.finish = threading.Event()
        self.ran: list[Any] = []

    def acquire(self, stopped: Callable[[], bool]) -> Spark:
        if self.failure:
            raise self.failure
        while not self.free.acquire(timeout=0.01):
            if stopped():
                raise WaitEnded
        return self

    def release(self, _worker: Spark) -> None:
        self.free.release()

    def execute(
        self, script: Any, sink: Any, end: Callable[[], str | None], _renew: Callable[[], None]
    ) -> Ended:
        self.ran.append(script)
        sink("output", "hello")
        while not self.finish.wait(0.01):
            if reason := end():
                return Ended(killed=reason)
        return Ended(error=self.error)


class Glue:
    """Job runs that use the fake emulator and the fake pool."""

    def __init__(self, folder: Path, emulator: Emulator, spark: Spark) -> None:
        config = SimpleNamespace(home=folder, spark_dir=folder, account_a="1", account_b="2")
        self.runs = runs.JobRuns(config, spark)  # type: ignore[arg-type]
        self.emulator, self.spark = emulator, spark

    def start(self, **request: Any) -> str:
        return str(self.runs.start_job_run({"JobName": "load", **request})["JobRunId"])

    def run(self, run_id: str) -> dict[str, Any]:
        return dict(self.runs.get_job_run({"JobName": "load", "RunId": run_id})["JobRun"])

    def wait_for(self, run_id: str, *states: str) -> dict[str, Any]:
        deadline = time.monotonic() + 5
        while (run := self.run(run_id))["JobRunState"] not in states:
            assert time.monotonic() < deadline, run
            time.sleep(0.01)
        return run

    def wait_for_detail(self, run_id: str) -> str:
        deadline = time.monotonic() + 5
        while "StateDetail" not in (run := self.run(run_id)):
            assert time.monotonic() < deadline, run
            time.sleep(0.01)
        return str(run["StateDetail"])


def _refusal(call: Callable[[], Any]) -> str:
    with pytest.raises(ServiceError) as refusal:
        call()
    return f"{refusal.value.code}: {refusal.value.message}"


@pytest.fixture
def refusal() -> Callable[[Callable[[], Any]], str]:
    """Calls a function, and returns code and message of the error that it raises."""
    return _refusal


@pytest.fixture
def job() -> dict[str, Any]:
    """The definition of the job ``load``."""
    return dict(JOB)


@pytest.fixture
def glue(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Glue]:
    emulator, spark = Emulator(), Spark()
    for module in (runs, run_records, execution, definitions, logs):
        monkeypatch.setattr(module, "emulator", emulator)
    monkeypatch.setattr(logs, "FLUSH_SECONDS", 0.02)
    monkeypatch.setattr(
        execution, "fetch_files", lambda _job, _arguments, _keys, folder: (folder / "s", [])
    )
    definitions.create_job(dict(JOB))
    job_runs = Glue(tmp_path, emulator, spark)
    yield job_runs
    spark.finish.set()
    for run_id in list(job_runs.runs._live):
        job_runs.wait_for(run_id, "SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT")
