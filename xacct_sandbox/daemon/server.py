"""The sandbox's one background process: AWS on one TLS port, Redshift's process beside it.

``python -m xacct_sandbox.daemon.server`` serves until SIGTERM. Paths under ``/_sandbox/``
are the control endpoint and need the token in ``home/token``; everything else is AWS.
"""

from __future__ import annotations

import asyncio
import faulthandler
import hmac
import json
import logging
import os
import secrets
import signal
import sys
import time
from types import ModuleType
from typing import Any, NoReturn
from urllib.parse import parse_qs

from hypercorn.asyncio import serve
from hypercorn.config import Config as HypercornConfig

from xacct_sandbox import emulator
from xacct_sandbox.clients import TOKEN_HEADER
from xacct_sandbox.daemon import latency
from xacct_sandbox.daemon.config import (
    AWS_PORT_VARIABLE,
    HOME_VARIABLE,
    REDSHIFT_PORT_VARIABLE,
    SandboxConfig,
    SandboxError,
)
from xacct_sandbox.daemon.instance_lock import HomeLock
from xacct_sandbox.daemon.middleware import Exchange, Message, Receive, Send
from xacct_sandbox.daemon.request_log import Journal
from xacct_sandbox.daemon.tls import ensure_certificates
from xacct_sandbox.emulator.accounts import vend_accounts
from xacct_sandbox.faults import DOOR as FAULTS_DOOR
from xacct_sandbox.faults import daemon as planned_faults
from xacct_sandbox.glue import service as glue_service
from xacct_sandbox.redshift.api import service as redshift_service
from xacct_sandbox.service_errors import ServiceError

logger = logging.getLogger("xacct_sandbox.daemon.server")

Scope = dict[str, Any]

GRACE_SECONDS = 0.5
"""How long a request under way may still take after SIGTERM."""

HEADER_BYTES = 64 * 1024
"""S3 user metadata and presigned URLs are longer than most servers expect."""


class Sandbox:
    """The ASGI application: the emulator, with our doors before it."""

    def __init__(self, config: SandboxConfig, aws: emulator.Application, token: str) -> None:
        self.config = config
        self.aws = aws
        self.faults, self.services = planned_faults.install(config, aws)
        self.token = token.encode()
        self.loaded = asyncio.Event()
        self.parts: dict[str, ModuleType] = {}
        self.ready = False
        self.journal = Journal()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "lifespan":
            await self._lifespan(scope, receive, send)
        elif scope["type"] == "http":
            await self._http(scope, receive, send)
        else:
            await send({"type": "websocket.close", "code": 1003})

    async def _lifespan(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def note(message: Message) -> None:
            await send(message)
            if message["type"] == "lifespan.startup.complete":
                self.loaded.set()

        await self.aws(scope, receive, note)

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        path = scope["path"]
        if path.startswith("/_"):
            # No bucket begins so: these are the emulator's own pages, open to anyone.
            await self._own_door(path, scope, receive, send)
            return
        headers = {
            name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]
        }
        query = parse_qs(scope["query_string"].decode("latin-1"), keep_blank_values=True)
        exchange = Exchange(scope["method"], path, headers, query, receive, send)
        try:
            refusal = emulator.refuse_root_key(scope["method"], path, headers, query)
            if refusal is not None:
                await _answer(exchange.send, *refusal)
            else:
                await self.services(scope, exchange.receive, exchange.send, send)
        finally:
            exchange.write_down(self.journal)

    async def _own_door(self, path: str, scope: Scope, receive: Receive, send: Send) -> None:
        given = next((v for n, v in scope["headers"] if n.decode() == TOKEN_HEADER), b"")
        if not hmac.compare_digest(given, self.token):
            error = ServiceError("AccessDenied", f"{path} wants the token of the sandbox", 403)
            await _answer(send, *_error(error))
            return
        try:
            answer = await self._serve_own(scope["method"], path, scope["query_string"], receive)
        except ServiceError as error:
            await _answer(send, *_error(error))
            return
        await _answer(send, 200, {}, json.dumps(answer).encode())

    async def _serve_own(
        self, method: str, path: str, query_string: bytes, receive: Receive
    ) -> dict[str, Any]:
        if (method, path) == ("GET", "/_sandbox/health"):
            return await asyncio.to_thread(self.health)
        if (method, path) == ("POST", "/_sandbox/service-role"):
            return self.service_role(json.loads(await _body(receive)))
        if (method, path) == ("GET", "/_sandbox/calls"):
            return await asyncio.to_thread(self.calls, parse_qs(query_string.decode("latin-1")))
        if (method, path) == ("POST", FAULTS_DOOR):
            request = json.loads(await _body(receive))
            return await asyncio.to_thread(planned_faults.serve, request)
        raise ServiceError("NotFound", f"the sandbox has no {method} {path}", 404)

    def health(self) -> dict[str, Any]:
        """Whether everything answers, and each part by name."""
        problem = emulator.saving_problem()
        parts = {"aws": self.ready and problem is None}
        for name, part in self.parts.items():
            parts[name] = self.ready and bool(part.healthy())
        return {
            "ready": all(parts.values()),
            "parts": parts,
            "problem": problem,
            "faults": self.faults.summary(),
            "pid": os.getpid(),
        }

    def calls(self, query: dict[str, list[str]]) -> dict[str, Any]:
        """The journal, as far as ``since`` (seconds since the epoch) and ``after`` (a number)."""
        try:
            since = float(query.get("since", ["0"])[0])
            after = int(query.get("after", ["0"])[0])
        except ValueError as problem:
            raise ServiceError("InvalidInput", f"since and after are numbers: {problem}") from None
        return {"calls": [call.document() for call in self.journal.since(since, after)]}

    def service_role(self, request: dict[str, Any]) -> dict[str, Any]:
        """Credentials of a role that trusts an AWS service, for a process that is one."""
        credentials = emulator.assume_service_role(
            request["service"],
            request["role_arn"],
            source_arn=request["source_arn"],
            session_name=request["session_name"],
            source_account=request.get("source_account"),
        )
        return {
            "access_key_id": credentials.access_key_id,
            "secret_access_key": credentials.secret_access_key,
            "session_token": credentials.session_token,
            "expiration": credentials.expiration.isoformat(),
        }


async def _body(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


def _error(error: ServiceError) -> tuple[int, dict[str, str], bytes]:
    document = {"__type": error.code, "message": error.message}
    return error.status, {}, json.dumps(document).encode()


async def _answer(send: Send, status: int, headers: dict[str, str], body: bytes) -> None:
    headers = {
        "content-type": "application/json",
        **{name.lower(): value for name, value in headers.items()},
        "content-length": str(len(body)),
    }
    encoded = [(name.encode(), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})
    await send({"type": "http.response.body", "body": body})


# -- the process -------------------------------------------------------------------------------


PARTS: dict[str, ModuleType] = {"redshift": redshift_service, "glue": glue_service}
"""The services that stand beside the emulator, in the order they start."""


async def _run(config: SandboxConfig, token: str) -> None:
    sandbox = Sandbox(config, emulator.boot(config), token)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    serving = asyncio.create_task(
        serve(sandbox, _hypercorn(config), shutdown_trigger=stop.wait, mode="asgi")
    )
    starting = asyncio.create_task(_start(sandbox))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()  # raises what kept the sandbox from starting
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()  # raises why it cannot serve
    finally:
        starting.cancel()
        stop.set()
        for name, part in reversed(sandbox.parts.items()):
            logger.info("stopping %s", name)
            await asyncio.to_thread(part.stop)
        # A client that keeps its connection open holds the server's end up for half a minute
        # (TLS waits for its goodbye): everything is saved, so nobody waits for that.
        await asyncio.wait({serving}, timeout=2 * GRACE_SECONDS)
        emulator.shut_down()
    logger.info("stopped")
    _leave(0)


def _leave(code: int) -> NoReturn:
    """End at once: long polls and half-closed connections have nothing left to save."""
    logging.shutdown()
    os._exit(code)


async def _start(sandbox: Sandbox) -> None:
    await sandbox.loaded.wait()
    started = time.monotonic()
    vend_accounts(sandbox.config)
    for name, part in PARTS.items():
        part.install(sandbox.config)
        await asyncio.to_thread(part.start, sandbox.config)
        sandbox.parts[name] = part
        logger.info("%s is up after %.1f s", name, time.monotonic() - started)
    sandbox.ready = True
    logger.info("ready after %.1f s", time.monotonic() - started)


def _hypercorn(config: SandboxConfig) -> HypercornConfig:
    settings = HypercornConfig()
    settings.bind = [f"{config.host}:{config.aws_port}"]
    settings.certfile = str(config.server_pem)
    settings.keyfile = str(config.server_key)
    settings.alpn_protocols = ["http/1.1"]
    settings.h11_max_incomplete_size = HEADER_BYTES
    settings.keep_alive_timeout = 75
    settings.graceful_timeout = GRACE_SECONDS
    settings.shutdown_timeout = GRACE_SECONDS
    settings.accesslog = None
    return settings


def _token(config: SandboxConfig) -> str:
    if not config.token_path.exists():
        descriptor = os.open(config.token_path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w", encoding="ascii") as file:
            file.write(secrets.token_urlsafe(32))
    return config.token_path.read_text(encoding="ascii").strip()


def main() -> int:
    """Serve until SIGTERM. 0 after a clean end, 1 with the reason in the log."""
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("xacct_sandbox").setLevel(logging.INFO)
    try:
        faulthandler.register(signal.SIGUSR1)  # what every thread does, into the log
        config = SandboxConfig.from_environment()
        config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Children find us through these.
        os.environ[HOME_VARIABLE] = str(config.home)
        os.environ[AWS_PORT_VARIABLE] = str(config.aws_port)
        os.environ[REDSHIFT_PORT_VARIABLE] = str(config.redshift_port)
        with HomeLock(config):
            ensure_certificates(config)
            times = latency.begin(config)
            if str(times) != latency.TRUE_TIMES:
                logger.warning("crawls, jobs and statements take fixed times: %s", times)
            token = _token(config)
            document = json.dumps({**config.document(), "pid": os.getpid()}, indent=2)
            config.sandbox_json.write_text(document + "\n", encoding="utf-8")
            asyncio.run(_run(config, token))
    except SandboxError as problem:
        logger.error("%s", problem)  # noqa: TRY400 -- said in full, the trace adds nothing
        return 1
    except Exception:
        logger.exception("the sandbox failed")
        return 1
    return 0


if __name__ == "__main__":
    _leave(main())
