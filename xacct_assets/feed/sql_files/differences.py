"""Where the committed SQL of a feed is not what its ``defs.yaml`` says, column by column.

Tables have the feed's columns. The procedure is the generator's, with the feed's columns, or the
feed's own: then it only must keep the contract, which is to replace the days whose load is not yet
transformed, and to say in the load audit table that they are.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from xacct_assets.aws.errors import DeployFailed
from xacct_assets.aws.redshift.sql import split_statements
from xacct_assets.contract.days import PARTITION_COLUMN
from xacct_assets.feed.loader import FeedFileError
from xacct_assets.feed.spec import LOADED_AT_COLUMN, FeedSpec
from xacct_assets.feed.sql_files.folder import sql_folder
from xacct_assets.feed.sql_files.generator import GENERATED, generate
from xacct_assets.feed.sql_files.table_columns import TableColumn, read_tables
from xacct_assets.sources import sources_root


def refuse_differences(feeds: Sequence[FeedSpec], extra_feeds_dir: Path | None = None) -> None:
    """Refuse feeds whose committed SQL is not what their ``defs.yaml`` says.

    An installation without SQL files has nothing to compare; `xacct deploy` refuses it.

    Raises:
        FeedFileError: names files, columns and the fix.
    """
    try:
        root = sources_root()
    except DeployFailed:
        return
    found = [
        difference
        for feed in feeds
        for difference in sql_differences(feed, sql_folder(feed.name, root, extra_feeds_dir))
    ]
    if found:
        raise FeedFileError(
            "SQL and defs.yaml differ:\n" + "\n".join(f"  {line}" for line in found)
        )


def sql_differences(feed: FeedSpec, folder: Path) -> list[tuple[str, str]]:
    """Every difference with its fix. Tables that no file creates are not compared."""
    differences = []
    written = generate(feed)
    for path in sorted(folder.glob("*.sql")):
        text = path.read_text(encoding="utf-8")
        if text == written.get(path.name):
            continue
        generated = text.startswith(GENERATED)
        fix = f"xacct feed sql {feed.name}" if generated else f"correct {path.name} or defs.yaml"
        try:
            found = [*_in_tables(feed, text, generated), *_in_procedure(feed, text, generated)]
        except ValueError as error:
            found = [f"it is not readable as SQL: {error}"]
        differences += [(f"{path}: {problem}", fix) for problem in found]
    return differences


def _in_tables(feed: FeedSpec, text: str, generated: bool) -> Iterator[str]:
    tables = read_tables(text)
    expected = {
        column.name: TableColumn(column.name, column.type, column.nullable)
        for column in feed.columns
    }
    expected[PARTITION_COLUMN] = TableColumn(PARTITION_COLUMN, "date", False)
    if feed.warehouse.staging in tables:
        table = feed.warehouse.staging
        yield from _in_columns(table, tables[table], expected)
        for column in tables[table]:
            if column.name not in expected and not column.nullable:
                yield f"{table} requires {column.name}, which defs.yaml does not have"
    if feed.warehouse.fact in tables:
        table = feed.warehouse.fact
        expected[LOADED_AT_COLUMN] = TableColumn(LOADED_AT_COLUMN, "timestamp", False)
        yield from _in_columns(table, tables[table], expected, names_only=not generated)


def _in_columns(
    table: str,
    columns: Sequence[TableColumn],
    expected: dict[str, TableColumn],
    *,
    names_only: bool = False,
) -> Iterator[str]:
    actual = {column.name: column for column in columns}
    for name, wanted in expected.items():
        column = actual.get(name)
        if column is None:
            yield f"{table} has no column {name}"
        elif names_only:
            continue
        elif column.type != wanted.type:
            yield f"column {name} of {table} is {column.type}, in defs.yaml {wanted.type}"
        elif wanted.nullable and not column.nullable:
            yield f"column {name} of {table} is NOT NULL, in defs.yaml nullable"


def _in_procedure(feed: FeedSpec, text: str, generated: bool) -> Iterator[str]:
    tables = feed.warehouse
    for statement in split_statements(text):
        head = re.match(
            r"CREATE\s+(?:OR\s+REPLACE\s+)?PROCEDURE\s+([\w$\".]+)\s*\(([^)]*)\)",
            statement,
            re.IGNORECASE,
        )
        if head is None or _qualified(head[1]) != tables.procedure:
            continue
        if head[2].count(",") != 1:
            yield f"{tables.procedure} must take two parameters, the first and the last day"
        for table, use in (
            (tables.load_audit, "reads and writes which days are loaded and transformed"),
            (tables.fact, "is what the days are written to"),
        ):
            if not _names(statement, table):
                yield f"{tables.procedure} does not use {table}, which {use}"
        if not re.search(r"\bSET\s[^;]*?\btransformed_at\s*=", statement, re.IGNORECASE):
            yield (
                f"{tables.procedure} does not set transformed_at of {tables.load_audit}: its days "
                "would be transformed again by every call"
            )
        if generated:
            yield from _in_insert(feed, statement)


def _in_insert(feed: FeedSpec, statement: str) -> Iterator[str]:
    """The columns that the generator's procedure writes to the fact table."""
    match = re.search(r"\bINSERT\s+INTO\s+[\w$\".]+\s*\(([^)]*)\)", statement, re.IGNORECASE)
    written = [name.strip().strip('"').lower() for name in match[1].split(",")] if match else []
    expected = [*feed.column_names(), PARTITION_COLUMN, LOADED_AT_COLUMN]
    for name in expected:
        if name not in written:
            yield f"{feed.warehouse.procedure} does not write column {name}"
    for name in written:
        if name not in expected:
            yield f"{feed.warehouse.procedure} writes {name}, which defs.yaml does not have"


def _qualified(name: str) -> str:
    folded = name.replace('"', "").lower()
    return folded if "." in folded else f"public.{folded}"


def _names(statement: str, table: str) -> bool:
    """Whether a statement names a table, with its schema or without."""
    schema, _, name = table.partition(".")
    return bool(
        re.search(rf'(?<![\w$])(?:"?{schema}"?\.)?"?{name}"?(?![\w$])', statement, re.IGNORECASE)
    )
