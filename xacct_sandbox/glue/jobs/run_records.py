"""The stored records of job runs, as GetJobRun returns them.

They belong to the current account and region, and are saved with the emulator's state.
"""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import MutableMapping
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.glue.jobs.definitions import GLUE_VERSION, WORKER_TYPES, Definition
from xacct_sandbox.glue.responses import Request

JobRun = dict[str, Any]

ACTIVE = frozenset({"STARTING", "RUNNING", "STOPPING", "WAITING"})
MAX_HISTORY = 1000
"""Finished runs kept per job."""

lock = threading.RLock()
"""Held while a record is changed, or while a decision depends on the state in it."""


def create(job: Definition, request: Request, log_group: str) -> JobRun:
    """Store a new run in state STARTING, and delete the oldest runs beyond the limit.

    Args:
        job: its definition.
        request: of StartJobRun.
        log_group: prefix of its log groups.
    """
    now = time.time()
    worker_type = request.get("WorkerType") or job["WorkerType"]
    workers = request.get("NumberOfWorkers") or job["NumberOfWorkers"]
    capacity = WORKER_TYPES[worker_type] * workers
    run: JobRun = {
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
        "LogGroupName": log_group,
        "GlueVersion": GLUE_VERSION,
        "ExecutionClass": request.get("ExecutionClass") or job["ExecutionClass"],
    }
    with lock:
        _records()[_key(job["Name"], run["Id"])] = run
        for old in of_job(job["Name"])[MAX_HISTORY:]:
            if old["JobRunState"] not in ACTIVE:
                del _records()[_key(old["JobName"], old["Id"])]
    return run


def find(job: str, run_id: str) -> JobRun | None:
    """The run of this id; None if the job has no such run."""
    return _records().get(_key(job, run_id))


def of_job(job: str) -> list[JobRun]:
    """The runs of a job, the newest first."""
    runs = [run for run in _records().values() if run["JobName"] == job]
    return sorted(runs, key=lambda run: run["StartedOn"], reverse=True)


def active() -> list[JobRun]:
    """The runs of all jobs that have not ended."""
    return [run for run in _records().values() if run["JobRunState"] in ACTIVE]


def update(job: str, run_id: str, **changes: Any) -> None:
    """Change fields of a run; None removes a field."""
    with lock:
        run = {**_records()[_key(job, run_id)], **changes, "LastModifiedOn": time.time()}
        _records()[_key(job, run_id)] = {
            field: value for field, value in run.items() if value is not None
        }


def _records() -> MutableMapping[str, Any]:
    return emulator.scoped_state("glue-job-runs")


def _key(job: str, run_id: str) -> str:
    return f"{job}/{run_id}"
