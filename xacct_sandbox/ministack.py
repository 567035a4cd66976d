"""The one door to ministack, the AWS emulator that stands under the sandbox."""

from __future__ import annotations

import threading
from collections.abc import Callable, MutableMapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Protocol

Response = tuple[int, dict[str, str], bytes]
Operation = Callable[[dict[str, Any]], dict[str, Any]]


class ServiceError(Exception):
    """An error answer in AWS's shape; any operation may raise it."""

    def __init__(self, code: str, message: str, status: int = 400) -> None:
        super().__init__(f"{code}: {message}")
        self.code = code
        self.message = message
        self.status = status


@dataclass(frozen=True)
class Credentials:
    """Temporary keys of a role session; the secrets stay out of repr."""

    access_key_id: str
    secret_access_key: str = field(repr=False)
    session_token: str = field(repr=False)
    expiration: datetime


class CreateResource(Protocol):
    def __call__(
        self, logical_id: str, props: dict[str, Any], stack: str
    ) -> tuple[str, dict[str, Any]]: ...


DeleteResource = Callable[[str, dict[str, Any]], None]


class UpdateResource(Protocol):
    """(physical id, old props, new props, stack) -> (physical id, attributes)."""

    def __call__(
        self, physical_id: str, old: dict[str, Any], new: dict[str, Any], stack: str
    ) -> tuple[str, dict[str, Any]]: ...


def account_id() -> str:
    """The account of the request being served."""
    raise RuntimeError("the sandbox is not booted")


def region() -> str:
    """The region of the request being served."""
    raise RuntimeError("the sandbox is not booted")


def caller_arn() -> str:
    """The principal of the request being served."""
    raise RuntimeError("the sandbox is not booted")


def scoped_state(name: str) -> MutableMapping[str, Any]:
    """A mapping per account and region, saved with the rest. Values: JSON only.

    Assign to save: ``state[key] = value`` marks it for saving, a change inside a value does not.
    """
    raise RuntimeError("the sandbox is not booted")


def json_response(data: dict[str, Any], status: int = 200) -> Response:
    """An answer in AWS's JSON 1.1 shape."""
    raise RuntimeError("the sandbox is not booted")


def add_service(
    name: str,
    target_prefix: str,
    iam_namespace: str,
    operations: dict[str, Operation],
    resource_arn: Callable[[str, dict[str, Any]], str],
) -> None:
    """Register a JSON 1.1 service; IAM authorizes it like any other."""
    raise RuntimeError("the sandbox is not booted")


def add_glue_operations(operations: dict[str, Operation]) -> None:
    """Add or replace Glue operations."""
    raise RuntimeError("the sandbox is not booted")


def glue(operation: str, request: dict[str, Any]) -> dict[str, Any]:
    """Call a Glue operation as the service itself, in the current account and region."""
    raise RuntimeError("the sandbox is not booted")


def add_cloudformation_type(
    type_name: str,
    *,
    create: CreateResource,
    delete: DeleteResource,
    update: UpdateResource | None = None,
) -> None:
    """Teach CloudFormation a resource type."""
    raise RuntimeError("the sandbox is not booted")


def start_thread(fn: Callable[..., object], *args: object, name: str) -> threading.Thread:
    """A started daemon thread that keeps the account and region of the caller."""
    raise RuntimeError("the sandbox is not booted")


def assume_service_role(
    service: str,
    role_arn: str,
    *,
    source_arn: str,
    session_name: str,
    source_account: str | None = None,
) -> Credentials:
    """A session of the role for an AWS service, if its trust policy allows that service.

    ``service`` is the principal, e.g. ``glue.amazonaws.com``. ``source_account`` defaults to the
    account in ``source_arn``.

    Raises:
        ServiceError: AccessDenied naming principal, action and resource.
    """
    raise RuntimeError("the sandbox is not booted")


def require_pass_role(role_arn: str, service: str) -> None:
    """Check iam:PassRole of the caller for the role, with iam:PassedToService.

    Raises:
        ServiceError: AccessDenied(Exception) naming principal, action and resource.
    """
    raise RuntimeError("the sandbox is not booted")


def write_log(group: str, stream: str, messages: list[str]) -> None:
    """Append events to CloudWatch Logs of the current account, making group and stream."""
    raise RuntimeError("the sandbox is not booted")
