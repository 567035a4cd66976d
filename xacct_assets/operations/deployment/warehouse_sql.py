"""Applies the SQL scripts to Redshift and verifies the columns of the feeds' tables."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

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


def apply_over_wire(
    scripts: Sequence[SqlScript], feeds: Sequence[FeedSpec], warehouse: Warehouse
) -> None:
    """Apply the scripts and verify the tables in one transaction over the wire protocol.

    Raises:
        StatementFailed: a statement failed, or a table lacks columns.
    """

    def apply(connection: Any) -> None:
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

    warehouse.transaction(apply, idempotent=True)


def apply_over_data_api(
    scripts: Sequence[SqlScript], feeds: Sequence[FeedSpec], api: DataApi
) -> None:
    """Apply the scripts through the Data API, in batches that are a transaction each; verify.

    Raises:
        StatementFailed: a statement failed, or a table lacks columns.
    """
    for script in scripts:
        for start in range(0, len(script.statements), MAX_BATCH):
            api.batch(script.statements[start : start + MAX_BATCH], name=script.path.name)
    for feed, table in _tables(feeds):
        schema, _, name = table.rpartition(".")
        columns = api.execute(
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
