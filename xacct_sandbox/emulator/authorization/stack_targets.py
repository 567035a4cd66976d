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


def on(service: str, *actions: str, arn: str) -> list[Check]:
    """Checks of some actions of a service on one resource."""
    return [Check(f"{service}:{action}", arn) for action in actions]


def own_tags(properties: Properties) -> bool:
    """Whether a template or its stack sets tags; those of AWS need no permission."""
    tags = properties.get("Tags") or []
    names = tags if isinstance(tags, dict) else [tag.get("Key", "") for tag in tags]
    return any(not str(name).startswith("aws:") for name in names)


def regional(service: str, resource: str, *actions: str) -> Callable[[Target], list[Check]]:
    """Checks on one resource; ``{}`` stands for its name."""

    def checks(target: Target) -> list[Check]:
        arn = target.arn(service, resource.replace("{}", target.name))
        return on(service, *actions, arn=arn)

    return checks


def tagged(
    service: str, create: str, tag: str, resource: str = "{}"
) -> Callable[[Target], list[Check]]:
    """The creation of a resource that may have tags."""

    def checks(target: Target) -> list[Check]:
        actions = [create, *([tag] if own_tags(target.properties) else [])]
        return regional(service, resource, *actions)(target)

    return checks
