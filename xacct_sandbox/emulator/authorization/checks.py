"""What a caller must be allowed, and what the readers of calls share."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from xacct_sandbox.emulator.authorization.calls import Call, Refused
from xacct_sandbox.emulator.authorization.conditions import Values


@dataclass(frozen=True)
class Check:
    """An action on a resource that must be allowed.

    Attributes:
        keys: condition keys of the service, in lower case.
    """

    action: str
    resource: str
    keys: Mapping[str, Values] = field(default_factory=dict)


def unknown_operation(call: Call) -> Refused:
    """The refusal of an operation that the sandbox does not know."""
    code = "InvalidAction" if call.service in ("cloudformation", "ec2", "iam", "sns", "sts") else ""
    return Refused(
        call.service,
        code or "UnknownOperationException",
        f"The sandbox does not support the operation {call.operation} of {call.service}.",
    )


def text(call: Call, name: str) -> str:
    """A parameter that must be a string; "" if it is missing.

    Raises:
        TypeError: it is something else.
    """
    value = call.parameters.get(name, "")
    if value is None:
        return ""
    if not isinstance(value, str):
        raise TypeError(name)
    return value


def has_tags(call: Call) -> bool:
    """Whether a call gives the tags of what it creates, in any of the protocols."""
    given = (name.partition(".")[0].lower() for name, value in call.parameters.items() if value)
    return any(name in ("tag", "tags") for name in given)
