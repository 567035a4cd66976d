"""Job runs: states, limits, refusals. Spark and the emulator are replaced."""

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
from xacct_sandbox.glue.jobs.worker_pool import WaitEnded, WorkerSettings
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


def code(call: Callable[[], Any]) -> str:
    with pytest.raises(ServiceError) as refusal:
        call()
    return f"{refusal.value.code}: {refusal.value.message}"


def test_a_run_goes_from_starting_to_succeeded_with_its_times(glue: Glue) -> None:
    run_id = glue.start(Arguments={"--b": "own"})
    assert glue.run(run_id)["JobRunState"] in ("STARTING", "RUNNING")
    glue.wait_for(run_id, "RUNNING")
    glue.spark.finish.set()
    run = glue.wait_for(run_id, "SUCCEEDED")
    assert run["CompletedOn"] >= run["StartedOn"]
    assert run["LogGroupName"] == "/aws-glue/jobs"
    assert "ErrorMessage" not in run
    assert "DPUSeconds" not in run


def test_the_run_s_arguments_replace_the_job_s_defaults(glue: Glue) -> None:
    glue.spark.finish.set()
    run = glue.wait_for(glue.start(Arguments={"--b": "own"}), "SUCCEEDED")
    argv = glue.spark.ran[0].arguments
    assert argv[argv.index("--a") + 1] == "default"
    assert argv[argv.index("--b") + 1] == "own"
    assert argv[argv.index("--JOB_RUN_ID") + 1] == run["Id"]


def test_a_script_s_exception_is_the_error_message(glue: Glue) -> None:
    glue.spark.error = "LoadError: s3://raw/a.csv: broken"
    glue.spark.finish.set()
    run = glue.wait_for(glue.start(), "FAILED")
    assert run["ErrorMessage"] == "LoadError: s3://raw/a.csv: broken"


def test_a_role_that_cannot_be_assumed_fails_the_run_by_name(glue: Glue) -> None:
    glue.emulator.refusal = ServiceError("AccessDenied", "glue may not assume it", 403)
    run = glue.wait_for(glue.start(), "FAILED")
    assert "role/glue" in run["ErrorMessage"]
    assert "glue may not assume it" in run["ErrorMessage"]


def test_without_spark_the_run_fails_with_the_reason(glue: Glue) -> None:
    glue.spark.failure = WorkerFailed("no Java")
    assert glue.wait_for(glue.start(), "FAILED")["ErrorMessage"] == "no Java"


def test_a_run_over_max_concurrent_runs_is_refused(glue: Glue) -> None:
    glue.start()
    assert code(glue.start).startswith("ConcurrentRunsExceededException: ")


def test_a_stopped_run_is_stopping_then_stopped(glue: Glue) -> None:
    run_id = glue.start()
    glue.wait_for(run_id, "RUNNING")
    answer = glue.runs.batch_stop_job_run({"JobName": "load", "JobRunIds": [run_id, "jr_no"]})
    assert answer["SuccessfulSubmissions"] == [{"JobName": "load", "JobRunId": run_id}]
    assert answer["Errors"][0]["ErrorDetail"]["ErrorCode"] == "EntityNotFoundException"
    assert "ErrorMessage" not in glue.wait_for(run_id, "STOPPED")
    again = glue.runs.batch_stop_job_run({"JobName": "load", "JobRunIds": [run_id]})
    assert "has ended" in again["Errors"][0]["ErrorDetail"]["ErrorMessage"]


def test_a_run_that_waits_for_spark_can_be_stopped(glue: Glue) -> None:
    glue.spark.free.acquire()
    run_id = glue.start()
    assert "Waiting" in glue.wait_for_detail(run_id)
    glue.runs.batch_stop_job_run({"JobName": "load", "JobRunIds": [run_id]})
    glue.wait_for(run_id, "STOPPED")
    assert glue.spark.ran == []
    glue.spark.free.release()


def test_a_run_longer_than_its_timeout_ends_as_timeout(
    glue: Glue, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "SECONDS_PER_MINUTE", 0.05)
    run = glue.wait_for(glue.start(Timeout=1), "TIMEOUT")
    assert "Timeout of 1 minutes" in run["ErrorMessage"]


def test_a_flex_run_reports_dpu_seconds(glue: Glue) -> None:
    glue.spark.finish.set()
    run = glue.wait_for(glue.start(ExecutionClass="FLEX"), "SUCCEEDED")
    assert run["DPUSeconds"] == run["ExecutionTime"] * 2


def test_the_newest_run_is_listed_first_and_pages_join_up(glue: Glue) -> None:
    glue.spark.finish.set()
    started = []
    for _ in range(3):
        started.append(glue.start())
        glue.wait_for(started[-1], "SUCCEEDED")
    first = glue.runs.get_job_runs({"JobName": "load", "MaxResults": 2})
    rest = glue.runs.get_job_runs(
        {"JobName": "load", "MaxResults": 2, "NextToken": first["NextToken"]}
    )
    listed = [run["Id"] for run in [*first["JobRuns"], *rest["JobRuns"]]]
    assert listed == started[::-1]
    assert "NextToken" not in rest


def test_the_output_is_in_cloudwatch_under_the_run_s_id(glue: Glue) -> None:
    glue.spark.finish.set()
    run_id = glue.start()
    glue.wait_for(run_id, "SUCCEEDED")
    assert ("/aws-glue/jobs/output", run_id, ["hello"]) in glue.emulator.log


def test_a_run_that_a_killed_sandbox_left_open_is_closed_at_the_next_start(glue: Glue) -> None:
    for state in ("RUNNING", "STOPPING"):
        run = {"Id": state, "JobName": "load", "JobRunState": state, "StartedOn": 1.0}
        glue.emulator.scoped_state("glue-job-runs")[f"load/{state}"] = run
    glue.runs.recover()
    assert glue.run("RUNNING")["JobRunState"] == "FAILED"
    assert "sandbox ended" in glue.run("RUNNING")["ErrorMessage"]
    assert glue.run("STOPPING")["JobRunState"] == "STOPPED"


def test_a_job_or_run_that_does_not_exist_is_not_found(glue: Glue) -> None:
    assert code(lambda: glue.runs.start_job_run({"JobName": "no"})).startswith("EntityNotFound")
    assert code(lambda: glue.run("jr_no")).startswith("EntityNotFound")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"WorkerType": "R.1X"}, "WorkerType R.1X"),
        ({"NumberOfWorkers": 1}, "at least 2"),
        ({"ExecutionClass": "CHEAP"}, "ExecutionClass"),
        ({"ExecutionClass": "FLEX", "WorkerType": "G.4X"}, "FLEX"),
        ({"JobRunQueuingEnabled": True}, "JobRunQueuingEnabled"),
        ({"MaxCapacity": 2.0}, "MaxCapacity"),
        ({"JobRunId": "jr_1"}, "JobRunId"),
        ({"Arguments": {"--extra-jars": "s3://b/x.jar"}}, "--extra-jars"),
        ({"Arguments": {"--conf": "x=y"}}, "--conf"),
        ({"Arguments": {"--additional-python-modules": "no-such-thing==1"}}, "no-such-thing"),
        ({"Arguments": {"--job-language": "scala"}}, "scala"),
    ],
)
def test_what_the_sandbox_would_have_to_ignore_is_refused_by_name(
    glue: Glue, request_: dict[str, Any], message: str
) -> None:
    answer = code(lambda: glue.start(**request_))
    assert answer.startswith("InvalidInputException")
    assert message in answer


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"GlueVersion": "4.0"}, "GlueVersion '4.0'"),
        ({"Command": {"Name": "pythonshell", "ScriptLocation": "s3://b/x"}}, "pythonshell"),
        ({"Command": {"Name": "glueetl", "ScriptLocation": "x.py"}}, "ScriptLocation"),
        ({"MaxRetries": 1}, "MaxRetries"),
        ({"SecurityConfiguration": "x"}, "SecurityConfiguration"),
        ({"MaintenanceWindow": "Sun:10"}, "MaintenanceWindow"),
        ({"JobMode": "VISUAL"}, "VISUAL"),
    ],
)
def test_a_job_the_sandbox_cannot_run_is_refused_when_it_is_made(
    glue: Glue, changes: dict[str, Any], message: str
) -> None:
    answer = code(lambda: definitions.create_job({**JOB, "Name": "other", **changes}))
    assert message in answer


def test_an_update_resets_what_it_leaves_out(glue: Glue) -> None:
    update = {key: JOB[key] for key in ("Role", "Command", "GlueVersion")}
    definitions.update_job({"JobName": "load", "JobUpdate": update})
    job = definitions.get_job({"JobName": "load"})["Job"]
    assert job["Timeout"] == 480
    assert job["DefaultArguments"] == {}
    assert job["ExecutionProperty"] == {"MaxConcurrentRuns": 1}


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("XACCT_SANDBOX_SPARK_WORKERS", "0"),
        ("XACCT_SANDBOX_SPARK_MEMORY", "lots"),
        ("XACCT_SANDBOX_SPARK_WARM", "yes"),
    ],
)
def test_a_wrong_setting_names_its_variable(variable: str, value: str) -> None:
    with pytest.raises(Exception, match=variable):
        WorkerSettings.from_environment({variable: value})
