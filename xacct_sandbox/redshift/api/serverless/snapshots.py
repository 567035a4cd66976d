"""Snapshots: the operations of the API. A snapshot holds all data of the namespace."""

from __future__ import annotations

import re
import uuid
from datetime import UTC, datetime
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.redshift.api.data_folders import DataFolders
from xacct_sandbox.redshift.api.serverless.answers import listed, shown_namespace
from xacct_sandbox.redshift.api.serverless.checks import Request, invalid, missing, refuse_options
from xacct_sandbox.redshift.api.serverless.credentials import CredentialStore
from xacct_sandbox.redshift.api.serverless.state import (
    SET_ASIDE,
    Document,
    Publisher,
    all_tags,
    arn,
    find,
    namespaces,
    set_tags,
    snapshots,
)
from xacct_sandbox.service_errors import ServiceError

_NAME = re.compile(r"[a-z][a-z0-9]*(-[a-z0-9]+)*")
_FOREVER = -1


class Snapshots:
    """The operations on snapshots."""

    def __init__(
        self, folders: DataFolders, publisher: Publisher, credentials: CredentialStore
    ) -> None:
        self._folders = folders
        self._publisher = publisher
        self._credentials = credentials

    def create(self, request: Request) -> dict[str, Any]:
        """CreateSnapshot. The sandbox stops its database for it, so open sessions end."""
        with self._publisher.lock:
            namespace = find("namespace", request)
            name = self.check_new(request.get("snapshotName"), request.get("retentionPeriod"))
            identifier = str(uuid.uuid4())
            if namespace.get(SET_ASIDE):
                raise invalid(
                    f"namespace {namespace['namespaceName']} is being replaced; take the snapshot "
                    "before or after that"
                )
            size = self._folders.copy_to(identifier)
            self._publisher.publish()
            return {"snapshot": self.record(namespace, name, identifier, size, request)}

    def get(self, request: Request) -> dict[str, Any]:
        """GetSnapshot."""
        return {"snapshot": _shown(self._find(request))}

    def list_all(self, request: Request) -> dict[str, Any]:
        """ListSnapshots."""
        refuse_options(request, "startTime", "endTime")
        found = [
            _shown(snapshot)
            for snapshot in snapshots().values()
            if request.get("namespaceName") in (None, snapshot["namespaceName"])
            and request.get("namespaceArn") in (None, snapshot["namespaceArn"])
        ]
        return listed(request, "snapshots", found)

    def delete(self, request: Request) -> dict[str, Any]:
        """DeleteSnapshot."""
        with self._publisher.lock:
            snapshot = self._find(request)
            del snapshots()[snapshot["snapshotName"]]
            all_tags().pop(snapshot["snapshotArn"], None)
            self._folders.drop(snapshot["folder"])
            return {"snapshot": {**_shown(snapshot), "status": "DELETED"}}

    def restore(self, request: Request) -> dict[str, Any]:
        """RestoreFromSnapshot: the namespace's data is replaced.

        "Amazon Redshift uses the admin credentials the namespace or cluster had at the time the
        snapshot was taken" (API reference).
        """
        refuse_options(
            request, "manageAdminPassword", "adminPasswordSecretKmsKeyId", "maintainIntegration"
        )
        with self._publisher.lock:
            snapshot = self._find(request)
            namespace = dict(find("namespace", request))
            workgroup = find("workgroup", request)
            if workgroup["namespaceName"] != namespace["namespaceName"]:
                raise invalid(
                    f"workgroup {workgroup['workgroupName']} is not that of namespace "
                    f"{namespace['namespaceName']}"
                )
            self._folders.use(snapshot["folder"], keep=True)
            self._credentials.clear()
            namespace["adminUsername"] = snapshot["adminUsername"]
            namespaces()[namespace["namespaceName"]] = namespace
            self._publisher.publish()
            return {
                "namespace": shown_namespace(namespace),
                "snapshotName": snapshot["snapshotName"],
                "ownerAccount": emulator.account_id(),
            }

    def check_new(self, name: str | None, retention: int | None) -> str:
        """The name of a snapshot that is to be taken.

        Raises:
            ServiceError: It is not a name, it is taken, or the retention is not allowed.
        """
        if not name or not _NAME.fullmatch(name) or len(name) > 255:
            raise invalid(
                f"snapshotName {name!r}: 1 to 255 of a-z, 0-9 and single -, a letter first"
            )
        if name in snapshots():
            raise ServiceError("ConflictException", f"Snapshot {name} already exists.")
        if retention not in (None, _FOREVER):
            raise invalid(
                f"retentionPeriod {retention}: the sandbox keeps snapshots until they are deleted; "
                "leave it out"
            )
        return name

    def record(
        self, namespace: Document, name: str, folder: str, size: int, request: Request
    ) -> dict[str, Any]:
        """Record a snapshot whose data is in a folder. Returns how the API shows it."""
        snapshot: Document = {
            "snapshotName": name,
            "snapshotArn": arn("snapshot", folder),
            "namespaceName": namespace["namespaceName"],
            "namespaceArn": namespace["namespaceArn"],
            "adminUsername": namespace["adminUsername"],
            "ownerAccount": emulator.account_id(),
            "kmsKeyId": namespace["kmsKeyId"],
            "snapshotCreateTime": datetime.now(UTC).timestamp(),
            "snapshotRetentionPeriod": _FOREVER,
            "status": "AVAILABLE",
            "totalBackupSizeInMegaBytes": round(size / (1 << 20), 3),
            "folder": folder,
        }
        snapshots()[name] = snapshot
        set_tags(snapshot["snapshotArn"], request.get("tags"))
        return _shown(snapshot)

    def arn_of(self, request: Request) -> str:
        """The ARN of the snapshot that a request names; if there is none, a pattern for all."""
        found = snapshots().get(request.get("snapshotName") or "")
        given: str = request.get("snapshotArn") or ""
        return given or (found["snapshotArn"] if found else arn("snapshot", "*"))

    def _find(self, request: Request) -> Document:
        if request.get("ownerAccount") not in (None, emulator.account_id()):
            raise invalid("ownerAccount: the sandbox has only the caller's own snapshots")
        name, wanted = request.get("snapshotName"), request.get("snapshotArn")
        if (name is None) == (wanted is None):
            raise invalid("give either snapshotName or snapshotArn")
        for snapshot in snapshots().values():
            if name == snapshot["snapshotName"] or wanted == snapshot["snapshotArn"]:
                return snapshot
        raise missing("snapshot", name or wanted)


def _shown(snapshot: Document) -> dict[str, Any]:
    return {key: value for key, value in snapshot.items() if key != "folder"}
