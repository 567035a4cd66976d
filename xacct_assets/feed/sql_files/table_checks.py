"""Compares a table as it is in Redshift with the feed's columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from xacct_assets.aws.redshift.sql import literal
from xacct_assets.contract.column_types import ColumnType
from xacct_assets.contract.days import PARTITION_COLUMN
from xacct_assets.feed.spec import LOADED_AT_COLUMN, FeedSpec
from xacct_assets.feed.sql_files.table_columns import canonical_type


def columns_query(table: str) -> str:
    """A SELECT of a table's columns and their types, in order."""
    schema, _, name = table.rpartition(".")
    return (
        "SELECT column_name, data_type, character_maximum_length AS length, "  # noqa: S608 -- quoted
        "numeric_precision, numeric_scale FROM information_schema.columns "
        f"WHERE table_schema = {literal(schema or 'public')} AND table_name = {literal(name)} "
        "ORDER BY ordinal_position"
    )


def table_problems(feed: FeedSpec, table: str, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """What of a table is not what the feed needs.

    The fact table of a procedure of the feed's own may have other types.

    Args:
        rows: of `columns_query`.
    """
    actual = {str(row["column_name"]): _type(row) for row in rows}
    expected = {column.name: column.type for column in feed.columns}
    expected[PARTITION_COLUMN] = "date"
    if table == feed.warehouse.fact:
        expected[LOADED_AT_COLUMN] = "timestamp"
    missing = [name for name in expected if name not in actual]
    problems = [f"it has no column {', '.join(missing)}"] if missing else []
    if table == feed.warehouse.staging:
        problems += [
            f"column {name} is {actual[name]}, in defs.yaml {type_}"
            for name, type_ in expected.items()
            if name in actual and not holds(actual[name], type_)
        ]
    return problems


def _type(row: Mapping[str, Any]) -> str:
    name = canonical_type(str(row["data_type"])).partition("(")[0]
    if name in ("varchar", "char"):
        return f"{name}({row['length']})"
    if name == "decimal":
        return f"decimal({row['numeric_precision']},{row['numeric_scale']})"
    return {"jsonb": "super"}.get(name, name)


def holds(actual: str, expected: str) -> bool:
    """Whether a column of a type holds every value of a feed's type, as it is."""
    try:
        return ColumnType.parse(actual).holds(ColumnType.parse(expected))
    except ValueError:  # a type that no feed has
        return False
