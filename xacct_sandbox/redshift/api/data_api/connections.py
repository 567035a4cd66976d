"""Sessions on the Redshift endpoint, kept for ``IDLE_SECONDS`` between statements."""

from __future__ import annotations

import contextlib
import hashlib
import re
import threading
import time
from collections.abc import Sequence
from typing import Any

from redshift_connector.error import Error as DriverError

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.redshift.api.data_api.results import columns_of
from xacct_sandbox.redshift.api.data_api.runner import Login, Outcome
from xacct_sandbox.redshift.api.wire_client import (
    ALIVE_QUERY,
    PID_QUERY,
    DatabaseError,
    as_database_error,
    cancel,
    connect,
)

IDLE_SECONDS = 60.0
MAX_IDLE = 8
_STATELESS = {
    "SELECT", "WITH", "INSERT", "UPDATE", "DELETE", "MERGE", "COPY", "UNLOAD", "BEGIN", "COMMIT",
    "ROLLBACK",
}  # fmt: skip
_STATE = re.compile(r"(?i)\binto\s+(?:temp|#)|set_config|#")
MAX_USES = 200  # the driver keeps every statement text as long as the connection


class WireSession:
    """One connection of redshift_connector, logged in as the user of the statement."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection
        self.uses = 0
        self._changed = False
        self.pid = int(self._read(PID_QUERY)[0][0])

    def execute(self, sql: str, values: Sequence[str]) -> Outcome:
        self.uses += 1
        self._changed = self._changed or _changes_session(sql)
        try:
            cursor = self._connection.cursor()
            # The text has the server's own form, `$1`. The driver scans it for the mark of its
            # parameter style, so a style whose mark does not occur is chosen.
            cursor.paramstyle = _unused_style(sql) if values else cursor.paramstyle
            cursor.execute(sql, list(values) if values else None)
            descriptions = cursor.ps["row_desc"] if cursor.ps else []
            if not descriptions:
                return Outcome(None, (), cursor.redshift_rowcount)
            rows = cursor.fetchall()
            return Outcome(columns_of(descriptions), rows, len(rows))
        except (DriverError, OSError) as problem:
            raise as_database_error(problem) from problem

    def begin(self) -> None:
        self._read("BEGIN")

    def commit(self) -> None:
        self._read("COMMIT")

    def rollback(self) -> None:
        self._read("ROLLBACK")

    @property
    def is_clean(self) -> bool:
        """Whether no statement may have changed the session."""
        return not self._changed

    def is_alive(self) -> bool:
        """Whether the endpoint still answers."""
        try:
            self._connection.rollback()
            self._read(ALIVE_QUERY)
        except (DatabaseError, DriverError, OSError):
            return False
        return True

    def cancel(self, config: SandboxConfig) -> None:
        """Cancel what the session runs. Called from another thread."""
        cancel(config, self._connection)

    def close(self) -> None:
        # Closing a lost connection fails, which does not matter.
        with contextlib.suppress(DriverError, OSError):
            self._connection.close()

    def _read(self, sql: str) -> Sequence[Sequence[Any]]:
        outcome = self.execute(sql, ())
        return outcome.rows


def _changes_session(sql: str) -> bool:
    """Whether a statement may change its session: settings, temporary tables, a role.

    On AWS every statement has a session of its own, so a changed session is not used again. When
    in doubt, the answer is yes.
    """
    word = sql.lstrip().partition(" ")[0].upper()
    return word not in _STATELESS or _STATE.search(sql) is not None


def _unused_style(sql: str) -> str:
    if "?" not in sql:
        return "qmark"
    if "%" not in sql:
        return "format"
    raise DatabaseError(
        "ERROR: a statement with parameters that also holds both ? and % is not supported by the "
        "sandbox; write one of them in a parameter"
    )


class WireDatabase:
    """Idle sessions by login. The one used last is taken first."""

    def __init__(self, config: SandboxConfig) -> None:
        self._config = config
        self._lock = threading.Lock()
        self._idle: dict[str, list[tuple[float, WireSession]]] = {}

    def acquire(self, login: Login) -> WireSession:
        key = _key(login)
        while True:
            with self._lock:
                kept = self._idle.get(key)
                session = kept.pop()[1] if kept else None
            if session is None:
                return WireSession(
                    connect(
                        self._config,
                        database=login.database,
                        user=login.user,
                        password=login.password,
                    )
                )
            if session.is_alive():
                return session
            # It ended while it was idle, e.g. because the database was restarted.
            session.close()

    def release(self, login: Login, session: WireSession, *, reusable: bool) -> None:
        stale: list[WireSession] = []
        now = time.monotonic()
        with self._lock:
            if reusable and session.is_clean and session.uses < MAX_USES:
                self._idle.setdefault(_key(login), []).append((now, session))
            else:
                stale.append(session)
            for key, kept in list(self._idle.items()):
                fresh = [entry for entry in kept if now - entry[0] < IDLE_SECONDS][-MAX_IDLE:]
                stale += [entry[1] for entry in kept if entry not in fresh]
                self._idle[key] = fresh
                if not fresh:
                    del self._idle[key]
        for ended in stale:
            ended.close()

    def cancel(self, session: WireSession) -> None:
        session.cancel(self._config)

    def close(self) -> None:
        """End every idle session."""
        with self._lock:
            idle, self._idle = self._idle, {}
        for kept in idle.values():
            for _, session in kept:
                session.close()


def _key(login: Login) -> str:
    # With the password: a session of an old password is not used.
    secret = hashlib.sha256(login.password.encode()).hexdigest()
    return f"{login.database}\x00{login.user}\x00{secret}"
