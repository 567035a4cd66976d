"""PostgreSQL's own COPY over its unix socket, by the barest client there can be.

What COPY and UNLOAD are measured against: no S3, no TLS, no roles, no reading of fields; the bytes
go from a file to the socket, or from the socket to a file, with blocking calls in large blocks.
"""

from __future__ import annotations

import socket
from collections.abc import Iterable
from pathlib import Path
from types import TracebackType
from typing import Self

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.query_connection import AUTH_MD5, md5_answer
from xacct_sandbox.redshift.storage.postgres import DATABASE, SUPERUSER, PostgresCluster

BLOCK = 1 << 20


class PostgresError(Exception):
    """PostgreSQL refused a statement; its own words."""


class PostgresSocket:
    """One connection, as the superuser of the sandbox's PostgreSQL."""

    def __init__(self, config: SandboxConfig) -> None:
        token = config.token_path.read_text(encoding="ascii").strip()
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(PostgresCluster(config.postgres_dir, token).socket_path))
        self._file = self._socket.makefile("rb", buffering=BLOCK)
        self._socket.sendall(protocol.startup({"user": SUPERUSER, "database": DATABASE}))
        while True:
            kind, body = self._message()
            if kind == b"Z":
                return
            if kind == b"R" and protocol.unpack_int32(body)[0] == AUTH_MD5:
                answer = md5_answer(SUPERUSER, token, body[4:8])
                self._socket.sendall(protocol.message(b"p", answer + b"\x00"))

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        problem: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._file.close()
        self._socket.close()

    def run(self, sql: str) -> str:
        """A statement without rows, or one with a single value: that value, or the tag."""
        self._socket.sendall(protocol.query(sql))
        return self._to_ready()

    def copy_in(self, sql: str, files: Iterable[Path]) -> int:
        """``COPY … FROM STDIN`` of these files; the number of rows."""
        self._socket.sendall(protocol.query(sql))
        self._expect(b"G")
        for path in files:
            with path.open("rb") as file:
                while block := file.read(BLOCK):
                    self._socket.sendall(protocol.copy_data_header(len(block)))
                    self._socket.sendall(block)
        self._socket.sendall(protocol.COPY_DONE)
        return int(self._to_ready().split()[-1])

    def copy_out(self, sql: str, path: Path) -> int:
        """``COPY … TO STDOUT`` into a file; the number of rows.

        Raw blocks of the socket are written as they come, framing and all: taking the rows out of
        their messages would cost this client more than PostgreSQL takes to make them.
        """
        self._socket.sendall(protocol.query(sql))
        self._expect(b"H")
        tail = b""
        with path.open("wb") as file:
            while not tail.endswith(protocol.message(b"Z", b"I")):
                block = self._file.read1(BLOCK)
                if not block:
                    raise PostgresError("the connection ended")
                file.write(block)
                tail = (tail + block[-64:])[-64:]
        return int(tail[: -len(protocol.message(b"Z", b"I"))].rstrip(b"\x00").split()[-1])

    def _expect(self, wanted: bytes) -> None:
        while True:
            kind, body = self._message()
            if kind == wanted:
                return
            if kind == b"E":
                raise PostgresError(protocol.parse_fields(body).get("M", "unknown"))

    def _to_ready(self) -> str:
        answer = ""
        while True:
            kind, body = self._message()
            if kind == b"Z":
                return answer
            if kind == b"E":
                raise PostgresError(protocol.parse_fields(body).get("M", "unknown"))
            if kind == b"D":
                answer = protocol.data_row_values(body)[0] or ""
            elif kind == b"C" and not answer:
                answer = body[:-1].decode()

    def _message(self) -> tuple[bytes, bytes]:
        head = self._file.read(5)
        if len(head) < 5:
            raise PostgresError("the connection ended")
        return head[:1], self._file.read(protocol.unpack_int32(head, 1)[0] - 4)
