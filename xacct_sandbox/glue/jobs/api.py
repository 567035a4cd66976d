"""The Glue operations on jobs and job runs, and the job runs of this process."""

from __future__ import annotations

import os

from xacct_sandbox import emulator
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.faults import daemon as planned_faults
from xacct_sandbox.glue.jobs import cloudformation, definitions
from xacct_sandbox.glue.jobs.runs import JobRuns
from xacct_sandbox.glue.jobs.worker_pool import WorkerPool, WorkerSettings

_runs: JobRuns | None = None


def install(config: SandboxConfig) -> None:
    """Replace the emulator's operations by these.

    Raises:
        SandboxError: a variable with a setting of the Spark workers has an invalid value.
    """
    global _runs
    runs = JobRuns(config, WorkerPool(config, WorkerSettings.from_environment(os.environ)))
    planned_faults.on_copy_of_job(runs.kill_in_copy)
    emulator.add_glue_operations(
        {
            "CreateJob": definitions.create_job,
            "UpdateJob": definitions.update_job,
            "DeleteJob": definitions.delete_job,
            "GetJob": definitions.get_job,
            "GetJobs": definitions.get_jobs,
            "BatchGetJobs": definitions.batch_get_jobs,
            "ListJobs": definitions.list_jobs,
            "StartJobRun": runs.start_job_run,
            "GetJobRun": runs.get_job_run,
            "GetJobRuns": runs.get_job_runs,
            "BatchStopJobRun": runs.batch_stop_job_run,
        }
    )
    cloudformation.install()
    _runs = runs


def start() -> None:
    """Close job runs that an earlier process left open, and start Spark in the background."""
    assert _runs is not None, "install(config) comes first"
    _runs.recover()
    _runs.pool.start()


def stop() -> None:
    """Stop all job runs and Spark."""
    if _runs is not None:
        _runs.shut_down()


def problem() -> str | None:
    """Why the last Spark worker could not be started; None if it could."""
    return None if _runs is None else _runs.pool.problem
