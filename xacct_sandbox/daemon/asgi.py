"""ASGI types, and the few helpers that an application without a framework needs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

Scope = dict[str, Any]
Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

LINGER_SECONDS = 10.0
"""How long an answer waits for more of the request's body."""


class WholeRequest:
    """The channels of one request. Its body is read to the end before the answer begins.

    A server closes the connection of a request whose body it has not read, and a client that is
    still sending then sees a broken connection instead of the answer.
    """

    def __init__(self, receive: Receive, send: Send) -> None:
        self._receive, self._send = receive, send
        self._unread = True

    async def receive(self) -> Message:
        message = await self._receive()
        self._unread = message.get("more_body", False)
        return message

    async def send(self, message: Message) -> None:
        try:
            while self._unread:
                async with asyncio.timeout(LINGER_SECONDS):
                    await self.receive()
        except TimeoutError:  # the client sends less than it announced
            self._unread = False
        await self._send(message)


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
