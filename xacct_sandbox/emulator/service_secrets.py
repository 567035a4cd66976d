"""Secrets that a service makes for itself, as Redshift does for a managed admin password."""

from __future__ import annotations

from xacct_sandbox.emulator.loader import booted
from xacct_sandbox.emulator.permissions import require_permission
from xacct_sandbox.emulator.requests import account_id, region
from xacct_sandbox.service_errors import ServiceError


def create_service_secret(name: str, text: str, description: str) -> str:
    """Makes a secret with the permissions of the caller.

    Returns:
        Its ARN.

    Raises:
        ServiceError: AccessDeniedException, or a secret of that name exists.
    """
    arn = f"arn:aws:secretsmanager:{region()}:{account_id()}:secret:{name}"
    for action in ("CreateSecret", "TagResource"):
        require_permission(f"secretsmanager:{action}", arn)
    created = booted().secrets.create_secret_in_process(name, text, description)
    if created is None:
        raise ServiceError("ConflictException", f"A secret {name} exists already.")
    return str(created)


def delete_service_secret(arn: str) -> None:
    """Deletes a secret at once, with the permissions of the caller."""
    require_permission("secretsmanager:DeleteSecret", arn)
    booted().secrets.delete_secret_in_process(arn)
