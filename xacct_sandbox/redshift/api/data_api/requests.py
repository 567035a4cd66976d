"""The requests of the Data API: their checks, who sent them, and the errors of the API.

Limits and texts are those of the Data API guide and of botocore's redshift-data model.
"""

from __future__ import annotations

import hashlib
import json
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.redshift.api.data_api.parameters import (
    ParameterError,
    check_parameters,
    check_references,
)
from xacct_sandbox.service_errors import ServiceError

Request = dict[str, Any]

MAX_SQL_BYTES = 100 * 1024
MAX_TOKEN_LENGTH = 64
MAX_WAIT_SECONDS = 30

_NOT_IN_FINGERPRINT = {"ClientToken", "WaitTimeSeconds"}


def invalid(message: str) -> ServiceError:
    return ServiceError("ValidationException", message)


def not_found(message: str) -> ServiceError:
    return ServiceError("ResourceNotFoundException", message)


def caller_identity() -> tuple[str, str]:
    """The ARNs of the caller: of its role or user, and of its session."""
    arn = emulator.caller_arn()
    kind, _, name = arn.split(":", 5)[5].partition("/")
    if kind == "assumed-role":
        return arn[: len(arn) - len(name)] + name.partition("/")[0], arn
    return arn, arn


def fingerprint(request: Request, is_batch: bool) -> str:
    """A digest of what a request asks for. Requests with the same ClientToken must share it."""
    asked = {key: value for key, value in request.items() if key not in _NOT_IN_FINGERPRINT}
    text = json.dumps([is_batch, asked], sort_keys=True)
    return hashlib.sha256(text.encode()).hexdigest()


def wait_seconds(request: Request) -> float:
    """WaitTimeSeconds of a request; 0 without it."""
    wait = request.get("WaitTimeSeconds")
    if wait is None:
        return 0.0
    if not isinstance(wait, int) or not 1 <= wait <= MAX_WAIT_SECONDS:
        raise invalid(f"WaitTimeSeconds {wait!r} is not in 1..{MAX_WAIT_SECONDS}")
    return float(wait)


def refuse_unsupported(request: Request) -> None:
    if request.get("ResultFormat") not in (None, "JSON"):
        raise invalid("ResultFormat CSV is not supported by the sandbox; use JSON")
    for option, reason in (
        ("ClusterIdentifier", "the sandbox has Redshift Serverless only; use WorkgroupName"),
        ("DbUser", "it belongs to clusters; use SecretArn, or the caller's IAM identity"),
        ("SessionKeepAliveSeconds", "sessions are not supported by the sandbox"),
        ("SessionId", "sessions are not supported by the sandbox"),
        ("WithEvent", "EventBridge events are not supported by the sandbox"),
    ):
        if request.get(option):
            raise invalid(f"{option}: {reason}")


def check_statements(request: Request, sqls: list[str]) -> list[dict[str, str]]:
    """Check the SQL texts of a request and its parameters.

    Returns:
        The parameters.

    Raises:
        ServiceError: A text is too long, or the parameters do not fit the texts.
    """
    for sql in sqls:
        if len(sql.encode()) > MAX_SQL_BYTES:
            raise invalid("Cannot process query string larger than 100kB")
    parameters: list[dict[str, str]] = request.get("Parameters") or []
    try:
        values = check_parameters(parameters)
        if values:
            check_references(sqls, values)
    except ParameterError as problem:
        raise invalid(str(problem)) from problem
    return parameters


def read_secret(secret_id: str, text: str) -> tuple[str, str]:
    """The user name and the password in a secret.

    Raises:
        ServiceError: It does not have them.
    """
    try:
        document = json.loads(text)
        return str(document["username"]), str(document["password"])
    except (ValueError, TypeError, KeyError) as problem:
        raise invalid(
            f"Secret {secret_id} does not have the JSON members username and password, which the "
            "Data API needs"
        ) from problem
