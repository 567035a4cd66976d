"""The result of a Glue job run: figures, links to its logs, and the failure with its fix."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from xacct_assets.aws.console import Console
from xacct_assets.aws.denials import denial_in
from xacct_assets.aws.errors import JobRunFailed
from xacct_assets.aws.transient_errors import (
    is_busy_service,
    is_lost_connection,
    is_lost_machine,
    is_network_gap,
    is_too_big,
    is_transient,
)
from xacct_assets.contract.conflicts import is_conflict
from xacct_assets.contract.logins import is_login_refused


@dataclass(frozen=True)
class JobRunResult:
    """The end of a job run.

    Attributes:
        run_id: Glue's id.
        state: of the service model; other than SUCCEEDED only in a `JobRunFailed`.
        error: Glue's error message, which is that of the script if it failed.
        execution_seconds: billed run time.
        dpu_seconds: as Glue reports them, else capacity x run time; None if unknown.
        attached: True if the run had been started before this call.
        log_urls: names and console links: the run, its output log, its error log.
    """

    run_id: str
    state: str
    error: str | None
    execution_seconds: int
    dpu_seconds: float | None
    attached: bool
    started: datetime | None = None
    completed: datetime | None = None
    log_urls: dict[str, str] = field(default_factory=dict)


def result_of(
    run: Mapping[str, Any], console: Console, log_group: str, *, attached: bool
) -> JobRunResult:
    """From GetJobRun's answer for a run that has ended."""
    seconds = int(run.get("ExecutionTime") or 0)
    capacity = run.get("MaxCapacity")
    dpu = run.get("DPUSeconds")
    if dpu is None and capacity is not None:
        dpu = float(capacity) * seconds
    return JobRunResult(
        run_id=str(run["Id"]),
        state=str(run["JobRunState"]),
        error=run.get("ErrorMessage") or None,
        execution_seconds=seconds,
        dpu_seconds=dpu,
        attached=attached,
        started=run.get("StartedOn"),
        completed=run.get("CompletedOn"),
        log_urls=log_urls(console, str(run["JobName"]), str(run["Id"]), log_group),
    )


def failure_of(job_name: str, result: JobRunResult, timeout_minutes: int) -> JobRunFailed:
    """The failure for a run that ended in another state than SUCCEEDED."""
    advice = {
        "FAILED": _advice(result.error),
        "ERROR": "Glue failed on its own side; materialize again",
        "TIMEOUT": f"it ran longer than {timeout_minutes} min: give the feed's job more time or "
        "workers, or fewer days per run",
        "STOPPED": "somebody stopped it: materialize again",
        "EXPIRED": "it waited too long for capacity (FLEX): materialize again, or use the "
        "STANDARD execution class",
    }
    details = {"resource": result.log_urls["job run"], "fix": advice.get(result.state)}
    return JobRunFailed(
        f"run {result.run_id} of Glue job {job_name} ended as {result.state}",
        result=result,
        reason=result.error or "Glue gives no message",
        retryable=result.state in ("ERROR", "STOPPED", "EXPIRED")
        or (result.state == "FAILED" and is_transient(result.error)),
        **{**details, **denial_in(result.error)},
    )


def _advice(error: str | None) -> str:
    """The fix for a run in state FAILED, from its error message."""
    if is_conflict(error):
        return "another transaction got in the way, in Redshift: materialize again"
    if is_login_refused(error):
        return (
            "the secret of the Glue connection and the database hold different passwords, also "
            "after the time that a rotation takes: correct one of them as the error says, then "
            "materialize again"
        )
    if is_network_gap(error):
        return (
            "the subnet of the Glue connection lacks a route, a rule or an endpoint: `xacct "
            "doctor` names it, and `xacct deploy` makes it again"
        )
    if is_lost_connection(error):
        return "a connection was lost, at its other end or on the way: materialize again"
    if is_too_big(error):
        return (
            "the work is too big for its workers, on our side: give the feed's job a larger "
            "worker_type or more workers, or load fewer days per run"
        )
    if is_lost_machine(error):
        return (
            "Glue lost a machine or had none, on its own side: materialize again. If it stays, the "
            "work may be too big for its workers: give the feed's job a larger worker_type"
        )
    if is_busy_service(error):
        return "a service failed or was too busy, on AWS's side: materialize again"
    return "the script failed, on our side: read the error; the error log has the whole traceback"


def log_urls(console: Console, job_name: str, run_id: str, group: str) -> dict[str, str]:
    """Console links: the run, its output and its error log."""
    return {
        "job run": console.job_run(job_name, run_id),
        "output log": console.log_stream(f"{group}/output", run_id),
        "error log": console.log_stream(f"{group}/error", run_id),
    }
