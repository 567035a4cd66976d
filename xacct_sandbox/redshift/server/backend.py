"""Statements of the sandbox itself on a PostgreSQL connection: queries, descriptions, COPY.

While a client's statements pass through, ``sink`` gets every byte that PostgreSQL sends. While the
sandbox runs a statement of its own, the methods here read the messages. The two never overlap:
``Relay.exclusively`` detaches the sink.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import threading
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any, TypeVar

from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.connection import BackendLost, Connection
from xacct_sandbox.redshift.server.copy_rows import Rows
from xacct_sandbox.redshift.sql.errors import BackendError

AUTH_MD5 = 5
COPY_TIMEOUT_SECONDS = 24 * 3600.0  # PostgreSQL may wait for a lock for hours
_T = TypeVar("_T")
_ERROR = ord("E")


@dataclass
class Result:
    """The answer to one simple query; of several statements, the last one's."""

    columns: list[str] = field(default_factory=list)
    rows: list[list[str | None]] = field(default_factory=list)
    tag: str = ""
    notices: list[bytes] = field(default_factory=list)

    @property
    def row_count(self) -> int:
        """The number of rows in the command tag, e.g. of ``COPY 5``."""
        return int(self.tag.split()[-1])


class Backend(Connection):
    """A PostgreSQL connection on which the sandbox runs statements.

    Attributes:
        status: The transaction status of the last ReadyForQuery: ``I`` idle, ``T`` in a
            transaction, ``E`` in a failed transaction.
    """

    def __init__(self) -> None:
        super().__init__()
        self.status = b"I"

    async def log_in(self, user: str, password: str, database: str) -> None:
        """Log in with an MD5 challenge (``storage/postgres.py`` says why MD5).

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

    # -- queries ---------------------------------------------------------------------------

    async def query(self, sql: str) -> Result:
        """Run SQL text with the simple query protocol.

        Raises:
            BackendError: PostgreSQL reported an error. The connection is ready again.
            BackendLost: The connection ended.
        """
        self.write(protocol.query(sql))
        return await self.finish()

    async def finish(self) -> Result:
        """Read the answer up to ReadyForQuery.

        It is read to its end even if this is cancelled: the error of a cancelled statement that
        stayed in the buffer would be taken for the answer to the next one.

        Raises:
            BackendError: The first error in the answer.
        """
        return await _read_to_end(self._finish())

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
        """Run ``COPY … FROM STDIN``.

        A thread calls ``next_chunk`` and writes to the socket, so the data does not pass through
        the event loop.

        Args:
            next_chunk: Returns the next chunk, None after the last. An exception of it ends the
                COPY on the server and is raised here.
            give_up: Called when this is cancelled, to wake a ``next_chunk`` that waits.

        Raises:
            BackendError: PostgreSQL refused.
        """
        self.write(protocol.query(sql))

        async def fail_copy() -> None:
            self.write(protocol.message(b"f", b"cancelled\x00"))
            await self._read_to_ready()

        await self._start_copy(b"G", fail_copy)
        stop = threading.Event()
        sending = _in_own_thread(self._send_chunks, next_chunk, stop)
        try:
            await asyncio.shield(sending)
        except BaseException as problem:
            stop.set()
            give_up()
            await asyncio.wait([sending])
            if self._lost or isinstance(problem, BackendLost):
                raise
            self.write(protocol.message(b"f", str(problem).encode()[:200] + b"\x00"))
            await self._read_to_ready()
            raise
        self.write(protocol.COPY_DONE)
        return await self.finish()

    def _send_chunks(self, next_chunk: Callable[[], bytes | None], stop: threading.Event) -> None:
        """Write all chunks, or until PostgreSQL reports an error. Runs in a thread."""
        assert self._transport is not None
        # The event loop goes on reading from this socket, so it must stay non-blocking. With a
        # timeout, Python waits in poll() and leaves the descriptor non-blocking.
        with socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno())) as out:
            out.settimeout(COPY_TIMEOUT_SECONDS)
            self._copy_socket = out
            try:
                while not (stop.is_set() or self._lost or self._error_arrived()):
                    chunk = next_chunk()
                    if chunk is None:
                        return
                    out.sendall(protocol.copy_data_header(len(chunk)))
                    out.sendall(chunk)
            except (BrokenPipeError, ConnectionResetError) as problem:
                raise BackendLost("the database connection ended") from problem
            finally:
                self._copy_socket = None

    def _error_arrived(self) -> bool:
        """Whether an error is among the unread messages. (A notice does not end a COPY.)"""
        buffer, position = self._incoming, 0
        while len(buffer) - position >= 5:
            if buffer[position] == _ERROR:
                return True
            position += 1 + protocol.unpack_int32(buffer, position + 1)[0]
        return False

    async def describe(self, sql: str) -> list[tuple[str, int, int]]:
        """The columns a query returns: name, type OID and type modifier. It is not run.

        Raises:
            BackendError: The query is wrong.
        """
        self.write(
            protocol.parse_message(b"", sql, b"\x00\x00")
            + protocol.message(b"D", b"S\x00")
            + protocol.SYNC
        )
        return await _read_to_end(self._description())

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
        """Run ``COPY (…) TO STDOUT`` in text or CSV format.

        A thread reads the socket and calls ``take``. If ``take`` raises, or this is cancelled, the
        COPY is ended with ``cancel``, and the connection is ready again.

        Args:
            take: Gets whole rows and their number.
            cancel: Sends PostgreSQL a CancelRequest for this connection.

        Raises:
            BackendError: PostgreSQL refused.
        """
        self.write(protocol.query(sql))

        async def cancel_copy() -> None:
            await cancel()
            await self._read_to_ready()

        await self._start_copy(b"H", cancel_copy)
        self.pause_reading()
        stop = threading.Event()
        receiving = _in_own_thread(self._receive_rows, take, stop)
        try:
            await asyncio.shield(receiving)
        except BaseException:
            stop.set()
            if not self._lost:
                await cancel()
            await asyncio.wait([receiving])
            self._paused = False
            self.resume_reading()
            if not self._lost:
                await self._read_to_ready()
            raise
        self._paused = False
        self.resume_reading()
        return await self.finish()

    def _receive_rows(self, take: Callable[[bytes, int], None], stop: threading.Event) -> None:
        """Read rows up to the next other message, which stays in the buffer. Runs in a thread.

        Once ``stop`` is set, the rows are dropped.
        """
        assert self._transport is not None
        with socket.socket(fileno=os.dup(self._transport.get_extra_info("socket").fileno())) as src:
            self._copy_socket = src
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
                self._copy_socket = None
                self._incoming += rows.rest()

    async def _start_copy(self, started: bytes, end: Callable[[], Awaitable[None]]) -> None:
        """Read up to the message that starts the data of a COPY.

        Args:
            started: The type of that message.
            end: Ends the COPY; called if this is cancelled and the COPY has started.
        """

        async def until_started() -> None:
            while True:
                kind, body = await self.read_message()
                if kind == started:
                    return
                if kind == b"E":
                    error = BackendError(protocol.parse_fields(body))
                    await self._read_to_ready()
                    raise error

        reading = asyncio.ensure_future(until_started())
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


async def _read_to_end(answer: Coroutine[Any, Any, _T]) -> _T:
    """Await ``answer`` to its end, also if this is cancelled meanwhile."""
    reading = asyncio.ensure_future(answer)
    try:
        return await asyncio.shield(reading)
    except asyncio.CancelledError:
        await asyncio.wait([reading])
        if not reading.cancelled():
            reading.exception()
        raise


def _in_own_thread(work: Callable[..., None], *arguments: object) -> asyncio.Future[None]:
    """Run in a new thread. In a shared pool it could wait for work that is queued behind it."""
    pool = ThreadPoolExecutor(1, work.__name__)
    running = asyncio.get_running_loop().run_in_executor(pool, work, *arguments)
    pool.shutdown(wait=False)
    return running


def md5_answer(user: str, password: str, salt: bytes) -> bytes:
    """A client's answer to AuthenticationMD5Password."""
    inner = hashlib.md5((password + user).encode(), usedforsecurity=False).hexdigest()
    outer = hashlib.md5(inner.encode() + salt, usedforsecurity=False).hexdigest()
    return b"md5" + outer.encode()
