"""A resource of a stack, and what a resource type needs."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from xacct_sandbox.emulator.authorization.checks import Check

Properties = Mapping[str, Any]


@dataclass(frozen=True)
class Target:
    """The resource of a stack.

    Attributes:
        name: its name, or the one that it will get.
        account: in which the stack is.
        region: in which the stack is.
    """

    name: str
    properties: Properties
    account: str
    region: str

    def arn(self, service: str, resource: str) -> str:
        """An ARN in the stack's account and region."""
        return f"arn:aws:{service}:{self.region}:{self.account}:{resource}"


@dataclass(frozen=True)
class ResourceType:
    """A resource type.

    Attributes:
        name: the property with the resource's name.
        create: the checks for its creation; an update needs ``update``, or these.
        lowercase: whether a generated name is in lower case.
    """

    name: str
    create: Callable[[Target], list[Check]]
    delete: Callable[[Target], list[Check]]
    update: Callable[[Target], list[Check]] | None = None
    lowercase: bool = False
