"""A connection to the embedded PostgreSQL: its bytes, and the messages they hold."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from xacct_sandbox.redshift.server import protocol

READ_AHEAD = 1 << 20
"""Bytes kept for ``read_message`` before PostgreSQL is asked to wait."""
_ENDS_SESSION = ("FATAL", "PANIC")


class BackendLost(Exception):
    """The database connection ended."""


class Connection(asyncio.Protocol):
    """A connection over the unix socket.

    Attributes:
        sink: Gets every byte that PostgreSQL sends. None: ``read_message`` gets them.
        on_lost: Called when the connection has ended.
    """

    def __init__(self) -> None:
        self.sink: Callable[[bytes], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self._transport: asyncio.Transport | None = None
        self._incoming = bytearray()
        self._arrived = asyncio.Event()
        self._lost = False
        self._paused = False
        # A thread uses this duplicate of the socket while it moves the data of a COPY.
        self._copy_socket: socket.socket | None = None
        self._fatal = b""

    @classmethod
    async def connect(cls, socket_path: Path) -> Self:
        loop = asyncio.get_running_loop()
        _, connection = await loop.create_unix_connection(cls, str(socket_path))
        return connection

    # -- asyncio.Protocol ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        if self.sink is not None:
            self.sink(data)
            return
        self._incoming += data
        if len(self._incoming) > READ_AHEAD and not self._paused:
            self._paused = True
            self.pause_reading()
        self._arrived.set()

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        if exc is not None and self._copy_socket is None:
            self._read_rest()
        self._arrived.set()
        if self.on_lost is not None:
            self.on_lost()

    def _read_rest(self) -> None:
        """Read what PostgreSQL sent before it closed the connection.

        When a write finds the connection closed, asyncio reads no further, and the reason would be
        lost. (A driver may send two messages where PostgreSQL closes after the first: a password
        and a Flush.) asyncio closes the socket after ``connection_lost``.
        """
        assert self._transport is not None
        descriptor = self._transport.get_extra_info("socket").fileno()
        with contextlib.suppress(OSError):
            while data := os.read(descriptor, READ_AHEAD):
                self.data_received(data)

    # -- bytes -----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
        """Send bytes.

        Raises:
            BackendLost: The connection ended.
        """
        if self._transport is None or self._lost:
            raise BackendLost("the database connection is closed")
        self._transport.write(data)

    def pause_reading(self) -> None:
        if self._transport is not None and not self._lost:
            self._transport.pause_reading()

    def resume_reading(self) -> None:
        if self._transport is not None and not self._lost:
            self._transport.resume_reading()

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def abort(self) -> None:
        """Close without sending what is buffered: PostgreSQL rolls the transaction back."""
        if self._copy_socket is not None:
            with contextlib.suppress(OSError):  # wakes the thread that waits for PostgreSQL
                self._copy_socket.shutdown(socket.SHUT_RDWR)
        if self._transport is not None:
            self._transport.abort()

    # -- messages --------------------------------------------------------------------------

    def farewell(self) -> bytes:
        """The FATAL error that ended the connection and that ``sink`` did not get, if any."""
        for kind, body in self._whole_messages():
            self._note_fatal(kind, body)
        return self._fatal

    def _note_fatal(self, kind: bytes, body: bytes) -> None:
        if kind == b"E" and protocol.parse_fields(body).get("V") in _ENDS_SESSION:
            self._fatal = protocol.message(kind, body)

    def _whole_messages(self) -> Iterator[tuple[bytes, bytes]]:
        """The type and body of each message in the buffer. They stay there."""
        buffer, position = self._incoming, 0
        while len(buffer) - position >= 5:
            end = position + 1 + protocol.unpack_int32(buffer, position + 1)[0]
            if end > len(buffer):
                return
            yield bytes(buffer[position : position + 1]), bytes(buffer[position + 5 : end])
            position = end

    async def read_message(self) -> tuple[bytes, bytes]:
        """The next message: its type and its body.

        Raises:
            BackendLost: The connection ended.
        """
        while True:
            found = next(self._whole_messages(), None)
            if found is not None:
                del self._incoming[: 5 + len(found[1])]
                self._note_fatal(*found)
                if self._paused and len(self._incoming) < READ_AHEAD // 2:
                    self._paused = False
                    self.resume_reading()
                return found
            await self._wait_for_data()

    async def _wait_for_data(self) -> None:
        if self._lost:
            raise BackendLost("the database connection ended")
        if self._paused:
            self._paused = False
            self.resume_reading()
        self._arrived.clear()
        await self._arrived.wait()


async def cancel_backend(socket_path: Path, key: bytes) -> None:
    """Send PostgreSQL a CancelRequest and wait until it has acted on it."""
    reader, writer = await asyncio.open_unix_connection(str(socket_path))
    try:
        writer.write(protocol.cancel_request(key))
        await writer.drain()
        await reader.read()
    finally:
        writer.close()
