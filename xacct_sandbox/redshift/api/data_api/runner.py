"""Runs statements in threads, from SUBMITTED to their end.

The database is behind the protocols below, so that this can be tested without one.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from xacct_sandbox.redshift.api.data_api.parameters import bind
from xacct_sandbox.redshift.api.data_api.results import Column, ResultStore, ResultTooLarge
from xacct_sandbox.redshift.api.data_api.statements import (
    ABORTED,
    AUTO_COMMIT,
    FAILED,
    FINISHED,
    PICKED,
    STARTED,
    Live,
    SubStatement,
)
from xacct_sandbox.redshift.api.wire_client import ConnectionLost, DatabaseError

logger = logging.getLogger(__name__)

# Statements that run at the same moment; more wait as SUBMITTED.
MAX_RUNNING = 16
_TURN_SECONDS = 0.1

# The text of the Data API for statements of a batch after a failed one.
AFTER_FAILURE = "Connection or an prior query failed."
CANCELLED = "Query canceled on user's request"


@dataclass(frozen=True)
class Login:
    """A database user with its password, and a database."""

    database: str
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Outcome:
    """The result of one SQL statement: a result set, or the number of rows it changed."""

    columns: Sequence[Column] | None
    rows: Sequence[Sequence[Any]]
    row_count: int


class Session(Protocol):
    """A connection to the database. Each statement commits itself unless ``begin`` was called."""

    pid: int

    def execute(self, sql: str, values: Sequence[str]) -> Outcome:
        """Run one statement with bound values; DatabaseError if it fails."""

    def begin(self) -> None: ...

    def commit(self) -> None: ...

    def rollback(self) -> None: ...


class Database(Protocol):
    def acquire(self, login: Login) -> Session:
        """A session; DatabaseError if the login is refused."""

    def release(self, login: Login, session: Any, *, reusable: bool) -> None:
        """Give it back; one that is not reusable is closed."""

    def cancel(self, session: Any) -> None:
        """Cancel what the session runs."""


TakeTime = Callable[[str, float, Callable[[], object]], None]


def no_latency(_name: str, _began: float, _cancelled: Callable[[], object]) -> None:
    """A statement ends when its work has ended."""


class Runner:
    """Threads that run statements."""

    def __init__(
        self,
        database: Database,
        results: ResultStore,
        *,
        spawn: Callable[..., object],
        ended: Callable[[Live], None],
        take_time: TakeTime = no_latency,
        max_running: int = MAX_RUNNING,
    ) -> None:
        """
        Args:
            spawn: Starts ``spawn(function, *arguments, name=...)`` in a thread.
            ended: Called in that thread when a statement has ended.
            take_time: Waits until the configured latency of a statement is over. Gets its name,
                when it began (``time.monotonic()``), and a function that returns whether it was
                cancelled.
        """
        self._take_time = take_time
        self._database = database
        self._results = results
        self._spawn = spawn
        self._ended = ended
        self._turns = threading.BoundedSemaphore(max_running)

    def submit(self, live: Live, login: Callable[[], Login]) -> None:
        """Run the statement in a thread. ``login`` is called when its turn has come."""
        self._spawn(self._run, live, login, name=f"data-api-{live.statement.id[:8]}")

    def cancel(self, live: Live) -> None:
        """Cancel a statement: before it starts, or in the database."""
        with live.changed:
            live.cancelled = True
        self._spawn(self._cancel_in_database, live, name=f"data-api-cancel-{live.statement.id[:8]}")

    def _cancel_in_database(self, live: Live) -> None:
        """Cancel what the session runs, until the statement has no session.

        More than once: a cancel between two SQL statements of a session stops neither.
        """
        # Under the lock, so that no other statement has the session meanwhile.
        with live.changed:
            while live.session is not None:
                self._database.cancel(live.session)
                live.changed.wait(_TURN_SECONDS)

    # -- one statement ---------------------------------------------------------------------

    def _run(self, live: Live, login: Callable[[], Login]) -> None:
        try:
            while not self._turns.acquire(timeout=_TURN_SECONDS):
                if live.cancelled:
                    break
            else:
                try:
                    self._run_in_turn(live, login)
                finally:
                    self._turns.release()
        except Exception as problem:
            logger.exception("statement %s failed in the sandbox", live.statement.id)
            self._fail_rest(live, f"Internal error of the sandbox: {problem!r}")
        finally:
            self._close(live)

    def _run_in_turn(self, live: Live, login: Callable[[], Login]) -> None:
        if not _advance(live, PICKED):
            return
        try:
            credentials = login()
            session = self._database.acquire(credentials)
        except DatabaseError as problem:
            self._fail_rest(live, str(problem))
            return
        live.statement.db_user = credentials.user
        reusable = False
        try:
            if _advance(live, STARTED, session):
                reusable = self._run_all(live, session)
        finally:
            with live.changed:
                # A cancel may still reach this session, so it is not used again.
                reusable = reusable and not live.cancelled
                live.session = None
                live.statement.updated = time.time()
                live.changed.notify_all()
            self._database.release(credentials, session, reusable=reusable)

    def _run_all(self, live: Live, session: Session) -> bool:
        """Run every SQL statement.

        Returns:
            Whether the session can be used again.
        """
        statement = live.statement
        in_transaction = statement.is_batch and statement.mode != AUTO_COMMIT
        try:
            if in_transaction:
                session.begin()
            for number, sub in enumerate(statement.subs, start=1):
                if live.cancelled:
                    break
                if not self._run_one(live, session, number, sub) and in_transaction:
                    break
            done = all(sub.status == FINISHED for sub in statement.subs)
            if in_transaction:
                if done and not live.cancelled:
                    session.commit()
                else:
                    session.rollback()
                    if done:
                        statement.error = CANCELLED
        except ConnectionLost as problem:
            self._fail_rest(live, str(problem))
            return False
        except DatabaseError as problem:
            # BEGIN, COMMIT or ROLLBACK itself was refused (a conflict shows at COMMIT).
            if statement.error is None:
                statement.error = str(problem)
            self._fail_rest(live, str(problem))
            return False
        return True

    def _run_one(self, live: Live, session: Session, number: int, sub: SubStatement) -> bool:
        statement = live.statement
        identifier = f"{statement.id}:{number}"
        sub.status, sub.updated = STARTED, time.time()
        values = {entry["name"]: entry["value"] for entry in statement.parameters}
        sql, bound = bind(sub.sql, values) if values else (sub.sql, [])
        started = time.monotonic_ns()
        try:
            began = time.monotonic()
            outcome = session.execute(sql, bound)
            self._take_time(identifier, began, lambda: live.cancelled)
            if outcome.columns is not None:
                sub.rows, sub.size = self._results.write(identifier, outcome.columns, outcome.rows)
                sub.has_result = True
            else:
                sub.rows = outcome.row_count
        except (DatabaseError, ResultTooLarge) as problem:
            self._results.drop(identifier)
            aborted = live.cancelled and not isinstance(problem, ResultTooLarge)
            sub.status = ABORTED if aborted else FAILED
            sub.error, sub.updated = str(problem), time.time()
            if statement.error is None:
                statement.error = (
                    f"Query #{number} failed with {problem}" if statement.is_batch else str(problem)
                )
            if isinstance(problem, ConnectionLost):
                raise
            return False
        sub.duration = time.monotonic_ns() - started
        sub.status, sub.updated = FINISHED, time.time()
        return True

    def _fail_rest(self, live: Live, error: str) -> None:
        statement = live.statement
        if statement.error is None:
            statement.error = error
        if not statement.is_batch:
            sub = statement.subs[0]
            sub.status, sub.error = FAILED, error

    def _close(self, live: Live) -> None:
        """Set the final state of the statement and its sub-statements, and wake its waiters."""
        statement = live.statement
        with live.changed:
            failed = statement.error is not None
            for sub in statement.subs:
                if sub.status in (FINISHED, FAILED, ABORTED):
                    continue
                sub.status, sub.updated = ABORTED, time.time()
                sub.error = AFTER_FAILURE if failed else CANCELLED
            if all(sub.status == FINISHED for sub in statement.subs) and not failed:
                status = FINISHED
            elif live.cancelled:
                status = ABORTED
                statement.error = statement.error or CANCELLED
            else:
                status = FAILED
            statement.updated = time.time()
            statement.status = status
            self._ended(live)
            live.changed.notify_all()


def _advance(live: Live, status: str, session: Session | None = None) -> bool:
    """Set the next state. False if the statement was cancelled meanwhile."""
    with live.changed:
        if live.cancelled:
            return False
        live.statement.status = status
        live.statement.updated = time.time()
        if session is not None:
            live.session = session
            live.statement.pid = session.pid
        live.changed.notify_all()
        return True
