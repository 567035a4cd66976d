"""A change of a create-only property replaces the resource, as CloudFormation does.

The new resource is made first; the old one is deleted in the cleanup after the update, so that a
rollback still finds it. A resource whose name the template gives, and does not change, cannot be
replaced (CloudFormation user guide, "Update behaviors of stack resources").
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xacct_sandbox.emulator.authorization.stack_resources import RESOURCE_TYPES
from xacct_sandbox.emulator.loader import Emulator, booted
from xacct_sandbox.emulator.stacks.schemas import CREATE_ONLY

# ministack's handler of this type makes the new table itself, and queues the old one's deletion:
# the physical id is the table's name, which may stay the same in another database.
_REPLACED_BY_HANDLER = frozenset({"AWS::Glue::Table"})


def patch_replacement(emulator: Emulator) -> None:
    """Tells ministack what replaces a resource, for change sets and for updates."""
    provisioners = emulator.provisioners
    for type_name, paths in CREATE_ONLY.items():
        whole = tuple(path for path in paths if "." not in path)
        provisioners._REPLACING_PROPERTIES[type_name] = whole
        # Change sets name a whole property; whether the part of it changes is known at the update.
        containers = tuple({path.partition(".")[0] for path in paths if "." in path})
        provisioners._CONDITIONALLY_REPLACING_PROPERTIES[type_name] = containers
    for type_name, resource_type in RESOURCE_TYPES.items():
        name = resource_type.name
        if name and "." not in name:
            provisioners._CUSTOM_NAME_REPLACEMENT.setdefault(type_name, {"name": name})
    replacing = provisioners._replacing_change

    def replacing_change(type_name: str, old: Mapping[str, Any], new: Mapping[str, Any]) -> bool:
        if type_name in _REPLACED_BY_HANDLER:
            return False
        parts = [path.split(".") for path in CREATE_ONLY.get(type_name, ()) if "." in path]
        return bool(replacing(type_name, old, new)) or any(
            old.get(name, {}).get(part) != new.get(name, {}).get(part) for name, part in parts
        )

    # Imported by name, so it is replaced in both modules.
    provisioners._replacing_change = replacing_change
    emulator.stacks._replacing_change = replacing_change


def is_replacing() -> bool:
    """Whether the resource that is being made replaces one of a stack."""
    return booted().provisioners._DEFERRED_PREDECESSOR_DELETES.get() is not None
