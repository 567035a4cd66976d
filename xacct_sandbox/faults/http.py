"""Faults of the HTTP APIs: between the clients and the emulated services."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any
from urllib.parse import parse_qs

from xacct_sandbox.clients import INTERNAL_AGENT
from xacct_sandbox.emulator.request_parsing import AwsRequest, mentions, needs_body, recognize
from xacct_sandbox.faults.answers import REFUSALS, refusal
from xacct_sandbox.faults.kinds import KINDS
from xacct_sandbox.faults.planned import FaultPlan, Struck

Message = dict[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[dict[str, Any], Receive, Send], Awaitable[None]]

_HTTP_KINDS = frozenset(name for name, kind in KINDS.items() if kind.is_http)
_OBJECT_KINDS = frozenset({"object_replaced"})
_KINDS = _HTTP_KINDS | _OBJECT_KINDS


class FaultyServices:
    """The services as their clients see them, with the plan's faults.

    Calls that the sandbox's own parts make (a COPY's reads, a crawl's) are not struck, as on AWS
    where a service sees to its own calls; an object is replaced under any reader.

    Args:
        app: the emulator.
        plan: what is to go wrong.
        principal: gives the ARN behind a request's access key.
        replace: puts bytes in the place of an object: (bucket, key, body).
        exists: whether there is an object: (bucket, key).
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

    async def __call__(
        self, scope: dict[str, Any], receive: Receive, send: Send, wire: Send
    ) -> None:
        """Serve one request. ``wire`` is the server's own ``send``, to reach its connection."""
        if not self._plan.armed(_KINDS):
            await self._app(scope, receive, send)
            return
        headers = {n.decode("latin-1").lower(): v.decode("latin-1") for n, v in scope["headers"]}
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        method, path, body = scope["method"], scope["path"], b""
        if needs_body(headers):
            body, receive = await _read_ahead(receive)
        asked = recognize(method, path, headers, query, body)
        resource = mentions(path, headers, query, body)
        struck = self._strike(asked, resource, headers, query)
        if struck is None:
            await self._app(scope, receive, send)
        elif struck.kind in REFUSALS:
            await _drained(receive)
            await _answer(send, *refusal(struck.kind, asked.service, method, resource))
        elif struck.kind == "timeout":
            await _until_gone(receive, struck.seconds)
            drop_connection(wire)
        elif struck.kind == "lost_answer":
            await self._app(scope, receive, _into_nothing)
            drop_connection(wire)
        elif struck.kind == "slow":
            await self._app(scope, receive, _late(send, struck.seconds))
        else:
            bucket, _, key = resource.partition("/")
            self._replace(bucket, key, struck.body.encode())
            await self._app(scope, receive, send)

    def _strike(
        self,
        asked: AwsRequest,
        resource: str,
        headers: dict[str, str],
        query: dict[str, list[str]],
    ) -> Struck | None:
        kinds = frozenset[str]()
        if INTERNAL_AGENT not in headers.get("user-agent", ""):
            kinds |= _HTTP_KINDS
        if asked.service == "s3" and asked.operation in ("GetObject", "HeadObject"):
            bucket, _, key = resource.partition("/")
            if self._exists(bucket, key):
                kinds |= _OBJECT_KINDS
        return self._plan.strike(
            asked.service,
            (asked.operation,),
            resource,
            kinds=kinds,
            principal=lambda: self._principal(headers, query),
        )


def drop_connection(send: Send) -> None:
    """Close the connection of a request without an answer.

    ASGI has no word for that, so hypercorn's own parts are looked up behind ``send``: a request's
    stream, its protocol, the connection. A version that is built otherwise raises AttributeError.
    """
    stream = send.__self__  # type: ignore[attr-defined]
    connection = stream.send.__self__.send.__self__
    stream.closed = True  # or it would still answer: 500
    connection.writer.transport.abort()


async def _read_ahead(receive: Receive) -> tuple[bytes, Receive]:
    """The whole body, and a ``receive`` that gives it again."""
    body = b"".join([part async for part in _parts(receive)])
    given = False

    async def again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return body, again


async def _parts(receive: Receive) -> Any:
    more = True
    while more:
        message = await receive()
        more = message.get("more_body", False)
        yield message.get("body", b"")


async def _drained(receive: Receive) -> None:
    async for _ in _parts(receive):
        continue


async def _until_gone(receive: Receive, seconds: float) -> None:
    """Wait so long, or until the client gives up."""

    async def gone() -> None:
        while (await receive())["type"] != "http.disconnect":
            continue

    try:
        await asyncio.wait_for(gone(), seconds)
    except TimeoutError:
        return


async def _into_nothing(_message: Message) -> None:
    return


def _late(send: Send, seconds: float) -> Send:
    waited = False

    async def late(message: Message) -> None:
        nonlocal waited
        if not waited:
            waited = True
            await asyncio.sleep(seconds)
        await send(message)

    return late


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    headers = {**headers, "content-length": str(len(body))}
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})
