"""The session of a client that has logged in: its messages, and the end of its connection.

Messages of statements that PostgreSQL can run are passed on. COPY, UNLOAD, TRUNCATE and other
statements of Redshift are run by ``StatementExecutor`` on the client's own database connection, so
everything happens in the client's transaction.
"""

from __future__ import annotations

import asyncio
import contextlib

from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.backend import Backend
from xacct_sandbox.redshift.server.client_connection import ClientConnection, Work
from xacct_sandbox.redshift.server.context import ServerContext
from xacct_sandbox.redshift.server.extended_query import ExtendedQuery
from xacct_sandbox.redshift.server.faults import SessionFaults
from xacct_sandbox.redshift.server.network import refused_connection
from xacct_sandbox.redshift.server.query_history import QueryHistory
from xacct_sandbox.redshift.server.query_protocol import SessionParts
from xacct_sandbox.redshift.server.relay import Relay
from xacct_sandbox.redshift.server.simple_query import SimpleQuery
from xacct_sandbox.redshift.server.statement_executor import StatementExecutor
from xacct_sandbox.redshift.server.temporary_passwords import answer_for_database, is_iam_user
from xacct_sandbox.redshift.sql.errors import CANNOT_CONNECT_NOW, RedshiftError

_PASSED_PARAMETERS = frozenset({"user", "database", "application_name", "client_encoding"})
"""Parameters of the startup packet that PostgreSQL gets; it does not know Redshift's others."""


async def open_session(
    server: ServerContext, client: ClientConnection, parameters: dict[str, str]
) -> None:
    """Let a client log in: connect it to PostgreSQL, which checks the password."""
    identity = client.identity
    identity.user = parameters.get("user", "")
    identity.database = parameters.get("database") or identity.user
    if parameters.get("replication"):
        client.fatal(RedshiftError("replication is not supported by Redshift", sqlstate="0A000"))
        return
    if not identity.is_superuser:
        namespace = await server.catalog.namespace()
        if namespace is None or namespace.status != "available":
            state = "does not exist" if namespace is None else f"is {namespace.status}"
            client.fatal(
                RedshiftError(
                    f"the workgroup {state}; no connections are accepted",
                    sqlstate=CANNOT_CONNECT_NOW,
                )
            )
            return
    identity.application = parameters.get("application_name", "")
    faults = SessionFaults(client, server.faults, server.sessions)
    refusal = await faults.connecting()
    if refusal is not None:
        client.fatal(refusal)
        return
    unreachable = await refused_connection(server.config, identity)
    if unreachable is not None:
        client.fatal(unreachable)
        return
    session = Session(server, client, await Backend.connect(server.socket_path), faults)
    client.handler = session
    passed = {key: value for key, value in parameters.items() if key in _PASSED_PARAMETERS}
    session.log_in({**passed, "database": identity.database})


class Session:
    """One client's session and its database connection. Implements ``MessageHandler``."""

    def __init__(
        self,
        server: ServerContext,
        client: ClientConnection,
        backend: Backend,
        faults: SessionFaults,
    ) -> None:
        self._server = server
        self._client = client
        self._backend = backend
        self._history = QueryHistory(server.catalog, client.identity)
        relay = Relay(client, backend, self._history, server.socket_path, self._register_key)
        executor = StatementExecutor(server, client, backend, relay, self._history, faults)
        parts = SessionParts(
            client, backend, relay, executor, self._history, faults, server.catalog
        )
        self._relay = relay
        self._executor = executor
        self._extended = ExtendedQuery(parts)
        self._simple = SimpleQuery(parts)
        self._ending: asyncio.Task[None] | None = None
        backend.on_lost = self._database_lost

    def log_in(self, parameters: dict[str, str]) -> None:
        """Send PostgreSQL the startup packet. Its challenge goes to the client."""
        self._relay.expect(client=True)
        self._backend.write(protocol.startup(parameters))

    def _database_lost(self) -> None:
        """PostgreSQL has ended the session, with its reason if it gave one."""
        if farewell := self._backend.farewell():
            self._client.send(farewell)
        self._client.close()

    def _register_key(self, key: bytes) -> None:
        self._server.sessions.add_key(key, self.cancel)

    async def cancel(self) -> None:
        """Serve a CancelRequest for this session."""
        self._executor.cancelled = True
        await self._relay.cancel_query()
        if self._backend.sink is None and self._history.running:
            self._client.cancel_work()

    # -- MessageHandler ------------------------------------------------------------------------

    def message(self, raw: bytes, out: list[bytes]) -> Work | None:
        kind = raw[:1]
        if not self._client.ready:
            if kind == b"p" and is_iam_user(self._client.identity.user):
                return self._log_in_by_iam(raw)
            out.append(raw)
            return None
        if self._relay.skipping and kind not in b"SX":
            return None
        if kind == b"X":
            self._client.close()
            return None
        if self._relay.in_long_result:
            return self._message_later(raw)
        if kind == b"Q":
            return self._simple.message(raw, out)
        if kind == b"F":
            return self._extended.refuse(
                RedshiftError("function calls are not supported", sqlstate="0A000")
            )
        return self._extended.message(raw, out)

    async def _log_in_by_iam(self, raw: bytes) -> None:
        user, salt = self._client.identity.user, self._relay.salt
        self._relay.forward([await answer_for_database(self._server.catalog, user, salt, raw)])

    async def _message_later(self, raw: bytes) -> None:
        """Handle a message when the long answer has ended."""
        await self._relay.wait_idle()
        out: list[bytes] = []
        work = self.message(raw, out)
        self.forward(out)
        if work is not None:
            await work

    def forward(self, out: list[bytes]) -> None:
        self._relay.forward(out)

    def client_writable(self, writable: bool) -> None:
        self._relay.client_writable(writable)

    def disconnected(self) -> None:
        key = self._relay.key
        self._server.sessions.remove_key(key)
        if self._backend.sink is None and key:
            # PostgreSQL reads the data of a COPY to its end before it sees that its client is gone.
            self._ending = asyncio.get_running_loop().create_task(self._cancel_running())
        self._backend.abort()

    async def _cancel_running(self) -> None:
        with contextlib.suppress(OSError):  # PostgreSQL may be gone, too
            await self._relay.cancel_query()
