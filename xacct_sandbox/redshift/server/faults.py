"""Planned faults of the database, as one session suffers them.

The daemon decides; it is asked only when the byte it shares with us says that something is
planned for the operation at hand. Nothing is asked for the sandbox's own superuser.
"""

from __future__ import annotations

import asyncio
import logging
from typing import TYPE_CHECKING

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.daemon.control_client import FAULTS_PATH, call_daemon
from xacct_sandbox.faults.signal_file import SignalFile
from xacct_sandbox.redshift.api.wire_client import APPLICATION, HOUSEKEEPING
from xacct_sandbox.redshift.server.backend import BackendLost
from xacct_sandbox.redshift.sql.dialect import leading_keyword
from xacct_sandbox.redshift.sql.errors import CANNOT_CONNECT_NOW, INTERNAL_ERROR, RedshiftError
from xacct_sandbox.redshift.sql.plans import Pass, Plan
from xacct_sandbox.redshift.storage.postgres import SUPERUSER

if TYPE_CHECKING:
    from xacct_sandbox.redshift.server.session import Session

logger = logging.getLogger(__name__)

DEATH_SECONDS = 30.0
"""How long a COPY waits for the client that is being killed."""

_WRITES = frozenset(
    {"ALTER", "CALL", "CREATE", "DELETE", "DROP", "GRANT", "INSERT", "MERGE", "REVOKE", "UPDATE"}
)  # fmt: skip
_BEGINS, _COMMITS, _ROLLS_BACK = ({"BEGIN", "START"}, {"COMMIT", "END"}, {"ROLLBACK", "ABORT"})


class FaultSignal:
    """Where a session looks whether anything is planned, and whom it asks."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._file = SignalFile(config.fault_signal)

    def says(self, *operations: str) -> bool:
        """Whether the daemon has to be asked."""
        return self._file.has(*operations)

    async def ask(self, operations: tuple[str, ...], resource: str, client: str) -> str | None:
        """The kind of fault that strikes, if one does."""
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
    """What strikes one session."""

    def __init__(self, session: Session, signal: FaultSignal) -> None:
        self._session = session
        self._signal = signal
        self.application = ""
        self.losing_answer = False
        """The work goes on; what it answers is not sent, and then the connection breaks."""

    # -- is it worth asking --------------------------------------------------------------------

    def may_strike(self, plans: list[Plan]) -> bool:
        """Whether something may be planned for what PostgreSQL is about to run."""
        return (
            self._signal.says("Begin", "Statement", "Commit")
            and self._session.user != SUPERUSER
            and any(self._operations(plan) for plan in plans)
        )

    def _operations(self, plan: Plan) -> tuple[str, ...]:
        if not isinstance(plan, Pass):
            return ()  # asked about while it is under way
        if self.application == APPLICATION and plan.sql in HOUSEKEEPING:
            return ()
        word = leading_keyword(plan.sql)
        if word in _BEGINS:
            return ("Begin",)
        if word in _COMMITS:
            return ("Commit",)
        if word in _ROLLS_BACK or not word:
            return ()
        return self._with_commit("Statement") if word in _WRITES else ("Statement",)

    def _with_commit(self, operation: str) -> tuple[str, ...]:
        """Outside of a transaction a statement commits itself."""
        backend = self._session.backend
        alone = backend is not None and backend.status == b"I"
        return (operation, "Commit") if alone else (operation,)

    # -- asking and suffering ------------------------------------------------------------------

    async def connecting(self) -> RedshiftError | None:
        """Before a client is let in: why it is not, if so.

        Raises:
            BackendLost: the connection was reset.
        """
        session = self._session
        if session.user == SUPERUSER or not self._signal.says("Connect"):
            return None
        resource = f"{session.user}@{session.database} {self.application}".strip()
        kind = await self._signal.ask(("Connect",), resource, self.application)
        if kind == "workgroup_paused":
            self._end_others()
            return RedshiftError(
                "the workgroup is paused; no connections are accepted", sqlstate=CANNOT_CONNECT_NOW
            )
        if kind == "connection_reset":
            self._reset()
        return None

    async def before(self, plans: list[Plan], sql: str) -> RedshiftError | None:
        """Before PostgreSQL runs something: the error it gives instead, if so.

        Raises:
            BackendLost: the connection is gone.
        """
        operations = {name: None for plan in plans for name in self._operations(plan)}
        kind = await self._signal.ask(tuple(operations), sql, self.application)
        return self._suffer(kind)

    async def amid_copy(self) -> None:
        """While a COPY has given some of its rows to the table.

        Raises:
            RedshiftError: it fails.
            BackendLost: the connection is gone.
        """
        if self._session.user == SUPERUSER or not self._signal.says("Copy", "Commit"):
            return
        operations = self._with_commit_of_own("Copy")
        text = self._session.recorder.text
        kind = await self._signal.ask(operations, text, self.application)
        if kind == "job_killed_in_copy":
            # The daemon kills our client now: the end of its connection ends this wait.
            await asyncio.sleep(DEATH_SECONDS)
            logger.warning("session %s: the client was not killed", self._session.session_id)
        elif error := self._suffer(kind):
            raise error

    @property
    def may_strike_amid_unload(self) -> bool:
        """Whether something may be planned for an UNLOAD that is under way."""
        return self._session.user != SUPERUSER and self._signal.says("Unload", "Commit")

    async def amid_unload(self) -> None:
        """When half of an UNLOAD's files are there.

        Raises:
            RedshiftError: it fails.
            BackendLost: the connection is gone.
        """
        if not self.may_strike_amid_unload:
            return
        operations = self._with_commit_of_own("Unload")
        kind = await self._signal.ask(operations, self._session.recorder.text, self.application)
        if kind == "unload_dies":
            raise RedshiftError(
                "S3ServiceException:We encountered an internal error. Please try again.,"
                "Status 500,Error InternalError,CanRetry 1",
                sqlstate=INTERNAL_ERROR,
            )
        if error := self._suffer(kind):
            raise error

    def _with_commit_of_own(self, operation: str) -> tuple[str, ...]:
        return (operation, "Commit") if self._session.commits_itself else (operation,)

    def _suffer(self, kind: str | None) -> RedshiftError | None:
        if kind == "connection_reset":
            self._reset()
        if kind == "workgroup_paused":
            self._end_others()
            self._session.end()
            raise BackendLost("the workgroup is paused")
        if kind == "serialization_conflict":
            return RedshiftError(
                "1023",
                sqlstate=INTERNAL_ERROR,
                detail="Serializable isolation violation on table - unknown, transactions forming"
                " the cycle are: unknown (could not serialize access due to concurrent update)",
                hint="Retry the whole transaction.",
            )
        self.losing_answer = kind == "commit_lost"
        return None

    def _reset(self) -> None:
        self._session.reset()
        raise BackendLost("the connection was reset on purpose")

    def _end_others(self) -> None:
        for other in list(self._session.front.sessions):
            if other is not self._session and other.user != SUPERUSER:
                other.end()
