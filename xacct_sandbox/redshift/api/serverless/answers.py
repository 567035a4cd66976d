"""The shapes of the API's answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from xacct_sandbox.emulator.paging import page
from xacct_sandbox.redshift.api.serverless.checks import Request
from xacct_sandbox.redshift.api.serverless.state import SET_ASIDE, Document

PAGE = 100


def listed(request: Request, key: str, items: list[Document]) -> dict[str, Any]:
    """A page of items, as the API lists them under ``key``."""
    found, token = page(items, request, limit=PAGE, lower_camel=True, error="ValidationException")
    answer: dict[str, Any] = {key: found}
    if token:
        answer["nextToken"] = token
    return answer


def shown_namespace(namespace: Mapping[str, Any]) -> dict[str, Any]:
    """A namespace as the API shows it."""
    # AWS shows each role with its state on the namespace.
    roles = [f"IamRole(applyStatus=in-sync, iamRoleArn={role})" for role in namespace["iamRoles"]]
    return {
        **{key: value for key, value in namespace.items() if key != SET_ASIDE},
        "iamRoles": roles,
    }
