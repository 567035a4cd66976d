"""Glue operations that the sandbox adds to ministack's, or replaces."""

from __future__ import annotations

import contextvars
import functools
import json
import re
from typing import Any

from xacct_sandbox.emulator.json_services import error_response, json_response, run_operation
from xacct_sandbox.emulator.loader import Emulator, Operation, Response, as_service, booted
from xacct_sandbox.emulator.permissions import require_pass_role
from xacct_sandbox.emulator.requests import account_id, region
from xacct_sandbox.emulator.roles import role_arn
from xacct_sandbox.service_errors import ServiceError

_GLUE_PRINCIPAL = "glue.amazonaws.com"

_ROLE_TAKING = ("CreateJob", "UpdateJob", "CreateCrawler", "UpdateCrawler")

# Operations whose replacement is running: inside it, a call of the same name is ministack's own.
_replacing: contextvars.ContextVar[frozenset[str]] = contextvars.ContextVar(
    "sandbox_replacing", default=frozenset()
)


def add_glue_operations(operations: dict[str, Operation]) -> None:
    """Adds or replaces Glue operations, for the API and for CloudFormation.

    Inside a replacement, ``glue(operation, ...)`` with the same name calls ministack's operation.
    """
    emulator = booted()
    for operation, run in operations.items():
        emulator.glue_operations[operation] = run
        _route_glue(emulator, operation)


def glue(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """Calls a Glue operation as the service itself, in the current account and region.

    Raises:
        ServiceError: the operation failed.
    """
    emulator = booted()
    token = as_service.set(True)
    try:
        if operation in emulator.glue_operations and operation not in _replacing.get():
            return _run_replacement(emulator, operation, request)
        return _emulated_glue(emulator, operation, request)
    finally:
        as_service.reset(token)


def emulated_glue(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """Calls ministack's version of a Glue operation, replaced or not, as the service itself.

    Raises:
        ServiceError: the operation failed.
    """
    token = as_service.set(True)
    try:
        return _emulated_glue(booted(), operation, request)
    finally:
        as_service.reset(token)


def _run_replacement(emulator: Emulator, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    token = _replacing.set(_replacing.get() | {operation})
    try:
        return emulator.glue_operations[operation](request)
    finally:
        _replacing.reset(token)


def _emulated_glue(emulator: Emulator, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    original = emulator.glue_originals.get(operation)
    if original is not None:
        response = original(request)
    else:
        headers = {"x-amz-target": f"AWSGlue.{operation}"}
        response = emulator.glue._handle_request_sync(
            "POST", "/", headers, json.dumps(request).encode(), {}
        )
    status, _, body = response
    emulator.snapshots.mark(["glue"])
    document: dict[str, Any] = json.loads(body) if body else {}
    if status >= 400:
        raise ServiceError(
            str(document.get("__type", "InternalServiceException")),
            str(document.get("message") or document.get("Message") or ""),
            status,
        )
    return document


def patch_glue(emulator: Emulator) -> None:
    """Routes Glue requests through the sandbox's operations and its check of iam:PassRole."""
    for operation in _ROLE_TAKING:
        _route_glue(emulator, operation)

    emulated = emulator.app.SERVICE_HANDLERS["glue"]

    async def handle(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]
    ) -> Any:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        if operation in emulator.glue_operations:
            run = functools.partial(_serve_glue, emulator, operation)
            return await run_operation(emulator, f"glue {operation}", run, body)
        return await emulated(method, path, headers, body, query)

    emulator.app.SERVICE_HANDLERS["glue"] = handle


def _serve_glue(emulator: Emulator, operation: str, request: dict[str, Any]) -> dict[str, Any]:
    _check_passed_role(operation, request)
    if operation in emulator.glue_operations:
        return _run_replacement(emulator, operation, request)
    return _emulated_glue(emulator, operation, request)


def _route_glue(emulator: Emulator, operation: str) -> None:
    """Makes ministack call ``_serve_glue`` where it calls an operation (HTTP, CloudFormation)."""
    function = "_" + re.sub(r"(?<!^)(?=[A-Z])", "_", operation).lower()
    original = getattr(emulator.glue, function, None)
    if original is None or operation in emulator.glue_originals:
        return
    emulator.glue_originals[operation] = original

    def routed(request: dict[str, Any]) -> Response:
        try:
            return json_response(_serve_glue(emulator, operation, request))
        except ServiceError as error:
            return error_response(error)

    setattr(emulator.glue, function, routed)


def _check_passed_role(operation: str, request: dict[str, Any]) -> None:
    if operation not in _ROLE_TAKING:
        return
    role = request.get("Role") or (request.get("JobUpdate") or {}).get("Role")
    if role:
        kind = "job" if operation.endswith("Job") else "crawler"
        name = request.get("JobName") or request.get("Name")
        resource = f"arn:aws:glue:{region()}:{account_id()}:{kind}/{name}"
        require_pass_role(role_arn(str(role)), _GLUE_PRINCIPAL, resource)
