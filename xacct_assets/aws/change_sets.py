"""What a CloudFormation change set would do, resource by resource."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Effect = Literal[
    "added", "changed", "replaced", "may be replaced", "removed", "restored", "imported", "recorded"
]
#: Effects after which the resource that was there is no longer the one in the stack.
LOSING: tuple[Effect, ...] = ("replaced", "may be replaced", "removed")

# Secrets Manager ends the name in an ARN with a hyphen and six random characters (user guide,
# "What's in a Secrets Manager secret").
_SECRET_ARN = re.compile(r"arn:[^:]+:secretsmanager:[^:]+:\d+:secret:(?P<name>.+)-\w{6}")


@dataclass(frozen=True)
class ResourceChange:
    """What happens to one resource.

    Attributes:
        effect: what happens. "restored": it was deleted by hand and is made again. "recorded":
            CloudFormation corrects its own record only.
        logical_id: its name in the template.
        id: its name in the account (the physical id); empty if it is not there yet.
        type: its CloudFormation type.
        properties: the properties that change.
        drifted: whether the change reverts one that was made by hand.
        policy: what becomes of the present resource if it is removed or replaced, as CloudFormation
            names it: ``Delete``, ``Retain``, ``ReplaceAndRetain``, …
    """

    effect: Effect
    logical_id: str
    id: str
    type: str
    properties: tuple[str, ...] = ()
    drifted: bool = False
    policy: str = ""

    @property
    def name(self) -> str:
        """How people name the resource: its physical id, of a secret its name."""
        secret = _SECRET_ARN.fullmatch(self.id)
        return secret["name"] if secret else self.id or self.logical_id

    @property
    def kept(self) -> bool:
        """Whether the present resource stays in the account when it leaves the stack."""
        return self.policy.endswith("Retain")


@dataclass(frozen=True)
class ChangeSet:
    """The changes of one stack, ready to be made.

    Attributes:
        stack: name of the stack.
        id: ARN of the change set; None if there is nothing to change.
        new: whether the stack is made by it.
        changes: what happens to the resources. It may be empty: outputs or tags change then.
        outputs: the stack's outputs before the change.
    """

    stack: str
    id: str | None
    new: bool = False
    changes: tuple[ResourceChange, ...] = ()
    outputs: Mapping[str, str] = field(default_factory=dict)


def read_changes(entries: Iterable[Mapping[str, Any]]) -> tuple[ResourceChange, ...]:
    """The changes in answers of DescribeChangeSet."""
    return tuple(
        _read(entry["ResourceChange"]) for entry in entries if entry.get("Type") == "Resource"
    )


def _read(change: Mapping[str, Any]) -> ResourceChange:
    targets = [detail.get("Target", {}) for detail in change.get("Details", [])]
    # Without the name of a property: tags, metadata, a policy attribute.
    names = {target.get("Name") or target.get("Attribute", "") for target in targets}
    return ResourceChange(
        effect=_effect(change),
        logical_id=change["LogicalResourceId"],
        id=change.get("PhysicalResourceId") or "",
        type=change["ResourceType"],
        properties=tuple(sorted(name for name in names if name)),
        drifted=change.get("ResourceDriftStatus") in ("MODIFIED", "DELETED"),
        policy=change.get("PolicyAction", ""),
    )


def _effect(change: Mapping[str, Any]) -> Effect:
    action = change["Action"]
    if action == "Remove":
        return "removed"
    if change.get("ResourceDriftStatus") == "DELETED":
        return "restored"
    if action == "Modify":
        by_replacement: dict[str, Effect] = {"True": "replaced", "Conditional": "may be replaced"}
        return by_replacement.get(change.get("Replacement", "False"), "changed")
    others: dict[str, Effect] = {
        "Add": "added",
        "Import": "imported",
        "SyncWithActual": "recorded",
        # "exact action for the resource can't be determined" (API reference, ResourceChange)
        "Dynamic": "may be replaced",
    }
    return others[action]
