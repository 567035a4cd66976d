"""Records each AWS request in the request log while it passes through, without delaying it."""

from __future__ import annotations

import time
from collections.abc import Mapping

from xacct_sandbox import emulator
from xacct_sandbox.daemon.asgi import Message, Receive, Send
from xacct_sandbox.daemon.request_log import RequestLog
from xacct_sandbox.emulator.request_parsing import BODY_BYTES, needs_body, recognize


class RecordedRequest:
    """Wraps ``receive`` and ``send`` of one request and keeps what the request log needs."""

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
        self._needs_body = needs_body(headers)
        self._status = 0
        self._at, self._started = time.time(), time.monotonic()

    async def receive(self) -> Message:
        message = await self._receive()
        if self._needs_body and message["type"] == "http.request" and len(self._body) < BODY_BYTES:
            self._body += message.get("body", b"")
        return message

    async def send(self, message: Message) -> None:
        if message["type"] == "http.response.start":
            self._status = message["status"]
        await self._send(message)

    def write_to(self, log: RequestLog) -> None:
        """Appends the request to the log, once it has ended."""
        seconds = time.monotonic() - self._started
        principal, origin = emulator.principal_of(self._request[2], self._request[3])
        aws_request = recognize(*self._request, self._body)
        log.add(
            at=self._at,
            seconds=seconds,
            origin=origin,
            principal=principal,
            service=aws_request.service,
            operation=aws_request.operation,
            resource=aws_request.resource,
            status=self._status,
        )
