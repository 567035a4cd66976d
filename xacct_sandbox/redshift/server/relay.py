"""The traffic between one client and PostgreSQL, and which answers are outstanding.

What PostgreSQL sends is passed on as it comes. ``Scanner`` finds the few messages that are looked
at or replaced. The transaction status is always the one that PostgreSQL reported.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.backend import Backend
from xacct_sandbox.redshift.server.client_connection import ClientConnection
from xacct_sandbox.redshift.server.connection import BackendLost, cancel_backend
from xacct_sandbox.redshift.server.query_connection import AUTH_MD5
from xacct_sandbox.redshift.server.query_history import QueryHistory
from xacct_sandbox.redshift.server.scanner import Scanner
from xacct_sandbox.redshift.sql.errors import INVALID_AUTHORIZATION, WRONG_CREDENTIALS, translate

SERVER_VERSION = b"8.0.2"  # that of every Redshift
_JSONB_TO_SUPER = {3802: 4000}
"""PostgreSQL's type OID of jsonb, and Redshift's of SUPER."""
_READY_FOR_QUERY, _ERROR_RESPONSE, _ROW_DESCRIPTION = ord("Z"), ord("E"), ord("T")
_COMMAND_COMPLETE, _BACKEND_KEY_DATA, _AUTHENTICATION = ord("C"), ord("K"), ord("R")

_T = TypeVar("_T")


class Relay:
    """Carries the bytes of one session in both directions.

    Attributes:
        unsynced: Messages of the extended protocol were sent without a Sync after them.
        failed: An error came since the client's last Sync or Query was answered.
        skipping: The client's messages are dropped until its Sync, as after any error.
        key: PostgreSQL's cancel key of the session, empty before log-in.
        salt: of the challenge that PostgreSQL sent for the password.
    """

    def __init__(
        self,
        client: ClientConnection,
        backend: Backend,
        history: QueryHistory,
        socket_path: Path,
        on_key: Callable[[bytes], None],
    ) -> None:
        """``on_key`` is called with the cancel key of the session."""
        self.unsynced = False
        self.failed = False
        self.skipping = False
        self.key = b""
        self.salt = b""
        self._client = client
        self._backend = backend
        self._history = history
        self._socket_path = socket_path
        self._on_key = on_key
        self._scanner = Scanner(self._watch)
        # For each ReadyForQuery to come: whether it is the client's.
        self._expected: deque[bool] = deque()
        self._idle = asyncio.Event()
        self._idle.set()
        backend.sink = self._from_backend

    # -- to PostgreSQL -------------------------------------------------------------------------

    @property
    def in_long_result(self) -> bool:
        """Nothing may be sent before the current answer has ended."""
        return self._scanner.in_long_result

    def forward(self, out: list[bytes]) -> None:
        """Send these bytes to PostgreSQL, and empty the list."""
        if out:
            try:
                self._backend.write(b"".join(out))
            except BackendLost:
                self._client.close()
            out.clear()

    def expect(self, *, client: bool) -> None:
        """A ReadyForQuery will come; ``client``: it is passed on."""
        self._expected.append(client)
        self._idle.clear()

    async def wait_idle(self) -> None:
        """Wait until every expected ReadyForQuery has come."""
        await self._idle.wait()

    async def settle(self) -> bool:
        """Wait until PostgreSQL has answered everything that was sent.

        Returns:
            False after an error: the message at hand is to be skipped.

        Raises:
            BackendLost: The client is gone.
        """
        if self.unsynced:
            # A Sync of the session itself: what was sent before it ends there, also in an error.
            self.unsynced = False
            self.expect(client=False)
            self._backend.write(protocol.SYNC)
        while self._expected:
            await self._idle.wait()
            if self._client.closed:
                raise BackendLost("the client is gone")
        if self.failed:
            self.skipping = True
        return not self.skipping

    async def pass_through(self, sql: str) -> bool:
        """Run a statement whose answer goes to the client without its ReadyForQuery.

        Returns:
            Whether it succeeded. Its error has been sent to the client.
        """
        self.failed = False
        self.expect(client=False)
        self._backend.write(protocol.query(sql))
        while self._expected:
            await self._idle.wait()
        failed, self.failed = self.failed, False
        return not failed

    async def exclusively(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Await ``work``, which reads PostgreSQL's answers itself. Nothing is passed on."""
        self._backend.sink = None
        self._backend.resume_reading()
        try:
            return await work
        finally:
            self._backend.sink = self._from_backend

    async def cancel_query(self) -> None:
        """Cancel what PostgreSQL runs for this session."""
        await cancel_backend(self._socket_path, self.key)

    # -- to the client -------------------------------------------------------------------------

    def client_writable(self, writable: bool) -> None:
        """The client's socket is full, or takes data again."""
        if self._backend.sink is None:
            return
        if writable:
            self._backend.resume_reading()
        else:
            self._backend.pause_reading()

    def send_ready(self) -> None:
        """Send the client a ReadyForQuery for a statement that the session ran itself."""
        self.failed = self.skipping = False
        if self._client.discard_output:
            self._client.reset()
        self._client.send(protocol.message(b"Z", self._backend.status))

    def _from_backend(self, data: bytes) -> None:
        for part in self._scanner.feed(data, single_answer=len(self._expected) == 1):
            if part:
                self._client.send(part)

    def _watch(self, kind: int, body: bytes) -> bytes | None:
        """What to send instead of a message; None: the message as it is."""
        if kind == _READY_FOR_QUERY:
            return self._on_ready(body)
        if kind == _ERROR_RESPONSE:
            return self._on_error(body)
        if kind == _ROW_DESCRIPTION:
            replaced = protocol.replace_type_oids(body, _JSONB_TO_SUPER)
            return None if replaced is None else protocol.message(b"T", replaced)
        if kind == _COMMAND_COMPLETE:
            count = body[:-1].rsplit(b" ", 1)[-1]
            if count.isdigit():
                self._history.rows = int(count)
            return None
        if kind == _BACKEND_KEY_DATA:
            self.key = body
            self._client.identity.session_id = protocol.unpack_int32(body)[0]
            self._on_key(body)
            return None
        if kind == _AUTHENTICATION:
            if protocol.unpack_int32(body)[0] == AUTH_MD5:
                self.salt = body[4:8]
            return None
        if body.startswith(b"server_version\x00"):
            return protocol.message(b"S", b"server_version\x00" + SERVER_VERSION + b"\x00")
        return None

    def _on_ready(self, status: bytes) -> bytes | None:
        self._backend.status = status
        self._client.ready = True
        self._history.finish()
        if self._client.discard_output:
            self._client.reset()
            return b""
        to_client = self._expected.popleft() if self._expected else True
        if to_client:
            self.failed = False  # the client's own Sync or Query ends what had failed
        if not self._expected:
            self._idle.set()
        return None if to_client else b""

    def _on_error(self, body: bytes) -> bytes | None:
        fields = protocol.parse_fields(body)
        self.failed = True
        self._client.discard_output = False  # nothing was committed
        self._history.error = fields.get("M")
        if not self._client.ready and fields.get("C") == WRONG_CREDENTIALS:
            # Redshift's code; drivers turn it into their interface error.
            return protocol.fields_message(b"E", {**fields, "C": INVALID_AUTHORIZATION})
        replaced = translate(fields)
        return None if replaced is None else protocol.fields_message(b"E", replaced)
