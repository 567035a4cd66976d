"""Namespaces: the operations of the API."""

from __future__ import annotations

import uuid
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.redshift.api.control import Control
from xacct_sandbox.redshift.api.data_folders import DataFolders
from xacct_sandbox.redshift.api.serverless import admin_password
from xacct_sandbox.redshift.api.serverless.answers import listed, shown_namespace
from xacct_sandbox.redshift.api.serverless.checks import (
    Request,
    checked_name,
    invalid,
    refuse_options,
    role_arn,
)
from xacct_sandbox.redshift.api.serverless.credentials import (
    CredentialStore,
    new_password,
    user_of,
)
from xacct_sandbox.redshift.api.serverless.snapshots import Snapshots
from xacct_sandbox.redshift.api.serverless.state import (
    SET_ASIDE,
    Document,
    Publisher,
    all_tags,
    arn,
    find,
    namespace_in_use,
    namespaces,
    set_tags,
    timestamp,
    workgroups,
)
from xacct_sandbox.redshift.storage.postgres import DATABASE
from xacct_sandbox.service_errors import ServiceError

REDSHIFT = "redshift.amazonaws.com"


class Namespaces:
    """The operations on namespaces."""

    def __init__(
        self,
        control: Control,
        publisher: Publisher,
        credentials: CredentialStore,
        folders: DataFolders,
        snapshots: Snapshots,
    ) -> None:
        self._control = control
        self._publisher = publisher
        self._credentials = credentials
        self._folders = folders
        self._snapshots = snapshots

    def create(self, request: Request) -> dict[str, Any]:
        """CreateNamespace."""
        refuse_options(
            request, "adminPasswordSecretKmsKeyId", "redshiftIdcApplicationArn", "kmsKeyId"
        )
        name = checked_name(request.get("namespaceName"), "namespaceName")
        with self._publisher.lock:
            replaced = namespace_in_use() if emulator.is_replacing() else None
            if replaced is None or replaced["namespaceName"] == name:
                self._publisher.require_free("namespace", name)
            database = request.get("dbName") or DATABASE
            if database != DATABASE:
                raise invalid(
                    f"dbName {database!r}: the sandbox's only database is {DATABASE!r}; leave "
                    "dbName out"
                )
            roles = self._checked_roles(request.get("iamRoles"), request.get("defaultIamRoleArn"))
            admin, password, shown = admin_password.admin_of_new(request)
            identifier = str(uuid.uuid4())
            namespace_arn = arn("namespace", identifier)
            namespace: Document = {
                "adminUsername": admin,
                **shown,
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
            if replaced is not None:
                self._set_aside(replaced)
            try:
                self._control.set_user(admin, password, superuser=True)
                if not (request.get("adminUsername") or request.get("manageAdminPassword")):
                    self._make_creator_superuser()
            except Exception:
                self._bring_back()
                raise
            namespaces()[name] = namespace
            set_tags(namespace_arn, request.get("tags"))
            self._publisher.publish()
            return {"namespace": shown_namespace(namespace)}

    def get(self, request: Request) -> dict[str, Any]:
        """GetNamespace."""
        return {"namespace": shown_namespace(find("namespace", request))}

    def list_all(self, request: Request) -> dict[str, Any]:
        """ListNamespaces."""
        items = [shown_namespace(namespace) for namespace in namespaces().values()]
        return listed(request, "namespaces", items)

    def update(self, request: Request) -> dict[str, Any]:
        """UpdateNamespace."""
        refuse_options(
            request,
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
            admin = admin_password.changed_admin(namespace, request)
            if admin is not None:
                namespace["adminUsername"], password, shown = admin
                namespace.update(shown)
                self._control.set_user(namespace["adminUsername"], password, superuser=True)
            namespaces()[namespace["namespaceName"]] = namespace
            self._publisher.publish()
            return {"namespace": shown_namespace(namespace)}

    def delete(self, request: Request) -> dict[str, Any]:
        """DeleteNamespace: all data of the database is gone with it, as on AWS."""
        with self._publisher.lock:
            namespace = find("namespace", request)
            for workgroup in workgroups().values():
                if workgroup["namespaceName"] == namespace["namespaceName"]:
                    raise ServiceError(
                        "ConflictException",
                        f"Namespace {namespace['namespaceName']} still has workgroup "
                        f"{workgroup['workgroupName']}; delete that first.",
                    )
            admin_password.forget(dict(namespace))
            if "finalSnapshotName" in request or "finalSnapshotRetentionPeriod" in request:
                self._keep_data(namespace, request)
            else:
                self._drop_data(namespace)
            del namespaces()[namespace["namespaceName"]]
            all_tags().pop(namespace["namespaceArn"], None)
            self._bring_back()
            return {"namespace": {**shown_namespace(namespace), "status": "DELETING"}}

    def _make_creator_superuser(self) -> None:
        """Let the caller, as an IAM identity, be the admin.

        Management guide, "Getting started with IAM credentials for Amazon Redshift": without admin
        user name and password, the current IAM credentials are the admin's.
        """
        user = user_of(emulator.caller_arn())
        if user is not None:
            self._control.set_user(user, new_password(), superuser=True)

    def _set_aside(self, namespace: Document) -> None:
        """Keep the data of a namespace that is being replaced, and go on with an empty database."""
        self._folders.move_to(namespace["namespaceId"])
        self._credentials.clear()
        namespaces()[namespace["namespaceName"]] = {**namespace, SET_ASIDE: True}

    def _keep_data(self, namespace: Document, request: Request) -> None:
        name = self._snapshots.check_new(
            request.get("finalSnapshotName"), request.get("finalSnapshotRetentionPeriod")
        )
        folder = namespace["namespaceId"]
        if not namespace.get(SET_ASIDE):
            self._folders.move_to(folder)
            self._credentials.clear()
        self._snapshots.record(namespace, name, folder, self._folders.size(folder), {})

    def _drop_data(self, namespace: Document) -> None:
        if namespace.get(SET_ASIDE):
            self._folders.drop(namespace["namespaceId"])
            return
        self._control.drop_everything()
        self._control.clear_namespace()
        self._credentials.clear()

    def _bring_back(self) -> None:
        """The successor of a namespace that was set aside is gone: that one is in use again."""
        if namespace_in_use() is not None or not namespaces():
            return
        name, namespace = next(iter(namespaces().items()))
        self._folders.use(namespace["namespaceId"], keep=False)
        namespaces()[name] = {key: value for key, value in namespace.items() if key != SET_ASIDE}
        self._publisher.publish()

    def _checked_roles(self, roles: list[str] | None, default: str | None) -> list[str]:
        found = list(dict.fromkeys(role_arn(role) for role in roles or []))
        if default and default not in found:
            raise invalid(f"defaultIamRoleArn {default} is not one of iamRoles")
        for role in found:
            emulator.require_pass_role(role, REDSHIFT)
        return found
