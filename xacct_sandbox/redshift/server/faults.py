"""Planned faults of the database, injected into one session.

The daemon keeps the plan and decides. It is asked only when the signal file, which it shares with
this process, has a fault for the operation. It is never asked for the sandbox's own user.
"""

from __future__ import annotations

import asyncio
import logging

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.daemon.control_client import FAULTS_PATH, call_daemon
from xacct_sandbox.faults.signal_file import SignalFile
from xacct_sandbox.redshift.api.wire_client import APPLICATION, HOUSEKEEPING
from xacct_sandbox.redshift.server.client_connection import ClientConnection
from xacct_sandbox.redshift.server.connection import BackendLost
from xacct_sandbox.redshift.server.registry import SessionRegistry
from xacct_sandbox.redshift.sql.errors import CANNOT_CONNECT_NOW, INTERNAL_ERROR, RedshiftError
from xacct_sandbox.redshift.sql.lexer import leading_keyword
from xacct_sandbox.redshift.sql.plans import Pass, Plan

logger = logging.getLogger(__name__)

KILL_SECONDS = 30.0
"""How long a COPY waits for its client to be killed."""

_WRITES = frozenset(
    {"ALTER", "CALL", "CREATE", "DELETE", "DROP", "GRANT", "INSERT", "MERGE", "REVOKE", "UPDATE"}
)  # fmt: skip
_BEGINS, _COMMITS, _ROLLS_BACK = ({"BEGIN", "START"}, {"COMMIT", "END"}, {"ROLLBACK", "ABORT"})


class FaultSignal:
    """Says whether faults are planned, and asks the daemon for them."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._file = SignalFile(config.fault_signal)

    def has(self, *operations: str) -> bool:
        """Whether the daemon must be asked about one of these operations."""
        return self._file.has(*operations)

    async def ask(self, operations: tuple[str, ...], resource: str, client: str) -> str | None:
        """The kind of fault to inject now, if any."""
        answer = await asyncio.to_thread(
            call_daemon,
            self._config,
            FAULTS_PATH,
            {
                "action": "inject",
                "operations": operations,
                "resource": resource,
                "client": client,
            },
        )
        kind: str | None = answer["kind"]
        return kind


class SessionFaults:
    """Injects planned faults into one session."""

    def __init__(
        self, client: ClientConnection, signal: FaultSignal, sessions: SessionRegistry
    ) -> None:
        self._client = client
        self._identity = client.identity
        self._signal = signal
        self._sessions = sessions

    # -- whether the daemon must be asked ------------------------------------------------------

    def may_inject(self, plans: list[Plan]) -> bool:
        """Whether a fault may be planned for statements that PostgreSQL is about to run."""
        return (
            self._signal.has("Begin", "Statement", "Commit")
            and not self._identity.is_superuser
            and any(self._operations(plan, in_transaction=True) for plan in plans)
        )

    def may_inject_in_unload(self) -> bool:
        """Whether a fault may be planned for an UNLOAD that is running."""
        return not self._identity.is_superuser and self._signal.has("Unload", "Commit")

    def _operations(self, plan: Plan, *, in_transaction: bool) -> tuple[str, ...]:
        if not isinstance(plan, Pass):
            return ()  # COPY and UNLOAD ask while they run
        if self._identity.application == APPLICATION and plan.sql in HOUSEKEEPING:
            return ()
        word = leading_keyword(plan.sql)
        if word in _BEGINS:
            return ("Begin",)
        if word in _COMMITS:
            return ("Commit",)
        if word in _ROLLS_BACK or not word:
            return ()
        if word in _WRITES and not in_transaction:
            return ("Statement", "Commit")
        return ("Statement",)

    # -- injecting -----------------------------------------------------------------------------

    async def connecting(self) -> RedshiftError | None:
        """Before a client is let in: the error that refuses it, if a fault does.

        Raises:
            BackendLost: The connection was reset.
        """
        identity = self._identity
        if identity.is_superuser or not self._signal.has("Connect"):
            return None
        resource = f"{identity.user}@{identity.database} {identity.application}".strip()
        kind = await self._signal.ask(("Connect",), resource, identity.application)
        if kind == "workgroup_paused":
            self._sessions.end_others(self._client)
            return RedshiftError(
                "the workgroup is paused; no connections are accepted", sqlstate=CANNOT_CONNECT_NOW
            )
        if kind == "connection_reset":
            self._reset()
        return None

    async def before(
        self, plans: list[Plan], sql: str, *, in_transaction: bool
    ) -> RedshiftError | None:
        """Before PostgreSQL runs statements: the error that they fail with, if a fault does that.

        Raises:
            BackendLost: The connection is gone.
        """
        operations = {
            name: None
            for plan in plans
            for name in self._operations(plan, in_transaction=in_transaction)
        }
        kind = await self._signal.ask(tuple(operations), sql, self._identity.application)
        return self._inject(kind)

    async def during_copy(self, sql: str, *, commits: bool) -> None:
        """While a COPY has given some of its rows to the table.

        Args:
            sql: The statement.
            commits: It runs in a transaction of its own.

        Raises:
            RedshiftError: The COPY fails.
            BackendLost: The connection is gone.
        """
        if self._identity.is_superuser or not self._signal.has("Copy", "Commit"):
            return
        operations = ("Copy", "Commit") if commits else ("Copy",)
        kind = await self._signal.ask(operations, sql, self._identity.application)
        if kind == "job_killed_in_copy":
            # The daemon kills the client now. The end of its connection cancels this wait.
            await asyncio.sleep(KILL_SECONDS)
            logger.warning("session %s: the client was not killed", self._identity.session_id)
        elif error := self._inject(kind):
            raise error

    async def during_unload(self, sql: str, *, commits: bool) -> None:
        """When half of an UNLOAD's files are written. Arguments as for ``during_copy``.

        Raises:
            RedshiftError: The UNLOAD fails.
            BackendLost: The connection is gone.
        """
        if not self.may_inject_in_unload():
            return
        operations = ("Unload", "Commit") if commits else ("Unload",)
        kind = await self._signal.ask(operations, sql, self._identity.application)
        if kind == "unload_dies":
            raise RedshiftError(
                "S3ServiceException:We encountered an internal error. Please try again.,"
                "Status 500,Error InternalError,CanRetry 1",
                sqlstate=INTERNAL_ERROR,
            )
        if error := self._inject(kind):
            raise error

    def _inject(self, kind: str | None) -> RedshiftError | None:
        if kind == "connection_reset":
            self._reset()
        if kind == "workgroup_paused":
            self._sessions.end_others(self._client)
            self._client.end()
            raise BackendLost("the workgroup is paused")
        if kind == "serialization_conflict":
            return RedshiftError(
                "1023",
                sqlstate=INTERNAL_ERROR,
                detail="Serializable isolation violation on table - unknown, transactions forming"
                " the cycle are: unknown (could not serialize access due to concurrent update)",
                hint="Retry the whole transaction.",
            )
        # The work goes on and is committed. Its answer is not sent, and the connection is reset.
        self._client.discard_output = kind == "commit_lost"
        return None

    def _reset(self) -> None:
        self._client.reset()
        raise BackendLost("the connection was reset by a planned fault")
