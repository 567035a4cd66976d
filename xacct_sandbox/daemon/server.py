"""The sandbox's one background process: the AWS APIs, its console, and Redshift in a child process.

``python -m xacct_sandbox.daemon.server`` serves until SIGTERM.
"""

from __future__ import annotations

import asyncio
import faulthandler
import json
import logging
import os
import secrets
import signal
import sys
import time
from types import ModuleType
from typing import NoReturn, cast

from hypercorn.asyncio import serve
from hypercorn.config import Config as HypercornConfig
from hypercorn.typing import ASGIFramework

from xacct_sandbox import emulator
from xacct_sandbox.daemon import latency
from xacct_sandbox.daemon.application import Sandbox
from xacct_sandbox.daemon.config import (
    AWS_PORT_VARIABLE,
    HOME_VARIABLE,
    REDSHIFT_PORT_VARIABLE,
    SandboxConfig,
    SandboxError,
)
from xacct_sandbox.daemon.instance_lock import InstanceLock
from xacct_sandbox.daemon.tls import ensure_certificates
from xacct_sandbox.emulator.accounts import vend_accounts
from xacct_sandbox.glue import service as glue_service
from xacct_sandbox.redshift.api import service as redshift_service

logger = logging.getLogger("xacct_sandbox.daemon.server")

GRACE_SECONDS = 0.5
"""How long a request under way may still take after SIGTERM."""

HEADER_BYTES = 64 * 1024
"""Limit of a request's headers: S3 user metadata and presigned URLs exceed hypercorn's default."""

PARTS: dict[str, ModuleType] = {"redshift": redshift_service, "glue": glue_service}
"""The services beside the emulator, in the order they start."""


async def _run(config: SandboxConfig, token: str) -> None:
    sandbox = Sandbox(config, emulator.boot(config), token)
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)

    serving = asyncio.create_task(
        serve(
            # hypercorn's type requires a TypedDict per ASGI event; ours are plain dictionaries.
            cast(ASGIFramework, sandbox),
            _hypercorn(config),
            shutdown_trigger=stop.wait,
            mode="asgi",
        )
    )
    starting = asyncio.create_task(_start(sandbox, config))
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({serving, starting, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if starting.done():
            starting.result()  # raises why the sandbox did not start
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        if serving.done():
            serving.result()  # raises why it does not serve
    finally:
        starting.cancel()
        stop.set()
        for name, part in reversed(sandbox.control.parts.items()):
            logger.info("stopping %s", name)
            await asyncio.to_thread(part.stop)
        # A client that keeps its connection open delays the server's end by half a minute (the TLS
        # shutdown). Nothing is lost by leaving earlier: shut_down() saves everything.
        await asyncio.wait({serving}, timeout=2 * GRACE_SECONDS)
        emulator.shut_down()
    logger.info("stopped")
    _leave(0)


def _leave(code: int) -> NoReturn:
    """Ends the process at once, with its long polls and half-closed connections."""
    logging.shutdown()
    os._exit(code)


async def _start(sandbox: Sandbox, config: SandboxConfig) -> None:
    await sandbox.loaded.wait()
    started = time.monotonic()
    vend_accounts(config)
    for name, part in PARTS.items():
        part.install(config)
        await asyncio.to_thread(part.start, config)
        sandbox.control.parts[name] = part
        logger.info("%s is up after %.1f s", name, time.monotonic() - started)
    sandbox.control.ready = True
    logger.info("ready after %.1f s", time.monotonic() - started)


def _hypercorn(config: SandboxConfig) -> HypercornConfig:
    settings = HypercornConfig()
    settings.bind = [f"{config.host}:{config.aws_port}"]
    settings.insecure_bind = [f"{config.host}:{config.console_port}"]
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
    """Serves until SIGTERM. Returns 0 after a clean end, 1 with the reason in the log."""
    logging.basicConfig(
        level=logging.WARNING,
        stream=sys.stderr,
        format="%(asctime)s %(levelname)s %(name)s: %(message)s",
    )
    logging.getLogger("xacct_sandbox").setLevel(logging.INFO)
    try:
        faulthandler.register(signal.SIGUSR1)  # writes the stack of every thread to the log
        config = SandboxConfig.from_environment()
        config.home.mkdir(mode=0o700, parents=True, exist_ok=True)
        # Child processes find the daemon by these.
        os.environ[HOME_VARIABLE] = str(config.home)
        os.environ[AWS_PORT_VARIABLE] = str(config.aws_port)
        os.environ[REDSHIFT_PORT_VARIABLE] = str(config.redshift_port)
        with InstanceLock(config):
            ensure_certificates(config)
            fixed = latency.reset(config)
            if str(fixed) != latency.REAL_TIME:
                logger.warning("crawls, jobs and statements take fixed times: %s", fixed)
            token = _token(config)
            document = json.dumps({**config.document(), "pid": os.getpid()}, indent=2)
            config.sandbox_json.write_text(document + "\n", encoding="utf-8")
            asyncio.run(_run(config, token))
    except SandboxError as problem:
        logger.error("%s", problem)  # noqa: TRY400 -- the message is complete
        return 1
    except Exception:
        logger.exception("the sandbox failed")
        return 1
    return 0


if __name__ == "__main__":
    _leave(main())
