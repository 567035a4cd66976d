"""One connection to the embedded PostgreSQL: raw pumping for clients, statements for ourselves.

While a client's statement flows through, ``sink`` gets every byte PostgreSQL sends. While the
front works on the connection itself (``query``, ``copy_in``, ``copy_out``), an exchange reads the
messages instead. The two never overlap: the session sees to it.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, TypeVar

from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.sql.errors import BackendError
from xacct_sandbox.redshift.unload.copy_rows import Rows

AUTH_MD5 = 5
_T = TypeVar("_T")
_ERROR = ord("E")
FEED_SECONDS = 24 * 3600.0  # PostgreSQL may wait for a lock for as long as it likes
READ_AHEAD = 1 << 20  # bytes kept for an exchange before PostgreSQL is asked to wait


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
        self._moving: socket.socket | None = None

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
        if self._moving is not None:
            with contextlib.suppress(OSError):  # a thread waits in it, for PostgreSQL
                self._moving.shutdown(socket.SHUT_RDWR)
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
        return await _to_its_end(self._finish())

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

    async def copy_in(
        self,
        sql: str,
        next_chunk: Callable[[], bytes | None],
        give_up: Callable[[], None] = lambda: None,
    ) -> Result:
        """``COPY … FROM STDIN`` of the chunks that ``next_chunk`` gives until it gives None.

        ``next_chunk`` is called in a thread, which also writes to the socket: the data never
        passes through the event loop, and waiting for PostgreSQL to read costs nobody anything.
        An exception of ``next_chunk`` ends the COPY on the server and is then raised. When this is
        cancelled, ``give_up`` is called, to end a ``next_chunk`` that waits for something.
        """
        self.write(protocol.query(sql))

        async def end_at_once() -> None:
            self.write(protocol.message(b"f", b"cancelled\x00"))
            await self._read_to_ready()

        await self._begin_copy(b"G", end_at_once)
        stop = threading.Event()
        feeding = _in_a_thread(self._feed, next_chunk, stop)
        try:
            await asyncio.shield(feeding)
        except BaseException as problem:
            stop.set()
            give_up()
            await asyncio.wait([feeding])
            if self._lost or isinstance(problem, BackendLost):
                raise
            self.write(protocol.message(b"f", str(problem).encode()[:200] + b"\x00"))
            await self._read_to_ready()
            raise
        self.write(protocol.COPY_DONE)
        return await self.finish()

    def _feed(self, next_chunk: Callable[[], bytes | None], stop: threading.Event) -> None:
        """Write chunks until the last, or until PostgreSQL says something: that is an error."""
        assert self._transport is not None
        # A copy of the descriptor, with a timeout: so Python waits in poll() for a socket that
        # stays non-blocking, as the event loop, which goes on reading from it, needs it.
        with socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno())) as out:
            out.settimeout(FEED_SECONDS)
            self._moving = out
            try:
                while not (stop.is_set() or self._lost or self._refused()):
                    chunk = next_chunk()
                    if chunk is None:
                        return
                    out.sendall(protocol.copy_data_header(len(chunk)))
                    out.sendall(chunk)
            except (BrokenPipeError, ConnectionResetError) as gone:
                raise BackendLost("the database connection ended") from gone
            finally:
                self._moving = None

    def _refused(self) -> bool:
        """Is an error among the messages that have arrived? (A notice ends no COPY.)"""
        buffer, position = self._incoming, 0
        while len(buffer) - position >= 5:
            if buffer[position] == _ERROR:
                return True
            position += 1 + protocol.unpack_int32(buffer, position + 1)[0]
        return False

    async def describe(self, sql: str) -> list[tuple[str, int, int]]:
        """(name, type OID, type modifier) of each column a query returns, without running it."""
        self.write(
            protocol.parse_message(b"", sql, b"\x00\x00")
            + protocol.message(b"D", b"S\x00")
            + protocol.SYNC
        )
        return await _to_its_end(self._description())

    async def _description(self) -> list[tuple[str, int, int]]:
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
        self,
        sql: str,
        take: Callable[[bytes, int], None],
        cancel: Callable[[], Awaitable[None]],
    ) -> Result:
        """``COPY (…) TO STDOUT`` in text or CSV: ``take`` gets whole rows and their number.

        ``take`` is called in a thread, which also reads the socket. If it raises, or this is
        cancelled, the COPY is ended with ``cancel``; the connection is then ready again.
        """
        self.write(protocol.query(sql))

        async def end_at_once() -> None:
            await cancel()
            await self._read_to_ready()

        await self._begin_copy(b"H", end_at_once)
        self.pause_reading()
        stop = threading.Event()
        moving = _in_a_thread(self._move_rows, take, stop)
        try:
            await asyncio.shield(moving)
        except BaseException:
            stop.set()
            if not self._lost:
                await cancel()
            await asyncio.wait([moving])
            self._paused = False
            self.resume_reading()
            if not self._lost:
                await self._read_to_ready()
            raise
        self._paused = False
        self.resume_reading()
        return await self.finish()

    def _move_rows(self, take: Callable[[bytes, int], None], stop: threading.Event) -> None:
        """Read rows until something else comes, which stays in the buffer; ``stop``: drop them."""
        assert self._transport is not None
        with socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno())) as src:
            self._moving = src
            rows = Rows(bytes(self._incoming))
            self._incoming.clear()
            try:
                while not rows.ended:
                    if not rows.fill(src.fileno()):
                        raise BackendLost("the database connection ended")
                    for data, number in rows.take():
                        if not stop.is_set():
                            take(data, number)
            finally:
                self._moving = None
                self._incoming += rows.rest()

    async def _begin_copy(self, begun: bytes, end: Callable[[], Awaitable[None]]) -> None:
        """Read until a COPY has begun; cancelled meanwhile, it is ended with ``end`` if it has."""

        async def until_begun() -> None:
            while True:
                kind, body = await self.read_message()
                if kind == begun:
                    return
                if kind == b"E":
                    error = BackendError(protocol.parse_fields(body))
                    await self._read_to_ready()
                    raise error

        reading = asyncio.ensure_future(until_begun())
        try:
            await asyncio.shield(reading)
        except asyncio.CancelledError:
            await asyncio.wait([reading])
            if reading.exception() is None:
                await end()
            raise

    async def _read_to_ready(self) -> None:
        while True:
            kind, body = await self.read_message()
            if kind == b"Z":
                self.status = body
                return


async def _to_its_end(answer: Coroutine[Any, Any, _T]) -> _T:
    """Read an answer, to its end even if this is cancelled, which is then raised."""
    reading = asyncio.ensure_future(answer)
    try:
        return await asyncio.shield(reading)
    except asyncio.CancelledError:
        await asyncio.wait([reading])
        if not reading.cancelled():
            reading.exception()
        raise


def _in_a_thread(work: Callable[..., None], *arguments: object) -> asyncio.Future[None]:
    """Run it in a thread of its own: it may wait for a lock that work in a pool would release."""
    pool = ThreadPoolExecutor(1, work.__name__)
    running = asyncio.get_running_loop().run_in_executor(pool, work, *arguments)
    pool.shutdown(wait=False)
    return running


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
