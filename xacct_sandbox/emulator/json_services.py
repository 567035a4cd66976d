"""Adds JSON services to the emulator, authorized by IAM like any other."""

from __future__ import annotations

import asyncio
import contextvars
import json
import logging
from collections.abc import Callable
from typing import Any

from xacct_sandbox.emulator.authorization.checks import Check
from xacct_sandbox.emulator.loader import Emulator, Operation, Response, booted
from xacct_sandbox.emulator.state import observed
from xacct_sandbox.service_errors import ServiceError

logger = logging.getLogger(__name__)

JSON_1_1 = "application/x-amz-json-1.1"


def json_response(data: dict[str, Any], status: int = 200) -> Response:
    """A response in the AWS JSON 1.1 protocol."""
    response: Response = booted().responses.json_response(data, status, content_type=JSON_1_1)
    return response


def error_response(error: ServiceError) -> Response:
    """An error response in the AWS JSON 1.1 protocol."""
    response: Response = booted().responses.error_response_json(
        error.code, error.message, error.status, content_type=JSON_1_1
    )
    return response


def add_service(
    name: str,
    target_prefix: str,
    iam_namespace: str,
    operations: dict[str, Operation],
    checks: Callable[[str, dict[str, Any]], list[Check]],
) -> None:
    """Registers a JSON 1.1 service.

    Args:
        name: botocore's name of the service, e.g. ``redshift-data``.
        target_prefix: of the ``X-Amz-Target`` header.
        iam_namespace: prefix of the service's IAM actions.
        operations: by name.
        checks: returns what the caller of a request (operation, body) must be allowed.
    """
    emulator = booted()

    async def handle(
        _method: str, _path: str, headers: dict[str, str], body: bytes, _query: dict[str, Any]
    ) -> Response:
        operation = headers.get("x-amz-target", "").rpartition(".")[2]
        run = operations.get(operation)
        if run is None:
            return error_response(
                ServiceError(
                    "UnknownOperationException",
                    f"The sandbox has no {name} operation {operation!r}.",
                )
            )
        return await run_operation(emulator, f"{name} {operation}", run, body)

    emulator.app.SERVICE_HANDLERS[name] = observed(emulator, handle, frozenset())
    emulator.router.SERVICE_PATTERNS[name] = {"target_prefixes": [f"{target_prefix}."]}
    emulator.actions.SERVICE_TO_IAM_NAMESPACE[name] = iam_namespace
    emulator.service_checks[name] = checks


async def run_operation(emulator: Emulator, label: str, run: Operation, body: bytes) -> Response:
    """Runs an operation in a worker thread, which keeps the account and region of the request.

    Args:
        emulator: of this process.
        label: service and operation, for the log.
        run: the operation.
        body: of the request.
    """
    try:
        request = json.loads(body) if body else {}
    except ValueError:
        return error_response(ServiceError("SerializationException", "The body is not JSON."))
    context = contextvars.copy_context()
    loop = asyncio.get_running_loop()
    try:
        answer = await loop.run_in_executor(emulator.operations, context.run, run, request)
    except ServiceError as error:
        return error_response(error)
    except Exception:
        logger.exception("%s failed", label)
        return error_response(
            ServiceError(
                "InternalFailure",
                f"The sandbox failed in {label}; the reason is in {emulator.config.daemon_log}.",
                500,
            )
        )
    return json_response(answer)
