"""The ASGI application: over TLS the emulated services and the control endpoint; the console."""

from __future__ import annotations

import asyncio
from urllib.parse import parse_qs

from xacct_sandbox import emulator
from xacct_sandbox.daemon.asgi import (
    Application,
    Message,
    Receive,
    Scope,
    Send,
    WholeRequest,
    decoded_headers,
    send_response,
)
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.daemon.console.application import Console
from xacct_sandbox.daemon.control_endpoint import JSON_HEADERS, ControlEndpoint
from xacct_sandbox.daemon.middleware import RecordedRequest
from xacct_sandbox.daemon.request_log import RequestLog
from xacct_sandbox.faults import daemon as planned_faults


class Sandbox:
    """Routes each request.

    Attributes:
        control: the control endpoint, which also holds what is running.
        loaded: set once the emulator's own start-up is complete.
    """

    def __init__(self, config: SandboxConfig, aws: Application, token: str) -> None:
        self._aws = aws
        self._request_log = RequestLog()
        self._console = Console(config, self._request_log)
        fault_plan, self._services = planned_faults.install(config, aws)
        self.control = ControlEndpoint(config, token, self._request_log, fault_plan)
        self.loaded = asyncio.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1003})
        else:
            await self._serve(scope, WholeRequest(receive, send), send)

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def send_and_notice(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self.loaded.set()

        await self._aws(scope, receive, send_and_notice)

    async def _serve(self, scope: Scope, request: WholeRequest, server_send: Send) -> None:
        if scope["scheme"] != "https":
            # Only the console's port is without TLS. The services are not served there.
            await self._console(scope, request.receive, request.send)
        elif scope["path"].startswith("/_"):
            # No bucket name starts with "_". The emulator's own pages under "/_" need no
            # credentials, so they are not served: the control endpoint answers for all of "/_".
            await self.control(scope, request.receive, request.send)
        else:
            await self._serve_aws(scope, request, server_send)

    async def _serve_aws(self, scope: Scope, whole: WholeRequest, server_send: Send) -> None:
        method, path, headers = scope["method"], scope["path"], decoded_headers(scope)
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        request = RecordedRequest(method, path, headers, query, whole.receive, whole.send)
        emulator.tls_version.set(_tls_version(server_send))
        try:
            refusal = emulator.refuse_root_key(method, path, headers, query)
            if refusal is not None:
                status, refusal_headers, body = refusal
                await send_response(request.send, status, {**JSON_HEADERS, **refusal_headers}, body)
            else:
                await self._services(scope, request.receive, request.send, server_send)
        finally:
            request.write_to(self._request_log)


def _tls_version(server_send: Send) -> str:
    """The TLS version of a connection, e.g. ``1.3``; "" if the server does not say.

    ASGI has no place for it, so hypercorn's own objects are followed from its ``send``.
    """
    stream = getattr(server_send, "__self__", None)
    try:
        connection = stream.send.__self__.send.__self__  # type: ignore[union-attr]
        version = connection.writer.get_extra_info("ssl_object").version()
    except AttributeError:
        return ""
    return str(version).removeprefix("TLSv")
