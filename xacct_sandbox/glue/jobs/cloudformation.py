"""AWS::Glue::Job in CloudFormation."""

from __future__ import annotations

from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.glue.jobs.definitions import create_job, delete_job, update_job
from xacct_sandbox.glue.responses import GLUE_PRINCIPAL, invalid_input

Properties = dict[str, Any]

_NUMBERS = ("NumberOfWorkers", "Timeout", "MaxRetries")


def install() -> None:
    """Replace the emulator's resource type by this one."""
    emulator.add_cloudformation_type(
        "AWS::Glue::Job", create=_create, delete=_delete, update=_update
    )


def _create(logical_id: str, props: Properties, stack: str) -> tuple[str, dict[str, Any]]:
    name = props.get("Name") or f"{stack}-{logical_id}"
    emulator.require_pass_role(emulator.role_arn(props["Role"]), GLUE_PRINCIPAL)
    create_job({**_request(props), "Name": name})
    return name, {}


def _update(
    physical_id: str, old: Properties, new: Properties, stack: str
) -> tuple[str, dict[str, Any]]:
    name = new.get("Name") or physical_id
    emulator.require_pass_role(emulator.role_arn(new["Role"]), GLUE_PRINCIPAL)
    if name != physical_id:
        create_job({**_request(new), "Name": name})
        delete_job({"JobName": physical_id})
        return name, {}
    if old.get("Tags") != new.get("Tags"):
        raise invalid_input(f"changing Tags of job {name} of stack {stack} is not supported")
    update = {key: value for key, value in _request(new).items() if key not in ("Name", "Tags")}
    update_job({"JobName": name, "JobUpdate": update})
    return name, {}


def _delete(physical_id: str, _properties: Properties) -> None:
    delete_job({"JobName": physical_id})


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
