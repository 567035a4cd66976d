"""One connection to the embedded PostgreSQL: raw pumping for clients, statements for ourselves.

While a client's statement flows through, ``sink`` gets every byte PostgreSQL sends. While the
front works on the connection itself (``query``, ``copy_in``, ``copy_out``), an exchange reads the
messages instead. The two never overlap: the session sees to it.
"""

from __future__ import annotations

import asyncio
import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from xacct_sandbox.redshift import protocol
from xacct_sandbox.redshift.errors import BackendError

AUTH_MD5 = 5
READ_AHEAD = 1 << 20  # bytes kept for an exchange before PostgreSQL is asked to wait
# CopyData rows as PostgreSQL sends them: one message a row. Its text never holds a NUL byte, so a
# line feed, "d" and the first (zero) byte of a length below 16 MB mark a message and nothing else.
_ROW_SEAM = re.compile(rb"(?s)\nd\x00...")


class BackendLost(Exception):
    """The database connection ended."""


@dataclass
class Result:
    """What one simple query answered (the last statement's, if it held several)."""

    columns: list[str] = field(default_factory=list)
    rows: list[list[str | None]] = field(default_factory=list)
    tag: str = ""
    notices: list[bytes] = field(default_factory=list)


class Backend(asyncio.Protocol):
    """A PostgreSQL connection over the unix socket."""

    def __init__(self) -> None:
        self.sink: Callable[[bytes], None] | None = None
        self.on_lost: Callable[[], None] | None = None
        self.on_writable: Callable[[bool], None] | None = None
        self.status = b"I"
        self._transport: asyncio.Transport | None = None
        self._incoming = bytearray()
        self._arrived = asyncio.Event()
        self._writable = asyncio.Event()
        self._writable.set()
        self._lost = False
        self._paused = False

    @classmethod
    async def connect(cls, socket_path: Path) -> Backend:
        loop = asyncio.get_running_loop()
        _, backend = await loop.create_unix_connection(cls, str(socket_path))
        return backend

    # -- asyncio.Protocol ------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        transport.set_write_buffer_limits(high=1 << 20, low=1 << 18)

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
        self._arrived.set()
        self._writable.set()
        if self.on_lost is not None:
            self.on_lost()

    def pause_writing(self) -> None:
        self._writable.clear()
        if self.on_writable is not None:
            self.on_writable(False)

    def resume_writing(self) -> None:
        self._writable.set()
        if self.on_writable is not None:
            self.on_writable(True)

    # -- bytes -----------------------------------------------------------------------------

    def write(self, data: bytes) -> None:
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
        """End at once: PostgreSQL rolls the open transaction back."""
        if self._transport is not None:
            self._transport.abort()

    async def drain(self) -> None:
        await self._writable.wait()
        if self._lost:
            raise BackendLost("the database connection ended")

    # -- messages --------------------------------------------------------------------------

    async def read_message(self) -> tuple[bytes, bytes]:
        """The next (type, body).

        Raises:
            BackendLost: the connection ended.
        """
        while True:
            buffer = self._incoming
            if len(buffer) >= 5:
                end = 1 + protocol.unpack_int32(buffer, 1)[0]
                if len(buffer) >= end:
                    kind, body = bytes(buffer[:1]), bytes(buffer[5:end])
                    del buffer[:end]
                    self._after_reading()
                    return kind, body
            await self._more()

    async def _more(self) -> None:
        if self._lost:
            raise BackendLost("the database connection ended")
        if self._paused:
            self._paused = False
            self.resume_reading()
        self._arrived.clear()
        await self._arrived.wait()

    def _after_reading(self) -> None:
        if self._paused and len(self._incoming) < READ_AHEAD // 2:
            self._paused = False
            self.resume_reading()

    # -- logging in as ourselves -----------------------------------------------------------

    async def log_in(self, user: str, password: str, database: str) -> None:
        """Start a session of our own (MD5, as postgres.py says why).

        Raises:
            BackendError: PostgreSQL refused.
        """
        parameters = {"user": user, "database": database, "application_name": "sandbox"}
        self.write(protocol.startup(parameters))
        while True:
            kind, body = await self.read_message()
            if kind == b"E":
                raise BackendError(protocol.parse_fields(body))
            if kind == b"Z":
                self.status = body
                return
            if kind != b"R":
                continue
            step = protocol.unpack_int32(body)[0]
            if step == AUTH_MD5:
                answer = md5_answer(user, password, body[4:8])
                self.write(protocol.message(b"p", answer + b"\x00"))
            elif step != 0:
                raise BackendLost(f"the database asked for authentication method {step}")

    # -- statements of our own -------------------------------------------------------------

    async def query(self, sql: str) -> Result:
        """Run SQL text with the simple protocol.

        Raises:
            BackendError: PostgreSQL reported an error; the connection is ready again.
        """
        self.write(protocol.query(sql))
        return await self.finish()

    async def finish(self) -> Result:
        """Read to ReadyForQuery; the first error, if any, is raised then.

        Cancelled, it still reads to the end: a cancelled statement's error that stayed in the
        buffer would be taken for the answer to the next one.
        """
        reading = asyncio.ensure_future(self._finish())
        try:
            return await asyncio.shield(reading)
        except asyncio.CancelledError:
            await asyncio.wait([reading])
            if not reading.cancelled():
                reading.exception()
            raise

    async def _finish(self) -> Result:
        result, error = Result(), None
        while True:
            kind, body = await self.read_message()
            if kind == b"Z":
                self.status = body
                if error is not None:
                    raise error
                return result
            if kind == b"E":
                error = error or BackendError(protocol.parse_fields(body))
            elif kind == b"T":
                result.columns, result.rows = protocol.row_description_names(body), []
            elif kind == b"D":
                result.rows.append(protocol.data_row_values(body))
            elif kind == b"C":
                result.tag = body[:-1].decode()
            elif kind == b"N":
                result.notices.append(protocol.message(b"N", body))

    async def copy_in(self, sql: str, chunks: AsyncIterator[bytes]) -> Result:
        """``COPY … FROM STDIN`` fed from ``chunks``, waiting whenever PostgreSQL is behind.

        An exception of ``chunks`` ends the COPY on the server and is then raised.
        """
        self.write(protocol.query(sql))
        while True:
            kind, body = await self.read_message()
            if kind == b"G":
                break
            if kind == b"E":
                error = BackendError(protocol.parse_fields(body))
                await self._read_to_ready()
                raise error
        try:
            async for chunk in chunks:
                if self._incoming:
                    break  # PostgreSQL has something to say before the end: an error
                self.write(protocol.copy_data_header(len(chunk)))
                self.write(chunk)
                await self.drain()
        except BackendLost:
            raise
        except BaseException as problem:
            self.write(protocol.message(b"f", str(problem).encode()[:200] + b"\x00"))
            await self._read_to_ready()
            raise
        self.write(protocol.COPY_DONE)
        return await self.finish()

    async def describe(self, sql: str) -> list[tuple[str, int, int]]:
        """(name, type OID, type modifier) of each column a query returns, without running it."""
        self.write(
            protocol.parse_message(b"", sql, b"\x00\x00")
            + protocol.message(b"D", b"S\x00")
            + protocol.SYNC
        )
        columns: list[tuple[str, int, int]] = []
        error = None
        while True:
            kind, body = await self.read_message()
            if kind == b"T":
                columns = protocol.row_description_types(body)
            elif kind == b"E":
                error = BackendError(protocol.parse_fields(body))
            elif kind == b"Z":
                self.status = body
                if error is not None:
                    raise error
                return columns

    async def copy_out(
        self, sql: str, cancel: Callable[[], Awaitable[None]]
    ) -> AsyncGenerator[tuple[bytes, int], None]:
        """``COPY (…) TO STDOUT`` in text or CSV: (bytes of whole rows, number of rows).

        Left before its end, the COPY is ended with ``cancel`` and the connection is ready again.
        """
        self.write(protocol.query(sql))
        while True:
            kind, body = await self.read_message()
            if kind == b"H":
                break
            if kind == b"E":
                error = BackendError(protocol.parse_fields(body))
                await self._read_to_ready()
                raise error
        buffer = self._incoming
        ended = False
        try:
            while True:
                if buffer[:1] == b"d":
                    rows = self._take_rows()
                    if rows is not None:
                        yield rows
                        continue
                elif len(buffer) >= 5:
                    break
                await self._more()
            ended = True
        finally:
            if not ended and not self._lost:
                await cancel()
                await self._read_to_ready()
        await self.finish()

    def _take_rows(self) -> tuple[bytes, int] | None:
        """Whole CopyData messages at the head of the buffer, unframed, without a loop per row."""
        buffer = self._incoming
        if len(buffer) < 5:
            return None
        first_end = 1 + protocol.unpack_int32(buffer, 1)[0]
        if len(buffer) < first_end:
            return None
        if buffer[1] != 0 or len(buffer) >= 1 << 24:  # a row of 16 MB or more: taken alone
            row = bytes(buffer[5:first_end])
            del buffer[:first_end]
            self._after_reading()
            return row, 1
        data = bytes(buffer)
        parts = _ROW_SEAM.split(data[5:])
        if len(parts) == 1:
            row = data[5:first_end]
            del buffer[:first_end]
            self._after_reading()
            return row, 1
        # The last part may be cut, or be followed by the end of the COPY: leave it in the buffer.
        last_seam = len(data) - len(parts[-1]) - 5
        parts.pop()
        del buffer[:last_seam]
        self._after_reading()
        return b"\n".join(parts) + b"\n", len(parts)

    async def _read_to_ready(self) -> None:
        while True:
            kind, body = await self.read_message()
            if kind == b"Z":
                self.status = body
                return


def md5_answer(user: str, password: str, salt: bytes) -> bytes:
    """What a client answers to AuthenticationMD5Password."""
    inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
    outer = hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest()
    return b"md5" + outer.encode()


async def cancel_backend(socket_path: Path, key: bytes) -> None:
    """Send PostgreSQL a CancelRequest and wait until it has acted on it."""
    reader, writer = await asyncio.open_unix_connection(str(socket_path))
    try:
        writer.write(protocol.cancel_request(key))
        await writer.drain()
        await reader.read()
    finally:
        writer.close()
