"""CREATE TABLE and ALTER TABLE of Redshift as PostgreSQL runs them.

Redshift declares keys without enforcing them, and has attributes PostgreSQL lacks (distribution,
sort order, encodings). Both are kept as NOT ENFORCED checks of the table: PostgreSQL stores which
columns they speak of, follows renames and drops, and never evaluates them. The check reads
``CHECK (ROW(columns) IS NOT NULL OR 'what' IS NULL)``; ``what`` is the kind of key, or the value of
the attribute. The system views read them back (sql/system_views.sql).
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.errors import (
    SYNTAX_ERROR,
    RedshiftError,
    not_supported,
    sandbox_lacks,
)
from xacct_sandbox.redshift.sql.lexer import Token
from xacct_sandbox.redshift.sql.plans import Pass, Plan, Steps
from xacct_sandbox.redshift.sql.rewriting import slice_rewritten, type_edit

DIST_CHECK = "$dist"
SORT_CHECK = "$sort"
ENCODINGS = frozenset(
    [
        "AUTO",
        "RAW",
        "AZ64",
        "BYTEDICT",
        "DELTA",
        "DELTA32K",
        "LZO",
        "MOSTLY8",
        "MOSTLY16",
        "MOSTLY32",
        "RUNLENGTH",
        "TEXT255",
        "TEXT32K",
        "ZSTD",
    ]
)
_COLUMN_ATTRIBUTES = frozenset(
    [
        "DEFAULT",
        "IDENTITY",
        "GENERATED",
        "ENCODE",
        "DISTKEY",
        "SORTKEY",
        "COLLATE",
        "NOT",
        "NULL",
        "UNIQUE",
        "PRIMARY",
        "REFERENCES",
        "CHECK",
        "CONSTRAINT",
    ]
)
_NOT_OF_REDSHIFT = {
    "PARTITION": "PARTITION BY (use a SORTKEY, or external tables)",
    "INHERITS": "INHERITS",
    "TABLESPACE": "TABLESPACE",
    "WITH": "WITH (storage parameters)",
    "WITHOUT": "WITHOUT OIDS",
    "USING": "USING (table access method)",
    "ON": "ON COMMIT",
}


@dataclass
class _Table:
    """What a CREATE TABLE says beside its columns."""

    name: str
    checks: list[str] = field(default_factory=list)
    dist_style: str | None = None
    dist_key: str | None = None
    sort_style: str = "COMPOUND"
    sort_key: list[str] = field(default_factory=list)
    sort_auto: bool = False
    key_columns: set[str] = field(default_factory=set)

    def attribute_checks(self) -> list[str]:
        checks = list(self.checks)
        style = self.dist_style or ("KEY" if self.dist_key else None)
        if self.dist_key and style not in ("KEY", None):
            raise RedshiftError(
                f"DISTKEY cannot be given with DISTSTYLE {style}: leave one of them out",
                sqlstate=SYNTAX_ERROR,
            )
        if style == "KEY" and not self.dist_key:
            raise RedshiftError("DISTSTYLE KEY needs a DISTKEY column", sqlstate=SYNTAX_ERROR)
        if style is not None:
            columns = [self.dist_key] if self.dist_key else []
            checks.append(marker(DIST_CHECK, columns, style))
        if self.sort_key:
            checks.append(marker(SORT_CHECK, self.sort_key, self.sort_style))
        elif self.sort_auto:
            checks.append(marker(SORT_CHECK, [], "AUTO"))
        return checks


def marker(name: str, columns: list[str], what: str) -> str:
    """A constraint that is only there to be read back."""
    row = ", ".join(lexer.quote_name(column) for column in columns)
    present = f"ROW({row}) IS NOT NULL" if columns else "true"
    return (
        f"CONSTRAINT {lexer.quote_name(name)} CHECK ({present} OR "
        f"{lexer.quote_literal(what)}::text IS NULL) NOT ENFORCED"
    )


# -- CREATE TABLE ------------------------------------------------------------------------------


def create_table(sql: str, tokens: list[Token]) -> Plan:
    """Translate a CREATE [TEMP] TABLE statement.

    Raises:
        RedshiftError: what Redshift or the sandbox does not take.
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
    table = _Table(name=tokens[index - 1].name)
    head = "CREATE TEMPORARY TABLE " if temporary else "CREATE TABLE "
    if if_not_exists:
        head += "IF NOT EXISTS "
    head += slice_rewritten(sql, tokens, name_start, index)

    as_place = _top_level_as(tokens, index)
    if as_place is not None:
        return _create_table_as(sql, tokens, index, as_place, head, table)
    if index >= len(tokens) or tokens[index].text != "(":
        raise RedshiftError("syntax error: CREATE TABLE needs columns", sqlstate=SYNTAX_ERROR)
    close = lexer.closing(tokens, index)
    lines = [
        _element(sql, tokens, start, end, table)
        for start, end in lexer.split_on_commas(tokens, index + 1, close)
        if start < end
    ]
    _table_attributes(tokens, close + 1, len(tokens), table)
    lines = [line for line in lines if line]
    lines += [f"NOT NULL {lexer.quote_name(name)}" for name in sorted(table.key_columns)]
    return Pass(f"{head} ({', '.join(lines + table.attribute_checks())})")


def _create_table_as(
    sql: str, tokens: list[Token], index: int, as_place: int, head: str, table: _Table
) -> Plan:
    columns = ""
    if tokens[index].text == "(":
        close = lexer.closing(tokens, index)
        columns = " " + slice_rewritten(sql, tokens, index, close + 1)
        index = close + 1
    _table_attributes(tokens, index, as_place, table)
    query = slice_rewritten(sql, tokens, as_place + 1, len(tokens))
    create = f"{head}{columns} AS {query}"
    checks = table.attribute_checks()
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


def _element(sql: str, tokens: list[Token], start: int, end: int, table: _Table) -> str:
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
    return _column(sql, tokens, start, end, table)


def _like(sql: str, tokens: list[Token], start: int, end: int) -> str:
    name_end = qualified_name_end(tokens, start + 1)
    options = " ".join(token.upper for token in tokens[name_end:end])
    if options not in ("", "INCLUDING DEFAULTS", "EXCLUDING DEFAULTS"):
        raise not_supported(f"LIKE … {options}", "Use INCLUDING DEFAULTS or EXCLUDING DEFAULTS.")
    # Constraints here are the byte limits and the table's attributes, which Redshift copies too.
    return f"{slice_rewritten(sql, tokens, start, name_end)} INCLUDING CONSTRAINTS {options}"


def _column(sql: str, tokens: list[Token], start: int, end: int, table: _Table) -> str:
    if not tokens[start].is_name() or start + 1 >= end:
        raise RedshiftError(
            f'syntax error at or near "{tokens[start].text}"', sqlstate=SYNTAX_ERROR
        )
    name = tokens[start].name
    parts = [lexer.quote_name(name)]
    index = start + 1
    type_text, index = column_type(sql, tokens, index, end)
    parts.append(type_text)
    not_null = False
    while index < end:
        word = tokens[index].upper
        following = tokens[index + 1].upper if index + 1 < end else ""
        if word == "NOT" and following == "NULL":
            not_null = True
            index += 2
        elif word == "NULL":
            index += 1
        elif word == "DEFAULT":
            stop = _expression_end(tokens, index + 1, end)
            parts.append(f"DEFAULT {slice_rewritten(sql, tokens, index + 1, stop)}")
            index = stop
        elif word == "IDENTITY":
            text, index = _identity(tokens, index, "ALWAYS")
            parts.append(text)
        elif word == "GENERATED":
            words = [token.upper for token in tokens[index : index + 5]]
            if words[1:5] != ["BY", "DEFAULT", "AS", "IDENTITY"]:
                raise not_supported(
                    "GENERATED " + " ".join(words[1:4]),
                    "Use IDENTITY(seed, step) or GENERATED BY DEFAULT AS IDENTITY(seed, step).",
                )
            text, index = _identity(tokens, index + 4, "BY DEFAULT")
            parts.append(text)
        elif word == "ENCODE":
            table.checks.append(marker(f"$encode:{name}", [name], encoding(following)))
            index += 2
        elif word == "DISTKEY":
            table.dist_key = name
            index += 1
        elif word == "SORTKEY":
            table.sort_key.append(name)
            index += 1
        elif word == "COLLATE":
            _collation(following)
            index += 2
        elif word == "PRIMARY" and following == "KEY":
            table.checks.append(marker(f"{table.name}_pkey", [name], "primary key"))
            not_null = True
            index += 2
        elif word == "UNIQUE":
            table.checks.append(marker(f"{table.name}_{name}_key", [name], "unique"))
            index += 1
        elif word == "REFERENCES":
            target, index = _reference(tokens, index, end)
            table.checks.append(marker(f"{table.name}_{name}_fkey", [name], target))
        else:
            raise _unknown_attribute(tokens[index])
    if not_null:
        parts.append("NOT NULL")
    return " ".join(parts)


def column_type(sql: str, tokens: list[Token], index: int, end: int) -> tuple[str, int]:
    """(PostgreSQL text of the type at ``index``, where it ends)."""
    found = type_edit(tokens, index, column=True)
    if found is not None:
        used, text = found
        return text, index + used
    stop = index + 1
    while stop < end and tokens[stop].upper not in _COLUMN_ATTRIBUTES:
        if tokens[stop].text == "[":
            raise not_supported("an array column", "Use SUPER.")
        if tokens[stop].text == "(":
            stop = lexer.closing(tokens, stop)
        stop += 1
    return sql[tokens[index].start : tokens[stop - 1].end], stop


def _expression_end(tokens: list[Token], index: int, end: int) -> int:
    first = index
    while index < end:
        if tokens[index].text == "(":
            index = lexer.closing(tokens, index)
        elif index > first and tokens[index].upper in _COLUMN_ATTRIBUTES:
            break
        index += 1
    return index


def _identity(tokens: list[Token], index: int, kind: str) -> tuple[str, int]:
    """IDENTITY(seed, step)."""
    close = lexer.closing(tokens, index + 1)
    numbers = "".join(token.text for token in tokens[index + 2 : close])
    match = re.fullmatch(r"(-?\d+),(-?\d+)", numbers)
    if match is None:
        raise RedshiftError(
            f"IDENTITY({numbers}) must be IDENTITY(seed, step)", sqlstate=SYNTAX_ERROR
        )
    seed, step = int(match[1]), int(match[2])
    bound = f"MINVALUE {min(seed, 1)}" if step > 0 else f"MAXVALUE {max(seed, -1)}"
    return (
        f"GENERATED {kind} AS IDENTITY (START WITH {seed} INCREMENT BY {step} {bound})",
        close + 1,
    )


def encoding(word: str) -> str:
    if word not in ENCODINGS:
        raise RedshiftError(
            f"ENCODE {word} is not a compression encoding; use AUTO, RAW, AZ64, ZSTD or LZO",
            sqlstate=SYNTAX_ERROR,
        )
    return word.lower()


def _collation(word: str) -> None:
    if word != "CASE_SENSITIVE":
        raise sandbox_lacks(f"COLLATE {word}", "Compare LOWER(column) instead.")


def _unknown_attribute(token: Token) -> RedshiftError:
    if token.upper == "CHECK":
        return not_supported("CHECK", "Validate the rows before they are loaded.")
    return RedshiftError(f'syntax error at or near "{token.text}"', sqlstate=SYNTAX_ERROR)


def key_constraint(
    tokens: list[Token], start: int, end: int, table: str
) -> tuple[str, list[str] | None]:
    """(marker, columns that a primary key makes NOT NULL) of a table constraint."""
    index, name = start, None
    if tokens[index].upper == "CONSTRAINT":
        name = tokens[index + 1].name
        index += 2
    word = tokens[index].upper
    if word == "PRIMARY":
        columns, _ = column_list(tokens, index + 2)
        return marker(name or f"{table}_pkey", columns, "primary key"), columns
    if word == "UNIQUE":
        columns, _ = column_list(tokens, index + 1)
        return marker(name or f"{table}_{'_'.join(columns)}_key", columns, "unique"), None
    if word == "FOREIGN":
        columns, index = column_list(tokens, index + 2)
        if index >= end or tokens[index].upper != "REFERENCES":
            raise RedshiftError("FOREIGN KEY needs REFERENCES", sqlstate=SYNTAX_ERROR)
        target, _ = _reference(tokens, index, end)
        return marker(name or f"{table}_{'_'.join(columns)}_fkey", columns, target), None
    raise _unknown_attribute(tokens[index])


def _reference(tokens: list[Token], index: int, end: int) -> tuple[str, int]:
    """REFERENCES table [(columns)]: ("foreign key:table(columns)", where it ends)."""
    stop = qualified_name_end(tokens, index + 1)
    target = ".".join(token.name for token in tokens[index + 1 : stop] if token.is_name())
    columns: list[str] = []
    if stop < end and tokens[stop].text == "(":
        columns, stop = column_list(tokens, stop)
    if stop < end and tokens[stop].upper in ("ON", "MATCH", "DEFERRABLE"):
        raise not_supported(
            f"REFERENCES … {tokens[stop].upper}", "Keys are not enforced; leave the clause out."
        )
    return f"foreign key:{target}({', '.join(columns)})", stop


def column_list(tokens: list[Token], index: int) -> tuple[list[str], int]:
    """The names in the parentheses at ``index``, and where they end."""
    if index >= len(tokens) or tokens[index].text != "(":
        raise RedshiftError("syntax error: a list of columns is missing", sqlstate=SYNTAX_ERROR)
    close = lexer.closing(tokens, index)
    names = [tokens[start].name for start, _ in lexer.split_on_commas(tokens, index + 1, close)]
    return names, close + 1


def qualified_name_end(tokens: list[Token], index: int) -> int:
    """Where the (dotted) name that begins at ``index`` ends."""
    if index >= len(tokens) or not tokens[index].is_name():
        near = tokens[index].text if index < len(tokens) else "end of input"
        raise RedshiftError(f'syntax error at or near "{near}"', sqlstate=SYNTAX_ERROR)
    index += 1
    while index + 1 < len(tokens) and tokens[index].text == ".":
        index += 2
    return index


def _top_level_as(tokens: list[Token], index: int) -> int | None:
    while index < len(tokens):
        if tokens[index].text == "(":
            index = lexer.closing(tokens, index)
        elif tokens[index].upper == "AS":
            return index
        index += 1
    return None


def _table_attributes(tokens: list[Token], index: int, end: int, table: _Table) -> None:
    while index < end:
        word = tokens[index].upper
        following = tokens[index + 1].upper if index + 1 < end else ""
        if word == "DISTSTYLE":
            if following not in ("EVEN", "KEY", "ALL", "AUTO"):
                raise RedshiftError(
                    f"DISTSTYLE {following} is not EVEN, KEY, ALL or AUTO", sqlstate=SYNTAX_ERROR
                )
            table.dist_style = following
            index += 2
        elif word == "DISTKEY":
            names, index = column_list(tokens, index + 1)
            if len(names) != 1:
                raise RedshiftError("DISTKEY takes one column", sqlstate=SYNTAX_ERROR)
            table.dist_key = names[0]
        elif word in ("COMPOUND", "INTERLEAVED") and following == "SORTKEY":
            table.sort_style = word
            index += 1
        elif word == "SORTKEY" and following == "AUTO":
            table.sort_auto = True
            index += 2
        elif word == "SORTKEY":
            table.sort_key, index = column_list(tokens, index + 1)
        elif word == "ENCODE" and following == "AUTO":
            index += 2
        elif word == "BACKUP" and following in ("YES", "NO"):
            index += 2  # there are no snapshots here
        elif word in _NOT_OF_REDSHIFT:
            raise not_supported(_NOT_OF_REDSHIFT[word], "Leave it out.")
        else:
            raise RedshiftError(
                f'syntax error at or near "{tokens[index].text}"', sqlstate=SYNTAX_ERROR
            )


# -- ALTER TABLE -------------------------------------------------------------------------------


def alter_table(sql: str, tokens: list[Token]) -> Plan:
    """Translate an ALTER TABLE statement.

    Raises:
        RedshiftError: what Redshift or the sandbox does not take.
    """
    index = 2
    if [token.upper for token in tokens[index : index + 2]] == ["IF", "EXISTS"]:
        raise not_supported("ALTER TABLE IF EXISTS", "Look the table up in SVV_TABLES first.")
    stop = qualified_name_end(tokens, index)
    table = slice_rewritten(sql, tokens, index, stop)
    table_name = tokens[stop - 1].name
    words = [token.upper for token in tokens[stop:]]
    two, three = words[:2], words[:3]
    if words[:1] == ["APPEND"]:
        raise sandbox_lacks("ALTER TABLE APPEND", "Use INSERT … SELECT, then TRUNCATE.")
    if two == ["ALTER", "DISTKEY"]:
        check = marker(DIST_CHECK, [tokens[stop + 2].name], "KEY")
        return _replaced(table, DIST_CHECK, check)
    if two == ["ALTER", "DISTSTYLE"]:
        style = words[2]
        key = [tokens[stop + 4].name] if words[3:4] == ["DISTKEY"] else []
        return _replaced(table, DIST_CHECK, marker(DIST_CHECK, key, style))
    if two == ["ALTER", "SORTKEY"] or three == ["ALTER", "COMPOUND", "SORTKEY"]:
        place = stop + (2 if two == ["ALTER", "SORTKEY"] else 3)
        if tokens[place].text == "(":
            columns, _ = column_list(tokens, place)
            return _replaced(table, SORT_CHECK, marker(SORT_CHECK, columns, "COMPOUND"))
        if tokens[place].upper in ("AUTO", "NONE"):
            style = tokens[place].upper
            return _replaced(
                table, SORT_CHECK, marker(SORT_CHECK, [], style) if style == "AUTO" else None
            )
    if two == ["ALTER", "ENCODE"]:
        return Steps((), "ALTER TABLE")  # AUTO: nothing to keep
    if words[:1] == ["ALTER"] and "ENCODE" in words and "TYPE" not in words:
        return _alter_encodings(tokens, stop, table)
    if words[:1] == ["ADD"]:
        return _add(sql, tokens, stop, table, table_name)
    if words[:1] == ["ALTER"] and "TYPE" in words[:5]:
        place = stop + words.index("TYPE") + 1
        type_text, end = column_type(sql, tokens, place, len(tokens))
        if end < len(tokens):
            raise not_supported(
                f"ALTER COLUMN … TYPE … {tokens[end].upper}", "Only a new VARCHAR length."
            )
        if not type_text.startswith("varchar("):
            raise not_supported(
                f"ALTER COLUMN … TYPE {type_text}", "Only the length of a VARCHAR can be altered."
            )
        head = slice_rewritten(sql, tokens, 0, place)
        return Pass(f"{head} {type_text}")
    if words[:1] == ["ALTER"]:
        raise not_supported(
            "ALTER TABLE " + " ".join(words[:1] + words[2:5]),
            "Add a new column, copy the values, drop the old one.",
        )
    if words[:1] not in (["RENAME"], ["DROP"], ["OWNER"], ["SET"]):
        raise not_supported(f"ALTER TABLE … {' '.join(words[:2])}", "See ALTER TABLE of Redshift.")
    return Pass(slice_rewritten(sql, tokens, 0, len(tokens)))


def _replaced(table: str, name: str, check: str | None) -> Plan:
    drop = f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {lexer.quote_name(name)}"
    return Pass(drop if check is None else f"{drop}, ADD {check}")


def _alter_encodings(tokens: list[Token], index: int, table: str) -> Plan:
    actions = []
    for start, end in lexer.split_on_commas(tokens, index, len(tokens)):
        words = [token.upper for token in tokens[start:end]]
        place = words.index("ENCODE") if "ENCODE" in words else -1
        if place < 1 or place + 2 != len(words):
            raise RedshiftError(
                "syntax error: ALTER COLUMN column ENCODE encoding", sqlstate=SYNTAX_ERROR
            )
        name = tokens[start + place - 1].name
        check = f"$encode:{name}"
        actions.append(f"DROP CONSTRAINT IF EXISTS {lexer.quote_name(check)}")
        actions.append(f"ADD {marker(check, [name], encoding(words[-1]))}")
    return Pass(f"ALTER TABLE {table} {', '.join(actions)}")


def _add(sql: str, tokens: list[Token], index: int, table: str, table_name: str) -> Plan:
    word = tokens[index + 1].upper
    if word in ("CONSTRAINT", "PRIMARY", "UNIQUE", "FOREIGN", "CHECK"):
        check, not_null = key_constraint(tokens, index + 1, len(tokens), table_name)
        actions = [f"ADD {check}"]
        actions += [
            f"ALTER COLUMN {lexer.quote_name(name)} SET NOT NULL" for name in not_null or ()
        ]
        return Pass(f"ALTER TABLE {table} {', '.join(actions)}")
    start = index + 2 if word == "COLUMN" else index + 1
    collected = _Table(name=table_name)
    column = _column(sql, tokens, start, len(tokens), collected)
    actions = [f"ADD COLUMN {column}"]
    actions += [f"ADD {check}" for check in collected.attribute_checks()]
    return Pass(f"ALTER TABLE {table} {', '.join(actions)}")
