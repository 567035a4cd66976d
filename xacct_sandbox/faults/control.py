"""The actions of the control endpoint on the fault plan: what ``xacct_sandbox.faults`` sends."""

from __future__ import annotations

from dataclasses import fields
from typing import Any

from xacct_sandbox.faults import Fault, FaultRefused
from xacct_sandbox.faults.kinds import KINDS
from xacct_sandbox.faults.planned import FaultPlan
from xacct_sandbox.service_errors import ServiceError


def serve(plan: FaultPlan, request: dict[str, Any]) -> dict[str, Any]:
    """Performs one action: ``add``, ``plan``, ``log``, ``clear`` or ``forget``.

    Raises:
        ServiceError: a fault was refused (code ``FaultRefused``), or the action is unknown.
    """
    action = request.get("action")
    if action == "add":
        try:
            return {"ids": plan.add(_fault(document) for document in request["faults"])}
        except FaultRefused as refusal:
            raise ServiceError(FaultRefused.__name__, str(refusal)) from refusal
    if action == "plan":
        return {"plan": plan.document()}
    if action == "log":
        return {"log": plan.log()}
    if action == "clear":
        plan.clear()
        return {}
    if action == "forget":
        plan.forget()
        return {}
    raise ServiceError("NotFound", f"faults have no action {action!r}", 404)


def _fault(document: dict[str, Any]) -> Fault:
    names = {item.name for item in fields(Fault)}
    if unknown := set(document) - names:
        raise FaultRefused(
            f"a fault has no {', '.join(sorted(unknown))}; it has: {', '.join(sorted(names))}"
        )
    if "kind" not in document:
        raise FaultRefused(f"a fault needs a kind: {', '.join(KINDS)}")
    return Fault(**document)
