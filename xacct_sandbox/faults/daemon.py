"""The plan of this process, for the parts of the daemon that faults can strike.

Where there is no daemon (a unit test of a part) there is no plan, and nothing strikes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.faults.http import Application, FaultyServices
from xacct_sandbox.faults.kinds import DATABASE, KINDS
from xacct_sandbox.faults.planned import FaultPlan, Struck
from xacct_sandbox.faults.signal_file import SignalFile

_plan: FaultPlan | None = None

_die_in_copy: Callable[[str], bool] | None = None

RUN_PREFIX = "glue-"
"""Before the run's id in the application name of a job's database connection."""

_DATABASE_KINDS = frozenset(name for name, kind in KINDS.items() if DATABASE in kind.usual)
_QUEUE_KINDS = ("duplicate_notification", "reordered_notification")


def install(config: SandboxConfig, app: Application) -> tuple[FaultPlan, FaultyServices]:
    """Begin with an empty plan: it, and the services as it lets them be seen."""
    global _plan
    _plan = FaultPlan(config.fault_log, SignalFile(config.fault_signal))
    emulator.disturb_queues(lambda: armed(*_QUEUE_KINDS), _delivery)
    services = FaultyServices(
        app,
        _plan,
        lambda headers, query: emulator.principal_of(headers, query)[0],
        emulator.replace_object,
        emulator.object_exists,
    )
    return _plan, services


def watch_copies(die: Callable[[str], bool]) -> None:
    """Have ``die`` asked, with a run's id, whether its worker dies while its COPY is under way.

    It has been seen to then.
    """
    global _die_in_copy
    _die_in_copy = die


def serve(request: dict[str, Any]) -> dict[str, Any]:
    """The daemon's door: what ``xacct_sandbox.faults`` and the Redshift process ask.

    Raises:
        ServiceError: a fault was refused.
    """
    if _plan is None:
        raise RuntimeError("faults.daemon.install() comes first")
    if request.get("action") != "strike":
        return _plan.serve(request)
    kind = _strike_database(_plan, request["operations"], request["resource"], request["client"])
    return {"kind": kind}


def _strike_database(
    plan: FaultPlan, operations: list[str], resource: str, client: str
) -> str | None:
    if plan.paused():
        return "workgroup_paused"
    run_copies = "Copy" in operations and client.startswith(RUN_PREFIX)
    if run_copies and _die_in_copy and _die_in_copy(client.removeprefix(RUN_PREFIX)):
        return "job_killed_in_copy"
    struck = plan.strike(DATABASE, operations, resource, kinds=_DATABASE_KINDS)
    return struck.kind if struck else None


def armed(*kinds: str) -> bool:
    """Whether any of these kinds may strike."""
    return _plan is not None and _plan.armed(kinds)


def strike(service: str, operation: str, resource: str, *kinds: str) -> Struck | None:
    """Which of these kinds strikes this call, if one does."""
    if _plan is None or not _plan.armed(kinds):
        return None
    return _plan.strike(service, (operation,), resource, kinds=kinds)


def _delivery(queue: str, waiting: int) -> tuple[str, float] | None:
    # One message has no order.
    kinds = _QUEUE_KINDS if waiting > 1 else _QUEUE_KINDS[:1]
    struck = strike("sqs", "ReceiveMessage", queue, *kinds)
    return (struck.kind, struck.seconds) if struck else None
