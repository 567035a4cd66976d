"""A client's socket: start-up packets, TLS, whole messages in, bytes out.

Once the client is logged in, its messages go to the session. A message that needs waiting becomes
a task, and the next message is read when that task has ended: messages are handled in order.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
import struct
from collections.abc import Callable, Coroutine
from typing import Any, Protocol

from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.connection import BackendLost
from xacct_sandbox.redshift.server.identity import Identity
from xacct_sandbox.redshift.server.registry import SessionRegistry
from xacct_sandbox.redshift.sql.errors import INVALID_AUTHORIZATION, RedshiftError

logger = logging.getLogger(__name__)

LARGEST_MESSAGE = 1 << 30
LARGEST_STARTUP_PACKET = 1 << 16
INPUT_BUFFER = 1 << 20
"""Bytes read while a message is being handled, before the client is asked to wait."""
TLS_HANDSHAKE_SECONDS = 20

Work = Coroutine[Any, Any, None]


class MessageHandler(Protocol):
    """The session of a client that has logged in, or is logging in."""

    def message(self, raw: bytes, out: list[bytes]) -> Work | None:
        """Handle one message of the client.

        Args:
            raw: The whole message.
            out: Gets the bytes to be sent to PostgreSQL.

        Returns:
            What must be awaited before the next message is handled, if anything.
        """

    def forward(self, out: list[bytes]) -> None:
        """Send these bytes to PostgreSQL, and empty the list."""

    def client_writable(self, writable: bool) -> None:
        """The client's socket is full, or takes data again."""

    def disconnected(self) -> None:
        """The client's connection has ended."""


LogIn = Callable[["ClientConnection", dict[str, str]], Work]


class ClientConnection(asyncio.Protocol):
    """One client.

    Attributes:
        identity: Who the client is.
        handler: The session, set during log-in.
        ready: Log-in is complete.
        closed: Nothing more is read from the client.
        discard_output: Nothing is sent to the client.
    """

    def __init__(self, tls: ssl.SSLContext, sessions: SessionRegistry, log_in: LogIn) -> None:
        """
        Args:
            log_in: Called with this connection and the parameters of the startup packet; sets
                ``handler``, or refuses the client with ``fatal``.
        """
        self.identity = Identity()
        self.handler: MessageHandler | None = None
        self.ready = False
        self.closed = False
        self.discard_output = False
        self._tls = tls
        self._sessions = sessions
        self._log_in = log_in
        self._transport: asyncio.Transport | None = None
        self._encrypted = False
        self._input = bytearray()
        self._input_paused = False
        self._task: asyncio.Task[None] | None = None

    # -- asyncio.Protocol ----------------------------------------------------------------------

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._sessions.add(self)

    def data_received(self, data: bytes) -> None:
        self._input += data
        if self._task is None:
            self._process()
        elif len(self._input) > INPUT_BUFFER and not self._input_paused and self._transport:
            self._input_paused = True
            self._transport.pause_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        self.closed = True
        self._sessions.remove(self)
        self.cancel_work()
        if self.handler is not None:
            self.handler.disconnected()

    def pause_writing(self) -> None:
        if self.handler is not None:
            self.handler.client_writable(False)

    def resume_writing(self) -> None:
        if self.handler is not None:
            self.handler.client_writable(True)

    # -- sending and closing -------------------------------------------------------------------

    def send(self, data: bytes) -> None:
        if self.discard_output:
            return
        if self._transport is not None and not self._transport.is_closing():
            self._transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.close()

    def fatal(self, error: RedshiftError) -> None:
        """Send a FATAL error and close."""
        error.severity = "FATAL"
        self.send(protocol.error_response(error))
        self.closed = True
        self.close()

    def end(self) -> None:
        """Close the connection, as a server that shuts down does."""
        if self.ready and not self.closed:
            self.send(
                protocol.error_response(
                    RedshiftError(
                        "terminating connection due to administrator command",
                        sqlstate="57P01",
                        severity="FATAL",
                    )
                )
            )
        self.close()

    def reset(self) -> None:
        """Break the connection: the client sees a TCP reset."""
        self.closed = True
        if self._transport is not None:
            no_linger = struct.pack("ii", 1, 0)
            with contextlib.suppress(OSError):  # the client has closed it already
                self._transport.get_extra_info("socket").setsockopt(
                    socket.SOL_SOCKET, socket.SO_LINGER, no_linger
                )
            self._transport.abort()

    # -- messages ------------------------------------------------------------------------------

    def cancel_work(self) -> None:
        """Cancel the task that handles a message, if one does."""
        if self._task is not None:
            self._task.cancel()

    def _process(self) -> None:
        """Handle whole messages of the buffer, until one needs waiting."""
        if self.closed:
            return
        handler = self.handler
        if handler is None:
            self._startup_packet()
            return
        buffer = self._input
        position, size = 0, len(buffer)
        out: list[bytes] = []
        while self._task is None and not self.closed:
            if size - position < 5:
                break
            end = position + 1 + protocol.unpack_int32(buffer, position + 1)[0]
            if end - position > LARGEST_MESSAGE:
                self.fatal(RedshiftError("invalid message length", sqlstate="08P01"))
                return
            if end > size:
                break
            raw = bytes(buffer[position:end])
            position = end
            work = handler.message(raw, out)
            if work is not None:
                handler.forward(out)
                self._begin(work)
        del buffer[:position]
        handler.forward(out)

    def _begin(self, work: Work) -> None:
        self._task = asyncio.get_running_loop().create_task(self._work(work))

    async def _work(self, work: Work) -> None:
        session_id = self.identity.session_id
        try:
            await work
        except asyncio.CancelledError:
            self.close()
        except (BackendLost, ConnectionError) as problem:
            logger.warning("session %s ended: %s", session_id, problem)
            self.close()
        except Exception:
            logger.exception("session %s failed", session_id)
            self.fatal(
                RedshiftError("internal error of the sandbox; see its log (home/log/redshift.log)")
            )
        finally:
            self._task = None
        if not self.closed:
            if self._input_paused and self._transport is not None:
                self._input_paused = False
                self._transport.resume_reading()
            self._process()

    # -- before log-in -------------------------------------------------------------------------

    def _startup_packet(self) -> None:
        buffer = self._input
        if len(buffer) < 8:
            return
        size, code = protocol.unpack_int32(buffer)[0], protocol.unpack_int32(buffer, 4)[0]
        if not 8 <= size <= LARGEST_STARTUP_PACKET:
            self.close()
            return
        if len(buffer) < size:
            return
        body = bytes(buffer[8:size])
        del buffer[:size]
        if code == protocol.SSL_REQUEST and not self._encrypted:
            if buffer:  # bytes before the handshake would be taken as if they were encrypted
                self.close()
                return
            self._begin(self._start_tls())
        elif code == protocol.GSS_REQUEST:
            self.send(b"N")
        elif code == protocol.CANCEL_REQUEST:
            self._begin(self._cancel_request(body))
        elif code >> 16 != 3:
            self.fatal(
                RedshiftError(f"unsupported frontend protocol {code >> 16}", sqlstate="0A000")
            )
        elif not self._encrypted:
            self.fatal(
                RedshiftError(
                    "SSL is required by the workgroup",
                    sqlstate=INVALID_AUTHORIZATION,
                    hint="Connect with TLS (sslmode verify-full); the workgroup requires it.",
                )
            )
        else:
            if code & 0xFFFF:
                self.send(protocol.NEGOTIATE_PROTOCOL_VERSION)
            self._begin(self._log_in(self, protocol.parse_startup(body)))

    async def _start_tls(self) -> None:
        assert self._transport is not None
        self._transport.pause_reading()
        self._transport.write(b"S")
        try:
            transport = await asyncio.get_running_loop().start_tls(
                self._transport,
                self,
                self._tls,
                server_side=True,
                ssl_handshake_timeout=TLS_HANDSHAKE_SECONDS,
            )
        except (ssl.SSLError, OSError):  # the client does not trust the certificate, or went away
            self.close()
            return
        self._transport = transport
        self._encrypted = True

    async def _cancel_request(self, key: bytes) -> None:
        await self._sessions.cancel(key)
        self.close()
