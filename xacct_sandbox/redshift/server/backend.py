"""A client's PostgreSQL connection: queries, and the streams of COPY.

Threads move the data of a COPY between its source and the socket. It does not pass through the
event loop.
"""

from __future__ import annotations

import asyncio
import os
import socket
import threading
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor

from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.connection import BackendLost
from xacct_sandbox.redshift.server.copy_rows import Rows
from xacct_sandbox.redshift.server.query_connection import QueryConnection, Result
from xacct_sandbox.redshift.sql.errors import BackendError

COPY_TIMEOUT_SECONDS = 24 * 3600.0  # PostgreSQL may wait for a lock for hours


class Backend(QueryConnection):
    """A PostgreSQL connection with COPY in both directions."""

    async def copy_in(
        self,
        sql: str,
        next_chunk: Callable[[], bytes | None],
        give_up: Callable[[], None] = lambda: None,
    ) -> Result:
        """Run ``COPY … FROM STDIN``.

        A thread calls ``next_chunk`` and writes to the socket.

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
        return any(kind == b"E" for kind, _ in self._whole_messages())

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


def _in_own_thread(work: Callable[..., None], *arguments: object) -> asyncio.Future[None]:
    """Run in a new thread. In a shared pool it could wait for work that is queued behind it."""
    pool = ThreadPoolExecutor(1, work.__name__)
    running = asyncio.get_running_loop().run_in_executor(pool, work, *arguments)
    pool.shutdown(wait=False)
    return running
