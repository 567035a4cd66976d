"""What the Glue operations have in common: error responses, pages, and the service's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar

from xacct_sandbox.emulator.paging import page
from xacct_sandbox.service_errors import ServiceError

Item = TypeVar("Item")
Request = dict[str, Any]
"""The input of a Glue operation, as the API reference names its fields."""
Response = dict[str, Any]

GLUE_PRINCIPAL = "glue.amazonaws.com"
"""The service that a job's or crawler's role must trust."""


def invalid_input(message: str) -> ServiceError:
    """Glue's error for a request it does not accept."""
    return ServiceError("InvalidInputException", message)


def not_found(message: str) -> ServiceError:
    """Glue's error for a resource that does not exist."""
    return ServiceError("EntityNotFoundException", message)


def page_response(
    field: str,
    items: Sequence[Item],
    request: Mapping[str, Any],
    *,
    limit: int,
    default: int | None = None,
    render: Callable[[Item], object] = lambda item: item,
) -> Response:
    """One page of a list, with NextToken if there is another.

    Args:
        field: the response's field for the items.
        items: the whole list.
        request: holds MaxResults and NextToken.
        limit: most items of a page.
        default: items of a page when the request sets no MaxResults; ``limit`` if not given.
        render: turns an item of the page into what the response holds.

    Raises:
        ServiceError: NextToken is malformed or belongs to another request.
    """
    found, token = page(items, request, limit=limit, default=default)
    response: Response = {field: [render(item) for item in found]}
    return {**response, "NextToken": token} if token else response
