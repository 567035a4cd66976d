"""Dagster's own launcher of local run processes, able to tell when such a process is gone.

A run whose process died with its code server (a machine that went down, a `kill -9` of all of
`dagster dev`) otherwise stays "started" for ever, keeps its place in the pools, and all later runs
wait behind it. With this launcher run monitoring (dagster.yaml) fails the run, and run retries take
it up where it was.

It knows processes of this machine only. Code servers that are reached by host and port may be
elsewhere: their runs are left to themselves, as with Dagster's launcher. Other launchers (ECS,
Kubernetes, Docker) have such a check already.
"""

import json
import os
from pathlib import Path

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.storage.tags import GRPC_INFO_TAG

_PROC = Path("/proc")
# Linux counts the start of processes from the boot, whose time it tells in whole seconds.
_CLOCK_SLACK_SECONDS = 2.0


class LocalRunLauncher(DefaultRunLauncher):
    """`DefaultRunLauncher` with a check of the run's process."""

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring may ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """NOT_FOUND if the run's process is certainly gone, else RUNNING."""
        if "socket" not in json.loads(run.tags.get(GRPC_INFO_TAG, "{}")):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        starts = self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_START)
        for start in starts:
            pid = start.dagster_event.pid if start.dagster_event else None
            if pid is not None and not is_alive(pid, start.timestamp):
                return CheckRunHealthResult(
                    WorkerStatus.NOT_FOUND, f"its process {pid} is gone without a word"
                )
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def is_alive(pid: int, since: float) -> bool:
    """Whether the process that had this id at a time (seconds since 1970) still runs.

    An id may have been given to another process since; and a killed process that nobody waited for
    keeps its id. Linux tells both; elsewhere the id is all there is to go by.
    """
    if not (_PROC / "self" / "stat").exists():
        try:
            os.kill(pid, 0)
        except ProcessLookupError:
            return False
        except PermissionError:
            return True
        return True
    try:
        text = (_PROC / str(pid) / "stat").read_text(encoding="utf-8", errors="replace")
    except (FileNotFoundError, ProcessLookupError):
        return False
    # The name, in parentheses, may hold anything; what follows is of fixed order (man 5 proc).
    state, *numbers = text.rpartition(")")[2].split()
    begun = _booted() + int(numbers[18]) / os.sysconf("SC_CLK_TCK")
    return state not in "ZX" and begun <= since + _CLOCK_SLACK_SECONDS


def _booted() -> float:
    """When this machine was started, in seconds since 1970."""
    for line in (_PROC / "stat").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(" ")
        if name == "btime":
            return float(value)
    raise RuntimeError(f"{_PROC / 'stat'} does not say when the machine was started (btime)")
