"""Namespaces: the operations of the API."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.emulator.paging import page
from xacct_sandbox.redshift.api.control import Control
from xacct_sandbox.redshift.api.serverless.checks import (
    Request,
    check_admin,
    checked_name,
    invalid,
    refuse_options,
    role_arn,
)
from xacct_sandbox.redshift.api.serverless.credentials import CredentialStore, new_password
from xacct_sandbox.redshift.api.serverless.state import (
    Document,
    Publisher,
    all_tags,
    arn,
    find,
    namespaces,
    set_tags,
    timestamp,
    workgroups,
)
from xacct_sandbox.redshift.storage.postgres import DATABASE
from xacct_sandbox.service_errors import ServiceError

REDSHIFT = "redshift.amazonaws.com"
PAGE = 100


class Namespaces:
    """The operations on namespaces."""

    def __init__(
        self, control: Control, publisher: Publisher, credentials: CredentialStore
    ) -> None:
        self._control = control
        self._publisher = publisher
        self._credentials = credentials

    def create(self, request: Request) -> dict[str, Any]:
        """CreateNamespace."""
        refuse_options(
            request,
            "manageAdminPassword",
            "adminPasswordSecretKmsKeyId",
            "redshiftIdcApplicationArn",
            "kmsKeyId",
        )
        name = checked_name(request.get("namespaceName"), "namespaceName")
        with self._publisher.lock:
            self._publisher.require_free("namespace", name)
            database = request.get("dbName") or DATABASE
            if database != DATABASE:
                raise invalid(
                    f"dbName {database!r}: the sandbox's only database is {DATABASE!r}; leave "
                    "dbName out"
                )
            roles = self._checked_roles(request.get("iamRoles"), request.get("defaultIamRoleArn"))
            admin, password = request.get("adminUsername"), request.get("adminUserPassword")
            check_admin(admin, password)
            identifier = str(uuid.uuid4())
            username: str = admin or "admin"
            namespace_arn = arn("namespace", identifier)
            namespace: Document = {
                "adminUsername": username,
                "creationDate": timestamp(),
                "dbName": database,
                "defaultIamRoleArn": request.get("defaultIamRoleArn") or "",
                "iamRoles": roles,
                "kmsKeyId": "AWS_OWNED_KMS_KEY",
                "logExports": list(request.get("logExports") or []),
                "namespaceArn": namespace_arn,
                "namespaceId": identifier,
                "namespaceName": name,
                "status": "AVAILABLE",
            }
            self._control.set_user(username, password or new_password(), superuser=True)
            namespaces()[name] = namespace
            set_tags(namespace_arn, request.get("tags"))
            self._publisher.publish()
            return {"namespace": _shown(namespace)}

    def get(self, request: Request) -> dict[str, Any]:
        """GetNamespace."""
        return {"namespace": _shown(find("namespace", request))}

    def list_all(self, request: Request) -> dict[str, Any]:
        """ListNamespaces."""
        items = [_shown(namespace) for namespace in namespaces().values()]
        return listed(request, "namespaces", items)

    def update(self, request: Request) -> dict[str, Any]:
        """UpdateNamespace."""
        refuse_options(
            request,
            "manageAdminPassword",
            "adminPasswordSecretKmsKeyId",
            "kmsKeyId",
            "logDestinationType",
            "s3TableAction",
            "s3TableGranularity",
            "s3TableKmsKeyId",
            "s3TableNames",
        )
        with self._publisher.lock:
            namespace = dict(find("namespace", request))
            if "iamRoles" in request or "defaultIamRoleArn" in request:
                default = request.get("defaultIamRoleArn", namespace["defaultIamRoleArn"])
                namespace["iamRoles"] = self._checked_roles(
                    request.get("iamRoles", namespace["iamRoles"]), default
                )
                namespace["defaultIamRoleArn"] = default or ""
            if "logExports" in request:
                namespace["logExports"] = list(request["logExports"] or [])
            admin, password = request.get("adminUsername"), request.get("adminUserPassword")
            if admin or password:
                check_admin(admin or namespace["adminUsername"], password)
                if not password:
                    raise invalid("adminUsername can only be changed with adminUserPassword")
                namespace["adminUsername"] = admin or namespace["adminUsername"]
                self._control.set_user(namespace["adminUsername"], password, superuser=True)
            namespaces()[namespace["namespaceName"]] = namespace
            self._publisher.publish()
            return {"namespace": _shown(namespace)}

    def delete(self, request: Request) -> dict[str, Any]:
        """DeleteNamespace: all data of the database is gone with it, as on AWS."""
        refuse_options(request, "finalSnapshotName", "finalSnapshotRetentionPeriod")
        with self._publisher.lock:
            namespace = find("namespace", request)
            for workgroup in workgroups().values():
                if workgroup["namespaceName"] == namespace["namespaceName"]:
                    raise ServiceError(
                        "ConflictException",
                        f"Namespace {namespace['namespaceName']} still has workgroup "
                        f"{workgroup['workgroupName']}; delete that first.",
                    )
            self._control.drop_everything()
            self._control.clear_namespace()
            self._credentials.clear()
            del namespaces()[namespace["namespaceName"]]
            all_tags().pop(namespace["namespaceArn"], None)
            return {"namespace": {**_shown(namespace), "status": "DELETING"}}

    def _checked_roles(self, roles: list[str] | None, default: str | None) -> list[str]:
        found = list(dict.fromkeys(role_arn(role) for role in roles or []))
        if default and default not in found:
            raise invalid(f"defaultIamRoleArn {default} is not one of iamRoles")
        for role in found:
            emulator.require_pass_role(role, REDSHIFT)
        return found


def listed(request: Request, key: str, items: list[Document]) -> dict[str, Any]:
    """A page of items, as the API lists them under ``key``."""
    found, token = page(items, request, limit=PAGE, lower_camel=True, error="ValidationException")
    answer: dict[str, Any] = {key: found}
    if token:
        answer["nextToken"] = token
    return answer


def _shown(namespace: Mapping[str, Any]) -> dict[str, Any]:
    # AWS shows each role with its state on the namespace.
    roles = [f"IamRole(applyStatus=in-sync, iamRoleArn={role})" for role in namespace["iamRoles"]]
    return {**namespace, "iamRoles": roles}
