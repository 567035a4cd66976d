"""The namespace and the workgroup as the emulator keeps them, and as the database knows them.

There is at most one of each in use. While a stack's update replaces the namespace there are two:
the old one is set aside, with its data, until it is deleted or its successor is. The emulator's
state is kept per account and region and outlives the process; passwords are not part of it.
"""

from __future__ import annotations

import threading
from collections.abc import MutableMapping
from datetime import UTC, datetime
from typing import Any, Literal

from xacct_sandbox import emulator
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.redshift.api.control import Control
from xacct_sandbox.redshift.api.serverless.checks import Request, invalid, missing
from xacct_sandbox.service_errors import ServiceError

SET_ASIDE = "setAside"
"""The member of a namespace that is being replaced: its data is not in the database."""

Document = dict[str, Any]
Tags = list[dict[str, str]]


def namespaces() -> MutableMapping[str, Document]:
    """The namespaces of the caller's account and region, by name."""
    found: MutableMapping[str, Document] = emulator.scoped_state("redshift-serverless-namespaces")
    return found


def workgroups() -> MutableMapping[str, Document]:
    """The workgroups of the caller's account and region, by name."""
    found: MutableMapping[str, Document] = emulator.scoped_state("redshift-serverless-workgroups")
    return found


def snapshots() -> MutableMapping[str, Document]:
    """The snapshots of the caller's account and region, by name."""
    found: MutableMapping[str, Document] = emulator.scoped_state("redshift-serverless-snapshots")
    return found


def namespace_in_use() -> Document | None:
    """The namespace whose data is in the database."""
    return next((found for found in namespaces().values() if not found.get(SET_ASIDE)), None)


def workgroup_in_use() -> Document | None:
    """The workgroup of the namespace in use."""
    namespace = namespace_in_use()
    name = namespace["namespaceName"] if namespace else None
    return next((w for w in workgroups().values() if w["namespaceName"] == name), None)


def all_tags() -> MutableMapping[str, Tags]:
    """The tags of the caller's account and region, by ARN."""
    found: MutableMapping[str, Tags] = emulator.scoped_state("redshift-serverless-tags")
    return found


def arn(kind: str, identifier: str) -> str:
    """The ARN of a namespace or workgroup, by its ID."""
    return (
        f"arn:aws:redshift-serverless:{emulator.region()}:{emulator.account_id()}"
        f":{kind}/{identifier}"
    )


def set_tags(resource_arn: str, tags: Tags | None) -> None:
    """Replace the tags of a resource. Of tags with the same key, the last one counts."""
    by_key = {tag["key"]: tag["value"] for tag in tags or []}
    all_tags()[resource_arn] = [{"key": key, "value": value} for key, value in by_key.items()]


def tag_keys(resource_arn: str) -> dict[str, Any]:
    """The condition keys ``aws:ResourceTag/...`` of a resource, in lower case."""
    tags = all_tags().get(resource_arn, [])
    return {f"aws:resourcetag/{tag['key']}".lower(): tag["value"] for tag in tags}


def timestamp() -> str:
    """The time as the API writes it."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def find(kind: Literal["namespace", "workgroup"], request: Request) -> Document:
    """The namespace or workgroup that a request names.

    Raises:
        ServiceError: There is none.
    """
    documents = namespaces() if kind == "namespace" else workgroups()
    name = request.get(f"{kind}Name")
    found = documents.get(name or "")
    if found is None:
        raise missing(kind, name)
    return found


class Publisher:
    """Tells the Redshift process which namespace it is.

    Attributes:
        lock: Held while the state changes.
    """

    def __init__(self, config: SandboxConfig, control: Control) -> None:
        self.lock = threading.RLock()
        self._config = config
        self._control = control

    def publish(self) -> None:
        """Write the current namespace to the database."""
        namespace = namespace_in_use()
        if namespace is None:
            self._control.clear_namespace()
            return
        workgroup = workgroup_in_use()
        self._control.set_namespace(
            {
                "account_id": emulator.account_id(),
                "region": emulator.region(),
                "namespace_id": namespace["namespaceId"],
                "namespace_name": namespace["namespaceName"],
                "workgroup_name": workgroup["workgroupName"] if workgroup else None,
                "admin_user": namespace["adminUsername"],
                "iam_roles": ",".join(role for role in namespace["iamRoles"]),
                "default_iam_role": namespace["defaultIamRoleArn"] or None,
                "status": "available" if workgroup else "paused",
            }
        )

    def publish_after_start(self) -> None:
        """Write the namespace to the database of a process that has just started."""
        with self.lock:
            for account in (self._config.account_a, self._config.account_b):
                with emulator.acting_in(account):
                    if namespaces():
                        self.publish()
                        return
            self._control.clear_namespace()

    def require_free(self, kind: str, name: str) -> None:
        """Check that a namespace or workgroup can be created.

        Raises:
            ServiceError: There is one already.
        """
        present = namespaces() if kind == "namespace" else workgroups()
        if name in present:
            raise ServiceError("ConflictException", f"{kind} {name} already exists.")
        in_use = namespace_in_use() if kind == "namespace" else workgroup_in_use()
        if in_use:
            raise invalid(
                f"The sandbox has one {kind}, {in_use[f'{kind}Name']!r}; a second one ({name!r}) "
                "is not supported"
            )
        rows = self._control.run(
            "SELECT account_id, region, namespace_name FROM sandbox_internal.namespace"
        )
        if rows and (rows[0][0], rows[0][1]) != (emulator.account_id(), emulator.region()):
            raise invalid(
                f"The sandbox's one namespace, {rows[0][2]!r}, is in account {rows[0][0]}, region "
                f"{rows[0][1]}; a second one is not supported"
            )
