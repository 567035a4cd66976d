"""Glue jobs as they are defined: CreateJob to ListJobs, and AWS::Glue::Job in CloudFormation.

The emulator keeps a part of a definition (and its tags); the whole is kept here. Options that the
sandbox does not act on are refused by name.
"""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.emulator.paging import page
from xacct_sandbox.service_errors import ServiceError

GLUE = "glue.amazonaws.com"
GLUE_VERSION = "5.0"
# Minutes; Glue 5.0's default (earlier versions: 2880).
DEFAULT_TIMEOUT = 480
# DPUs of a worker.
WORKER_TYPES = {"Standard": 1.0, "G.1X": 1.0, "G.2X": 2.0, "G.4X": 4.0, "G.8X": 8.0}
EXECUTION_CLASSES = ("STANDARD", "FLEX")
PAGE = 1000

Request = dict[str, Any]
Definition = dict[str, Any]

_KEPT = {
    "Name",
    "Description",
    "Role",
    "ExecutionProperty",
    "Command",
    "DefaultArguments",
    "NonOverridableArguments",
    "Connections",
    "MaxRetries",
    "Timeout",
    "GlueVersion",
    "NumberOfWorkers",
    "WorkerType",
    "ExecutionClass",
    "JobMode",
    "JobRunQueuingEnabled",
    "Tags",
}


def install() -> None:
    """Put these operations in the place of the emulator's."""
    emulator.add_glue_operations(
        {
            "CreateJob": create_job,
            "UpdateJob": update_job,
            "DeleteJob": delete_job,
            "GetJob": get_job,
            "GetJobs": get_jobs,
            "BatchGetJobs": batch_get_jobs,
            "ListJobs": list_jobs,
        }
    )
    emulator.add_cloudformation_type(
        "AWS::Glue::Job", create=_create_resource, delete=_delete_resource, update=_update_resource
    )


def definition(name: str) -> Definition:
    """The job of this name in the current account and region.

    Raises:
        ServiceError: EntityNotFoundException.
    """
    found = _jobs().get(name)
    if found is None:
        raise ServiceError("EntityNotFoundException", f"Job {name} is not found.")
    return dict(found)


def invalid(message: str) -> ServiceError:
    """Glue's error for a request it does not accept."""
    return ServiceError("InvalidInputException", message)


# -- operations ------------------------------------------------------------------------------


def create_job(request: Request) -> Request:
    """CreateJob."""
    name = request["Name"]
    made = _defined({key: value for key, value in request.items() if key != "Tags"})
    emulator.emulated_glue("CreateJob", {**request, "Role": made["Role"]})
    now = time.time()
    _jobs()[name] = {**made, "CreatedOn": now, "LastModifiedOn": now}
    return {"Name": name}


def update_job(request: Request) -> Request:
    """UpdateJob: what the request leaves out falls back to its default, as on AWS."""
    name = request["JobName"]
    before = definition(name)
    made = _defined({**request["JobUpdate"], "Name": name})
    emulator.emulated_glue("UpdateJob", {"JobName": name, "JobUpdate": made})
    _jobs()[name] = {**made, "CreatedOn": before["CreatedOn"], "LastModifiedOn": time.time()}
    return {"JobName": name}


def delete_job(request: Request) -> Request:
    """DeleteJob; deleting what is not there succeeds, as on AWS."""
    name = request["JobName"]
    emulator.emulated_glue("DeleteJob", {"JobName": name})
    _jobs().pop(name, None)
    return {"JobName": name}


def get_job(request: Request) -> Request:
    """GetJob."""
    return {"Job": definition(request["JobName"])}


def get_jobs(request: Request) -> Request:
    """GetJobs."""
    found, token = page(_all(), request, limit=PAGE)
    return {"Jobs": found, **({"NextToken": token} if token else {})}


def batch_get_jobs(request: Request) -> Request:
    """BatchGetJobs."""
    names, known = request["JobNames"], _jobs()
    return {
        "Jobs": [dict(known[name]) for name in names if name in known],
        "JobsNotFound": [name for name in names if name not in known],
    }


def list_jobs(request: Request) -> Request:
    """ListJobs; filtering by Tags is refused."""
    if request.get("Tags"):
        raise invalid("Tags of ListJobs is not supported by the sandbox")
    found, token = page(_all(), request, limit=PAGE)
    return {
        "JobNames": [job["Name"] for job in found],
        **({"NextToken": token} if token else {}),
    }


# -- rules -----------------------------------------------------------------------------------


def check_capacity(options: Request) -> None:
    """WorkerType, NumberOfWorkers, Timeout and ExecutionClass, of a job or a run.

    Raises:
        ServiceError: InvalidInputException naming the option.
    """
    worker_type = options.get("WorkerType")
    if worker_type is not None and worker_type not in WORKER_TYPES:
        raise invalid(
            f"WorkerType {worker_type} is not supported by the sandbox "
            f"(supported: {', '.join(WORKER_TYPES)})"
        )
    workers = options.get("NumberOfWorkers")
    if workers is not None and workers < 2:
        raise invalid("NumberOfWorkers must be at least 2")
    timeout = options.get("Timeout")
    if timeout is not None and timeout < 1:
        raise invalid("Timeout must be at least 1 minute")
    execution_class = options.get("ExecutionClass") or "STANDARD"
    if execution_class not in EXECUTION_CLASSES:
        raise invalid(f"ExecutionClass must be one of {', '.join(EXECUTION_CLASSES)}")
    if execution_class == "FLEX" and worker_type not in (None, "G.1X", "G.2X"):
        raise invalid(f"ExecutionClass FLEX is not available with WorkerType {worker_type}")
    if options.get("JobRunQueuingEnabled"):
        raise invalid("JobRunQueuingEnabled is not supported by the sandbox; leave it off")


def _defined(request: Request) -> Definition:
    for name, value in request.items():
        if name not in _KEPT and value not in (None, "", [], {}):
            raise invalid(f"{name} is not supported by the sandbox's Glue jobs; leave it out")
    command = request.get("Command") or {}
    if command.get("Name") != "glueetl":
        raise invalid(
            f"Command.Name {command.get('Name')!r} is not supported by the sandbox: it runs "
            "Spark jobs (glueetl)"
        )
    if not str(command.get("ScriptLocation", "")).startswith("s3://"):
        raise invalid("Command.ScriptLocation must be an s3:// URI")
    if command.get("PythonVersion", "3") != "3":
        raise invalid("Command.PythonVersion must be 3")
    if (version := request.get("GlueVersion")) != GLUE_VERSION:
        raise invalid(
            f"GlueVersion {version!r} is not supported by the sandbox: it runs {GLUE_VERSION} "
            "(Spark 3.5.4, Python 3.11)"
        )
    if request.get("MaxRetries"):
        raise invalid("MaxRetries above 0 is not supported by the sandbox; let Dagster retry")
    if request.get("JobMode", "SCRIPT") != "SCRIPT":
        raise invalid(f"JobMode {request['JobMode']} is not supported by the sandbox; use SCRIPT")
    concurrent = (request.get("ExecutionProperty") or {}).get("MaxConcurrentRuns", 1)
    if concurrent < 1:
        raise invalid("ExecutionProperty.MaxConcurrentRuns must be at least 1")
    check_capacity(request)
    return {
        "Description": "",
        "DefaultArguments": {},
        "NonOverridableArguments": {},
        "Connections": {},
        "MaxRetries": 0,
        "WorkerType": "G.1X",
        "NumberOfWorkers": 10,
        "Timeout": DEFAULT_TIMEOUT,
        "ExecutionClass": "STANDARD",
        "JobMode": "SCRIPT",
        **{key: value for key, value in request.items() if value is not None},
        "Role": emulator.role_arn(request["Role"]),
        "ExecutionProperty": {"MaxConcurrentRuns": concurrent},
    }


# -- CloudFormation --------------------------------------------------------------------------

_NUMBERS = ("NumberOfWorkers", "Timeout", "MaxRetries")


def _create_resource(
    logical_id: str, props: dict[str, Any], stack: str
) -> tuple[str, dict[str, Any]]:
    name = props.get("Name") or f"{stack}-{logical_id}"
    emulator.require_pass_role(emulator.role_arn(props["Role"]), GLUE)
    create_job({**_from_template(props), "Name": name})
    return name, {}


def _update_resource(
    physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str
) -> tuple[str, dict[str, Any]]:
    name = new.get("Name") or physical_id
    emulator.require_pass_role(emulator.role_arn(new["Role"]), GLUE)
    if name != physical_id:
        create_job({**_from_template(new), "Name": name})
        delete_job({"JobName": physical_id})
        return name, {}
    if old.get("Tags") != new.get("Tags"):
        raise invalid(f"changing Tags of job {name} of stack {stack} is not supported")
    update = {key: value for key, value in _from_template(new).items() if key != "Tags"}
    update_job({"JobName": name, "JobUpdate": {k: v for k, v in update.items() if k != "Name"}})
    return name, {}


def _delete_resource(physical_id: str, _props: dict[str, Any]) -> None:
    delete_job({"JobName": physical_id})


def _from_template(props: dict[str, Any]) -> dict[str, Any]:
    """A template's values may be texts where the API wants numbers."""
    made = dict(props)
    for name in _NUMBERS:
        if name in made:
            made[name] = int(made[name])
    if "ExecutionProperty" in made:
        concurrent = made["ExecutionProperty"].get("MaxConcurrentRuns", 1)
        made["ExecutionProperty"] = {"MaxConcurrentRuns": int(float(concurrent))}
    return made


# -- state -----------------------------------------------------------------------------------


def _jobs() -> MutableMapping[str, Any]:
    return emulator.scoped_state("glue-jobs")


def _all() -> list[Definition]:
    return [dict(_jobs()[name]) for name in sorted(_jobs())]
