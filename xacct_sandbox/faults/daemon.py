"""The fault plan of this process, for the parts of the daemon that inject faults.

Without a daemon (in a unit test of a part) there is no plan, and no fault is injected.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.daemon.asgi import Application
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.faults import control
from xacct_sandbox.faults.http import FaultyServices
from xacct_sandbox.faults.kinds import DATABASE, KINDS
from xacct_sandbox.faults.planned import FaultPlan, Injection
from xacct_sandbox.faults.signal_file import SignalFile

_plan: FaultPlan | None = None

_kill_job_in_copy: Callable[[str], bool] | None = None

RUN_PREFIX = "glue-"
"""Precedes the run id in the application name of a Glue job's database connection."""

_DATABASE_KINDS = frozenset(name for name, kind in KINDS.items() if DATABASE in kind.usual)
_QUEUE_KINDS = ("duplicate_notification", "reordered_notification")


def install(config: SandboxConfig, app: Application) -> tuple[FaultPlan, FaultyServices]:
    """Creates an empty plan and connects it to the emulator.

    Returns:
        The plan, and the application that injects its faults before ``app``.
    """
    global _plan
    _plan = FaultPlan(config.fault_log, SignalFile(config.fault_signal))
    emulator.patch_queue_delivery(lambda: armed(*_QUEUE_KINDS), _delivery_fault)
    services = FaultyServices(
        app,
        _plan,
        lambda headers, query: emulator.principal_of(headers, query)[0],
        emulator.replace_object,
        emulator.object_exists,
    )
    return _plan, services


def on_copy_of_job(kill_job: Callable[[str], bool]) -> None:
    """Registers a callback for each COPY of a Glue job.

    Args:
        kill_job: gets the run id. Kills the worker of the run if that is planned, and returns
            whether it did.
    """
    global _kill_job_in_copy
    _kill_job_in_copy = kill_job


def serve(request: dict[str, Any]) -> dict[str, Any]:
    """Serves the control endpoint: requests of ``xacct_sandbox.faults`` and of Redshift.

    Raises:
        ServiceError: a fault was refused, or the action is unknown.
    """
    if _plan is None:
        raise RuntimeError("faults.daemon.install() must be called first")
    if request.get("action") != "inject":
        return control.serve(_plan, request)
    kind = _database_fault(_plan, request["operations"], request["resource"], request["client"])
    return {"kind": kind}


def _database_fault(
    plan: FaultPlan, operations: list[str], resource: str, client: str
) -> str | None:
    if plan.paused():
        return "workgroup_paused"
    is_copy_of_job = "Copy" in operations and client.startswith(RUN_PREFIX)
    if is_copy_of_job and _kill_job_in_copy and _kill_job_in_copy(client.removeprefix(RUN_PREFIX)):
        return "job_killed_in_copy"
    injection = plan.inject(DATABASE, operations, resource, kinds=_DATABASE_KINDS)
    return injection.kind if injection else None


def armed(*kinds: str) -> bool:
    """Whether a fault of these kinds may be injected."""
    return _plan is not None and _plan.armed(kinds)


def inject(service: str, operation: str, resource: str, *kinds: str) -> Injection | None:
    """Decides whether a call gets a fault of one of these kinds."""
    if _plan is None or not _plan.armed(kinds):
        return None
    return _plan.inject(service, (operation,), resource, kinds=kinds)


def _delivery_fault(queue: str, messages: int) -> tuple[str, float] | None:
    # A single message cannot be reordered.
    kinds = _QUEUE_KINDS if messages > 1 else _QUEUE_KINDS[:1]
    injection = inject("sqs", "ReceiveMessage", queue, *kinds)
    return (injection.kind, injection.seconds) if injection else None
