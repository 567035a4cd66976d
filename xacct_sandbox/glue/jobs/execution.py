"""One job run: from its role's credentials to the end of its script."""

from __future__ import annotations

import shutil
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path

from xacct_sandbox import emulator
from xacct_sandbox.credentials import Credentials
from xacct_sandbox.daemon import latency
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.glue.jobs import faults, run_records
from xacct_sandbox.glue.jobs.arguments import script_arguments
from xacct_sandbox.glue.jobs.definitions import Definition
from xacct_sandbox.glue.jobs.job_files import RunFailed, fetch_files
from xacct_sandbox.glue.jobs.logs import RunLog
from xacct_sandbox.glue.jobs.run_records import JobRun
from xacct_sandbox.glue.jobs.worker import Ended, Script, Worker, WorkerFailed
from xacct_sandbox.glue.jobs.worker_pool import WaitEnded, WorkerPool
from xacct_sandbox.glue.responses import GLUE_PRINCIPAL
from xacct_sandbox.network import access
from xacct_sandbox.network.model import Place
from xacct_sandbox.service_errors import ServiceError

SESSION_NAME = "GlueJobRunnerSession"
SECONDS_PER_MINUTE = 60.0
"""A run's Timeout is in minutes."""
RENEW_BEFORE = timedelta(minutes=15)
"""How long before they expire the role's credentials are renewed."""

Result = tuple[str, str | None]
"""JobRunState and ErrorMessage."""


@dataclass
class LiveRun:
    """What may end a run that is under way in this process.

    Attributes:
        job: name of the job.
        run_id: of the run.
        stop: set when the run must stop.
        killed: set when a planned fault kills the run's worker.
        started: epoch seconds at which the run became RUNNING.
        deadline: ``time.monotonic()`` at which the run's Timeout is over.
        fault: a planned fault that ends the run.
        fault_at: ``time.monotonic()`` at which it does.
    """

    job: str
    run_id: str
    stop: threading.Event = field(default_factory=threading.Event)
    killed: threading.Event = field(default_factory=threading.Event)
    started: float | None = None
    deadline: float | None = None
    fault: faults.RunFault | None = None
    fault_at: float = 0

    def end(self) -> str | None:
        """The state in which the run must end now; None while it may go on."""
        if self.stop.is_set():
            return "STOPPED"
        if self.killed.is_set():
            return "FAILED"
        if self.fault is not None and time.monotonic() >= self.fault_at:
            return self.fault.state
        if self.deadline is not None and time.monotonic() > self.deadline:
            return "TIMEOUT"
        return None


@dataclass(frozen=True)
class RunExecution:
    """Executes one run in the current thread, which must have the run's account.

    Attributes:
        config: of the sandbox.
        pool: of Spark workers.
        job: its definition when the run was started.
        run: its record when it was started.
        arguments: of the run, merged with the job's.
        live: what may end the run.
    """

    config: SandboxConfig
    pool: WorkerPool
    job: Definition
    run: JobRun
    arguments: dict[str, str]
    live: LiveRun

    def execute(self) -> None:
        """Run the script, and record how the run ended."""
        run_id = self.live.run_id
        log = RunLog(run_id, self.run["LogGroupName"])
        state, error, began = "FAILED", None, time.monotonic()
        folder = self.config.spark_dir / "runs" / run_id
        try:
            folder.mkdir(parents=True)
            state, error = self._run_script(folder, log)
            if state == "SUCCEEDED":
                latency.wait(self.config, "job", run_id, began, self.live.end)
                state = self.live.end() or state
        except WaitEnded:
            state = "STOPPED"
        except (RunFailed, WorkerFailed) as problem:
            error = str(problem)
            log.line("error", error)
        except BaseException as problem:
            error = f"Internal service error: {problem!r}"
            raise
        finally:
            access.job_places.pop(run_id, None)
            shutil.rmtree(folder, ignore_errors=True)
            log.close()
            self._record_end(state, error)

    def _run_script(self, folder: Path, log: RunLog) -> Result:
        live = self.live
        credentials = self._assume_role()
        fault = faults.fault_of_run(f"{live.job}/{live.run_id}", self.run["Timeout"])
        live.fault = fault
        if fault is not None and not fault.seconds:
            if not fault.before_start:
                self._record_start()
            return fault.state, fault.message
        place = self._place()
        refusal = access.refusal_of_job(place)
        if refusal is not None:
            raise RunFailed(refusal)
        access.job_places[live.run_id] = place
        script, py_files = fetch_files(self.job, self.arguments, credentials, folder)
        worker = self._wait_for_worker()
        try:
            live.deadline = time.monotonic() + self.run["Timeout"] * SECONDS_PER_MINUTE
            live.fault_at = time.monotonic() + (fault.seconds if fault else 0)
            self._record_start()
            ended = worker.execute(
                Script(
                    run_id=live.run_id,
                    path=script,
                    folder=folder,
                    arguments=script_arguments(self.job, live.run_id, self.arguments),
                    py_files=py_files,
                    credentials=credentials,
                    unreachable=tuple(access.missing_services(place)),
                ),
                log.line,
                live.end,
                self._renewal(worker, credentials),
            )
        finally:
            self.pool.release(worker)
        return self._result(ended)

    def _place(self) -> Place:
        """The subnet of the job's connections; of several, the first that has one."""
        names = self.job.get("Connections", {}).get("Connections", [])
        places = [emulator.connection_place(name) for name in names]
        return next((place for place in places if place is not None), access.OUTSIDE)

    def _result(self, ended: Ended) -> Result:
        live = self.live
        if live.killed.is_set() and not live.stop.is_set():
            return "FAILED", faults.DEAD_WORKER
        if live.fault is not None and not live.stop.is_set():
            return live.fault.state, live.fault.message
        if ended.killed == "TIMEOUT":
            return "TIMEOUT", f"Job run exceeded its Timeout of {self.run['Timeout']} minutes."
        if ended.killed:
            return ended.killed, None
        return ("FAILED", ended.error) if ended.error else ("SUCCEEDED", None)

    def _wait_for_worker(self) -> Worker:
        live = self.live
        run_records.update(
            live.job, live.run_id, StateDetail="Waiting for a Spark worker of this machine."
        )
        try:
            return self.pool.acquire(live.stop.is_set)
        finally:
            run_records.update(live.job, live.run_id, StateDetail=None)

    def _assume_role(self) -> Credentials:
        name, role = self.job["Name"], self.job["Role"]
        arn = f"arn:aws:glue:{emulator.region()}:{emulator.account_id()}:job/{name}"
        try:
            return emulator.assume_service_role(
                GLUE_PRINCIPAL, role, source_arn=arn, session_name=SESSION_NAME
            )
        except ServiceError as refusal:
            raise RunFailed(
                f"Glue cannot assume the job's role {role}. "
                f"Check its trust policy. ({refusal.message})"
            ) from refusal

    def _renewal(self, worker: Worker, credentials: Credentials) -> Callable[[], None]:
        """A function that sends new credentials to the worker when the old ones soon expire."""
        expiration = credentials.expiration

        def renew() -> None:
            nonlocal expiration
            if datetime.now(UTC) < expiration - RENEW_BEFORE:
                return
            renewed = self._assume_role()
            worker.send_credentials(renewed)
            expiration = renewed.expiration

        return renew

    def _record_start(self) -> None:
        live = self.live
        with run_records.lock:
            live.started = time.time()
            if not live.stop.is_set():
                run_records.update(live.job, live.run_id, JobRunState="RUNNING")

    def _record_end(self, state: str, error: str | None) -> None:
        live, ended = self.live, time.time()
        seconds = round(ended - live.started) if live.started else 0
        flex = self.run["ExecutionClass"] == "FLEX"
        run_records.update(
            live.job,
            live.run_id,
            JobRunState=state,
            CompletedOn=ended,
            ExecutionTime=seconds,
            ErrorMessage=error,
            DPUSeconds=seconds * self.run["MaxCapacity"] if flex else None,
        )
