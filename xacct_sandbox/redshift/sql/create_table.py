"""CREATE TABLE and CREATE TABLE AS of Redshift, as PostgreSQL runs them."""

from __future__ import annotations

from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.errors import (
    SYNTAX_ERROR,
    RedshiftError,
    not_supported,
    sandbox_lacks,
)
from xacct_sandbox.redshift.sql.lexer import Token, qualified_name_end
from xacct_sandbox.redshift.sql.plans import Pass, Plan, Steps
from xacct_sandbox.redshift.sql.rewriting import slice_rewritten
from xacct_sandbox.redshift.sql.table_attributes import (
    TableAttributes,
    key_constraint,
    read_table_attributes,
)
from xacct_sandbox.redshift.sql.table_columns import column_definition


def create_table(sql: str, tokens: list[Token]) -> Plan:
    """Translate a CREATE [TEMP] TABLE statement.

    Raises:
        RedshiftError: The statement is wrong, or not supported.
    """
    index = 1
    temporary = False
    while tokens[index].upper != "TABLE":
        if tokens[index].upper in ("TEMP", "TEMPORARY"):
            temporary = True
        elif tokens[index].upper not in ("LOCAL",):
            raise not_supported(f"CREATE {tokens[index].upper} TABLE", "Create a plain table.")
        index += 1
    index += 1
    if_not_exists = False
    if [token.upper for token in tokens[index : index + 3]] == ["IF", "NOT", "EXISTS"]:
        if_not_exists = True
        index += 3
    name_start = index
    index = qualified_name_end(tokens, index)
    table = TableAttributes(name=tokens[index - 1].name)
    head = "CREATE TEMPORARY TABLE " if temporary else "CREATE TABLE "
    if if_not_exists:
        head += "IF NOT EXISTS "
    head += slice_rewritten(sql, tokens, name_start, index)

    as_index = _top_level_as(tokens, index)
    if as_index is not None:
        return _create_table_as(sql, tokens, index, as_index, head, table)
    if index >= len(tokens) or tokens[index].text != "(":
        raise RedshiftError("syntax error: CREATE TABLE needs columns", sqlstate=SYNTAX_ERROR)
    close = lexer.closing(tokens, index)
    lines = [
        _element(sql, tokens, start, end, table)
        for start, end in lexer.split_on_commas(tokens, index + 1, close)
        if start < end
    ]
    read_table_attributes(tokens, close + 1, len(tokens), table)
    lines = [line for line in lines if line]
    lines += [f"NOT NULL {lexer.quote_name(name)}" for name in sorted(table.key_columns)]
    return Pass(f"{head} ({', '.join(lines + table.markers())})")


def _create_table_as(
    sql: str, tokens: list[Token], index: int, as_index: int, head: str, table: TableAttributes
) -> Plan:
    columns = ""
    if tokens[index].text == "(":
        close = lexer.closing(tokens, index)
        columns = " " + slice_rewritten(sql, tokens, index, close + 1)
        index = close + 1
    read_table_attributes(tokens, index, as_index, table)
    query = slice_rewritten(sql, tokens, as_index + 1, len(tokens))
    create = f"{head}{columns} AS {query}"
    checks = table.markers()
    if not checks:
        return Pass(create)
    if any(token.kind == lexer.PARAMETER for token in tokens):
        raise sandbox_lacks(
            "CREATE TABLE AS with table attributes and bound parameters",
            "Create the table first, then INSERT … SELECT.",
        )
    name = head.split("IF NOT EXISTS ", 1)[-1].split("TABLE ", 1)[-1]
    added = ", ".join(f"ADD {check}" for check in checks)
    return Steps((create, f"ALTER TABLE {name} {added}"), "CREATE TABLE AS")


def _element(sql: str, tokens: list[Token], start: int, end: int, table: TableAttributes) -> str:
    word = tokens[start].upper
    if word == "LIKE":
        return _like(sql, tokens, start, end)
    if word == "CONSTRAINT" or (
        word in ("PRIMARY", "UNIQUE", "FOREIGN", "CHECK", "EXCLUDE")
        and start + 1 < end
        and tokens[start + 1].upper in ("KEY", "(", "USING")
    ):
        check, columns = key_constraint(tokens, start, end, table.name)
        table.key_columns.update(columns or ())
        table.checks.append(check)
        return ""
    return column_definition(sql, tokens, start, end, table)


def _like(sql: str, tokens: list[Token], start: int, end: int) -> str:
    name_end = qualified_name_end(tokens, start + 1)
    options = " ".join(token.upper for token in tokens[name_end:end])
    if options not in ("", "INCLUDING DEFAULTS", "EXCLUDING DEFAULTS"):
        raise not_supported(f"LIKE … {options}", "Use INCLUDING DEFAULTS or EXCLUDING DEFAULTS.")
    # Constraints here are the byte limits and the table's attributes, which Redshift copies too.
    return f"{slice_rewritten(sql, tokens, start, name_end)} INCLUDING CONSTRAINTS {options}"


def _top_level_as(tokens: list[Token], index: int) -> int | None:
    while index < len(tokens):
        if tokens[index].text == "(":
            index = lexer.closing(tokens, index)
        elif tokens[index].upper == "AS":
            return index
        index += 1
    return None
