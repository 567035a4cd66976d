"""Injects faults of the HTTP APIs, between the clients and the emulated services."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from urllib.parse import parse_qs

from xacct_sandbox.clients import INTERNAL_AGENT
from xacct_sandbox.daemon.asgi import (
    Application,
    Message,
    Receive,
    Scope,
    Send,
    decoded_headers,
    read_body,
    send_response,
)
from xacct_sandbox.emulator.request_parsing import (
    AwsRequest,
    needs_body,
    recognize,
    searchable_text,
)
from xacct_sandbox.faults.kinds import KINDS
from xacct_sandbox.faults.planned import FaultPlan, Injection
from xacct_sandbox.faults.refusals import REFUSALS, refusal

_HTTP_KINDS = frozenset(name for name, kind in KINDS.items() if kind.is_http)
_OBJECT_KINDS = frozenset({"object_replaced"})
_KINDS = _HTTP_KINDS | _OBJECT_KINDS


class FaultyServices:
    """An ASGI application that injects the plan's faults into requests for ``app``.

    Requests of the sandbox's own services (the reads of a COPY or a crawl) get no fault: on AWS a
    service retries its own calls. An object is replaced whoever reads it.

    Args:
        app: the emulator.
        plan: the planned faults.
        principal: returns the ARN of the principal of (headers, query).
        replace: replaces the content of an object: (bucket, key, body).
        exists: whether an object exists: (bucket, key).
    """

    def __init__(
        self,
        app: Application,
        plan: FaultPlan,
        principal: Callable[[dict[str, str], dict[str, list[str]]], str],
        replace: Callable[[str, str, bytes], None],
        exists: Callable[[str, str], bool],
    ) -> None:
        self._app = app
        self._plan = plan
        self._principal = principal
        self._replace = replace
        self._exists = exists

    async def __call__(self, scope: Scope, receive: Receive, send: Send, server_send: Send) -> None:
        """Serves one request.

        Args:
            scope: of the request.
            receive: of the request.
            send: of the request, possibly wrapped by middleware.
            server_send: the server's own ``send``, which leads to the connection.
        """
        if not self._plan.armed(_KINDS):
            await self._app(scope, receive, send)
            return
        headers = decoded_headers(scope)
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        method, path, body = scope["method"], scope["path"], b""
        if needs_body(headers):
            body = await read_body(receive)
            receive = _replay(body, receive)
        request = recognize(method, path, headers, query, body)
        resource = searchable_text(path, headers, query, body)
        injection = self._inject(request, resource, headers, query)
        if injection is None:
            await self._app(scope, receive, send)
        elif injection.kind in REFUSALS:
            await send_response(send, *refusal(injection.kind, request.service, method, resource))
        elif injection.kind == "timeout":
            await _wait_for_disconnect(receive, injection.seconds)
            drop_connection(server_send)
        elif injection.kind == "lost_answer":
            await self._app(scope, receive, _discard)
            drop_connection(server_send)
        elif injection.kind == "slow":
            await self._app(scope, receive, _delayed(send, injection.seconds))
        else:
            bucket, _, key = resource.partition("/")
            self._replace(bucket, key, injection.body.encode())
            await self._app(scope, receive, send)

    def _inject(
        self,
        request: AwsRequest,
        resource: str,
        headers: dict[str, str],
        query: dict[str, list[str]],
    ) -> Injection | None:
        kinds = frozenset[str]()
        if INTERNAL_AGENT not in headers.get("user-agent", ""):
            kinds |= _HTTP_KINDS
        if request.service == "s3" and request.operation in ("GetObject", "HeadObject"):
            bucket, _, key = resource.partition("/")
            if self._exists(bucket, key):
                kinds |= _OBJECT_KINDS
        return self._plan.inject(
            request.service,
            (request.operation,),
            resource,
            kinds=kinds,
            principal=lambda: self._principal(headers, query),
        )


def drop_connection(server_send: Send) -> None:
    """Closes the connection of a request without a response.

    ASGI cannot express that, so hypercorn's own objects are followed from its ``send``: the stream
    of the request, its protocol, the connection. Another structure raises AttributeError.
    """
    stream = server_send.__self__  # type: ignore[attr-defined]  # a bound method of hypercorn
    connection = stream.send.__self__.send.__self__
    stream.closed = True  # otherwise hypercorn would send a 500
    connection.writer.transport.abort()


def _replay(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` that returns a body that was already read, then goes on with ``receive``."""
    replayed = False

    async def replay() -> Message:
        nonlocal replayed
        if replayed:
            return await receive()
        replayed = True
        return {"type": "http.request", "body": body, "more_body": False}

    return replay


async def _wait_for_disconnect(receive: Receive, seconds: float) -> None:
    """Waits until the client disconnects, for at most ``seconds``."""

    async def disconnect() -> None:
        while (await receive())["type"] != "http.disconnect":
            continue

    try:
        await asyncio.wait_for(disconnect(), seconds)
    except TimeoutError:
        return


async def _discard(_message: Message) -> None:
    return


def _delayed(send: Send, seconds: float) -> Send:
    """A ``send`` that waits before its first message."""
    waited = False

    async def delayed(message: Message) -> None:
        nonlocal waited
        if not waited:
            waited = True
            await asyncio.sleep(seconds)
        await send(message)

    return delayed
