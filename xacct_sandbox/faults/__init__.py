"""Planned faults: what goes wrong in the sandbox, where and how often, and a log of what did.

    from xacct_sandbox import faults
    faults.add(config, faults.Fault("lost_answer", service="glue", operation="StartJobRun"))

The plan is held by the daemon, which decides about every call. ``kinds`` lists the kinds of
faults, ``planned`` decides which call gets one. The plan ends with the daemon; the log is kept
until ``forget``.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.daemon.control_client import FAULTS_PATH, call_daemon
from xacct_sandbox.service_errors import ServiceError


class FaultRefused(SandboxError):
    """A fault that could never be injected; the message says why, and what is possible."""


@dataclass(frozen=True)
class Fault:
    """A fault to be injected.

    Attributes:
        kind: one of ``kinds.KINDS``.
        service: botocore's name of the service, or ``redshift`` for the database itself.
            ``*``: any service in which the kind can happen.
        operation: an operation of the service. ``*``: the usual operations of the kind.
        count: how many times it is injected; None: without limit.
        probability: that a matching call gets it, drawn from ``seed``.
        after: number of matching calls to let pass first.
        seconds: a duration; its meaning depends on the kind.
        match: text that the resource must contain: a key, a job, a crawler, SQL, a queue.
        body: the new content of the object, as text (``object_replaced`` only).
        seed: of this fault's own random numbers.
        principal: text that the caller's ARN must contain (faults of the HTTP APIs only).
    """

    kind: str
    service: str = "*"
    operation: str = "*"
    count: int | None = 1
    probability: float = 1.0
    after: int = 0
    seconds: float = 0
    match: str = ""
    body: str = ""
    seed: int = 0
    principal: str = ""


def add(config: SandboxConfig, *planned: Fault) -> list[str]:
    """Plans these faults, all or none, with immediate effect. Returns their ids.

    Raises:
        FaultRefused: one of them could never be injected, or has an impossible value.
        SandboxError: the sandbox is not running.
    """
    return list(_call(config, "add", faults=[asdict(fault) for fault in planned])["ids"])


def clear(config: SandboxConfig) -> None:
    """Removes all planned faults and ends a pause of the workgroup. The log is kept."""
    _call(config, "clear")


def plan(config: SandboxConfig) -> list[dict[str, Any]]:
    """All planned faults, used up ones too: their fields, ``id``, ``matched``, ``injected``."""
    return list(_call(config, "plan")["plan"])


def log(config: SandboxConfig) -> list[dict[str, Any]]:
    """All injections, oldest first: ``at``, ``id``, ``kind``, ``service``, ``operation``,
    ``resource``."""
    return list(_call(config, "log")["log"])


def forget(config: SandboxConfig) -> None:
    """Empties the log."""
    _call(config, "forget")


def _call(config: SandboxConfig, action: str, **arguments: Any) -> dict[str, Any]:
    try:
        return call_daemon(config, FAULTS_PATH, {"action": action, **arguments})
    except ServiceError as refusal:
        if refusal.code == FaultRefused.__name__:
            raise FaultRefused(refusal.message) from refusal
        raise
