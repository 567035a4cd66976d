"""Run launcher for one machine: starts runs by forking, and detects dead run processes.

A run is forked from a process that has done its imports (`fork_server`), instead of starting an
interpreter. The run's process id is kept in a run tag, for termination and health checks.

Dagster's own launcher cannot tell whether a run's process is alive after its code server died
(a reboot, or ``kill -9`` of ``dagster dev``). Such a run stays "started" forever, keeps its place
in the pools, and later runs wait behind it. With this launcher, run monitoring (dagster.yaml) fails
the run and run retries start it again.

Runs whose code uses another Python, and all runs outside Linux, are launched by the code server as
usual; their process id is taken from their first event. Runs of code servers that are reached by
host and port are not checked, as their process may be on another machine. Other launchers (ECS,
Kubernetes, Docker) have health checks of their own.
"""

import json
import logging
import os
import signal
import socket
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import TypedDict

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.origin import JobPythonOrigin
from dagster._core.remote_representation.code_location import GrpcServerCodeLocation
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.types import ExecuteRunArgs

from xacct_assets.local_runtime.fork_server import ForkServer, RunCommand, Unreachable
from xacct_assets.local_runtime.sqlite_tuning import event_databases, keep_databases_open

logger = logging.getLogger(__name__)

#: Run tag: the process that executes the run, as JSON of `_Process`.
PROCESS_TAG = "xacct/process"

_PROC = Path("/proc")
# Linux counts process start times from the boot time, which it reports in whole seconds.
_CLOCK_SLACK_SECONDS = 2.0
_FORK_SERVER = ForkServer()


class _Process(TypedDict):
    """``time`` is in seconds since 1970, taken when the process was known to be alive."""

    machine: str
    pid: int
    time: float


class LocalRunLauncher(dg.DefaultRunLauncher):
    """`DefaultRunLauncher` with forked runs and a health check of their processes."""

    #: Keeps the database of all events open for the daemon's lifetime, from its first run on.
    _open_databases: ExitStack | None = None

    def dispose(self) -> None:
        """Closes what the launcher holds. Runs go on."""
        if self._open_databases is not None:
            self._open_databases.close()
            self._open_databases = None
        super().dispose()

    def launch_run(self, context: LaunchRunContext) -> None:
        """Starts the run's process.

        Raises:
            DagsterLaunchFailedError, RuntimeError: the process could not be started.
        """
        run, instance = context.dagster_run, self._instance
        origin = context.job_code_origin
        if origin is None or not _can_fork(context, origin):
            super().launch_run(context)
            return
        if self._open_databases is None:
            self._open_databases = keep_databases_open(event_databases(instance))
        arguments = ExecuteRunArgs(
            job_origin=origin,
            run_id=run.run_id,
            instance_ref=instance.get_ref(),
            set_exit_code_on_failure=True,
        )
        command = RunCommand(
            dg.serialize_value(arguments),
            [str(path) for path in event_databases(instance, run.run_id)],
        )
        try:
            pid = _FORK_SERVER.fork(command.to_line())
        except Unreachable as error:
            logger.warning("run %s is started without the fork server: %s", run.run_id, error)
            super().launch_run(context)
            return
        process = _Process(machine=_machine(), pid=pid, time=time.time())
        instance.add_run_tags(run.run_id, {PROCESS_TAG: json.dumps(process)})

    def terminate(self, run_id: str) -> bool:
        """Interrupts the run's process once. Returns False if it cannot be reached from here."""
        run = self._instance.get_run_by_id(run_id)
        process = _process_of(run) if run else None
        if run is None or process is None:
            return bool(super().terminate(run_id))  # type: ignore[no-untyped-call]
        if run.is_finished:
            return False
        if run.status is dg.DagsterRunStatus.CANCELING:
            # A second interrupt would abort the stopping of the run's remote work.
            return True
        if process["machine"] != _machine() or not is_alive(process["pid"], process["time"]):
            self._instance.report_engine_event(
                f"Process {process['pid']} on {process['machine']} is gone, or cannot be "
                f"interrupted from {_machine()}.",
                dagster_run=run,
                cls=self.__class__,
            )
            return False
        self._instance.report_run_canceling(run)
        os.kill(process["pid"], signal.SIGTERM)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Tells run monitoring to call `check_run_worker_health`."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """NOT_FOUND if the run's process is certainly gone, else RUNNING."""
        process = _process_of(run)
        if process is not None:
            if process["machine"] == _machine():
                return _health(process["pid"], process["time"])
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        if "socket" not in json.loads(run.tags.get(GRPC_INFO_TAG, "{}")):
            return CheckRunHealthResult(WorkerStatus.RUNNING)
        starts = self._instance.all_logs(run.run_id, of_type=dg.DagsterEventType.RUN_START)
        for start in starts:
            pid = start.dagster_event.pid if start.dagster_event else None
            if pid is not None:
                return _health(pid, start.timestamp)
        return CheckRunHealthResult(WorkerStatus.RUNNING)


def _can_fork(context: LaunchRunContext, origin: JobPythonOrigin) -> bool:
    """Whether the run's code is served on a socket of this machine and uses this Python."""
    # Outside Linux a fork may crash in the system's libraries (macOS; CPython bpo-33725).
    if sys.platform != "linux":
        return False
    if context.workspace is None or context.dagster_run.remote_job_origin is None:
        return False
    if origin.executable_path != sys.executable:
        return False
    repository = context.dagster_run.remote_job_origin.repository_origin
    location = context.workspace.get_code_location(repository.code_location_origin.location_name)
    return isinstance(location, GrpcServerCodeLocation) and bool(location.client.socket)


def _process_of(run: dg.DagsterRun) -> _Process | None:
    tag = run.tags.get(PROCESS_TAG)
    if tag is None:
        return None
    process: _Process = json.loads(tag)
    return process


def _machine() -> str:
    """Host name, and on Linux the process namespace: process ids are unique within it only."""
    try:
        return f"{socket.gethostname()} {os.readlink(_PROC / 'self' / 'ns' / 'pid')}"
    except OSError:
        return socket.gethostname()


def _health(pid: int, since: float) -> CheckRunHealthResult:
    if is_alive(pid, since):
        return CheckRunHealthResult(WorkerStatus.RUNNING)
    return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"process {pid} ended without reporting")


def is_alive(pid: int, since: float) -> bool:
    """Whether the process that had this id at a time still runs.

    The id may belong to another process by now, and a killed process that nobody waited for keeps
    its id. Linux tells both; elsewhere only the id is checked.

    Args:
        pid: process id.
        since: a time at which the process was alive, in seconds since 1970.
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
    # The name, in parentheses, may hold any character; the fields after it are fixed (man 5 proc).
    state, *numbers = text.rpartition(")")[2].split()
    started = _boot_time() + int(numbers[18]) / os.sysconf("SC_CLK_TCK")
    return state not in "ZX" and started <= since + _CLOCK_SLACK_SECONDS


def _boot_time() -> float:
    """When this machine was started, in seconds since 1970."""
    for line in (_PROC / "stat").read_text(encoding="utf-8").splitlines():
        name, _, value = line.partition(" ")
        if name == "btime":
            return float(value)
    raise RuntimeError(f"{_PROC / 'stat'} has no line btime: the boot time is unknown")
