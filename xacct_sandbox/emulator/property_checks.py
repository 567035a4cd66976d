"""What a template may set: a property without effect is refused by name, not ignored."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterable
from typing import Any

from xacct_sandbox.service_errors import ServiceError

ADVICE = "leave it out of the template"


def refuse_properties(type_name: str, unknown: Iterable[str], advice: str = ADVICE) -> None:
    """Nothing if there are none.

    Raises:
        ServiceError: naming the properties.
    """
    if names := sorted(unknown):
        raise ServiceError(
            "ValidationError",
            f"The sandbox does not support {', '.join(names)} of {type_name}; {advice}.",
        )


def check_properties(handlers: dict[str, Any], check: Callable[[dict[str, Any]], None]) -> None:
    """Have a resource type's properties checked before a resource is made or updated."""
    create = handlers["create"]

    @functools.wraps(create)
    def checked_create(logical_id: str, props: dict[str, Any], stack: str) -> Any:
        check(props)
        return create(logical_id, props, stack)

    handlers["create"] = checked_create
    update = handlers.get("update")
    if update is None:
        return

    @functools.wraps(update)
    def checked_update(
        physical_id: str, old: dict[str, Any], new: dict[str, Any], *rest: Any, **more: Any
    ) -> Any:
        check(new)
        return update(physical_id, old, new, *rest, **more)

    handlers["update"] = checked_update
