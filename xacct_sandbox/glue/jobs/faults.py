"""Planned faults that end a job run."""

from __future__ import annotations

from dataclasses import dataclass

from xacct_sandbox.faults import daemon as planned_faults

DEAD_WORKER = "Command failed with exit code 10"
"""Glue's message for a run whose driver ended without an error message."""

_ENDS: dict[str, tuple[str, str]] = {
    "job_failed": ("FAILED", DEAD_WORKER),
    "job_error": ("ERROR", "Internal service error: the job run failed before it ended."),
    "job_timeout": ("TIMEOUT", "Job run exceeded its Timeout of {timeout} minutes."),
    "job_expired": ("EXPIRED", "Job run expired: it waited too long for resources to start."),
}


@dataclass(frozen=True)
class RunFault:
    """How a fault ends a run.

    Attributes:
        state: JobRunState.
        message: ErrorMessage.
        seconds: how long the script runs before that.
    """

    state: str
    message: str
    seconds: float

    @property
    def before_start(self) -> bool:
        """Whether the run never becomes RUNNING."""
        return self.state == "EXPIRED"


def fault_of_run(resource: str, timeout_minutes: int) -> RunFault | None:
    """The fault of a run that is about to start; ``resource`` is ``job/run id``."""
    injection = planned_faults.inject("glue", "JobRun", resource, *_ENDS)
    if injection is None:
        return None
    state, message = _ENDS[injection.kind]
    return RunFault(state, message.format(timeout=timeout_minutes), injection.seconds)


def kills_in_copy(resource: str) -> bool:
    """Whether the run's worker is killed now that its COPY is under way."""
    return planned_faults.inject("glue", "JobRun", resource, "job_killed_in_copy") is not None
