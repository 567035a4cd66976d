"""The driver is told why PostgreSQL refuses a login, whoever logs in and whatever it sends."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from redshift_connector.error import InterfaceError, ProgrammingError

from tests.support.sandbox import free_port
from tests.support.warehouse import connect
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.daemon.tls import ensure_certificates
from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.backend import Backend
from xacct_sandbox.redshift.server.listener import RedshiftServer
from xacct_sandbox.redshift.server.query_connection import Result
from xacct_sandbox.redshift.sql.system_catalog import SystemCatalog

CHALLENGE = protocol.message(b"R", b"\x00\x00\x00\x05salt")


class Catalog:
    """Knows a namespace, and no temporary password."""

    async def namespace(self) -> object:
        return SimpleNamespace(status="available")

    async def query(self, _sql: str) -> Result:
        return Result()


class RefusingDatabase(threading.Thread):
    """Asks for the password, refuses it and closes."""

    def __init__(self, path: Path, refusal: bytes) -> None:
        super().__init__(daemon=True)
        self.closed = threading.Event()
        self._refusal = refusal
        self._listening = socket.socket(socket.AF_UNIX)
        self._listening.bind(str(path))
        self._listening.listen()

    def run(self) -> None:
        with self._listening:
            accepted, _ = self._listening.accept()
            with accepted:
                accepted.recv(65536)
                accepted.sendall(CHALLENGE)
                accepted.recv(65536)
                accepted.sendall(self._refusal)
        self.closed.set()


@pytest.fixture
def config(tmp_path: Path) -> SandboxConfig:
    config = SandboxConfig(home=tmp_path / "home", aws_port=free_port(), redshift_port=free_port())
    config.home.mkdir()
    config.token_path.write_text("token")
    ensure_certificates(config)
    return config


@pytest.mark.parametrize("user", ["IAMR:load-role", "IAM:person", "admin"])
@pytest.mark.parametrize(
    ("code", "text", "raised"),
    [
        ("28P01", "password authentication failed", InterfaceError),
        ("3D000", 'database "dev" does not exist', ProgrammingError),
    ],
)
def test_the_refusal_arrives_when_the_database_closes_before_the_last_message_is_sent(
    config: SandboxConfig,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    user: str,
    code: str,
    text: str,
    raised: type[Exception],
) -> None:
    """redshift_connector sends a Flush behind its password (``Connection._send_message``)."""
    fields = {"S": "FATAL", "V": "FATAL", "C": code, "M": text}
    database = RefusingDatabase(tmp_path / "s", protocol.fields_message(b"E", fields))
    write = Backend.write

    def write_and_let_it_end(self: Backend, data: bytes) -> None:
        write(self, data)
        if data.startswith(b"p"):
            assert database.closed.wait(10)

    monkeypatch.setattr(Backend, "write", write_and_let_it_end)

    async def scenario() -> None:
        server = RedshiftServer(config, tmp_path / "s", cast(SystemCatalog, Catalog()))
        await server.start()
        try:
            await asyncio.to_thread(connect, config, user, "wrong", timeout=20)
        finally:
            await server.stop()

    database.start()
    with pytest.raises(raised, match=text):
        asyncio.run(scenario())
