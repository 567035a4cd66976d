"""PostgreSQL's COPY TO for an UNLOAD: the query's rows as the bytes of the asked format."""

from __future__ import annotations

from xacct_sandbox.redshift.copy.rules import NO_QUOTE
from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.option_lists import CSV, JSON, PARQUET
from xacct_sandbox.redshift.unload.files import ResultColumn
from xacct_sandbox.redshift.unload.options import UnloadStatement


def copy_sql(statement: UnloadStatement, query: str, columns: list[ResultColumn]) -> str:
    """PostgreSQL's COPY TO for the rows of ``query`` in the statement's format."""
    if statement.format == CSV:
        return (
            f"COPY ({query}) TO STDOUT (FORMAT csv, "
            f"DELIMITER {lexer.quote_literal(statement.delimiter)}, "
            f"NULL {lexer.quote_literal(statement.null_as)})"
        )
    aliases = [f"c{number}" for number in range(len(columns))]
    source = f"FROM ({query}) AS unloaded({', '.join(aliases)})"
    if statement.format == PARQUET:
        selected = [
            _columnar_value(alias, column) for alias, column in zip(aliases, columns, strict=True)
        ]
        if selected != aliases:
            query = f"SELECT {', '.join(selected)} {source}"
        return f"COPY ({query}) TO STDOUT (FORMAT csv, NULL '')"
    # Text and JSON take no quotes. PostgreSQL quotes with NO_QUOTE, and ``Dealer`` strips it.
    raw = f"FORMAT csv, QUOTE '{NO_QUOTE}', ESCAPE '{NO_QUOTE}'"
    if statement.format == JSON:
        pairs = ", ".join(
            f"{lexer.quote_literal(column.name)}, {_json_value(alias, column)}"
            for alias, column in zip(aliases, columns, strict=True)
        )
        return (
            f"COPY (SELECT json_build_object({pairs}) {source}) TO STDOUT ({raw}, DELIMITER '\x02')"
        )
    if statement.escape or statement.add_quotes:
        fields = ", ".join(
            _escaped(alias, column, statement)
            for alias, column in zip(aliases, columns, strict=True)
        )
        query = f"SELECT {fields} {source}"
    return (
        f"COPY ({query}) TO STDOUT ({raw}, "
        f"DELIMITER {lexer.quote_literal(statement.delimiter)}, "
        f"NULL {lexer.quote_literal(statement.null_as)})"
    )


def _columnar_value(alias: str, column: ResultColumn) -> str:
    """The expression of a column of a Parquet file."""
    if column.type_name == "timestamp with time zone":
        return f"{alias} AT TIME ZONE 'UTC'"
    if column.type_name == "numeric" and column.typmod < 0:
        # A computed column has no declared scale; every value gets the one of the file.
        return f"{alias}::numeric({column.precision}, {column.scale})"
    return alias


def _json_value(alias: str, column: ResultColumn) -> str:
    return f"{alias}::text" if column.type_name.startswith("timestamp") else alias


def _escaped(alias: str, column: ResultColumn, statement: UnloadStatement) -> str:
    """ESCAPE and ADDQUOTES: the expression of a text field with backslashes and quotes."""
    value = f"{alias}::text"
    if statement.escape and column.type_name in ("character varying", "character", "text"):
        special = ["\\", "\n", "\r", statement.delimiter]
        if statement.add_quotes:
            special.append('"')
        for character in special:
            value = (
                f"replace({value}, {lexer.quote_literal(character)},"
                f" {lexer.quote_literal(chr(92) + character)})"
            )
    return f"'\"' || {value} || '\"'" if statement.add_quotes else value
