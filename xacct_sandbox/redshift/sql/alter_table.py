"""ALTER TABLE of Redshift, as PostgreSQL runs it."""

from __future__ import annotations

from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.errors import (
    SYNTAX_ERROR,
    RedshiftError,
    not_supported,
    sandbox_lacks,
)
from xacct_sandbox.redshift.sql.lexer import Token, column_list, qualified_name_end
from xacct_sandbox.redshift.sql.plans import Pass, Plan, Steps
from xacct_sandbox.redshift.sql.rewriting import slice_rewritten
from xacct_sandbox.redshift.sql.table_attributes import (
    DIST_CHECK,
    SORT_CHECK,
    TableAttributes,
    encoding_check,
    encoding_marker,
    key_constraint,
    marker,
)
from xacct_sandbox.redshift.sql.table_columns import column_definition, column_type


def alter_table(sql: str, tokens: list[Token]) -> Plan:
    """Translate an ALTER TABLE statement.

    Raises:
        RedshiftError: The statement is wrong, or not supported.
    """
    if [token.upper for token in tokens[2:4]] == ["IF", "EXISTS"]:
        raise not_supported("ALTER TABLE IF EXISTS", "Look the table up in SVV_TABLES first.")
    name_end = qualified_name_end(tokens, 2)
    table = slice_rewritten(sql, tokens, 2, name_end)
    words = [token.upper for token in tokens[name_end:]]
    action = words[0] if words else ""
    if action == "ALTER":
        return _alter(sql, tokens, name_end, table)
    if action == "ADD":
        return _add(sql, tokens, name_end, table)
    if action == "APPEND":
        raise sandbox_lacks("ALTER TABLE APPEND", "Use INSERT … SELECT, then TRUNCATE.")
    if action not in ("RENAME", "DROP", "OWNER", "SET"):
        raise not_supported(f"ALTER TABLE … {' '.join(words[:2])}", "See ALTER TABLE of Redshift.")
    if action == "DROP" and words[1] != "CONSTRAINT":
        return _drop_column(sql, tokens, name_end, table)
    return Pass(slice_rewritten(sql, tokens, 0, len(tokens)))


def _alter(sql: str, tokens: list[Token], index: int, table: str) -> Plan:
    """ALTER TABLE … ALTER, whose second ALTER is at ``index``."""
    words = [token.upper for token in tokens[index:]]
    following = words[1] if len(words) > 1 else ""
    if following in ("DISTKEY", "DISTSTYLE"):
        return _alter_distribution(tokens, index, table)
    if following == "SORTKEY" or words[1:3] == ["COMPOUND", "SORTKEY"]:
        plan = _alter_sort_key(tokens, index + words.index("SORTKEY") + 1, table)
        if plan is not None:
            return plan
    if following == "ENCODE":
        return Steps((), "ALTER TABLE")  # ENCODE AUTO is not kept
    if "ENCODE" in words and "TYPE" not in words:
        return _alter_encodings(tokens, index, table)
    if "TYPE" in words[:5]:
        return _alter_type(sql, tokens, index + words.index("TYPE") + 1, table)
    raise not_supported(
        "ALTER TABLE " + " ".join(words[:1] + words[2:5]),
        "Add a new column, copy the values, drop the old one.",
    )


def _alter_distribution(tokens: list[Token], index: int, table: str) -> Plan:
    if tokens[index + 1].upper == "DISTKEY":
        check = marker(DIST_CHECK, [tokens[index + 2].name], "KEY")
        return _replace_marker(table, DIST_CHECK, check)
    style = tokens[index + 2].upper
    has_key = [token.upper for token in tokens[index + 3 : index + 4]] == ["DISTKEY"]
    key = [tokens[index + 4].name] if has_key else []
    return _replace_marker(table, DIST_CHECK, marker(DIST_CHECK, key, style))


def _alter_sort_key(tokens: list[Token], index: int, table: str) -> Plan | None:
    """The new sort key at ``index``; None if it is not one."""
    if tokens[index].text == "(":
        columns, _ = column_list(tokens, index)
        return _replace_marker(table, SORT_CHECK, marker(SORT_CHECK, columns, "COMPOUND"))
    style = tokens[index].upper
    if style == "AUTO":
        return _replace_marker(table, SORT_CHECK, marker(SORT_CHECK, [], style))
    return _replace_marker(table, SORT_CHECK, None) if style == "NONE" else None


def _alter_type(sql: str, tokens: list[Token], index: int, table: str) -> Plan:
    type_text, end = column_type(sql, tokens, index, len(tokens))
    if end < len(tokens):
        raise not_supported(
            f"ALTER COLUMN … TYPE … {tokens[end].upper}", "Only a new VARCHAR length."
        )
    if not type_text.startswith("varchar("):
        raise not_supported(
            f"ALTER COLUMN … TYPE {type_text}", "Only the length of a VARCHAR can be altered."
        )
    check = _refuse_keys(table, tokens[index - 2].name, ("key",))
    alter = f"{slice_rewritten(sql, tokens, 0, index)} {type_text}"
    return Steps((check, alter), "ALTER TABLE", alone="ALTER TABLE ALTER COLUMN")


def _drop_column(sql: str, tokens: list[Token], index: int, table: str) -> Plan:
    """ALTER TABLE … DROP [COLUMN], whose DROP is at ``index``."""
    name = tokens[index + (2 if tokens[index + 1].upper == "COLUMN" else 1)].name
    check = _refuse_keys(table, name, ("dist", "sort"))
    return Steps((check, slice_rewritten(sql, tokens, 0, len(tokens))), "ALTER TABLE")


def _refuse_keys(table: str, column: str, attributes: tuple[str, ...]) -> str:
    """A statement that fails if the column is part of such an attribute of the table.

    CALL works both as a statement and inside a procedure.
    """
    kinds = ", ".join(lexer.quote_literal(attribute) for attribute in attributes)
    return (
        f"CALL pg_catalog.sandbox_refuse_keys({lexer.quote_literal(table)}, "
        f"{lexer.quote_literal(column)}, ARRAY[{kinds}])"
    )


def _replace_marker(table: str, name: str, check: str | None) -> Plan:
    drop = f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {lexer.quote_name(name)}"
    return Pass(drop if check is None else f"{drop}, ADD {check}")


def _alter_encodings(tokens: list[Token], index: int, table: str) -> Plan:
    actions = []
    for start, end in lexer.split_on_commas(tokens, index, len(tokens)):
        words = [token.upper for token in tokens[start:end]]
        encode = words.index("ENCODE") if "ENCODE" in words else -1
        if encode < 1 or encode + 2 != len(words):
            raise RedshiftError(
                "syntax error: ALTER COLUMN column ENCODE encoding", sqlstate=SYNTAX_ERROR
            )
        name = tokens[start + encode - 1].name
        check = encoding_check(name)
        actions.append(f"DROP CONSTRAINT IF EXISTS {lexer.quote_name(check)}")
        actions.append(f"ADD {encoding_marker(name, words[-1])}")
    return Pass(f"ALTER TABLE {table} {', '.join(actions)}")


def _add(sql: str, tokens: list[Token], index: int, table: str) -> Plan:
    """ALTER TABLE … ADD, whose ADD is at ``index``."""
    table_name = tokens[index - 1].name
    word = tokens[index + 1].upper
    if word in ("CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK"):
        check, not_null = key_constraint(tokens, index + 1, len(tokens), table_name)
        actions = [f"ADD {check}"]
        actions += [
            f"ALTER COLUMN {lexer.quote_name(name)} SET NOT NULL" for name in not_null or ()
        ]
        return Pass(f"ALTER TABLE {table} {', '.join(actions)}")
    start = index + 2 if word == "COLUMN" else index + 1
    attributes = TableAttributes(name=table_name)
    column = column_definition(sql, tokens, start, len(tokens), attributes)
    actions = [f"ADD COLUMN {column}"]
    actions += [f"ADD {check}" for check in attributes.markers()]
    return Pass(f"ALTER TABLE {table} {', '.join(actions)}")
