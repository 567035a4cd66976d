"""Permission checks inside an operation, for what it needs beyond its own IAM action."""

from __future__ import annotations

from xacct_sandbox.emulator.iam_patches import not_authorized
from xacct_sandbox.emulator.loader import as_service, booted, caller_key
from xacct_sandbox.emulator.requests import account_id, caller_arn, region
from xacct_sandbox.service_errors import ServiceError


def require_pass_role(role_arn: str, service: str) -> None:
    """Checks that the caller may pass a role to a service (iam:PassRole).

    Does nothing if the service itself calls.

    Args:
        role_arn: the role.
        service: the service principal, for the condition iam:PassedToService.

    Raises:
        ServiceError: AccessDeniedException, naming principal, action and resource.
    """
    require_permission("iam:PassRole", role_arn, {"iam:PassedToService": service})


def require_permission(
    action: str, resource_arn: str, context: dict[str, str] | None = None
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
    denied = emulator.evaluator.enforce(
        key,
        action,
        action.partition(":")[0],
        region(),
        resource_arn=resource_arn,
        service_context=context,
    )
    if denied:
        explicit_deny = getattr(denied, "decision", "") == "Deny"
        raise ServiceError(
            "AccessDeniedException",
            not_authorized(caller_arn(), action, resource_arn, explicit_deny=explicit_deny),
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
    require_permission("secretsmanager:GetSecretValue", arn)
    text = emulator.secrets.resolve_secret_string(secret_id) if secret else None
    if text is None:
        raise ServiceError(
            "ResourceNotFoundException", "Secrets Manager can't find the specified secret."
        )
    return arn, text


def _secret_arn(secret_id: str) -> str:
    if secret_id.startswith("arn:"):
        return secret_id
    return f"arn:aws:secretsmanager:{region()}:{account_id()}:secret:{secret_id}"
