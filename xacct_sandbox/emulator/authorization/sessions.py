"""What AssumeRole requires beyond permissions, and what a session keeps of its request."""

from __future__ import annotations

import re
from typing import Any

from xacct_sandbox.emulator.authorization.callers import Principal, role_of_arn
from xacct_sandbox.emulator.authorization.calls import Call, Refused
from xacct_sandbox.emulator.loader import Emulator

_CHAINED_SECONDS = 3600
_SHORTEST_SECONDS = 900
_SOURCE_IDENTITY = re.compile(r"[\w+=,.@-]{2,64}", re.ASCII)


def check_session_request(emulator: Emulator, call: Call, principal: Principal) -> None:
    """Checks duration and source identity of an AssumeRole (STS API reference, ``AssumeRole``).

    Raises:
        Refused: one of them is not possible.
    """
    if call.operation != "AssumeRole":
        return
    role = role_of_arn(emulator, str(call.parameters.get("RoleArn", ""))) or {}
    text = str(call.parameters.get("DurationSeconds") or _CHAINED_SECONDS)
    if not text.isdecimal() or int(text) < _SHORTEST_SECONDS:
        raise _invalid(
            f"1 validation error detected: Value '{text}' at 'durationSeconds' failed to satisfy "
            f"constraint: Member must have value greater than or equal to {_SHORTEST_SECONDS}"
        )
    if principal.caller.role_arn and int(text) > _CHAINED_SECONDS:
        raise _invalid(
            "The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by "
            "role chaining"
        )
    if int(text) > int(role.get("MaxSessionDuration") or _CHAINED_SECONDS):
        raise _invalid(
            "The requested DurationSeconds exceeds the MaxSessionDuration set for this role."
        )
    identity = str(call.parameters.get("SourceIdentity", ""))
    inherited = principal.keys.get("aws:sourceidentity")
    if identity and (not _SOURCE_IDENTITY.fullmatch(identity) or identity.startswith("aws:")):
        raise _invalid(f"SourceIdentity {identity!r} is not valid")
    if identity and inherited and identity != inherited:
        raise Refused(
            "sts",
            "AccessDenied",
            "The source identity of a session cannot be changed by role chaining.",
            403,
        )


def _invalid(message: str) -> Refused:
    return Refused("sts", "ValidationError", message)


def patch_sessions(emulator: Emulator, judged_call: Any) -> None:
    """Keeps the source identity of a request with its session; role chaining passes it on."""
    sts = emulator.sts
    register = sts.register_session

    def register_session(access_key: str, session: dict[str, Any]) -> None:
        call: Call | None = judged_call()
        source = sts._sessions.get(session.get("SourceAccessKeyId", "")) or {}
        identity = source.get("SourceIdentity")
        if call is not None and call.operation == "AssumeRole":
            identity = call.parameters.get("SourceIdentity") or identity
        if identity:
            session["SourceIdentity"] = identity
        register(access_key, session)

    sts.register_session = register_session
