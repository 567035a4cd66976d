# ruff: noqa: SLF001 -- reaching into the emulator is what this package is for
"""Whose an access key is, and whether an AWS service is behind it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xacct_sandbox.daemon.request_log import CALLER
from xacct_sandbox.emulator.loader import booted

_MAX_CHAIN = 5


def principal_of(headers: dict[str, str], query: Mapping[str, list[str]]) -> tuple[str, str]:
    """(ARN, origin) of whoever signed a request; ("", "caller") for a key nobody has.

    ``origin`` is the service whose session it is (``glue`` for ``glue.amazonaws.com``), also where
    that session assumed further roles; ``caller`` otherwise.
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
        before = sessions.get(session.get("SourceAccessKeyId", ""))
        if before is None:
            break
        session = before
    return CALLER
