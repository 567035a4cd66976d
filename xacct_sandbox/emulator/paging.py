"""Pages of a complete list. The NextToken is an opaque offset, bound to its request."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from xacct_sandbox.service_errors import ServiceError

Item = TypeVar("Item")

_PAGING_PARAMETERS = {"NextToken", "MaxResults", "nextToken", "maxResults"}


def page(
    items: Sequence[Item],
    request: Mapping[str, Any],
    *,
    limit: int,
    default: int | None = None,
    lower_camel: bool = False,
    error: str = "InvalidInputException",
) -> tuple[list[Item], str | None]:
    """One page of the items.

    Args:
        items: the complete list.
        request: its body; may have MaxResults and NextToken.
        limit: the largest size of a page.
        default: the size of a page if the request sets none; the limit by default.
        lower_camel: whether the service spells its parameters nextToken and maxResults.
        error: the service's error code for an invalid token.

    Returns:
        The items of the page, and the token of the next page or None.

    Raises:
        ServiceError: the token is malformed or belongs to another request.
    """
    token = request.get("nextToken" if lower_camel else "NextToken")
    size = request.get("maxResults" if lower_camel else "MaxResults")
    start = _read_token(token, request, error) if token else 0
    count = min(size or default or limit, limit)
    end = start + count
    next_token = _make_token(end, request) if end < len(items) else None
    return list(items[start:end]), next_token


def _make_token(offset: int, request: Mapping[str, Any]) -> str:
    text = json.dumps([offset, _fingerprint(request)])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_token(token: str, request: Mapping[str, Any], error: str) -> int:
    try:
        offset, fingerprint = json.loads(base64.urlsafe_b64decode(token.encode()))
    except ValueError as problem:
        raise ServiceError(error, "The NextToken is not valid.") from problem
    if fingerprint != _fingerprint(request) or not isinstance(offset, int):
        raise ServiceError(error, "The NextToken belongs to another request.")
    return offset


def _fingerprint(request: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in request.items() if key not in _PAGING_PARAMETERS}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, default=str).encode()).hexdigest()[:16]
