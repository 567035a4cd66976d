"""Applies the SQL scripts to Redshift and verifies the columns of the feeds' tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol

from xacct_assets.aws.errors import DeployFailed, StatementFailed
from xacct_assets.aws.redshift.data_api import MAX_BATCH, DataApi
from xacct_assets.aws.redshift.database_errors import database_errors
from xacct_assets.aws.redshift.sql import qualified, split_statements
from xacct_assets.aws.redshift.warehouse import Warehouse
from xacct_assets.contract.days import PARTITION_COLUMN
from xacct_assets.feed.spec import LOADED_AT_COLUMN, FeedSpec


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


class WireSql:
    """Over the wire protocol: scripts and verification are one transaction."""

    route = "wire"

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a SELECT without parameters."""
        return self._warehouse.query(sql)

    def apply(self, scripts: Sequence[SqlScript], feeds: Sequence[FeedSpec]) -> None:
        """See `Sql`."""

        def apply_all(connection: Any) -> None:
            with connection.cursor() as cursor:
                for script in scripts:
                    for number, sql in enumerate(script.statements, 1):
                        statement = f"statement {number} of {script.path}"
                        with database_errors("the wire", statement=statement):
                            cursor.execute(sql)
                for feed, table in _tables(feeds):
                    cursor.execute(f"SELECT * FROM {qualified(table)} LIMIT 0")  # noqa: S608
                    names = [column[0] for column in cursor.description]
                    _require_columns(feed, table, [_as_text(name) for name in names])

        self._warehouse.transaction(apply_all, idempotent=True)


class DataApiSql:
    """Over the Data API: each batch of statements is a transaction."""

    route = "data-api"

    def __init__(self, api: DataApi) -> None:
        self._api = api

    def query(self, sql: str) -> list[dict[str, Any]]:
        """The rows of a SELECT without parameters."""
        return list(self._api.execute(sql).rows)

    def apply(self, scripts: Sequence[SqlScript], feeds: Sequence[FeedSpec]) -> None:
        """See `Sql`."""
        for script in scripts:
            for start in range(0, len(script.statements), MAX_BATCH):
                batch = script.statements[start : start + MAX_BATCH]
                self._api.batch(batch, name=script.path.name)
        for feed, table in _tables(feeds):
            schema, _, name = table.rpartition(".")
            columns = self._api.execute(
                "SELECT column_name FROM information_schema.columns "
                "WHERE table_schema = :schema AND table_name = :name "
                "ORDER BY ordinal_position",
                {"schema": schema or "public", "name": name},
                name=f"columns of {table}",
            )
            _require_columns(feed, table, [row["column_name"] for row in columns.rows])


def _tables(feeds: Sequence[FeedSpec]) -> Iterator[tuple[FeedSpec, str]]:
    for feed in feeds:
        yield feed, feed.warehouse.staging
        yield feed, feed.warehouse.fact


def _require_columns(feed: FeedSpec, table: str, actual: Sequence[str]) -> None:
    expected = [*feed.column_names(), PARTITION_COLUMN]
    if table == feed.warehouse.fact:
        expected.append(LOADED_AT_COLUMN)
    missing = [name for name in expected if name not in actual]
    if missing:
        raise StatementFailed(
            f"table {table} is not what feed {feed.name} needs",
            reason=f"it has no column {', '.join(missing)}; CREATE TABLE IF NOT EXISTS does not "
            "change a table that exists",
            fix=f"ALTER TABLE {table} ADD COLUMN …, or drop it if it can be loaded again",
        )


def _as_text(name: str | bytes) -> str:
    return name.decode() if isinstance(name, bytes) else name
