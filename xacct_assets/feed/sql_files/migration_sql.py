"""Writes a migration: the SQL that turns a feed's tables into those of its changed columns.

What Redshift can and cannot do ("ALTER TABLE" in its Database Developer Guide):

- ADD, DROP and RENAME COLUMN run in a transaction, one column a statement.
- ALTER COLUMN … TYPE changes the length of a VARCHAR only, without a copy; not in a transaction,
  and not of a column of a primary key.
- Nothing else of a column can be altered: another type, or NULL where it was NOT NULL, is a new
  column that gets the old one's values.
- A column of a primary, sort or distribution key cannot be replaced so: its table is made anew.
"""

from __future__ import annotations

import re
import textwrap
from collections.abc import Iterator, Sequence

from xacct_assets.aws.redshift.sql import literal, plain_identifier, plain_qualified
from xacct_assets.contract.days import PARTITION_COLUMN
from xacct_assets.feed.spec import LOADED_AT_COLUMN, Column, FeedSpec
from xacct_assets.feed.sql_files.column_changes import ColumnChange
from xacct_assets.feed.sql_files.generator import column_type_sql, generate

MIGRATIONS_TABLE = "public.xacct_migrations"
_RETYPED_BY_COPY = ("retyped", "nullable")


def migration_sql(
    before: FeedSpec, after: FeedSpec, changes: Sequence[ColumnChange], name: str
) -> str:
    """The text of a migration.

    Args:
        before, after: the feed's two versions.
        changes: of `column_changes`.
        name: of the migration, without ``.sql``.
    """
    descriptions = [change.describe() for change in changes]
    tables = after.warehouse
    is_rebuilt = rebuilds_fact(before, changes)
    alone = [*_widen(tables.staging, changes)]
    together = [*_alter(tables.staging, changes)]
    if is_rebuilt:
        together += _rebuild(before, after, changes)
    else:
        alone += _widen(tables.fact, changes)
        together += _alter(tables.fact, changes)
    if tables.latest is not None:
        drop = f"DROP VIEW IF EXISTS {plain_qualified(tables.latest)};"
        # A view holds on to the columns that it reads.
        alone = [drop, *alone] if alone else []
        together = [drop, *together, _statement(generate(after)["latest.sql"])]
    together.append(record_sql(after.name, name, "; ".join(descriptions)))
    return "\n".join(
        [
            f"-- Written by `xacct feed evolve {after.name}`; `xacct deploy` applies it once.",
            *(f"-- {line}" for line in descriptions),
            *(_notes(after, changes, is_rebuilt=is_rebuilt)),
            *(["", *_alone_block(alone)] if alone else []),
            "",
            "BEGIN;",
            *together,
            "COMMIT;",
            "",
        ]
    )


def _alone_block(statements: Sequence[str]) -> Iterator[str]:
    yield "-- Redshift changes a length outside of a transaction only. These may run again."
    yield from statements


def _notes(after: FeedSpec, changes: Sequence[ColumnChange], *, is_rebuilt: bool) -> Iterator[str]:
    fact = after.warehouse.fact
    if is_rebuilt:
        yield f"-- {fact} is made anew, since a column of its key changes: grants to others"
        yield "-- than the pipeline's user, and views of it, have to be made again."
    elif any(change.kind in _RETYPED_BY_COPY and not change.is_widened for change in changes):
        yield f"-- Rows of {fact} are rewritten: it takes as long as an UPDATE of all of them."
    if after.warehouse.latest is not None:
        yield f"-- {after.warehouse.latest} is made anew: grants on it have to be made again."


def rebuilds_fact(before: FeedSpec, changes: Sequence[ColumnChange]) -> bool:
    """Whether the fact table has to be made anew: a column of its key changes."""
    kinds = (*_RETYPED_BY_COPY, "gone")
    return any(change.kind in kinds and change.name in before.key for change in changes)


def _widen(table: str, changes: Sequence[ColumnChange]) -> Iterator[str]:
    """Statements that cannot run in a transaction. They come first: names are the old ones."""
    for change in changes:
        if change.is_widened and change.after is not None:
            name, type_ = plain_identifier(change.name), column_type_sql(change.after.type)
            yield f"ALTER TABLE {plain_qualified(table)} ALTER COLUMN {name} TYPE {type_};"


def _alter(table: str, changes: Sequence[ColumnChange]) -> Iterator[str]:
    alter = f"ALTER TABLE {plain_qualified(table)}"
    for change in changes:
        before, after = change.before, change.after
        if change.kind == "renamed" and before is not None and after is not None:
            old, new = plain_identifier(before.name), plain_identifier(after.name)
            yield f"{alter} RENAME COLUMN {old} TO {new};"
        elif change.kind == "gone":
            yield f"{alter} DROP COLUMN {plain_identifier(change.name)};"
        elif change.kind == "new" and after is not None:
            # Rows of old days have no value of it, so it may be NULL whatever the feed says.
            type_ = column_type_sql(after.type)
            yield f"{alter} ADD COLUMN {plain_identifier(after.name)} {type_};"
        elif not change.is_widened and before is not None and after is not None:
            yield from _replace_column(table, before, after)


def _replace_column(table: str, before: Column, after: Column) -> Iterator[str]:
    """A new column with the old one's values, under its name."""
    alter, name = f"ALTER TABLE {plain_qualified(table)}", plain_identifier(after.name)
    new = plain_identifier(f"{after.name[:118]}_evolved")
    yield f"{alter} ADD COLUMN {new} {column_type_sql(after.type)};"
    value = _converted(name, before.type, after.type)
    yield f"UPDATE {plain_qualified(table)} SET {new} = {value};"  # noqa: S608 -- quoted
    yield f"{alter} DROP COLUMN {name};"
    yield f"{alter} RENAME COLUMN {new} TO {name};"


def _converted(name: str, before: str, after: str) -> str:
    if before == after:
        return name
    is_text = after.startswith(("varchar", "char"))
    if before == "boolean" and is_text:
        # Redshift casts no boolean to text.
        return f"CASE WHEN {name} THEN 'true' WHEN NOT {name} THEN 'false' END"
    if after == "super":
        return f"JSON_PARSE({name})"
    if before == "super" and is_text:
        return f"JSON_SERIALIZE({name})"
    return f"CAST({name} AS {column_type_sql(after)})"


def _rebuild(before: FeedSpec, after: FeedSpec, changes: Sequence[ColumnChange]) -> Iterator[str]:
    """The fact table made anew with its rows, under its name."""
    fact = plain_qualified(after.warehouse.fact)
    schema, _, name = after.warehouse.fact.rpartition(".")
    old_name = plain_identifier(f"{name[:118]}_evolved")
    old = f"{plain_identifier(schema)}.{old_name}"
    old_names = {
        change.after.name: change.name
        for change in changes
        if change.kind == "renamed" and change.after is not None
    }
    types = {column.name: column.type for column in before.columns}
    names, values = [], []
    for column in after.columns:
        was = old_names.get(column.name, column.name)
        if was in types:
            values.append(_converted(plain_identifier(was), types[was], column.type))
        elif column.default is not None:
            values.append(f"CAST({literal(column.default)} AS {column_type_sql(column.type)})")
        else:
            continue
        names.append(plain_identifier(column.name))
    added = [PARTITION_COLUMN, LOADED_AT_COLUMN]
    yield f"ALTER TABLE {fact} RENAME TO {old_name};"
    yield _statement(generate(after)["fact.sql"])
    yield (
        f"INSERT INTO {fact} ({', '.join([*names, *added])})\n"
        f"SELECT {', '.join([*values, *added])} FROM {old};"
    )
    yield f"DROP TABLE {old};"


def record_sql(feed: str, migration: str, description: str) -> str:
    """The statement that records a migration as applied."""
    cut = description.encode()[:8000].decode(errors="ignore")
    values = ", ".join(map(literal, (feed, migration, cut)))
    return (
        f"INSERT INTO {MIGRATIONS_TABLE} (feed, migration, description, applied_at)\n"
        f"VALUES ({values}, GETDATE());"
    )


def _statement(script: str) -> str:
    """A generated script without its comments."""
    return re.sub(r"(?m)^--.*\n", "", textwrap.dedent(script)).strip()
