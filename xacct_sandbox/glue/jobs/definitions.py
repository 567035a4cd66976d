"""Definitions of Glue jobs: the operations from CreateJob to ListJobs.

The emulator stores a part of a definition and its tags; the whole definition is stored here. An
option that the sandbox does not support is refused by name.
"""

from __future__ import annotations

import time
from collections.abc import MutableMapping
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.glue.responses import (
    Request,
    Response,
    invalid_input,
    not_found,
    page_response,
)

GLUE_VERSION = "5.0"
DEFAULT_TIMEOUT = 480
"""Minutes; the default of Glue 5.0 (earlier versions: 2880)."""
WORKER_TYPES = {"Standard": 1.0, "G.1X": 1.0, "G.2X": 2.0, "G.4X": 4.0, "G.8X": 8.0}
"""DPUs of a worker, by its type."""
EXECUTION_CLASSES = ("STANDARD", "FLEX")
JOBS_PAGE = 1000

Definition = dict[str, Any]

_SUPPORTED = {
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


def definition(name: str) -> Definition:
    """The job of this name in the current account and region.

    Raises:
        ServiceError: EntityNotFoundException.
    """
    found = _jobs().get(name)
    if found is None:
        raise not_found(f"Job {name} is not found.")
    return dict(found)


# -- operations ------------------------------------------------------------------------------


def create_job(request: Request) -> Response:
    """CreateJob."""
    name = request["Name"]
    job = _with_defaults({key: value for key, value in request.items() if key != "Tags"})
    emulator.emulated_glue("CreateJob", {**request, "Role": job["Role"]})
    now = time.time()
    _jobs()[name] = {**job, "CreatedOn": now, "LastModifiedOn": now}
    return {"Name": name}


def update_job(request: Request) -> Response:
    """UpdateJob: fields that the request leaves out get their defaults, as on AWS."""
    name = request["JobName"]
    created_on = definition(name)["CreatedOn"]
    job = _with_defaults({**request["JobUpdate"], "Name": name})
    emulator.emulated_glue("UpdateJob", {"JobName": name, "JobUpdate": job})
    _jobs()[name] = {**job, "CreatedOn": created_on, "LastModifiedOn": time.time()}
    return {"JobName": name}


def delete_job(request: Request) -> Response:
    """DeleteJob; deleting a job that does not exist succeeds, as on AWS."""
    name = request["JobName"]
    emulator.emulated_glue("DeleteJob", {"JobName": name})
    _jobs().pop(name, None)
    return {"JobName": name}


def get_job(request: Request) -> Response:
    """GetJob."""
    return {"Job": definition(request["JobName"])}


def get_jobs(request: Request) -> Response:
    """GetJobs."""
    return page_response("Jobs", _all(), request, limit=JOBS_PAGE)


def batch_get_jobs(request: Request) -> Response:
    """BatchGetJobs."""
    names, known = request["JobNames"], _jobs()
    return {
        "Jobs": [dict(known[name]) for name in names if name in known],
        "JobsNotFound": [name for name in names if name not in known],
    }


def list_jobs(request: Request) -> Response:
    """ListJobs; Tags is refused."""
    if request.get("Tags"):
        raise invalid_input("Tags of ListJobs is not supported by the sandbox")
    return page_response("JobNames", [job["Name"] for job in _all()], request, limit=JOBS_PAGE)


# -- checks ----------------------------------------------------------------------------------


def check_capacity(options: Request) -> None:
    """Check WorkerType, NumberOfWorkers, Timeout and ExecutionClass of a job or a run.

    Raises:
        ServiceError: InvalidInputException naming the option.
    """
    worker_type = options.get("WorkerType")
    if worker_type is not None and worker_type not in WORKER_TYPES:
        raise invalid_input(
            f"WorkerType {worker_type} is not supported by the sandbox "
            f"(supported: {', '.join(WORKER_TYPES)})"
        )
    workers = options.get("NumberOfWorkers")
    if workers is not None and workers < 2:
        raise invalid_input("NumberOfWorkers must be at least 2")
    timeout = options.get("Timeout")
    if timeout is not None and timeout < 1:
        raise invalid_input("Timeout must be at least 1 minute")
    execution_class = options.get("ExecutionClass") or "STANDARD"
    if execution_class not in EXECUTION_CLASSES:
        raise invalid_input(f"ExecutionClass must be one of {', '.join(EXECUTION_CLASSES)}")
    if execution_class == "FLEX" and worker_type not in (None, "G.1X", "G.2X"):
        raise invalid_input(f"ExecutionClass FLEX is not available with WorkerType {worker_type}")
    if options.get("JobRunQueuingEnabled"):
        raise invalid_input("JobRunQueuingEnabled is not supported by the sandbox; leave it off")


def _with_defaults(request: Request) -> Definition:
    """The checked definition, complete with defaults."""
    for name, value in request.items():
        if name not in _SUPPORTED and value not in (None, "", [], {}):
            raise invalid_input(f"{name} is not supported by the sandbox's Glue jobs; leave it out")
    command = request.get("Command") or {}
    if command.get("Name") != "glueetl":
        raise invalid_input(
            f"Command.Name {command.get('Name')!r} is not supported by the sandbox: it runs "
            "Spark jobs (glueetl)"
        )
    if not str(command.get("ScriptLocation", "")).startswith("s3://"):
        raise invalid_input("Command.ScriptLocation must be an s3:// URI")
    if command.get("PythonVersion", "3") != "3":
        raise invalid_input("Command.PythonVersion must be 3")
    if (version := request.get("GlueVersion")) != GLUE_VERSION:
        raise invalid_input(
            f"GlueVersion {version!r} is not supported by the sandbox: it runs {GLUE_VERSION} "
            "(Spark 3.5.4, Python 3.11)"
        )
    if request.get("MaxRetries"):
        raise invalid_input("MaxRetries above 0 is not supported by the sandbox; let Dagster retry")
    if request.get("JobMode", "SCRIPT") != "SCRIPT":
        raise invalid_input(
            f"JobMode {request['JobMode']} is not supported by the sandbox; use SCRIPT"
        )
    concurrent = (request.get("ExecutionProperty") or {}).get("MaxConcurrentRuns", 1)
    if concurrent < 1:
        raise invalid_input("ExecutionProperty.MaxConcurrentRuns must be at least 1")
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


# -- state -----------------------------------------------------------------------------------


def _jobs() -> MutableMapping[str, Any]:
    return emulator.scoped_state("glue-jobs")


def _all() -> list[Definition]:
    return [dict(_jobs()[name]) for name in sorted(_jobs())]
