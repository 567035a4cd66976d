"""Names that CloudFormation generates: another one for each resource that is made."""

from __future__ import annotations

import functools
import uuid
from collections.abc import Mapping
from typing import Any

from xacct_sandbox.emulator.authorization.stack_resources import RESOURCE_TYPES
from xacct_sandbox.emulator.loader import Emulator
from xacct_sandbox.emulator.stacks.existing import given_name


def patch_generated_names(emulator: Emulator) -> None:
    """Draws a new suffix for every resource without a name of its own.

    ministack derives it from the names of stack and resource, so that what an earlier stack of
    that name retained would be in the way. Must be installed after the checks of rights, which
    need the name.
    """
    # Types that are added later come with ``add_cloudformation_type``.
    for type_name in RESOURCE_TYPES.keys() & emulator.provisioners._RESOURCE_HANDLERS.keys():
        draw_names(emulator, type_name)


def draw_names(emulator: Emulator, type_name: str) -> None:
    """Draws new names for the resources of a type."""
    handlers = emulator.provisioners._RESOURCE_HANDLERS[type_name]
    create = handlers["create"]
    seed = emulator.provisioners._NAME_SEED

    def create_with_new_name(logical_id: str, props: Mapping[str, Any], stack: str) -> Any:
        if not given_name(type_name, props) and not seed.get():
            # ministack keeps the seed with the resource, so updates find the name again.
            seed.set(uuid.uuid4().hex[:8])
        return create(logical_id, props, stack)

    handlers["create"] = functools.wraps(create)(create_with_new_name)
