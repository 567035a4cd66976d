"""Permission checks inside an operation, for what it needs beyond its own IAM action."""

from __future__ import annotations

from collections.abc import Mapping

from xacct_sandbox.emulator.authorization.callers import Principal, principal_of_key
from xacct_sandbox.emulator.authorization.calls import Refused
from xacct_sandbox.emulator.authorization.checks import Check
from xacct_sandbox.emulator.authorization.conditions import Values
from xacct_sandbox.emulator.authorization.judgement import judge
from xacct_sandbox.emulator.authorization.key_checks import secret_uses
from xacct_sandbox.emulator.authorization.messages import denial
from xacct_sandbox.emulator.authorization.resources import secret_value_keys
from xacct_sandbox.emulator.loader import as_service, booted, caller_key
from xacct_sandbox.emulator.requests import account_id, region
from xacct_sandbox.service_errors import ServiceError


def require_pass_role(role_arn: str, service: str, resource_arn: str = "") -> None:
    """Checks that the caller may pass a role to a service (iam:PassRole).

    Does nothing if the service itself calls.

    Args:
        role_arn: the role.
        service: the service principal, for the condition iam:PassedToService.
        resource_arn: what gets the role, for the condition iam:AssociatedResourceArn; "" if its
            service gives no such key.

    Raises:
        ServiceError: AccessDeniedException, naming principal, action and resource.
    """
    context: dict[str, Values] = {"iam:PassedToService": service}
    if resource_arn:
        context["iam:AssociatedResourceArn"] = resource_arn
    require_permission("iam:PassRole", role_arn, context)


def require_permission(
    action: str, resource_arn: str, context: Mapping[str, Values] | None = None
) -> None:
    """Checks that the caller has a permission.

    Does nothing if the service itself calls.

    Args:
        action: the IAM action.
        resource_arn: the resource.
        context: condition keys and their values.

    Raises:
        ServiceError: AccessDeniedException, naming principal, action and resource.
    """
    emulator = booted()
    key = caller_key.get()
    if as_service.get() or not key:
        return
    principal = principal_of_key(emulator, key)
    if not isinstance(principal, Principal):
        raise ServiceError(principal.code, principal.message, 403)
    keys = {name.lower(): value for name, value in (context or {}).items()}
    verdict = judge(emulator, principal, Check(action, resource_arn, keys))
    if not verdict.decision.allowed:
        raise ServiceError(
            "AccessDeniedException",
            denial(action.partition(":")[0], principal.caller.arn, verdict, foreign=False),
        )


def secret_of_caller(secret_id: str) -> tuple[str, str]:
    """Reads a secret with the permissions of the caller.

    Args:
        secret_id: name or ARN of a secret in the account and region of the request.

    Returns:
        Its ARN and its current SecretString.

    Raises:
        ServiceError: AccessDeniedException or ResourceNotFoundException.
    """
    emulator = booted()
    _, secret = emulator.secrets._resolve(secret_id)
    arn = secret["ARN"] if secret else _secret_arn(secret_id)
    require_permission("secretsmanager:GetSecretValue", arn, secret_value_keys(arn))
    _require_key_of(arn)
    text = emulator.secrets.resolve_secret_string(secret_id) if secret else None
    if text is None:
        raise ServiceError(
            "ResourceNotFoundException", "Secrets Manager can't find the specified secret."
        )
    return arn, text


def _require_key_of(secret_arn: str) -> None:
    """Checks that the caller may use the key of a secret, and that it can be used."""
    try:
        uses = secret_uses(booted(), "GetSecretValue", secret_arn, account_id())
    except Refused as refused:
        raise ServiceError(refused.code, refused.message) from refused
    for use in uses:
        try:
            require_permission(use.action, use.resource, use.keys)
        except ServiceError as denied:
            raise ServiceError(denied.code, "Access to KMS is not allowed") from denied


def _secret_arn(secret_id: str) -> str:
    if secret_id.startswith("arn:"):
        return secret_id
    return f"arn:aws:secretsmanager:{region()}:{account_id()}:secret:{secret_id}"
