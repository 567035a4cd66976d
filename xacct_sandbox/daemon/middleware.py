"""One AWS request on its way through the server, looked at without being held up."""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.daemon.request_log import Journal
from xacct_sandbox.emulator.request_parsing import BODY_BYTES, needs_body, recognize

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]


class Exchange:
    """Stands between server and application, and remembers what a line of the journal needs."""

    def __init__(
        self,
        method: str,
        path: str,
        headers: dict[str, str],
        query: Mapping[str, list[str]],
        receive: Receive,
        send: Send,
    ) -> None:
        self._request = (method, path, headers, query)
        self._receive, self._send = receive, send
        self._body = b""
        self._wants_body = needs_body(headers)
        self._status = 0
        self._at, self._began = time.time(), time.monotonic()

    async def receive(self) -> Message:
        message = await self._receive()
        if self._wants_body and message["type"] == "http.request" and len(self._body) < BODY_BYTES:
            self._body += message.get("body", b"")
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
        await self._send(message)

    def write_down(self, journal: Journal) -> None:
        """Add it to the journal; it has ended."""
        seconds = time.monotonic() - self._began
        principal, origin = emulator.principal_of(self._request[2], self._request[3])
        asked = recognize(*self._request, self._body)
        journal.add(
            at=self._at,
            seconds=seconds,
            origin=origin,
            principal=principal,
            service=asked.service,
            operation=asked.operation,
            resource=asked.resource,
            status=self._status,
        )
