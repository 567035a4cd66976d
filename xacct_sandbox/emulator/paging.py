"""NextToken for lists that are held whole: an opaque offset bound to the request it belongs to."""

from __future__ import annotations

import base64
import hashlib
import json
from collections.abc import Mapping, Sequence
from typing import Any, TypeVar

from xacct_sandbox.service_errors import ServiceError

Item = TypeVar("Item")

_NOT_PART_OF_THE_QUESTION = {"NextToken", "MaxResults", "nextToken", "maxResults"}


def page(
    items: Sequence[Item],
    request: Mapping[str, Any],
    *,
    limit: int,
    default: int | None = None,
    lower_camel: bool = False,
    error: str = "InvalidInputException",
) -> tuple[list[Item], str | None]:
    """One page of the items and the token of the next, None after the last.

    Args:
        limit: most items a page can have.
        default: the size of a page when the request names none; the limit if not given.
        lower_camel: the service says nextToken and maxResults.
        error: the service's error code for a token that is not one of its own.

    Raises:
        ServiceError: the token is malformed or was given for another request.
    """
    token = request.get("nextToken" if lower_camel else "NextToken")
    size = request.get("maxResults" if lower_camel else "MaxResults")
    start = _read_token(token, request, error) if token else 0
    count = min(size or default or limit, limit)
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
