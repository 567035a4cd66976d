"""The password of a namespace's admin, that Redshift keeps in a secret (ManageAdminPassword).

Redshift management guide, "Managing Amazon Redshift admin passwords using AWS Secrets Manager":
Redshift generates the password, and deletes the secret with the namespace. The sandbox does not
rotate it.
"""

from __future__ import annotations

import json
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.redshift.api.serverless.checks import Request, check_admin, invalid
from xacct_sandbox.redshift.api.serverless.credentials import new_password

SECRET_ARN = "adminPasswordSecretArn"  # noqa: S105 -- the name of a member
DEFAULT_ADMIN = "admin"


def admin_of_new(request: Request) -> tuple[str, str, dict[str, Any]]:
    """The admin of a new namespace.

    Returns:
        User, password, and what the namespace shows of them.

    Raises:
        ServiceError: the request contradicts itself, or the caller may make no secret.
    """
    user, password = request.get("adminUsername"), request.get("adminUserPassword")
    if not request.get("manageAdminPassword"):
        check_admin(user, password)
        return user or DEFAULT_ADMIN, password or new_password(), {}
    _refuse_password(password)
    password, user = new_password(), user or DEFAULT_ADMIN
    check_admin(user, password)
    return user, password, _keep(str(request["namespaceName"]), user, password)


def changed_admin(
    namespace: dict[str, Any], request: Request
) -> tuple[str, str, dict[str, Any]] | None:
    """The admin after an update; None if it stays as it is.

    Returns:
        User, password, and what the namespace shows of them.

    Raises:
        ServiceError: the request contradicts itself, or the caller may make no secret.
    """
    user = request.get("adminUsername") or namespace["adminUsername"]
    password = request.get("adminUserPassword")
    manage = request.get("manageAdminPassword", SECRET_ARN in namespace)
    if manage:
        _refuse_password(password)
        if SECRET_ARN in namespace:
            if user != namespace["adminUsername"]:
                raise invalid("adminUsername: the sandbox cannot change it while it is managed")
            return None
        password = new_password()
        return user, password, _keep(namespace["namespaceName"], user, password)
    if not password:
        if user != namespace["adminUsername"]:
            raise invalid("adminUsername can only be changed with adminUserPassword")
        if SECRET_ARN in namespace:
            raise invalid("manageAdminPassword false needs an adminUserPassword")
        return None
    check_admin(user, password)
    forget(namespace)
    return user, password, {}


def forget(namespace: dict[str, Any]) -> None:
    """Delete the secret of a managed password, if there is one."""
    arn = namespace.pop(SECRET_ARN, None)
    if arn:
        emulator.delete_service_secret(arn)


def _keep(namespace: str, user: str, password: str) -> dict[str, Any]:
    arn = emulator.create_service_secret(
        f"redshift!{namespace}-{user}",
        json.dumps({"username": user, "password": password}),
        f"The admin password of namespace {namespace}; managed by Redshift.",
    )
    return {SECRET_ARN: arn}


def _refuse_password(password: str | None) -> None:
    if password:
        raise invalid("adminUserPassword cannot be given if manageAdminPassword is true")
