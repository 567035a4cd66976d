"""ASGI types, and the few helpers that an application without a framework needs."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]


def decoded_headers(scope: Scope) -> dict[str, str]:
    """The headers of a request, names in lower case."""
    return {
        name.decode("latin-1").lower(): value.decode("latin-1") for name, value in scope["headers"]
    }


async def body_chunks(receive: Receive) -> AsyncIterator[bytes]:
    """The body of a request, as it arrives."""
    has_more = True
    while has_more:
        message = await receive()
        has_more = message.get("more_body", False)
        yield message.get("body", b"")


async def read_body(receive: Receive) -> bytes:
    """The whole body of a request."""
    return b"".join([chunk async for chunk in body_chunks(receive)])


async def send_response(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    """Sends a complete response; ``content-length`` is added."""
    headers = {
        **{name.lower(): value for name, value in headers.items()},
        "content-length": str(len(body)),
    }
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
