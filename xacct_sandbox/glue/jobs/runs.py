"""Glue job runs: StartJobRun, GetJobRun, GetJobRuns, BatchStopJobRun, and the runs themselves.

A run is a thread that fetches the script with the job role's own keys and has a Spark worker
execute it. States, fields and errors are those of the Glue API reference.
"""

from __future__ import annotations

import importlib.metadata
import logging
import os
import re
import secrets
import shutil
import threading
import time
from collections.abc import Callable, Iterable, MutableMapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from xacct_sandbox import clients, emulator
from xacct_sandbox.credentials import Credentials
from xacct_sandbox.daemon import latency
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.emulator.paging import page
from xacct_sandbox.faults import daemon as planned_faults
from xacct_sandbox.glue.jobs import faults
from xacct_sandbox.glue.jobs.definitions import (
    GLUE,
    GLUE_VERSION,
    WORKER_TYPES,
    check_capacity,
    definition,
    invalid,
)
from xacct_sandbox.glue.jobs.logs import LOG_GROUP, RunLog
from xacct_sandbox.glue.jobs.worker_pool import (
    Script,
    WaitEnded,
    Worker,
    WorkerFailed,
    WorkerPool,
    WorkerSettings,
)
from xacct_sandbox.service_errors import ServiceError

logger = logging.getLogger(__name__)

SESSION_NAME = "GlueJobRunnerSession"
SECONDS_PER_MINUTE = 60.0
"""A run's Timeout is in minutes."""
RENEW_BEFORE = timedelta(minutes=15)
"""The role's keys are renewed so long before they expire."""
RUNS_PAGE = 200
MAX_HISTORY = 1000
"""Finished runs kept per job."""

ACTIVE = frozenset({"STARTING", "RUNNING", "STOPPING", "WAITING"})

# Glue's own job parameters. These have an effect here, or need none on one machine ...
_HEEDED_PARAMETERS = frozenset(
    {
        "--additional-python-modules",
        "--enable-continuous-cloudwatch-log",
        "--enable-continuous-log-filter",
        "--enable-job-insights",
        "--enable-metrics",
        "--enable-observability-metrics",
        "--extra-py-files",
        "--job-bookmark-option",
        "--job-language",
        "--TempDir",
    }
)
# ... and these would have to be ignored.
_REFUSED_PARAMETERS = frozenset(
    {
        "--class",
        "--conf",
        "--continuous-log-conversionPattern",
        "--continuous-log-logGroup",
        "--continuous-log-logStreamPrefix",
        "--customer-driver-env-vars",
        "--customer-executor-env-vars",
        "--datalake-formats",
        "--enable-auto-scaling",
        "--enable-glue-datacatalog",
        "--enable-rename-algorithm-v2",
        "--enable-s3-parquet-optimized-committer",
        "--enable-spark-ui",
        "--executor-cores",
        "--extra-files",
        "--extra-jars",
        "--job-bookmark-from",
        "--job-bookmark-to",
        "--python-modules-installer-option",
        "--scriptLocation",
        "--spark-event-logs-path",
        "--user-jars-first",
        "--use-postgres-driver",
        "--write-shuffle-files-to-s3",
        "--write-shuffle-spills-to-s3",
    }
)

Request = dict[str, Any]
JobRun = dict[str, Any]


class RunFailed(Exception):
    """The run cannot go on; the text is its ErrorMessage."""


@dataclass
class _Live:
    """A run under way in this process."""

    job: str
    run_id: str
    account: str
    stop: threading.Event = field(default_factory=threading.Event)
    killed: threading.Event = field(default_factory=threading.Event)
    started: float | None = None
    deadline: float | None = None
    fault: faults.RunFault | None = None
    fault_at: float = 0

    def end(self) -> str | None:
        """The state in which the run must end now, if it must."""
        if self.stop.is_set():
            return "STOPPED"
        if self.killed.is_set():
            return "FAILED"
        if self.fault is not None and time.monotonic() >= self.fault_at:
            return self.fault.state
        if self.deadline is not None and time.monotonic() > self.deadline:
            return "TIMEOUT"
        return None


class JobRuns:
    """All runs of this sandbox."""

    def __init__(self, config: SandboxConfig, pool: WorkerPool) -> None:
        self.config = config
        self.pool = pool
        self._live: dict[str, _Live] = {}
        self._lock = threading.RLock()

    # -- operations --------------------------------------------------------------------------

    def start_job_run(self, request: Request) -> Request:
        """StartJobRun: the run is STARTING when this returns."""
        name = request["JobName"]
        with self._lock:
            job = definition(name)
            _check_start(job, request)
            arguments = _merged_arguments(job, request.get("Arguments") or {})
            most = job["ExecutionProperty"]["MaxConcurrentRuns"]
            if len(self._active(name)) >= most:
                raise ServiceError(
                    "ConcurrentRunsExceededException",
                    f"Concurrent runs exceeded for {name} (MaxConcurrentRuns is {most})",
                )
            run = _new_run(job, request)
            live = _Live(name, run["Id"], emulator.account_id())
            self._live[run["Id"]] = live
            self._save(run)
            self._forget_old(name)
        emulator.start_thread(self._work, job, run, arguments, live, name=run["Id"][:15])
        return {"JobRunId": run["Id"]}

    def get_job_run(self, request: Request) -> Request:
        """GetJobRun."""
        name, run_id = request["JobName"], request["RunId"]
        definition(name)
        run = _runs().get(_key(name, run_id))
        if run is None:
            raise ServiceError("EntityNotFoundException", f"Job run {run_id} of {name} not found.")
        return {"JobRun": self._shown(run)}

    def get_job_runs(self, request: Request) -> Request:
        """GetJobRuns, the newest first."""
        name = request["JobName"]
        definition(name)
        found, token = page(_runs_of(name), request, limit=RUNS_PAGE)
        return {
            "JobRuns": [self._shown(run) for run in found],
            **({"NextToken": token} if token else {}),
        }

    def batch_stop_job_run(self, request: Request) -> Request:
        """BatchStopJobRun: the runs are STOPPING when this returns, STOPPED soon after."""
        name = request["JobName"]
        stopped, errors = [], []
        for run_id in request["JobRunIds"]:
            place = {"JobName": name, "JobRunId": run_id}
            with self._lock:
                run, live = _runs().get(_key(name, run_id)), self._live.get(run_id)
                if run is None:
                    errors.append(
                        {
                            **place,
                            "ErrorDetail": {
                                "ErrorCode": "EntityNotFoundException",
                                "ErrorMessage": f"Job run {run_id} of {name} not found.",
                            },
                        }
                    )
                elif live is None or run["JobRunState"] not in ACTIVE:
                    errors.append(
                        {
                            **place,
                            "ErrorDetail": {
                                "ErrorCode": "InvalidInputException",
                                "ErrorMessage": f"Job run {run_id} is {run['JobRunState']}: "
                                "it has ended and cannot be stopped.",
                            },
                        }
                    )
                else:
                    self._change(run_id, name, JobRunState="STOPPING")
                    live.stop.set()
                    stopped.append(place)
        return {"SuccessfulSubmissions": stopped, "Errors": errors}

    def die_in_copy(self, run_id: str) -> bool:
        """Kill the worker of a run whose COPY is under way, if a planned fault says so."""
        with self._lock:
            live = self._live.get(run_id)
        if live is None or not faults.in_copy(f"{live.job}/{run_id}"):
            return False
        live.killed.set()
        return True

    # -- start and end of the sandbox ----------------------------------------------------------

    def recover(self) -> None:
        """Close the runs that were under way when an earlier process ended."""
        for account in (self.config.account_a, self.config.account_b):
            with emulator.acting_in(account):
                for run in list(_runs().values()):
                    if run["JobRunState"] in ACTIVE and run["Id"] not in self._live:
                        stopping = run["JobRunState"] == "STOPPING"
                        self._change(
                            run["Id"],
                            run["JobName"],
                            JobRunState="STOPPED" if stopping else "FAILED",
                            CompletedOn=time.time(),
                            ErrorMessage="The sandbox ended while this run was under way.",
                        )

    def shut_down(self) -> None:
        """Stop all runs."""
        with self._lock:
            live = list(self._live.values())
            for run in live:
                run.stop.set()
        self.pool.stop()
        deadline = time.monotonic() + 5
        while self._live and time.monotonic() < deadline:
            time.sleep(0.05)

    # -- one run -----------------------------------------------------------------------------

    def _work(self, job: Request, run: JobRun, arguments: dict[str, str], live: _Live) -> None:
        log = RunLog(run["Id"])
        state, error, began = "FAILED", None, time.monotonic()
        folder = self.config.spark_dir / "runs" / run["Id"]
        try:
            folder.mkdir(parents=True)
            state, error = self._execute(job, run, arguments, live, folder, log)
            if state == "SUCCEEDED":
                latency.wait(self.config, "job", run["Id"], began, live.end)
                state = live.end() or state
        except WaitEnded:
            state = "STOPPED"
        except (RunFailed, WorkerFailed) as problem:
            error = str(problem)
            log.line("error", error)
        except BaseException as problem:
            error = f"Internal service error: {problem!r}"
            raise
        finally:
            shutil.rmtree(folder, ignore_errors=True)
            log.close()
            self._finish(job, live, state, error)

    def _execute(
        self,
        job: Request,
        run: JobRun,
        arguments: dict[str, str],
        live: _Live,
        folder: Path,
        log: RunLog,
    ) -> tuple[str, str | None]:
        credentials = self._assume(job)
        fault = live.fault = faults.at_start(f"{live.job}/{live.run_id}", run["Timeout"])
        if fault is not None and not fault.seconds:
            if not fault.before_start:
                live.started = time.time()
                self._change(live.run_id, live.job, JobRunState="RUNNING")
            return fault.state, fault.message
        script, py_files = self._fetch(job, arguments, credentials, folder)
        worker = self._worker(live)
        try:
            timeout = run["Timeout"] * SECONDS_PER_MINUTE
            with self._lock:
                live.started = time.time()
                live.deadline = time.monotonic() + timeout
                live.fault_at = time.monotonic() + (fault.seconds if fault else 0)
                if live.end() is None:
                    self._change(live.run_id, live.job, JobRunState="RUNNING")
            ended = worker.execute(
                Script(
                    run_id=live.run_id,
                    path=script,
                    folder=folder,
                    arguments=_argv(job, run, arguments),
                    py_files=py_files,
                    credentials=credentials,
                ),
                log.line,
                live.end,
                self._renewal(job, worker, credentials),
            )
        finally:
            self.pool.release(worker)
        if live.killed.is_set() and not live.stop.is_set():
            return "FAILED", faults.DEAD_WORKER
        if fault is not None and not live.stop.is_set():
            return fault.state, fault.message
        if ended.killed == "TIMEOUT":
            return "TIMEOUT", f"Job run exceeded its Timeout of {run['Timeout']} minutes."
        if ended.killed:
            return ended.killed, None
        return ("FAILED", ended.error) if ended.error else ("SUCCEEDED", None)

    def _worker(self, live: _Live) -> Worker:
        self._change(
            live.run_id, live.job, StateDetail="Waiting for a Spark worker of this machine."
        )
        try:
            return self.pool.acquire(live.stop.is_set)
        finally:
            self._change(live.run_id, live.job, StateDetail=None)

    def _assume(self, job: Request) -> Credentials:
        arn = f"arn:aws:glue:{emulator.region()}:{emulator.account_id()}:job/{job['Name']}"
        try:
            return emulator.assume_service_role(
                GLUE, job["Role"], source_arn=arn, session_name=SESSION_NAME
            )
        except ServiceError as refusal:
            raise RunFailed(
                f"Glue cannot assume the job's role {job['Role']}. "
                f"Check its trust policy. ({refusal.message})"
            ) from refusal

    def _renewal(
        self, job: Request, worker: Worker, credentials: Credentials
    ) -> Callable[[], None]:
        expires = credentials.expiration

        def renew() -> None:
            nonlocal expires
            if datetime.now(UTC) < expires - RENEW_BEFORE:
                return
            fresh = self._assume(job)
            worker.send_credentials(fresh)
            expires = fresh.expiration

        return renew

    def _fetch(
        self, job: Request, arguments: dict[str, str], credentials: Credentials, folder: Path
    ) -> tuple[Path, list[Path]]:
        """The script and the --extra-py-files, read as the job's role; its connections too."""
        region = emulator.region()
        s3 = clients.client("s3", credentials, region)
        glue = clients.client("glue", credentials, region)
        for connection in (job["Connections"] or {}).get("Connections", []):
            try:
                glue.get_connection(Name=connection)
            except (ClientError, BotoCoreError) as problem:
                raise RunFailed(f"Cannot use connection {connection}: {problem}") from problem
        extra = (arguments.get("--extra-py-files") or "").split(",")
        uris = [job["Command"]["ScriptLocation"], *(uri.strip() for uri in extra if uri.strip())]
        files = []
        for number, uri in enumerate(uris):
            # A folder each: the import system finds modules by file name.
            file = folder / str(number) / uri.rpartition("/")[2]
            file.parent.mkdir()
            bucket, _, key = uri.removeprefix("s3://").partition("/")
            try:
                file.write_bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())
            except (ClientError, BotoCoreError) as problem:
                raise RunFailed(f"Cannot read {uri} as {job['Role']}: {problem}") from problem
            files.append(file)
        places = [
            file if file.suffix in (".zip", ".egg", ".whl") else file.parent for file in files
        ]
        return files[0], places[1:]

    def _finish(self, job: Request, live: _Live, state: str, error: str | None) -> None:
        ended = time.time()
        seconds = round(ended - live.started) if live.started else 0
        changes: JobRun = {
            "JobRunState": state,
            "CompletedOn": ended,
            "ExecutionTime": seconds,
            "ErrorMessage": error,
        }
        with self._lock:
            run = _runs()[_key(live.job, live.run_id)]
            if run["ExecutionClass"] == "FLEX":
                changes["DPUSeconds"] = seconds * run["MaxCapacity"]
            self._change(live.run_id, live.job, **changes)
            del self._live[live.run_id]

    # -- state -------------------------------------------------------------------------------

    def _active(self, name: str) -> list[JobRun]:
        return [run for run in _runs_of(name) if run["JobRunState"] in ACTIVE]

    def _change(self, run_id: str, name: str, **changes: Any) -> None:
        with self._lock:
            run = {**_runs()[_key(name, run_id)], **changes, "LastModifiedOn": time.time()}
            if changes.get("JobRunState") == "RUNNING" and self._live[run_id].stop.is_set():
                run["JobRunState"] = "STOPPING"
            self._save({key: value for key, value in run.items() if value is not None})

    def _save(self, run: JobRun) -> None:
        _runs()[_key(run["JobName"], run["Id"])] = run

    def _forget_old(self, name: str) -> None:
        for run in _runs_of(name)[MAX_HISTORY:]:
            if run["JobRunState"] not in ACTIVE:
                del _runs()[_key(name, run["Id"])]

    def _shown(self, run: JobRun) -> JobRun:
        live = self._live.get(run["Id"])
        if live is None or live.started is None or run["JobRunState"] not in ACTIVE:
            return run
        return {**run, "ExecutionTime": round(time.time() - live.started)}


# -- rules -----------------------------------------------------------------------------------


def _check_start(job: Request, request: Request) -> None:
    for name in (
        "AllocatedCapacity",
        "MaxCapacity",
        "SecurityConfiguration",
        "NotificationProperty",
        "ExecutionRoleSessionPolicy",
        "JobRunId",
    ):
        if request.get(name):
            raise invalid(f"{name} of StartJobRun is not supported by the sandbox; leave it out")
    check_capacity({"WorkerType": job["WorkerType"], **request})


def _merged_arguments(job: Request, given: dict[str, str]) -> dict[str, str]:
    """DefaultArguments, the run's own, then NonOverridableArguments.

    Raises:
        ServiceError: InvalidInputException naming an argument that cannot be heeded.
    """
    fixed = job["NonOverridableArguments"]
    for name in given:
        if name in fixed:
            raise invalid(f"Argument {name} is not overridable for job {job['Name']}")
    merged = {**job["DefaultArguments"], **given, **fixed}
    for name, value in merged.items():
        if name in _REFUSED_PARAMETERS and str(value).lower() != "false":
            raise invalid(f"Job parameter {name} is not supported by the sandbox; leave it out")
    language = merged.get("--job-language", "python")
    if language != "python":
        raise invalid(f"--job-language {language} is not supported by the sandbox; use python")
    _check_modules(merged.get("--additional-python-modules", ""))
    return merged


def _check_modules(wanted: str) -> None:
    """Nothing is installed for a run: what a job asks for must be here already."""
    for requirement in filter(None, (part.strip() for part in wanted.split(","))):
        found = re.fullmatch(r"([A-Za-z0-9._-]+)(?:==([^=<>!~]+))?", requirement)
        installed = None
        if found:
            try:
                installed = importlib.metadata.version(found[1])
            except importlib.metadata.PackageNotFoundError:
                installed = None
        if found is None or installed is None or found[2] not in (None, installed):
            raise invalid(
                f"--additional-python-modules {requirement}: the sandbox installs nothing for a "
                f"run, and it has {installed or 'no such version'}; use --extra-py-files"
            )


def _new_run(job: Request, request: Request) -> JobRun:
    now = time.time()
    worker_type = request.get("WorkerType") or job["WorkerType"]
    workers = request.get("NumberOfWorkers") or job["NumberOfWorkers"]
    capacity = WORKER_TYPES[worker_type] * workers
    return {
        "Id": f"jr_{secrets.token_hex(32)}",
        "Attempt": 0,
        "JobName": job["Name"],
        "JobMode": "SCRIPT",
        "JobRunQueuingEnabled": False,
        "StartedOn": now,
        "LastModifiedOn": now,
        "JobRunState": "STARTING",
        "Arguments": dict(request.get("Arguments") or {}),
        "PredecessorRuns": [],
        "AllocatedCapacity": int(capacity),
        "MaxCapacity": capacity,
        "ExecutionTime": 0,
        "Timeout": request.get("Timeout") or job["Timeout"],
        "WorkerType": worker_type,
        "NumberOfWorkers": workers,
        "LogGroupName": LOG_GROUP,
        "GlueVersion": GLUE_VERSION,
        "ExecutionClass": request.get("ExecutionClass") or job["ExecutionClass"],
    }


def _argv(job: Request, run: JobRun, arguments: dict[str, str]) -> list[str]:
    """The script's arguments, Glue's own first."""
    own = {"--JOB_ID": f"j_{job['Name']}", "--JOB_RUN_ID": run["Id"], "--JOB_NAME": job["Name"]}
    hidden = ("--extra-py-files", "--additional-python-modules")
    rest = {key: value for key, value in arguments.items() if key not in (*own, *hidden)}
    return [text for pair in {**own, **rest}.items() for text in pair if text != ""]


# -- state -----------------------------------------------------------------------------------


def _runs() -> MutableMapping[str, Any]:
    return emulator.scoped_state("glue-job-runs")


def _key(job: str, run_id: str) -> str:
    return f"{job}/{run_id}"


def _runs_of(name: str) -> list[JobRun]:
    found: Iterable[JobRun] = [run for run in _runs().values() if run["JobName"] == name]
    return sorted(found, key=lambda run: run["StartedOn"], reverse=True)


_running: JobRuns | None = None


def install(config: SandboxConfig) -> None:
    """Put these operations in the place of the emulator's."""
    global _running
    runs = JobRuns(config, WorkerPool(config, WorkerSettings.from_environment(os.environ)))
    planned_faults.on_copy_of_job(runs.die_in_copy)
    emulator.add_glue_operations(
        {
            "StartJobRun": runs.start_job_run,
            "GetJobRun": runs.get_job_run,
            "GetJobRuns": runs.get_job_runs,
            "BatchStopJobRun": runs.batch_stop_job_run,
        }
    )
    _running = runs


def start(_config: SandboxConfig) -> None:
    """Close what an earlier process left open and have Spark warm up in the background."""
    assert _running is not None, "install(config) comes first"
    _running.recover()
    _running.pool.start()


def stop() -> None:
    """Stop all runs and Spark."""
    if _running is not None:
        _running.shut_down()


def healthy() -> bool:
    """Whether the last Spark worker that was wanted could be started."""
    return _running is not None and _running.pool.problem is None
