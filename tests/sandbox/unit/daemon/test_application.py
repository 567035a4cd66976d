"""Every answer arrives, also one that is given before the request has been read."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import cast

import pytest
from hypercorn.asyncio import serve
from hypercorn.typing import ASGIFramework

from tests.support.sandbox import free_port
from xacct_sandbox import emulator
from xacct_sandbox.daemon import application, asgi, server
from xacct_sandbox.daemon.application import Sandbox
from xacct_sandbox.daemon.asgi import Receive, Scope, Send, send_response
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.daemon.tls import ensure_certificates
from xacct_sandbox.faults import Fault
from xacct_sandbox.faults.http import FaultyServices
from xacct_sandbox.faults.planned import FaultPlan

BODY = bytes(8 << 20)
"""More than the socket's buffers hold: the client still sends when it has been answered."""
ROOT_KEY = {"authorization": "root"}
Answer = tuple[int, bytes]


async def hasty_service(_scope: Scope, _receive: Receive, send: Send) -> None:
    """Answers without a look at the body."""
    await send_response(send, 200, {}, b"hasty")


@pytest.fixture
def config(tmp_path: Path) -> SandboxConfig:
    config = SandboxConfig(home=tmp_path, aws_port=free_port(), redshift_port=5439)
    ensure_certificates(config)
    return config


@pytest.fixture
def sandbox(config: SandboxConfig, monkeypatch: pytest.MonkeyPatch) -> Sandbox:
    """The application, on a service that reads no body. One fault is planned, for /faulty."""
    plan = FaultPlan(config.home / "faults.jsonl")
    plan.add([Fault("throttle", service="s3", operation="PutObject", match="faulty")])
    services = FaultyServices(hasty_service, plan, lambda *_: "", lambda *_: None, lambda *_: False)

    def refuse_root_key(
        _method: str, _path: str, headers: dict[str, str], _query: object
    ) -> tuple[int, dict[str, str], bytes] | None:
        return (403, {}, b"invalid") if headers.get("authorization") == "root" else None

    monkeypatch.setattr(application.planned_faults, "install", lambda *_: (plan, services))
    monkeypatch.setattr(emulator, "refuse_root_key", refuse_root_key)
    monkeypatch.setattr(emulator, "principal_of", lambda *_: ("", ""))
    return Sandbox(config, hasty_service, "token")


def answered(config: SandboxConfig, sandbox: Sandbox, ask: Callable[[], Answer]) -> Answer:
    """The answer to a client, from the server that the daemon runs."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "lifespan":
            await sandbox(scope, receive, send)
            return
        while (message := await receive())["type"] != "lifespan.shutdown":
            await send({"type": f"{message['type']}.complete"})
        await send({"type": "lifespan.shutdown.complete"})

    async def scenario() -> Answer:
        stop = asyncio.Event()
        framework = cast(ASGIFramework, application)
        serving = asyncio.create_task(
            serve(framework, server._hypercorn(config), shutdown_trigger=stop.wait, mode="asgi")
        )
        for port in (config.aws_port, config.console_port):
            await listening(config.host, port)
        answer = await asyncio.to_thread(ask)
        stop.set()
        await serving
        return answer

    return asyncio.run(scenario())


async def listening(host: str, port: int) -> None:
    """Wait until a port takes connections."""
    while True:
        with contextlib.suppress(ConnectionRefusedError):
            _, writer = await asyncio.open_connection(host, port)
            writer.close()
            return
        await asyncio.sleep(0.01)


def secure(config: SandboxConfig) -> http.client.HTTPSConnection:
    trust = ssl.create_default_context(cafile=str(config.ca_pem))
    return http.client.HTTPSConnection(config.host, config.aws_port, timeout=60, context=trust)


def plain(config: SandboxConfig) -> http.client.HTTPConnection:
    return http.client.HTTPConnection(config.host, config.console_port, timeout=60)


@pytest.mark.parametrize(
    ("connect", "path", "headers", "status", "text"),
    [
        pytest.param(secure, "/b/k", ROOT_KEY, 403, b"invalid", id="the root's key"),
        pytest.param(secure, "/b/k", {}, 200, b"hasty", id="a service that reads nothing"),
        pytest.param(secure, "/b/faulty", {}, 503, b"SlowDown", id="a planned refusal"),
        pytest.param(secure, "/_sandbox/faults", {}, 403, b"token", id="no token"),
        pytest.param(plain, "/", {}, 405, b"only be read", id="the console"),
    ],
)
def test_a_client_that_still_sends_gets_the_answer(
    config: SandboxConfig,
    sandbox: Sandbox,
    connect: Callable[[SandboxConfig], http.client.HTTPConnection],
    path: str,
    headers: dict[str, str],
    status: int,
    text: bytes,
) -> None:
    def ask() -> Answer:
        connection = connect(config)
        connection.request("PUT", path, BODY, headers)
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content

    got, content = answered(config, sandbox, ask)
    assert (got, text in content) == (status, True), content


def test_a_client_that_sends_less_than_it_announced_is_answered(
    config: SandboxConfig, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asgi, "LINGER_SECONDS", 0.1)

    def ask() -> Answer:
        connection = secure(config)
        connection.putrequest("PUT", "/b/k")
        connection.putheader("content-length", "10")
        connection.endheaders(b"five!")
        answer = connection.getresponse()
        content = answer.read()
        connection.close()
        return answer.status, content

    assert answered(config, sandbox, ask) == (200, b"hasty")


def test_a_request_without_a_body_leaves_its_connection_open(
    config: SandboxConfig, sandbox: Sandbox
) -> None:
    def ask() -> Answer:
        connection = secure(config)
        for path in ("/b/k", "/_sandbox/health"):
            connection.request("GET", path)
            answer = connection.getresponse()
            content = answer.read()
            assert not answer.will_close
        connection.close()
        return answer.status, content

    status, content = answered(config, sandbox, ask)
    assert (status, json.loads(content)["__type"]) == (403, "AccessDenied")
