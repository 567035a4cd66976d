"""Assumes roles as AWS services do, and calls IAM as a service."""

from __future__ import annotations

import re
import time
from datetime import UTC, datetime
from typing import Any

from xacct_sandbox.credentials import Credentials
from xacct_sandbox.daemon.config import SandboxError
from xacct_sandbox.emulator.authorization.callers import role_of_arn, service_principal
from xacct_sandbox.emulator.authorization.checks import Check
from xacct_sandbox.emulator.authorization.judgement import judge
from xacct_sandbox.emulator.loader import Emulator, booted
from xacct_sandbox.emulator.requests import account_id, acting_in
from xacct_sandbox.emulator.state import SESSIONS
from xacct_sandbox.service_errors import ServiceError

SESSION_SECONDS = 3600
_KEYS = {
    "aws:sourcearn": "aws:SourceArn",
    "aws:sourceaccount": "aws:SourceAccount",
    "sts:externalid": "sts:ExternalId",
}


def assume_service_role(
    service: str,
    role_arn: str,
    *,
    source_arn: str,
    session_name: str,
    source_account: str | None = None,
    external_id: str | None = None,
) -> Credentials:
    """Assumes a role as an AWS service, if the role's trust policy allows it.

    Args:
        service: the service principal, e.g. ``glue.amazonaws.com``.
        role_arn: the role to assume.
        source_arn: the ``aws:SourceArn`` that the trust policy sees.
        session_name: name of the role session.
        source_account: the ``aws:SourceAccount``; by default the account in ``source_arn``.
        external_id: the ``sts:ExternalId`` of a service that sends one, and then no source, as
            Redshift ("Restricting access to IAM roles" in its management guide).

    Raises:
        ServiceError: AccessDenied, naming principal, action and resource.
    """
    emulator = booted()
    owner = source_account or source_arn.split(":")[4]
    role = role_of_arn(emulator, role_arn)
    keys = {"aws:sourcearn": source_arn, "aws:sourceaccount": owner}
    if external_id is not None:
        keys = {"sts:externalid": external_id}
    check = Check("sts:AssumeRole", role_arn)
    trusted = judge(emulator, service_principal(service), check, keys).decision.allowed
    if role is None or not trusted:
        raise ServiceError(
            "AccessDenied",
            f"Service: {service} is not authorized to perform: sts:AssumeRole on resource: "
            f"{role_arn} because the role does not exist or its trust policy does not allow it "
            f"({', '.join(f'{_KEYS[name]} {value}' for name, value in keys.items())})",
            403,
        )
    key, session = _new_session(emulator, role, service, session_name)
    emulator.sts.register_session(key, session)
    emulator.snapshots.mark([SESSIONS])
    return Credentials(
        access_key_id=key,
        secret_access_key=session["SecretAccessKey"],
        session_token=session["SessionToken"],
        expiration=datetime.fromtimestamp(session["Expiration"], UTC),
    )


def _new_session(
    emulator: Emulator, role: dict[str, Any], service: str, session_name: str
) -> tuple[str, dict[str, Any]]:
    """An access key, and ministack's record of the session that it belongs to."""
    account, name = role["Arn"].split(":")[4], role["RoleName"]
    return emulator.iam._gen_session_access_key(), {
        "Arn": f"arn:aws:sts::{account}:assumed-role/{name}/{session_name}",
        "UserId": f"{emulator.sts._role_id(role['Arn'])}:{session_name}",
        "SecretAccessKey": emulator.iam._gen_secret(),
        "SessionToken": emulator.iam._gen_session_token(),
        "Expiration": time.time() + SESSION_SECONDS,
        "AccountId": account,
        "PrincipalType": "AssumedRole",
        "SourcePrincipalArn": service,
        "SessionTags": [],
        "SessionPolicies": None,
    }


def role_arn(name_or_arn: str) -> str:
    """The ARN of a role in the current account, by its name or ARN (Glue accepts both)."""
    if name_or_arn.startswith("arn:"):
        return name_or_arn
    role = booted().iam._roles.get(name_or_arn.rpartition("/")[2])
    return role["Arn"] if role else f"arn:aws:iam::{account_id()}:role/{name_or_arn.lstrip('/')}"


def iam(account: str, action: str, **parameters: str) -> str:
    """Calls IAM as the service itself, to create users before anyone has a key.

    Args:
        account: the account to call in.
        action: the IAM operation.
        parameters: of the operation.

    Returns:
        The XML response.

    Raises:
        ServiceError: IAM refused the call.
    """
    emulator = booted()
    query = {name: [value] for name, value in {"Action": action, **parameters}.items()}
    with acting_in(account):
        status, _, body = _result(emulator.iam.handle_request("POST", "/", {}, b"", query))
    emulator.snapshots.mark(["iam"])
    text = body.decode() if isinstance(body, bytes) else str(body)
    if status >= 400:
        code = re.search(r"<Code>([^<]+)", text)
        message = re.search(r"<Message>([^<]*)", text)
        raise ServiceError(code[1] if code else "IAMError", message[1] if message else text, status)
    return text


def _result(coroutine: Any) -> Any:
    """The result of a coroutine that never suspends; ministack's IAM handler is one."""
    try:
        coroutine.send(None)
    except StopIteration as done:
        return done.value
    coroutine.close()
    raise SandboxError(
        "the IAM handler of this ministack version suspends, so it cannot be called synchronously"
    )
