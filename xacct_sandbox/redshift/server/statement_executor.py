"""Running what PostgreSQL cannot run as it stands, on the client's own connection."""

from __future__ import annotations

import asyncio
import ctypes
import logging
import time
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any

from xacct_sandbox.daemon import latency
from xacct_sandbox.redshift.copy.execution import run_copy
from xacct_sandbox.redshift.server import protocol
from xacct_sandbox.redshift.sql.dialect import leading_keyword
from xacct_sandbox.redshift.sql.errors import (
    QUERY_CANCELED,
    SYNTAX_ERROR,
    BackendError,
    RedshiftError,
)
from xacct_sandbox.redshift.sql.plans import Copy, Pass, Plan, Refuse, Steps, SwitchUser, Unload
from xacct_sandbox.redshift.storage.postgres import SUPERUSER
from xacct_sandbox.redshift.unload.execution import run_unload

if TYPE_CHECKING:
    from xacct_sandbox.redshift.server.session import Session

logger = logging.getLogger(__name__)

_C_LIBRARY = ctypes.CDLL(None)


class AlreadyReported(RedshiftError):
    """PostgreSQL's own error went to the client as it came."""

    def __init__(self) -> None:
        super().__init__("reported")


class Runner:
    """Plans of one session. The session sees to it that PostgreSQL is idle when one is run."""

    def __init__(self, session: Session) -> None:
        self._session = session

    async def exclusively(self, work: Coroutine[Any, Any, Any]) -> Any:
        """Have the database connection to ourselves while ``work`` uses it."""
        assert self._session.backend is not None
        self._session.backend.sink = None
        self._session.backend.resume_reading()
        try:
            return await work
        finally:
            self._session.backend.sink = self._session.from_backend

    async def report(self, error: RedshiftError) -> None:
        """Send an error; the transaction it happened in has failed."""
        self._session.faults.losing_answer = False  # nothing was committed
        assert self._session.backend is not None
        if self._session.backend.status == b"T":
            try:
                # Any failing statement will do: PostgreSQL then refuses all but a rollback.
                await self.exclusively(
                    self._session.backend.query("ROLLBACK TO SAVEPOINT sandbox_failed")
                )
            except BackendError:
                logger.debug("transaction of session %s marked as failed", self._session.session_id)
        if not isinstance(error, AlreadyReported):
            self._session.send(protocol.error_response(error))

    async def run(self, plan: Plan, sql: str) -> RedshiftError | None:
        """Run a statement of ours; its error is returned, not sent."""
        assert self._session.backend is not None
        if isinstance(plan, Refuse):
            return plan.error
        if self._session.backend.status == b"E":
            return RedshiftError(
                "current transaction is aborted, commands ignored until end of transaction block",
                sqlstate="25P02",
            )
        self._session.cancelled = False
        self._session.commits_itself = self._session.backend.status == b"I"
        query_id, began = self._session.recorder.start(sql), time.monotonic()
        error: RedshiftError | None = None
        try:
            if isinstance(plan, Steps):
                tag = await self.exclusively(self._steps(plan))
            elif isinstance(plan, Copy):
                work = run_copy(self._session, plan.statement, query_id)
                tag = await self.exclusively(self._in_time(work, f"COPY {query_id}", began))
            elif isinstance(plan, Unload):
                work = run_unload(self._session, plan.statement, query_id)
                tag = await self.exclusively(self._in_time(work, f"UNLOAD {query_id}", began))
            else:
                assert isinstance(plan, SwitchUser)
                tag = await self.exclusively(self._switch_user(plan))
            self._session.send(protocol.command_complete(tag))
        except RedshiftError as problem:
            error = problem
        except asyncio.CancelledError:
            if not self._session.cancelled:
                raise
            error = RedshiftError("Query cancelled on user's request", sqlstate=QUERY_CANCELED)
        if error is not None:
            self._session.recorder.error = error.message
        self._session.recorder.finish(self._session)
        if isinstance(plan, (Copy, Unload)):
            give_memory_back()
        return error

    async def _in_time(self, work: Coroutine[Any, Any, str], what: str, began: float) -> str:
        """The statement, ended no sooner than its service time is over; it can be cancelled."""
        tag = await work
        config = self._session.front.config
        await asyncio.sleep(latency.remaining(config, "statement", what, began))
        return tag

    async def _steps(self, plan: Steps) -> str:
        assert self._session.backend is not None
        backend = self._session.backend
        if plan.alone and backend.status != b"I":
            raise RedshiftError(
                f"{plan.tag} cannot run inside a transaction block", sqlstate="25001"
            )
        notices: list[bytes] = []
        together = len(plan.statements) > 1 and backend.status == b"I"
        for statement in ("; ".join(plan.statements),) if together else plan.statements:
            try:
                result = await backend.query(statement)
            except BackendError as problem:
                # Its context quotes our own statements, and a password may stand in them.
                problem.backend_fields.pop("W", None)
                raise
            notices += result.notices
        if plan.commits and backend.status == b"T":
            await backend.query("COMMIT")
        for notice in notices:
            self._session.send(notice)
        return plan.tag

    async def _switch_user(self, plan: SwitchUser) -> str:
        """SET SESSION AUTHORIZATION by rdsdb: from then on the session is that user's."""
        assert self._session.backend is not None
        if "RESET" in plan.sql.upper() or "DEFAULT" in plan.sql.upper():
            raise RedshiftError(
                "session authorization cannot be reset here",
                sqlstate=SYNTAX_ERROR,
                hint="Open a new connection.",
            )
        await self._session.backend.query(plan.sql)
        found = await self._session.backend.query("SELECT session_user")
        self._session.user = found.rows[0][0] or ""
        self._session.unrestricted = self._session.user == SUPERUSER
        return "SET"


def give_memory_back() -> None:
    """Return what a load or export used: the C library would keep it for the next one."""
    trim = getattr(_C_LIBRARY, "malloc_trim", None)  # glibc's; elsewhere the allocator does it
    if trim is not None:
        trim(0)


def controls(plans: list[Plan]) -> bool:
    """Does a script say itself where transactions begin or end?"""
    return any(
        isinstance(plan, Pass)
        and leading_keyword(plan.sql)
        in ("BEGIN", "START", "COMMIT", "END", "ROLLBACK", "ABORT", "CALL")
        for plan in plans
    ) or any(isinstance(plan, Steps) and (plan.commits or plan.alone) for plan in plans)
