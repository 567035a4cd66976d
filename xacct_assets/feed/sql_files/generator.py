"""Writes the SQL of a feed: its two tables and its procedure."""

from __future__ import annotations

import textwrap
from collections.abc import Iterable
from importlib import resources

from xacct_assets.aws.redshift.sql import plain_identifier, plain_qualified
from xacct_assets.contract.days import PARTITION_COLUMN
from xacct_assets.feed.spec import LOADED_AT_COLUMN, FeedSpec

#: A file whose first line begins so is the generator's; any other is the feed's own.
GENERATED = "-- Written by `xacct feed sql"
_HELD = {"snapshot": "The full set of every day", "append": "The new rows of every day"}


def generate(feed: FeedSpec) -> dict[str, str]:
    """The SQL of a feed by file name: staging, fact, procedure, and latest if the feed has it."""
    tables = feed.warehouse
    names = {
        "feed": feed.name,
        "staging": plain_qualified(tables.staging),
        "fact": plain_qualified(tables.fact),
        "fact_name": tables.fact.rpartition(".")[2],
        "procedure": plain_qualified(tables.procedure),
        "procedure_name": tables.procedure.rpartition(".")[2],
        "load_audit": plain_qualified(tables.load_audit),
    }
    columns = [plain_identifier(name) for name in feed.column_names()]
    files = {
        "staging.sql": _fill("staging", **names, columns=_column_lines(feed, [])),
        "fact.sql": _fill("fact", **names, **_fact_parts(feed)),
        "procedure.sql": _fill(
            "procedure",
            **names,
            inserted=_wrapped(columns),
            selected=_wrapped(f"s.{name}" for name in columns),
        ),
    }
    if tables.latest is not None:
        files["latest.sql"] = _fill(
            f"latest_of_{feed.mode}",
            **names,
            latest=plain_qualified(tables.latest),
            key=", ".join(plain_identifier(name) for name in feed.key),
            columns=_wrapped([*columns, PARTITION_COLUMN, LOADED_AT_COLUMN], indent=4),
        )
    return files


def column_type_sql(type_: str) -> str:
    """A column's type as it is written in DDL.

    >>> column_type_sql("decimal(12,2)")
    'DECIMAL(12, 2)'
    """
    return type_.upper().replace(",", ", ")


def _fill(template: str, **parts: str) -> str:
    text = resources.files(__package__).joinpath("templates", f"{template}.sql")
    return text.read_text(encoding="utf-8").format(**parts)


def _fact_parts(feed: FeedSpec) -> dict[str, str]:
    """The parts of the fact table that depend on the key."""
    key = [plain_identifier(name) for name in feed.key]
    constraints = [f"PRIMARY KEY ({', '.join([PARTITION_COLUMN, *key])})"] if key else []
    rows = f"{_HELD[feed.mode]}; " + (
        f"one row per {', '.join(key)} and day." if key else "no key."
    )
    if not key:
        return {
            "rows": rows,
            "distribution": "EVEN: no column of a key tells where a row should be.",
            "columns": _column_lines(feed, constraints, loaded_at=True),
            "attributes": f"DISTSTYLE EVEN\nSORTKEY ({PARTITION_COLUMN})",
        }
    return {
        "rows": rows,
        "distribution": f"Distributed by {key[0]}: joins by it stay on a node.",
        "columns": _column_lines(feed, constraints, loaded_at=True),
        "attributes": f"DISTSTYLE KEY\nDISTKEY ({key[0]})\n"
        f"COMPOUND SORTKEY ({PARTITION_COLUMN}, {key[0]})",
    }


def _column_lines(feed: FeedSpec, constraints: Iterable[str], *, loaded_at: bool = False) -> str:
    """The lines between the parentheses of CREATE TABLE, in columns."""
    rows = [
        (plain_identifier(column.name), column_type_sql(column.type), not column.nullable)
        for column in feed.columns
    ]
    rows.append((PARTITION_COLUMN, "DATE", True))
    if loaded_at:
        rows.append((LOADED_AT_COLUMN, "TIMESTAMP", True))
    name_width = max(len(name) for name, _, _ in rows)
    type_width = max(len(type_) for _, type_, required in rows if required)
    lines = [
        f"{name:{name_width}} {type_:{type_width}} NOT NULL"
        if required
        else f"{name:{name_width}} {type_}"
        for name, type_, required in rows
    ]
    return ",\n".join(f"    {line}" for line in (*lines, *constraints))


def _wrapped(names: Iterable[str], *, indent: int = 8) -> str:
    blanks = " " * indent
    return textwrap.fill(
        ", ".join(names),
        width=100,
        initial_indent=blanks,
        subsequent_indent=blanks,
        break_long_words=False,
        break_on_hyphens=False,
    )
