"""Reads the columns of CREATE TABLE statements, as far as the tables of a feed need it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from xacct_assets.aws.redshift.sql import split_statements, tokens

_CREATE = re.compile(
    r"CREATE\s+TABLE\s+(?:IF\s+NOT\s+EXISTS\s+)?(?P<name>[\w$\".]+)\s*(?=\()", re.IGNORECASE
)
_COLUMN = re.compile(r'\s*(?P<name>"[^"]+"|[A-Za-z_][\w$]*)\s+(?P<rest>.+)', re.DOTALL)
_CONSTRAINT = re.compile(r"\s*(CONSTRAINT|PRIMARY|UNIQUE|FOREIGN|LIKE)\b", re.IGNORECASE)
_PRIMARY_KEY = re.compile(r"\bPRIMARY\s+KEY\s*\(([^)]*)\)", re.IGNORECASE)
#: What ends the type of a column.
_ATTRIBUTE = re.compile(
    r"\b(DEFAULT|GENERATED|IDENTITY|ENCODE|DISTKEY|SORTKEY|COLLATE|NOT|NULL|UNIQUE|PRIMARY|"
    r"REFERENCES)\b",
    re.IGNORECASE,
)
_TYPE = re.compile(
    r"(?P<name>[a-z]\w*(?: [a-z]+)*?) ?(?:\((?P<size>[^)]*)\))?"
    r"(?: (?P<zone>with(?:out)? time zone))?"
)
#: Names that Redshift gives the same type; see "Data types" in its Database Developer Guide.
_ALIASES = {
    "int": "integer",
    "int4": "integer",
    "int8": "bigint",
    "int2": "smallint",
    "float": "double precision",
    "float8": "double precision",
    "float4": "real",
    "bool": "boolean",
    "numeric": "decimal",
    "character varying": "varchar",
    "nvarchar": "varchar",
    "text": "varchar",
    "character": "char",
    "nchar": "char",
    "bpchar": "char",
}
#: Sizes of types that are written without.
_SIZES = {"varchar": "256", "text": "256", "bpchar": "256", "char": "1", "decimal": "18,0"}


@dataclass(frozen=True)
class TableColumn:
    """One column of a table, with its type spelled as in a feed's file."""

    name: str
    type: str
    nullable: bool


def read_tables(script: str) -> dict[str, list[TableColumn]]:
    """The columns of each table that a script creates, by its name with schema.

    Raises:
        ValueError: the script cannot be split into statements.
    """
    tables = {}
    for statement in split_statements(script):
        bare = _without_comments(statement)
        match = _CREATE.match(bare)
        if match is not None:
            name = match["name"].replace('"', "").lower()
            body, _ = _parenthesized(bare, match.end())
            tables[name if "." in name else f"public.{name}"] = _columns(body)
    return tables


def canonical_type(text: str) -> str:
    """A type spelled as in a feed's file.

    >>> canonical_type("CHARACTER VARYING (20)"), canonical_type("NUMERIC(8)")
    ('varchar(20)', 'decimal(8,0)')
    """
    folded = " ".join(text.lower().split())
    match = _TYPE.fullmatch(folded)
    if match is None:
        return folded
    name = match["name"]
    canonical = _ALIASES.get(name, name)
    if name in ("timestamp", "time") and match["zone"] == "with time zone":
        return f"{name}tz"
    size = (match["size"] or _SIZES.get(name, _SIZES.get(canonical, ""))).replace(" ", "")
    if canonical == "decimal" and "," not in size:
        size += ",0"
    if size == "max":
        size = "4096" if canonical == "char" else "65535"
    sized = canonical in ("varchar", "char", "decimal")
    return f"{canonical}({size})" if sized else canonical


def _columns(body: str) -> list[TableColumn]:
    columns = []
    required: set[str] = set()
    for part in _split_on_commas(body):
        if _CONSTRAINT.match(part):
            key = _PRIMARY_KEY.search(part)
            required.update(_folded(name) for name in (key[1].split(",") if key else ()))
        elif match := _COLUMN.fullmatch(part):
            attribute = _ATTRIBUTE.search(match["rest"])
            end = attribute.start() if attribute else len(match["rest"])
            attributes = " ".join(match["rest"][end:].upper().split())
            nullable = "NOT NULL" not in attributes and "PRIMARY KEY" not in attributes
            type_ = canonical_type(match["rest"][:end].strip())
            columns.append(TableColumn(_folded(match["name"]), type_, nullable))
    return [
        replace(column, nullable=False) if column.name in required else column for column in columns
    ]


def _folded(name: str) -> str:
    return name.strip().strip('"').lower()


def _without_comments(statement: str) -> str:
    return "".join(
        " " if kind in ("comment", "block") else text for kind, text in tokens(statement)
    )


def _parenthesized(text: str, start: int) -> tuple[str, int]:
    """What is between the parenthesis at ``start`` and its other one, and where that is."""
    depth = 0
    for at, character in _bare_characters(text, start):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return text[start + 1 : at], at
    raise ValueError(f"the parenthesis in {text[:60]!r} is not closed")


def _split_on_commas(text: str) -> Iterator[str]:
    depth = start = 0
    for at, character in _bare_characters(text):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if character == "," and depth == 0:
            yield text[start:at]
            start = at + 1
    yield text[start:]


def _bare_characters(text: str, start: int = 0) -> Iterator[tuple[int, str]]:
    """The characters outside of strings and quoted names, with their places."""
    at = start
    for kind, part in tokens(text[start:]):
        if kind is None:
            yield from enumerate(part, at)
        at += len(part)
