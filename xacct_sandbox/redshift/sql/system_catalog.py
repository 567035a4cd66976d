"""The sandbox's own connection as rdsdb: set-up of the database, the namespace, histories."""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import logging
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from importlib import resources
from pathlib import Path

from xacct_sandbox.redshift.roles import Namespace
from xacct_sandbox.redshift.server.connection import BackendLost
from xacct_sandbox.redshift.server.query_connection import QueryConnection, Result
from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.errors import BackendError
from xacct_sandbox.redshift.sql.users import redacted
from xacct_sandbox.redshift.storage.postgres import DATABASE, SUPERUSER

logger = logging.getLogger(__name__)

SQL_FILES = ("internal.sql", "comparison.sql", "functions.sql", "system_views.sql")
FLUSH_SECONDS = 0.5
KEPT_QUERIES = 20_000
LONGEST_KEPT_TEXT = 4_000


@dataclass(frozen=True)
class QueryRecord:
    """One statement of a client, for SYS_QUERY_HISTORY. Times are UTC."""

    query_id: int
    user: str
    database: str
    session_id: int
    kind: str
    text: str
    status: str
    error: str | None
    rows: int | None
    start: datetime
    end: datetime


class SystemCatalog:
    """Statements as rdsdb, one at a time. A lost connection is opened again."""

    def __init__(self, socket_path: Path, password: str) -> None:
        self._socket_path = socket_path
        self._password = password
        self._connection: QueryConnection | None = None
        self._lock = asyncio.Lock()
        self._query_ids = itertools.count(1)
        self._pending: list[QueryRecord] = []
        self._flushing: asyncio.Task[None] | None = None

    # -- set-up ------------------------------------------------------------------------------

    async def set_up(self) -> None:
        """Create the database ``dev`` and the sandbox's objects in it, if missing or outdated.

        Raises:
            BackendError: PostgreSQL refused, e.g. because the password is another one.
        """
        connection = await self._log_in("postgres")
        try:
            found = await connection.query(
                f"SELECT 1 FROM pg_database WHERE datname = {lexer.quote_literal(DATABASE)}"  # noqa: S608
            )
            if not found.rows:
                await connection.query(f"CREATE DATABASE {DATABASE}")
        finally:
            connection.close()
        await self._set_up_database()
        last = await self.query(
            "SELECT max(query_id) FROM (SELECT max(query_id) AS query_id FROM"
            " sandbox_internal.query_history UNION ALL SELECT max(query_id) FROM"
            " sandbox_internal.load_history UNION ALL SELECT max(query_id) FROM"
            " sandbox_internal.unload_history) AS ids"
        )
        self._query_ids = itertools.count(int(last.rows[0][0] or 0) + 1)
        self._flushing = asyncio.create_task(self._flush_regularly())

    async def close(self) -> None:
        if self._flushing is not None:
            self._flushing.cancel()
            await asyncio.gather(self._flushing, return_exceptions=True)
            await self.flush()
        if self._connection is not None:
            self._connection.close()

    async def _set_up_database(self) -> None:
        scripts = {name: _script(name) for name in SQL_FILES}
        digest = hashlib.sha256("\n".join(scripts.values()).encode()).hexdigest()
        table = await self.query("SELECT to_regclass('sandbox_internal.installed')")
        if table.rows[0][0] is not None:
            installed = await self.query("SELECT digest FROM sandbox_internal.installed")
            if installed.rows == [[digest]]:
                return
        logger.info("setting up database %s", DATABASE)
        script = "\n".join(scripts.values())
        await self.query(
            f"BEGIN ISOLATION LEVEL READ COMMITTED;\n{script}\n"
            "CREATE TABLE IF NOT EXISTS sandbox_internal.installed (digest text NOT NULL);\n"
            "DELETE FROM sandbox_internal.installed;\n"
            f"INSERT INTO sandbox_internal.installed VALUES ('{digest}');\nCOMMIT"
        )
        # This session still compares as before comparison.sql was run.
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    async def _log_in(self, database: str) -> QueryConnection:
        connection = await QueryConnection.connect(self._socket_path)
        try:
            await connection.log_in(SUPERUSER, self._password, database)
        except BaseException:
            connection.abort()
            raise
        return connection

    async def query(self, sql: str) -> Result:
        """Run SQL as rdsdb in a transaction of its own.

        Raises:
            BackendError: PostgreSQL refused.
        """
        async with self._lock:
            try:
                if self._connection is None:
                    self._connection = await self._log_in(DATABASE)
                return await self._connection.query(sql)
            except BackendLost:
                self._connection = await self._log_in(DATABASE)
                return await self._connection.query(sql)
            except BackendError:
                if self._connection is not None and self._connection.status != b"I":
                    await self._connection.query("ROLLBACK")
                raise

    # -- the namespace -----------------------------------------------------------------------

    async def namespace(self) -> Namespace | None:
        """The namespace; None before it is created."""
        found = await self.query(
            "SELECT account_id, region, namespace_id, namespace_name, iam_roles,"
            " default_iam_role, status FROM sandbox_internal.namespace"
        )
        if not found.rows:
            return None
        account, region, identifier, name, roles, default_role, status = found.rows[0]
        return Namespace(
            account_id=account or "",
            region=region or "",
            namespace_id=identifier or "",
            name=name or "",
            iam_roles=tuple(role.strip() for role in (roles or "").split(",") if role.strip()),
            default_iam_role=default_role or None,
            status=status or "",
        )

    # -- histories ---------------------------------------------------------------------------

    def next_query_id(self) -> int:
        return next(self._query_ids)

    def record(self, record: QueryRecord) -> None:
        """Keep a statement. It is written within ``FLUSH_SECONDS``: no statement waits for it."""
        self._pending.append(record)

    async def flush(self) -> None:
        """Write the statements that were kept, e.g. before SYS_QUERY_HISTORY is read."""
        pending, self._pending = self._pending, []
        if not pending:
            return
        await self.insert(
            "query_history",
            (
                "query_id", "user_name", "database_name", "session_id", "query_type",
                "query_text", "status", "error_message", "returned_rows", "start_time", "end_time",
            ),
            [
                (
                    record.query_id, record.user, record.database, record.session_id, record.kind,
                    redacted(record.text)[:LONGEST_KEPT_TEXT], record.status, record.error,
                    record.rows, record.start, record.end,
                )
                for record in pending
            ],
        )  # fmt: skip
        newest = pending[-1].query_id
        if newest // 1000 != pending[0].query_id // 1000:
            await self.query(
                "DELETE FROM sandbox_internal.query_history"  # noqa: S608
                f" WHERE query_id < {newest - KEPT_QUERIES}"
            )

    async def _flush_regularly(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            try:
                await self.flush()
            except (BackendError, BackendLost, OSError):
                logger.exception("the query history could not be written")

    async def insert(
        self, table: str, columns: Sequence[str], rows: Iterable[Sequence[object]]
    ) -> None:
        """Insert rows into a table of sandbox_internal."""
        values = ", ".join(f"({', '.join(_literal(value) for value in row)})" for row in rows)
        await self.query(
            f"INSERT INTO sandbox_internal.{table} ({', '.join(columns)}) VALUES {values}"  # noqa: S608
        )


def utc_now() -> datetime:
    return datetime.now(UTC).replace(tzinfo=None)


def _literal(value: object) -> str:
    if value is None:
        return "NULL"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, datetime):
        return f"'{value.isoformat(sep=' ')}'"
    return lexer.quote_literal(str(value).replace("\x00", ""))


def _script(name: str) -> str:
    folder = resources.files("xacct_sandbox.redshift") / "sql"
    return (folder / name).read_text(encoding="utf-8")
