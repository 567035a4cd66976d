"""Runs the statements that PostgreSQL cannot run as they are, on the client's own connection."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import time
from collections.abc import Coroutine
from typing import Any

from xacct_sandbox.daemon import latency
from xacct_sandbox.redshift.copy.execution import run_copy
from xacct_sandbox.redshift.copy.options import CopyStatement
from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.server.backend import Backend
from xacct_sandbox.redshift.server.client_connection import ClientConnection
from xacct_sandbox.redshift.server.context import ServerContext
from xacct_sandbox.redshift.server.faults import SessionFaults
from xacct_sandbox.redshift.server.network import require_way_to_s3
from xacct_sandbox.redshift.server.query_history import QueryHistory
from xacct_sandbox.redshift.server.relay import Relay
from xacct_sandbox.redshift.server.statement_context import StatementContext
from xacct_sandbox.redshift.sql.errors import (
    IN_FAILED_TRANSACTION,
    QUERY_CANCELED,
    SYNTAX_ERROR,
    BackendError,
    RedshiftError,
)
from xacct_sandbox.redshift.sql.lexer import leading_keyword
from xacct_sandbox.redshift.sql.plans import Pass, Plan, Refuse, Steps, SwitchUser
from xacct_sandbox.redshift.unload.execution import run_unload
from xacct_sandbox.redshift.unload.options import UnloadStatement

logger = logging.getLogger(__name__)

_C_LIBRARY = ctypes.CDLL(None)
_TRANSACTION_KEYWORDS = ("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "CALL")


class AlreadyReported(RedshiftError):
    """PostgreSQL's own error, which has been passed on to the client."""

    def __init__(self) -> None:
        super().__init__("reported")


class StatementExecutor:
    """Runs the plans of one session. PostgreSQL must be idle (``Relay.settle``).

    Attributes:
        cancelled: The client has asked to cancel the running statement.
    """

    def __init__(
        self,
        server: ServerContext,
        client: ClientConnection,
        backend: Backend,
        relay: Relay,
        history: QueryHistory,
        faults: SessionFaults,
    ) -> None:
        self.cancelled = False
        self._server = server
        self._client = client
        self._backend = backend
        self._relay = relay
        self._history = history
        self._faults = faults

    async def report(self, error: RedshiftError) -> None:
        """Send an error to the client, and fail the open transaction."""
        self._client.discard_output = False  # nothing was committed
        if self._backend.status == b"T":
            try:
                # Any statement that fails: PostgreSQL then refuses everything but a rollback.
                await self._relay.exclusively(
                    self._backend.query("ROLLBACK TO SAVEPOINT sandbox_failed")
                )
            except BackendError:
                logger.debug(
                    "transaction of session %s marked as failed", self._client.identity.session_id
                )
        if not isinstance(error, AlreadyReported):
            self._client.send(protocol.error_response(error))

    async def fail_instead(self, plans: list[Plan], error: RedshiftError) -> None:
        """Report an error instead of running the statements. A COMMIT then rolls back."""
        if self._backend.status != b"I" and any(
            isinstance(plan, Pass) and leading_keyword(plan.sql) in ("COMMIT", "END")
            for plan in plans
        ):
            await self._relay.exclusively(self._backend.query("ROLLBACK"))
        await self.report(error)

    async def run(self, plan: Plan, sql: str) -> RedshiftError | None:
        """Run a statement that is not a ``Pass``.

        Returns:
            Its error, which has not been sent.
        """
        if isinstance(plan, Refuse):
            return plan.error
        if self._backend.status == b"E":
            return RedshiftError(
                "current transaction is aborted, commands ignored until end of transaction block",
                sqlstate=IN_FAILED_TRANSACTION,
            )
        self.cancelled = False
        query_id, began = self._history.start(sql), time.monotonic()
        error: RedshiftError | None = None
        try:
            tag = await self._relay.exclusively(self._command(plan, sql, query_id, began))
            self._client.send(protocol.command_complete(tag))
        except RedshiftError as problem:
            error = problem
        except asyncio.CancelledError:
            if not self.cancelled:
                raise
            error = RedshiftError("Query cancelled on user's request", sqlstate=QUERY_CANCELED)
        if error is not None:
            self._history.error = error.message
        self._history.finish()
        if isinstance(plan, (CopyStatement, UnloadStatement)):
            release_memory()
        return error

    async def _command(self, plan: Plan, sql: str, query_id: int, began: float) -> str:
        """Run a plan; its command tag."""
        if isinstance(plan, Steps):
            return await self._steps(plan)
        if isinstance(plan, (CopyStatement, UnloadStatement)):
            await require_way_to_s3(self._server.config)
        if isinstance(plan, CopyStatement):
            copy = run_copy(self._context(query_id, sql), plan)
            return await self._with_latency(copy, f"COPY {query_id}", began)
        if isinstance(plan, UnloadStatement):
            unload = run_unload(self._context(query_id, sql), plan)
            return await self._with_latency(unload, f"UNLOAD {query_id}", began)
        assert isinstance(plan, SwitchUser)
        return await self._switch_user(plan)

    def _context(self, query_id: int, sql: str) -> StatementContext:
        client = self._client
        return StatementContext(
            query_id=query_id,
            sql=sql,
            identity=client.identity,
            backend=self._backend,
            catalog=self._server.catalog,
            faults=self._faults,
            send_info=lambda text: client.send(protocol.notice(text)),
            cancel_query=self._relay.cancel_query,
        )

    async def _with_latency(self, work: Coroutine[Any, Any, str], name: str, began: float) -> str:
        """Run a statement and wait until its configured latency is over. Can be cancelled."""
        tag = await work
        await asyncio.sleep(latency.remaining(self._server.config, "statement", name, began))
        return tag

    async def _steps(self, plan: Steps) -> str:
        backend = self._backend
        if plan.alone and backend.status != b"I":
            raise RedshiftError(
                f"{plan.alone} cannot run inside a transaction block", sqlstate="25001"
            )
        notices: list[bytes] = []
        together = len(plan.statements) > 1 and backend.status == b"I"
        for statement in ("; ".join(plan.statements),) if together else plan.statements:
            try:
                result = await backend.query(statement)
            except BackendError as problem:
                # The context quotes the statement, which may hold a password.
                problem.backend_fields.pop("W", None)
                raise
            notices += result.notices
        if plan.commits and backend.status == b"T":
            await backend.query("COMMIT")
        for notice in notices:
            self._client.send(notice)
        return plan.tag

    async def _switch_user(self, plan: SwitchUser) -> str:
        """SET SESSION AUTHORIZATION by rdsdb: from then on the session is that user's."""
        if "RESET" in plan.sql.upper() or "DEFAULT" in plan.sql.upper():
            raise RedshiftError(
                "session authorization cannot be reset here",
                sqlstate=SYNTAX_ERROR,
                hint="Open a new connection.",
            )
        await self._backend.query(plan.sql)
        found = await self._backend.query("SELECT session_user")
        self._client.identity.user = found.rows[0][0] or ""
        return "SET"


def controls_transactions(plans: list[Plan]) -> bool:
    """Whether a statement of a script begins or ends a transaction."""
    return any(
        isinstance(plan, Pass) and leading_keyword(plan.sql) in _TRANSACTION_KEYWORDS
        for plan in plans
    ) or any(isinstance(plan, Steps) and (plan.commits or plan.alone) for plan in plans)


def release_memory() -> None:
    """Return the memory of a COPY or UNLOAD to the system; the C library would keep it."""
    trim = getattr(_C_LIBRARY, "malloc_trim", None)  # glibc only
    if trim is not None:
        trim(0)
