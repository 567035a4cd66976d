"""NextToken for lists that are held whole: an opaque offset bound to the request it belongs to."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from xacct_sandbox.credentials import ServiceError

Item = TypeVar("Item")

_NOT_PART_OF_THE_QUESTION = {"NextToken", "MaxResults", "nextToken", "maxResults"}


def page(
    items: Sequence[Item],
    request: Mapping[str, Any],
    *,
    limit: int,
    token: str = "NextToken",
    size: str = "MaxResults",
    error: str = "InvalidInputException",
) -> tuple[list[Item], str | None]:
    """One page of the items and the token of the next, None after the last.

    Args:
        limit: most items a page can have, and the size of one when the request names none.
        token, size: how the service calls its token and page size.
        error: the service's error code for a token that is not one of its own.

    Raises:
        ServiceError: the token is malformed or was given for another request.
    """
    start = _read_token(request[token], request, error) if request.get(token) else 0
    count = min(request.get(size) or limit, limit)
    end = start + count
    following = _make_token(end, request) if end < len(items) else None
    return list(items[start:end]), following


def _make_token(offset: int, request: Mapping[str, Any]) -> str:
    text = json.dumps([offset, _question(request)])
    return base64.urlsafe_b64encode(text.encode()).decode()


def _read_token(token: str, request: Mapping[str, Any], error: str) -> int:
    try:
        offset, question = json.loads(base64.urlsafe_b64decode(token.encode()))
    except ValueError as problem:
        raise ServiceError(error, "The NextToken is not valid.") from problem
    if question != _question(request) or not isinstance(offset, int):
        raise ServiceError(error, "The NextToken was given for another request.")
    return offset


def _question(request: Mapping[str, Any]) -> str:
    rest = {key: value for key, value in request.items() if key not in _NOT_PART_OF_THE_QUESTION}
    return hashlib.sha256(json.dumps(rest, sort_keys=True, default=str).encode()).hexdigest()[:16]
