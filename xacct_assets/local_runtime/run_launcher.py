"""Dagster's own launcher of local run processes: quicker, and able to tell when one is gone.

A run is forked off a process that has its imports behind it (`warm_process`), instead of starting
an interpreter each time; the run's process id is kept in a tag of the run, for those who stop it
and those who look whether it lives.

A run whose process died with its code server (a machine that went down, a `kill -9` of all of
`dagster dev`) otherwise stays "started" for ever, keeps its place in the pools, and all later runs
wait behind it. With this launcher run monitoring (dagster.yaml) fails the run, and run retries take
it up where it was.

Runs that use another Python than this process, and all runs on other systems than Linux, are
launched as Dagster's launcher does, by the code server, and found by the process id in their first
event. Runs of code servers that are reached by host and port are left to themselves: their process
may be on another machine. Other launchers (ECS, Kubernetes, Docker) have a check of their own.
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
from typing import Any

import dagster as dg
from dagster._core.launcher.base import CheckRunHealthResult, LaunchRunContext, WorkerStatus
from dagster._core.launcher.default_run_launcher import DefaultRunLauncher
from dagster._core.origin import JobPythonOrigin
from dagster._core.remote_representation.code_location import GrpcServerCodeLocation
from dagster._core.storage.tags import GRPC_INFO_TAG
from dagster._grpc.types import ExecuteRunArgs

from xacct_assets.local_runtime.fork_server import ForkServer, Unreachable
from xacct_assets.local_runtime.sqlite_tuning import keep_databases_open

logger = logging.getLogger(__name__)

#: Which process a run is in: machine, process id, and when it was there (seconds since 1970).
PROCESS_TAG = "xacct/process"

_PROC = Path("/proc")
# Linux counts the start of processes from the boot, whose time it tells in whole seconds.
_CLOCK_SLACK_SECONDS = 2.0
_WARM = ForkServer()


class LocalRunLauncher(DefaultRunLauncher):
    """`DefaultRunLauncher`, with forks for runs of this machine and a check of their processes."""

    #: The daemon's hold on the database of all events, from its first run on: spares all others.
    _held: ExitStack | None = None

    def dispose(self) -> None:
        """Let go of what is held; runs go on."""
        if self._held is not None:
            self._held.close()
            self._held = None
        super().dispose()

    def launch_run(self, context: LaunchRunContext) -> None:
        """Start the run's process.

        Raises:
            DagsterLaunchFailedError, RuntimeError: it could not be started.
        """
        run, instance = context.dagster_run, self._instance
        origin = context.job_code_origin
        if not _is_ours(context, origin):
            super().launch_run(context)
            return
        if self._held is None:
            self._held = keep_databases_open(instance)
        arguments = ExecuteRunArgs(
            job_origin=origin,
            run_id=run.run_id,
            instance_ref=instance.get_ref(),
            set_exit_code_on_failure=True,
        )
        try:
            pid = _WARM.fork(dg.serialize_value(arguments))
        except Unreachable as problem:
            logger.warning("run %s is started without the warm process: %s", run.run_id, problem)
            super().launch_run(context)
            return
        process = {"machine": _machine(), "pid": pid, "time": time.time()}
        instance.add_run_tags(run.run_id, {PROCESS_TAG: json.dumps(process)})

    def terminate(self, run_id: str) -> bool:
        """Interrupt the run's process, once; False if that cannot be done from here."""
        run = self._instance.get_run_by_id(run_id)
        process = run and _process_of(run)
        if run is None or not process:
            return super().terminate(run_id)
        if run.is_finished:
            return False
        if run.status is dg.DagsterRunStatus.CANCELING:
            # A second interrupt would break off the stopping of its remote work.
            return True
        if process["machine"] != _machine() or not is_alive(process["pid"], process["time"]):
            self._instance.report_engine_event(
                f"Its process {process['pid']} on {process['machine']} cannot be interrupted from "
                f"{_machine()}, or is gone.",
                dagster_run=run,
                cls=self.__class__,
            )
            return False
        self._instance.report_run_canceling(run)
        os.kill(process["pid"], signal.SIGTERM)
        return True

    @property
    def supports_check_run_worker_health(self) -> bool:
        """Run monitoring may ask."""
        return True

    def check_run_worker_health(self, run: dg.DagsterRun) -> CheckRunHealthResult:
        """NOT_FOUND if the run's process is certainly gone, else RUNNING."""
        process = _process_of(run)
        if process:
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


def _is_ours(context: LaunchRunContext, origin: JobPythonOrigin | None) -> bool:
    """Whether the run's code is reached by a socket of this machine and runs in this Python."""
    # Elsewhere a fork may crash in the system's own libraries (macOS; CPython bpo-33725).
    if sys.platform != "linux":
        return False
    if origin is None or context.workspace is None or context.dagster_run.remote_job_origin is None:
        return False
    if origin.executable_path != sys.executable:
        return False
    repository = context.dagster_run.remote_job_origin.repository_origin
    location = context.workspace.get_code_location(repository.code_location_origin.location_name)
    return isinstance(location, GrpcServerCodeLocation) and bool(location.client.socket)


def _process_of(run: dg.DagsterRun) -> dict[str, Any]:
    process: dict[str, Any] = json.loads(run.tags.get(PROCESS_TAG, "{}"))
    return process


def _machine() -> str:
    """This machine, and on Linux the container in it: process ids mean something within it only."""
    try:
        return f"{socket.gethostname()} {os.readlink(_PROC / 'self' / 'ns' / 'pid')}"
    except OSError:
        return socket.gethostname()


def _health(pid: int, since: float) -> CheckRunHealthResult:
    if is_alive(pid, since):
        return CheckRunHealthResult(WorkerStatus.RUNNING)
    return CheckRunHealthResult(WorkerStatus.NOT_FOUND, f"its process {pid} is gone without a word")


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
