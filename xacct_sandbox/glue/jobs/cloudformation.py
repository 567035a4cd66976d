"""AWS::Glue::Job in CloudFormation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.glue.jobs.definitions import (
    create_job,
    definition,
    delete_job,
    update_job,
)
from xacct_sandbox.glue.responses import GLUE_PRINCIPAL, invalid_input
from xacct_sandbox.service_errors import ServiceError

Properties = dict[str, Any]

_COMPARED = frozenset(
    {
        "Command",
        "Connections",
        "DefaultArguments",
        "Description",
        "ExecutionProperty",
        "GlueVersion",
        "MaxRetries",
        "Name",
        "NumberOfWorkers",
        "Role",
        "Timeout",
        "WorkerType",
    }
)
_NUMBERS = ("NumberOfWorkers", "Timeout", "MaxRetries")


def install() -> None:
    """Replace the emulator's resource type by this one."""
    emulator.add_cloudformation_type(
        "AWS::Glue::Job",
        create=_create,
        delete=_delete,
        update=_update,
        read=_read,
        compared=_COMPARED,
    )


def _arn(name: str) -> str:
    return f"arn:aws:glue:{emulator.region()}:{emulator.account_id()}:job/{name}"


def _create(logical_id: str, props: Properties, stack: str) -> tuple[str, dict[str, Any]]:
    name = props.get("Name") or f"{stack}-{logical_id}"
    emulator.require_pass_role(emulator.role_arn(props["Role"]), GLUE_PRINCIPAL, _arn(name))
    create_job({**_request(props), "Name": name})
    return name, {}


def _update(
    physical_id: str, old: Properties, new: Properties, stack: str
) -> tuple[str, dict[str, Any]]:
    # A changed name replaces the job: it never comes here.
    emulator.require_pass_role(emulator.role_arn(new["Role"]), GLUE_PRINCIPAL, _arn(physical_id))
    if old.get("Tags") != new.get("Tags"):
        raise invalid_input(f"changing Tags of job {physical_id} of stack {stack} is not supported")
    update = {key: value for key, value in _request(new).items() if key not in ("Name", "Tags")}
    update_job({"JobName": physical_id, "JobUpdate": update})
    return physical_id, {}


def _delete(physical_id: str, _properties: Properties) -> None:
    delete_job({"JobName": physical_id})


def _read(physical_id: str, properties: Mapping[str, Any]) -> Properties | None:
    try:
        found = definition(physical_id)
    except ServiceError:
        return None
    role = str(properties.get("Role", ""))
    if role and emulator.role_arn(role) == found["Role"]:
        found["Role"] = role
    return found


def _request(properties: Properties) -> dict[str, Any]:
    """The properties as a request; a template may hold strings where the API takes numbers."""
    request = dict(properties)
    for name in _NUMBERS:
        if name in request:
            request[name] = int(request[name])
    if "ExecutionProperty" in request:
        max_runs = request["ExecutionProperty"].get("MaxConcurrentRuns", 1)
        request["ExecutionProperty"] = {"MaxConcurrentRuns": int(float(max_runs))}
    return request
