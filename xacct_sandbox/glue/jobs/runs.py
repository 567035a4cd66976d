"""The Glue operations on job runs: StartJobRun, GetJobRun, GetJobRuns, BatchStopJobRun.

A run is a thread that fetches the script with the credentials of the job's role and has a Spark
worker execute it. States, fields and errors are those of the Glue API reference.
"""

from __future__ import annotations

import time

from xacct_sandbox import emulator
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.glue.jobs import faults, run_records
from xacct_sandbox.glue.jobs.arguments import log_group, merge_arguments
from xacct_sandbox.glue.jobs.definitions import Definition, check_capacity, definition
from xacct_sandbox.glue.jobs.execution import LiveRun, RunExecution
from xacct_sandbox.glue.jobs.run_records import ACTIVE, JobRun
from xacct_sandbox.glue.jobs.worker_pool import WorkerPool
from xacct_sandbox.glue.responses import (
    Request,
    Response,
    invalid_input,
    not_found,
    page_response,
)
from xacct_sandbox.service_errors import ServiceError

RUNS_PAGE = 200
SHUT_DOWN_SECONDS = 5.0


class JobRuns:
    """All job runs of this sandbox.

    Args:
        config: of the sandbox.
        pool: of Spark workers, which the runs share.
    """

    def __init__(self, config: SandboxConfig, pool: WorkerPool) -> None:
        self.config = config
        self.pool = pool
        self._live: dict[str, LiveRun] = {}

    # -- operations --------------------------------------------------------------------------

    def start_job_run(self, request: Request) -> Response:
        """StartJobRun: the run is STARTING when this returns."""
        name = request["JobName"]
        with run_records.lock:
            job = definition(name)
            _check_start(job, request)
            arguments = merge_arguments(job, request.get("Arguments") or {})
            limit = job["ExecutionProperty"]["MaxConcurrentRuns"]
            active = [run for run in run_records.of_job(name) if run["JobRunState"] in ACTIVE]
            if len(active) >= limit:
                raise ServiceError(
                    "ConcurrentRunsExceededException",
                    f"Concurrent runs exceeded for {name} (MaxConcurrentRuns is {limit})",
                )
            run = run_records.create(job, request, log_group(arguments))
            live = LiveRun(name, run["Id"])
            self._live[run["Id"]] = live
        execution = RunExecution(self.config, self.pool, job, run, arguments, live)
        emulator.start_thread(self._work, execution, name=run["Id"][:15])
        return {"JobRunId": run["Id"]}

    def get_job_run(self, request: Request) -> Response:
        """GetJobRun."""
        name, run_id = request["JobName"], request["RunId"]
        definition(name)
        run = run_records.find(name, run_id)
        if run is None:
            raise not_found(f"Job run {run_id} of {name} not found.")
        return {"JobRun": self._with_execution_time(run)}

    def get_job_runs(self, request: Request) -> Response:
        """GetJobRuns, the newest first."""
        name = request["JobName"]
        definition(name)
        return page_response(
            "JobRuns",
            run_records.of_job(name),
            request,
            limit=RUNS_PAGE,
            render=self._with_execution_time,
        )

    def batch_stop_job_run(self, request: Request) -> Response:
        """BatchStopJobRun: the runs are STOPPING when this returns, STOPPED soon after."""
        name = request["JobName"]
        stopped, errors = [], []
        for run_id in request["JobRunIds"]:
            submission = {"JobName": name, "JobRunId": run_id}
            refusal = self._stop(name, run_id)
            if refusal is None:
                stopped.append(submission)
            else:
                detail = {"ErrorCode": refusal.code, "ErrorMessage": refusal.message}
                errors.append({**submission, "ErrorDetail": detail})
        return {"SuccessfulSubmissions": stopped, "Errors": errors}

    # -- runs under way ------------------------------------------------------------------------

    def kill_in_copy(self, run_id: str) -> bool:
        """Kill the worker of a run whose COPY is under way, if a planned fault says so."""
        with run_records.lock:
            live = self._live.get(run_id)
        if live is None or not faults.kills_in_copy(f"{live.job}/{run_id}"):
            return False
        live.killed.set()
        return True

    def recover(self) -> None:
        """Close the runs that were under way when an earlier process ended."""
        for account in (self.config.account_a, self.config.account_b):
            with emulator.acting_in(account):
                for run in run_records.active():
                    if run["Id"] not in self._live:
                        stopping = run["JobRunState"] == "STOPPING"
                        run_records.update(
                            run["JobName"],
                            run["Id"],
                            JobRunState="STOPPED" if stopping else "FAILED",
                            CompletedOn=time.time(),
                            ErrorMessage="The sandbox ended while this run was under way.",
                        )

    def shut_down(self) -> None:
        """Stop all runs and Spark."""
        with run_records.lock:
            for live in self._live.values():
                live.stop.set()
        self.pool.stop()
        deadline = time.monotonic() + SHUT_DOWN_SECONDS
        while self._live and time.monotonic() < deadline:
            time.sleep(0.05)

    def _work(self, execution: RunExecution) -> None:
        try:
            execution.execute()
        finally:
            with run_records.lock:
                del self._live[execution.live.run_id]

    def _stop(self, name: str, run_id: str) -> ServiceError | None:
        """Have a run stopped, or say why it cannot be."""
        with run_records.lock:
            run, live = run_records.find(name, run_id), self._live.get(run_id)
            if run is None:
                return not_found(f"Job run {run_id} of {name} not found.")
            if live is None or run["JobRunState"] not in ACTIVE:
                return invalid_input(
                    f"Job run {run_id} is {run['JobRunState']}: it has ended and cannot be stopped."
                )
            run_records.update(name, run_id, JobRunState="STOPPING")
            live.stop.set()
        return None

    def _with_execution_time(self, run: JobRun) -> JobRun:
        live = self._live.get(run["Id"])
        if live is None or live.started is None or run["JobRunState"] not in ACTIVE:
            return run
        return {**run, "ExecutionTime": round(time.time() - live.started)}


def _check_start(job: Definition, request: Request) -> None:
    for name in (
        "AllocatedCapacity",
        "MaxCapacity",
        "SecurityConfiguration",
        "NotificationProperty",
        "ExecutionRoleSessionPolicy",
        "JobRunId",
    ):
        if request.get(name):
            raise invalid_input(
                f"{name} of StartJobRun is not supported by the sandbox; leave it out"
            )
    check_capacity({"WorkerType": job["WorkerType"], **request})
