"""Identifies the principal behind an access key, and the AWS service behind a session."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from xacct_sandbox.daemon.request_log import CALLER
from xacct_sandbox.emulator.loader import Response, booted

_MAX_CHAIN = 5
"""Role chaining is followed this far."""


def principal_of(headers: dict[str, str], query: Mapping[str, list[str]]) -> tuple[str, str]:
    """Identifies who signed a request.

    Returns:
        The ARN of the principal, "" for an unknown key; and the origin: ``caller``, or the service
        (``glue``, ``redshift``) that assumed the role or the first role of its chain.
    """
    emulator = booted()
    access_key_id = emulator.router.extract_access_key_id(headers, query)
    sessions: dict[str, Any] = emulator.sts._sessions
    session = sessions.get(access_key_id)
    if session is not None:
        return str(session["Arn"]), _origin(sessions, session)
    account = emulator.evaluator.find_iam_access_key_account(access_key_id)
    if not account:
        return "", CALLER
    credential = emulator.evaluator.resolve_credential(access_key_id, account)
    return str(getattr(credential, "principal_arn", "")), CALLER


def _origin(sessions: dict[str, Any], session: dict[str, Any]) -> str:
    for _ in range(_MAX_CHAIN):
        source = str(session.get("SourcePrincipalArn", ""))
        if source.endswith(".amazonaws.com"):
            return source.partition(".")[0].partition("-")[0]
        previous = sessions.get(session.get("SourceAccessKeyId", ""))
        if previous is None:
            break
        session = previous
    return CALLER


def refuse_root_key(
    method: str, path: str, headers: dict[str, str], query: dict[str, list[str]]
) -> Response | None:
    """Refuses a request with an access key that ministack takes for the root of an account.

    Such keys (an account number, "test") need no valid signature, so a request that is sent with
    leftover settings would pass every policy.

    Returns:
        The error response, or None for any other key.
    """
    emulator = booted()
    key = emulator.router.extract_access_key_id(headers, query)
    if not key or not emulator.evaluator.is_root_access_key(key):
        return None
    service = emulator.router.detect_service(method, path, headers, query)
    response: Response = emulator.actions.access_denied_response(
        service,
        "",
        "",
        str(uuid.uuid4()),
        error_code="UnrecognizedClientException",
        headers=headers,
        message="The security token included in the request is invalid.",
    )
    return response
