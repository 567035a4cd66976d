"""Faults on purpose: what goes wrong in the sandbox, where, how often; and what did go wrong.

    from xacct_sandbox import faults
    faults.add(config, faults.Fault("lost_answer", service="glue", operation="StartJobRun"))

The plan lives in the daemon, which decides every fault in one place; ``kinds`` has what there is,
``planned`` how a call is matched. A plan ends with the daemon, the log stays until `forget`.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.service_errors import ServiceError

DOOR = "/_sandbox/faults"


class FaultRefused(SandboxError):
    """A fault that could never strike; the text says what is wrong and what would be right."""


@dataclass(frozen=True)
class Fault:
    """Something to go wrong.

    Attributes:
        kind: what; one of ``kinds.KINDS``.
        service: botocore's name of the service, or ``redshift`` for the database itself.
            ``*``: wherever the kind can happen.
        operation: of that service; ``*``: wherever the kind usually happens.
        count: how many times it strikes; None: always.
        probability: of striking a call that matches, drawn from ``seed``.
        after: how many matching calls pass first.
        seconds: how long it takes (see the kind).
        match: what the resource must contain: a key, a job, a crawler, SQL text, a queue.
        body: what ``object_replaced`` puts in the object's place, as text.
        seed: of this fault's own random numbers.
        principal: what the caller's ARN must contain, for faults of the HTTP APIs.
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
    """Plan these faults, all or none; their ids. They strike from now on.

    Raises:
        FaultRefused: one of them could never strike, or says something impossible.
        SandboxError: the sandbox does not run.
    """
    return list(_ask(config, "add", faults=[asdict(fault) for fault in planned])["ids"])


def clear(config: SandboxConfig) -> None:
    """Nothing is planned any more, and a workgroup that pauses comes back. The log stays."""
    _ask(config, "clear")


def plan(config: SandboxConfig) -> list[dict[str, Any]]:
    """Every planned fault, spent ones too: its fields, ``id``, ``matched`` and ``injected``."""
    return list(_ask(config, "plan")["plan"])


def log(config: SandboxConfig) -> list[dict[str, Any]]:
    """Every injection, the oldest first: ``at``, ``id``, ``kind``, ``service``, ``operation``,
    ``resource``."""
    return list(_ask(config, "log")["log"])


def forget(config: SandboxConfig) -> None:
    """Empty the log."""
    _ask(config, "forget")


def _ask(config: SandboxConfig, action: str, **more: Any) -> dict[str, Any]:
    from xacct_sandbox.clients import ask_daemon  # boto3: what only plans faults is light

    try:
        return ask_daemon(DOOR, {"action": action, **more}, config=config)
    except ServiceError as refusal:
        if refusal.code == FaultRefused.__name__:
            raise FaultRefused(refusal.message) from refusal
        raise
