"""The table that a COPY loads, and which of its columns."""

from __future__ import annotations

from collections.abc import Sequence

from xacct_sandbox.redshift.copy.options import CopyStatement
from xacct_sandbox.redshift.copy.rules import Column
from xacct_sandbox.redshift.server.backend import Backend
from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.errors import (
    DATATYPE_MISMATCH,
    UNDEFINED_COLUMN,
    RedshiftError,
)


async def target_columns(
    backend: Backend, statement: CopyStatement
) -> tuple[tuple[Column, ...], int]:
    """The columns that a COPY fills, in the order of the fields, and the OID of the table.

    Raises:
        RedshiftError: The table or a column does not exist, or IDENTITY columns are misused.
    """
    found = await backend.query(
        "SELECT a.attrelid::bigint, a.attname, a.attnum, format_type(a.atttypid, NULL),"  # noqa: S608
        " CASE WHEN a.atttypid IN (1042, 1043) AND a.atttypmod > 0 THEN a.atttypmod - 4 END,"
        " a.attnotnull, a.attidentity, c.relkind FROM pg_catalog.pg_attribute AS a"
        " JOIN pg_catalog.pg_class AS c ON c.oid = a.attrelid WHERE a.attrelid ="
        f" pg_catalog.to_regclass({lexer.quote_literal(statement.qualified)})"
        " AND a.attnum > 0 AND NOT a.attisdropped ORDER BY a.attnum"
    )
    if not found.rows or found.rows[0][7] != "r":
        raise RedshiftError(f"Cannot COPY into nonexistent table {statement.table}")
    columns = [
        Column(
            name=str(row[1]),
            number=int(row[2] or 0),
            type_name=str(row[3]),
            length=int(row[4]) if row[4] else None,
            not_null=row[5] == "t",
            identity=row[6] or "",
        )
        for row in found.rows
    ]
    return _chosen(columns, statement), int(found.rows[0][0] or 0)


def _chosen(columns: Sequence[Column], statement: CopyStatement) -> tuple[Column, ...]:
    if statement.columns is None:
        return tuple(c for c in columns if statement.explicit_ids or not c.identity)
    by_name = {column.name: column for column in columns}
    for name in statement.columns:
        if name not in by_name:
            raise RedshiftError(
                f'column "{name}" of relation "{statement.table}" does not exist',
                sqlstate=UNDEFINED_COLUMN,
            )
    chosen = tuple(by_name[name] for name in statement.columns)
    generated = [c for c in chosen if c.identity == "a"]
    if generated and not statement.explicit_ids:
        raise RedshiftError(
            f"COPY: IDENTITY column {generated[0].name} is listed without EXPLICIT_IDS",
            sqlstate=DATATYPE_MISMATCH,
            hint="Leave the column out of the list, or add EXPLICIT_IDS.",
        )
    if statement.explicit_ids and not any(c.identity for c in chosen):
        raise RedshiftError("COPY: EXPLICIT_IDS needs the IDENTITY column in the list")
    return chosen
