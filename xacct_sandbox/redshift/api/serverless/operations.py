"""The operations of the redshift-serverless API, and its resources for authorization.

One namespace with one workgroup exists at most; a second is refused by name. Shapes, limits and
errors are those of botocore's redshift-serverless model. What the sandbox does not do is refused.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.faults import daemon as planned_faults
from xacct_sandbox.redshift.api.control import Control
from xacct_sandbox.redshift.api.data_folders import DataFolders
from xacct_sandbox.redshift.api.serverless.checks import (
    Request,
    invalid,
    missing,
    refuse_options,
)
from xacct_sandbox.redshift.api.serverless.credentials import CredentialStore, database_user
from xacct_sandbox.redshift.api.serverless.namespaces import Namespaces
from xacct_sandbox.redshift.api.serverless.snapshots import Snapshots
from xacct_sandbox.redshift.api.serverless.state import (
    SET_ASIDE,
    Publisher,
    all_tags,
    arn,
    find,
    namespaces,
    set_tags,
    snapshots,
    tag_keys,
    workgroups,
)
from xacct_sandbox.redshift.api.serverless.workgroups import Workgroups

SHORT = "short_credentials"
"""The fault by which a password expires earlier than AWS would let it."""
MIN_CREDENTIALS_SECONDS, MAX_CREDENTIALS_SECONDS, DEFAULT_CREDENTIALS_SECONDS = 900, 3600, 900


class Serverless:
    """The API.

    Attributes:
        namespaces: The operations on namespaces.
        snapshots: The operations on snapshots.
        workgroups: The operations on workgroups.
        credentials: The temporary passwords of database users.
    """

    def __init__(self, config: SandboxConfig, control: Control, folders: DataFolders) -> None:
        self._config = config
        self._folders = folders
        self._publisher = Publisher(config, control)
        self.credentials = CredentialStore(control, self._publisher.lock)
        self.snapshots = Snapshots(folders, self._publisher, self.credentials)
        self.namespaces = Namespaces(
            control, self._publisher, self.credentials, folders, self.snapshots
        )
        self.workgroups = Workgroups(config, self._publisher)

    def recover_before_start(self) -> None:
        """Undo a move of data that was not recorded, because the sandbox was killed."""
        for account in (self._config.account_a, self._config.account_b):
            with emulator.acting_in(account):
                for namespace in namespaces().values():
                    if not namespace.get(SET_ASIDE):
                        self._folders.undo_move(namespace["namespaceId"])

    def publish_after_start(self) -> None:
        """Write the namespace to the database of a process that has just started."""
        self._publisher.publish_after_start()

    def operations(self) -> dict[str, Callable[[Request], dict[str, Any]]]:
        """The operations by name, for the emulator."""
        return {
            "CreateNamespace": self.namespaces.create,
            "GetNamespace": self.namespaces.get,
            "ListNamespaces": self.namespaces.list_all,
            "UpdateNamespace": self.namespaces.update,
            "DeleteNamespace": self.namespaces.delete,
            "CreateWorkgroup": self.workgroups.create,
            "GetWorkgroup": self.workgroups.get,
            "ListWorkgroups": self.workgroups.list_all,
            "UpdateWorkgroup": self.workgroups.update,
            "DeleteWorkgroup": self.workgroups.delete,
            "CreateSnapshot": self.snapshots.create,
            "GetSnapshot": self.snapshots.get,
            "ListSnapshots": self.snapshots.list_all,
            "DeleteSnapshot": self.snapshots.delete,
            "RestoreFromSnapshot": self.snapshots.restore,
            "GetCredentials": self.get_credentials,
            "TagResource": self.tag_resource,
            "UntagResource": self.untag_resource,
            "ListTagsForResource": self.list_tags,
        }

    def checks(self, operation: str, request: Request) -> list[emulator.Check]:
        """What the caller of an operation must be allowed.

        Resource types and keys are those of the service authorization reference.
        """
        if operation not in self.operations():
            return []
        action = f"redshift-serverless:{operation}"
        if operation.startswith("List") and operation != "ListTagsForResource":
            return [emulator.Check(action, "*")]
        if operation in ("TagResource", "UntagResource", "ListTagsForResource"):
            resource = request.get("resourceArn") or "*"
        elif operation.endswith("Snapshot"):
            resource = self.snapshots.arn_of(request)
        elif operation.endswith("Namespace"):
            namespace = namespaces().get(request.get("namespaceName") or "")
            resource = namespace["namespaceArn"] if namespace else arn("namespace", "*")
        else:
            resource = self.workgroups.arn_of(request.get("workgroupName") or "")
        keys = tag_keys(resource)
        if operation == "UntagResource":
            keys["aws:tagkeys"] = list(request.get("tagKeys") or ())
        return [emulator.Check(action, resource, keys)]

    def get_credentials(self, request: Request) -> dict[str, Any]:
        """GetCredentials: the caller's IAM identity becomes a database user."""
        refuse_options(request, "customDomainName")
        if not request.get("workgroupName"):
            raise invalid("workgroupName or customDomainName must be given")
        workgroup = find("workgroup", request)
        seconds = request.get("durationSeconds", DEFAULT_CREDENTIALS_SECONDS)
        if not MIN_CREDENTIALS_SECONDS <= seconds <= MAX_CREDENTIALS_SECONDS:
            raise invalid(
                f"durationSeconds {seconds} is not in "
                f"{MIN_CREDENTIALS_SECONDS}..{MAX_CREDENTIALS_SECONDS}"
            )
        namespace = namespaces()[workgroup["namespaceName"]]
        if request.get("dbName") not in (None, namespace["dbName"]):
            raise invalid(f"dbName {request['dbName']!r} does not exist in this namespace")
        user = database_user(emulator.caller_arn())
        short = planned_faults.inject("redshift-serverless", "GetCredentials", user, SHORT)
        found = self.credentials.for_user(user, short.seconds if short else seconds)
        return {
            "dbUser": found.user,
            "dbPassword": found.password,
            "expiration": found.expiration.timestamp(),
            "nextRefreshTime": found.next_refresh.timestamp(),
        }

    # -- tags ------------------------------------------------------------------------------

    def tag_resource(self, request: Request) -> dict[str, Any]:
        """TagResource."""
        resource = _tagged_arn(request)
        set_tags(resource, [*all_tags().get(resource, []), *request["tags"]])
        return {}

    def untag_resource(self, request: Request) -> dict[str, Any]:
        """UntagResource."""
        resource = _tagged_arn(request)
        keys = set(request["tagKeys"])
        kept = [tag for tag in all_tags().get(resource, []) if tag["key"] not in keys]
        all_tags()[resource] = kept
        return {}

    def list_tags(self, request: Request) -> dict[str, Any]:
        """ListTagsForResource."""
        return {"tags": all_tags().get(_tagged_arn(request), [])}


def _tagged_arn(request: Request) -> str:
    resource: str = request["resourceArn"]
    known = [entry["namespaceArn"] for entry in namespaces().values()]
    known += [entry["workgroupArn"] for entry in workgroups().values()]
    known += [entry["snapshotArn"] for entry in snapshots().values()]
    if resource not in known:
        raise missing("resource", resource)
    return resource
