"""Table attributes and declared keys, kept as constraints that PostgreSQL does not enforce.

Redshift declares keys without enforcing them, and has attributes that PostgreSQL lacks:
distribution, sort order, encodings. Both are kept as NOT ENFORCED checks, here called markers.
PostgreSQL stores which columns a check names, follows renames and drops, and never evaluates it.
A marker reads ``CHECK (ROW(columns) IS NOT NULL OR 'value' IS NULL)``; the value is the kind of
key, or the value of the attribute. The system views read it back (``sql/system_views.sql``).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.errors import SYNTAX_ERROR, RedshiftError, not_supported
from xacct_sandbox.redshift.sql.lexer import Token, column_list, qualified_name_end

DIST_CHECK = "$dist"
SORT_CHECK = "$sort"
_ENCODINGS = frozenset(
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
_NOT_IN_REDSHIFT = {
    "PARTITION": "PARTITION BY (use a SORTKEY, or external tables)",
    "INHERITS": "INHERITS",
    "TABLESPACE": "TABLESPACE",
    "WITH": "WITH (storage parameters)",
    "WITHOUT": "WITHOUT OIDS",
    "USING": "USING (table access method)",
    "ON": "ON COMMIT",
}


@dataclass
class TableAttributes:
    """The attributes and keys of a table that are not part of its columns' types.

    Attributes:
        name: The table's name without its schema.
        checks: Markers of declared keys and column encodings.
        key_columns: Columns of the primary key.
    """

    name: str
    checks: list[str] = field(default_factory=list)
    dist_style: str | None = None
    dist_key: str | None = None
    sort_style: str = "COMPOUND"
    sort_key: list[str] = field(default_factory=list)
    sort_auto: bool = False
    key_columns: set[str] = field(default_factory=set)

    def markers(self) -> list[str]:
        """All markers of the table.

        Raises:
            RedshiftError: The attributes contradict each other.
        """
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


def marker(name: str, columns: list[str], value: str) -> str:
    """The constraint that keeps ``value`` for these columns."""
    row = ", ".join(lexer.quote_name(column) for column in columns)
    present = f"ROW({row}) IS NOT NULL" if columns else "true"
    return (
        f"CONSTRAINT {lexer.quote_name(name)} CHECK ({present} OR "
        f"{lexer.quote_literal(value)}::text IS NULL) NOT ENFORCED"
    )


def encoding_marker(column: str, encoding: str) -> str:
    """The marker of a column's compression encoding.

    Raises:
        RedshiftError: There is no such encoding.
    """
    if encoding not in _ENCODINGS:
        raise RedshiftError(
            f"ENCODE {encoding} is not a compression encoding; use AUTO, RAW, AZ64, ZSTD or LZO",
            sqlstate=SYNTAX_ERROR,
        )
    return marker(encoding_check(column), [column], encoding.lower())


def encoding_check(column: str) -> str:
    """The name of the marker of a column's encoding."""
    return f"$encode:{column}"


def read_table_attributes(
    tokens: list[Token], index: int, end: int, table: TableAttributes
) -> None:
    """Read DISTSTYLE, DISTKEY, SORTKEY and the like from tokens [index, end).

    Raises:
        RedshiftError: An attribute is wrong, or not one of Redshift.
    """
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
        elif word in _NOT_IN_REDSHIFT:
            raise not_supported(_NOT_IN_REDSHIFT[word], "Leave it out.")
        else:
            raise RedshiftError(
                f'syntax error at or near "{tokens[index].text}"', sqlstate=SYNTAX_ERROR
            )


def key_constraint(
    tokens: list[Token], start: int, end: int, table: str
) -> tuple[str, list[str] | None]:
    """The marker of the table constraint in tokens [start, end).

    Returns:
        The marker, and the columns that a primary key makes NOT NULL.

    Raises:
        RedshiftError: The constraint is wrong, or not one of Redshift.
    """
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
        target, _ = foreign_key(tokens, index, end)
        return marker(name or f"{table}_{'_'.join(columns)}_fkey", columns, target), None
    raise unknown_attribute(tokens[index])


def foreign_key(tokens: list[Token], index: int, end: int) -> tuple[str, int]:
    """Read ``REFERENCES table [(columns)]`` at ``index``.

    Returns:
        The value of the marker, ``foreign key:table(columns)``, and the index after it.
    """
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


def unknown_attribute(token: Token) -> RedshiftError:
    if token.upper == "CHECK":
        return not_supported("CHECK", "Validate the rows before they are loaded.")
    return RedshiftError(f'syntax error at or near "{token.text}"', sqlstate=SYNTAX_ERROR)
