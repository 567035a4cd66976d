"""Redshift Serverless: finds a workgroup and its namespace, and attaches a role to a namespace."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.polling import Backoff, Waiter

if TYPE_CHECKING:
    from mypy_boto3_redshift_serverless.client import RedshiftServerlessClient

TIMEOUT = 600.0
BACKOFF = Backoff(first=0.2, factor=1.5, cap=5.0)
_ROLE = re.compile(r"arn:[\w-]+:iam::\d{12}:role/[^,)\s]+")


@dataclass(frozen=True)
class WorkgroupDescription:
    """A workgroup, and where clients connect to."""

    name: str
    arn: str
    namespace: str
    host: str
    port: int

    def reached_at(self, host: str | None, port: int | None) -> WorkgroupDescription:
        """The same workgroup, for clients that connect to another host or port, if given."""
        return replace(self, host=host or self.host, port=port or self.port)


@dataclass(frozen=True)
class NamespaceDescription:
    """A namespace.

    Attributes:
        roles: ARNs of the roles that are attached to it.
        admin_user: its admin user.
        admin_secret: ARN of the secret with the admin's login, if Redshift manages it.
    """

    name: str
    arn: str
    status: str
    roles: tuple[str, ...]
    admin_user: str
    admin_secret: str | None


class Serverless:
    """The workgroups and namespaces of one account.

    Args:
        client: boto3's ``redshift-serverless`` client.
        backoff, sleep, clock: for tests.
    """

    def __init__(
        self,
        client: RedshiftServerlessClient,
        *,
        backoff: Backoff = BACKOFF,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._client = client
        self._backoff = backoff
        self._sleep = sleep
        self._clock = clock

    def workgroup(self, name: str) -> WorkgroupDescription:
        """The workgroup of that name.

        Raises:
            NotFound: there is none.
        """
        with aws_call("redshift-serverless:GetWorkgroup", f"workgroup {name}"):
            found: Mapping[str, Any] = self._client.get_workgroup(workgroupName=name)["workgroup"]
        endpoint = found.get("endpoint", {})
        return WorkgroupDescription(
            name=name,
            arn=found["workgroupArn"],
            namespace=found["namespaceName"],
            host=str(endpoint.get("address", "")),
            port=int(endpoint.get("port") or 5439),
        )

    def namespace(self, name: str) -> NamespaceDescription:
        """The namespace of that name.

        Raises:
            NotFound: there is none.
        """
        with aws_call("redshift-serverless:GetNamespace", f"namespace {name}"):
            found: Mapping[str, Any] = self._client.get_namespace(namespaceName=name)["namespace"]
        # Each entry is an ARN, or text that has one: "IamRole(applyStatus=…, iamRoleArn=…)".
        roles = [match[0] for text in found.get("iamRoles", []) if (match := _ROLE.search(text))]
        return NamespaceDescription(
            name=name,
            arn=found["namespaceArn"],
            status=str(found.get("status", "")),
            roles=tuple(roles),
            admin_user=str(found.get("adminUsername", "")),
            admin_secret=found.get("adminPasswordSecretArn") or None,
        )

    def attach_role(self, namespace: str, role: str) -> bool:
        """Attach the role to the namespace beside those that are attached; False if it was."""
        roles = self.namespace(namespace).roles
        if role in roles:
            return False
        self._set_roles(namespace, [*roles, role])
        return True

    def detach_role(self, namespace: str, role: str) -> bool:
        """Detach this role only; False if it was not attached."""
        roles = self.namespace(namespace).roles
        if role not in roles:
            return False
        self._set_roles(namespace, [other for other in roles if other != role])
        return True

    def _set_roles(self, namespace: str, roles: list[str]) -> None:
        # UpdateNamespace replaces the list (API reference); the default role stays as it is.
        with aws_call("redshift-serverless:UpdateNamespace", f"namespace {namespace}"):
            self._client.update_namespace(namespaceName=namespace, iamRoles=roles)
        waiter = Waiter(self._backoff, sleep=self._sleep, clock=self._clock)
        waiter.until(
            lambda: self.namespace(namespace).status == "AVAILABLE" or None,
            what=f"namespace {namespace} to be available",
            timeout=TIMEOUT,
        )
