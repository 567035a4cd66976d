"""A client of PostgreSQL's simple query protocol, which the project's drivers do not use."""

from __future__ import annotations

import socket
import ssl
import struct

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.query_connection import md5_answer


class Simple:
    """A client of the simple query protocol, over TLS."""

    def __init__(self, config: SandboxConfig, user: str, password: str) -> None:
        context = ssl.create_default_context(cafile=str(config.ca_pem))
        plain = socket.create_connection((config.host, config.redshift_port))
        plain.sendall(struct.pack(">II", 8, protocol.SSL_REQUEST))
        assert plain.recv(1) == b"S"
        self.socket = context.wrap_socket(plain, server_hostname="127.0.0.1")
        self.socket.sendall(protocol.startup({"user": user, "database": "dev"}))
        self.buffer = b""
        kind, body = self.read()
        assert (kind, body[:4]) == (b"R", b"\x00\x00\x00\x05")
        self.socket.sendall(protocol.message(b"p", md5_answer(user, password, body[4:8]) + b"\x00"))
        self.key = b""
        while kind != b"Z":
            kind, body = self.read()
            if kind == b"K":
                self.key = body

    def read(self) -> tuple[bytes, bytes]:
        while (
            len(self.buffer) < 5 or len(self.buffer) < 1 + struct.unpack(">I", self.buffer[1:5])[0]
        ):
            received = self.socket.recv(65536)
            if not received:
                raise ConnectionError("the server closed the connection")
            self.buffer += received
        end = 1 + struct.unpack(">I", self.buffer[1:5])[0]
        kind, body = self.buffer[:1], self.buffer[5:end]
        self.buffer = self.buffer[end:]
        return kind, body

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def answer(self) -> list[tuple[bytes, bytes]]:
        messages = []
        while True:
            messages.append(self.read())
            if messages[-1][0] == b"Z":
                return messages

    def query(self, sql: str) -> list[tuple[bytes, bytes]]:
        self.send(protocol.query(sql))
        return self.answer()


def kinds(answer: list[tuple[bytes, bytes]]) -> bytes:
    return b"".join(kind for kind, _ in answer if kind not in b"NS")
