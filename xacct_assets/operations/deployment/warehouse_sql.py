"""Applies the SQL scripts to Redshift and verifies the columns of the feeds' tables."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from xacct_assets.aws.errors import DeployFailed, StatementFailed
from xacct_assets.aws.redshift.data_api import MAX_BATCH, DataApi
from xacct_assets.aws.redshift.database_errors import database_errors
from xacct_assets.aws.redshift.sql import split_statements
from xacct_assets.aws.redshift.warehouse import Warehouse
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.sql_files.table_checks import columns_query, table_problems


@dataclass(frozen=True)
class SqlScript:
    """One SQL file and its statements."""

    path: Path
    statements: list[str]

    @classmethod
    def read(cls, path: Path) -> SqlScript:
        """Read a file.

        Raises:
            DeployFailed: the file cannot be split into statements.
        """
        try:
            return cls(path, split_statements(path.read_text(encoding="utf-8")))
        except ValueError as error:
            raise DeployFailed(f"{path} cannot be read as SQL", reason=str(error)) from error


class Sql(Protocol):
    """A login to Redshift for the statements of a deployment."""

    route: str

    def apply(self, scripts: Sequence[SqlScript], feeds: Sequence[FeedSpec]) -> None:
        """Apply the scripts, and verify the columns of the feeds' tables.

        Raises:
            StatementFailed: a statement failed, or a table lacks columns.
        """

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a SELECT without parameters."""

    def run_alone(self, statement: str) -> None:
        """Run a statement that Redshift runs outside of a transaction only.

        Raises:
            StatementFailed: it failed.
        """

    def run_once(self, script: SqlScript) -> None:
        """Run the statements of a script, which must not run twice, as one transaction.

        Raises:
            StatementFailed: a statement failed; nothing was kept.
            CommitUnknown: the connection was lost during COMMIT.
            DeployFailed: they are too many for one transaction of this route.
        """


class WireSql:
    """Over the wire protocol: scripts and verification are one transaction."""

    route = "wire"

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a SELECT without parameters."""
        return self._warehouse.query(sql)

    def run_alone(self, statement: str) -> None:
        """See `Sql`."""
        with self._warehouse.connect() as connection:
            connection.autocommit = True
            with connection.cursor() as cursor, database_errors("the wire", statement=statement):
                cursor.execute(statement)

    def run_once(self, script: SqlScript) -> None:
        """See `Sql`."""
        self._warehouse.transaction(lambda connection: _execute(connection, script))

    def apply(self, scripts: Sequence[SqlScript], feeds: Sequence[FeedSpec]) -> None:
        """See `Sql`."""

        def apply_all(connection: Any) -> None:
            for script in scripts:
                _execute(connection, script)
            with connection.cursor() as cursor:
                for feed, table in _tables(feeds):
                    cursor.execute(columns_query(table))
                    names = [_as_text(column[0]) for column in cursor.description]
                    rows = [dict(zip(names, row, strict=True)) for row in cursor.fetchall()]
                    _require_columns(feed, table, rows)

        self._warehouse.transaction(apply_all, idempotent=True)


class DataApiSql:
    """Over the Data API: each batch of statements is a transaction."""

    route = "data-api"

    def __init__(self, api: DataApi) -> None:
        self._api = api

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a SELECT without parameters."""
        return list(self._api.execute(sql).rows)

    def run_alone(self, statement: str) -> None:
        """See `Sql`."""
        self._api.execute(statement)

    def run_once(self, script: SqlScript) -> None:
        """See `Sql`."""
        if len(script.statements) > MAX_BATCH:
            raise DeployFailed(
                f"{script.path} has {len(script.statements)} statements in its transaction",
                reason=f"a transaction over the Data API has {MAX_BATCH} at most",
                fix="deploy with --sql-over wire, or divide it into two migrations",
            )
        self._api.batch(script.statements, name=script.path.name)

    def apply(self, scripts: Sequence[SqlScript], feeds: Sequence[FeedSpec]) -> None:
        """See `Sql`."""
        for script in scripts:
            for start in range(0, len(script.statements), MAX_BATCH):
                batch = script.statements[start : start + MAX_BATCH]
                self._api.batch(batch, name=script.path.name)
        for feed, table in _tables(feeds):
            result = self._api.execute(columns_query(table), name=f"columns of {table}")
            _require_columns(feed, table, result.rows)


def _execute(connection: Any, script: SqlScript) -> None:
    with connection.cursor() as cursor:
        for number, sql in enumerate(script.statements, 1):
            statement = f"statement {number} of {script.path}"
            with database_errors("the wire", statement=statement):
                cursor.execute(sql)


def _tables(feeds: Sequence[FeedSpec]) -> Iterator[tuple[FeedSpec, str]]:
    for feed in feeds:
        yield feed, feed.warehouse.staging
        yield feed, feed.warehouse.fact


def _require_columns(feed: FeedSpec, table: str, rows: Sequence[Mapping[str, Any]]) -> None:
    problems = table_problems(feed, table, rows)
    if problems:
        raise StatementFailed(
            f"table {table} is not what feed {feed.name} needs",
            reason=f"{'; '.join(problems)}; CREATE TABLE IF NOT EXISTS does not change a table "
            "that exists",
            fix=f"write a migration: `xacct feed evolve {feed.name} --from FILE` does for a file "
            "with new columns; or drop the table if it can be loaded again",
        )


def _as_text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
