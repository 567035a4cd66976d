"""Reads the records of a sample, as the load job reads those of a file.

A field is None if it is empty and unquoted (NULL), and the empty string if it is ``""``.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache

Record = list[str | None]


@dataclass(frozen=True)
class Dialect:
    """How records are written.

    Attributes:
        delimiter: one character between fields.
        quote: one character around fields.
        escape: the quote, if it is doubled inside of a field, or a backslash.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'


@dataclass
class Records:
    """Records of a text.

    Attributes:
        rows: without empty lines.
        lines: the lines before each of them.
        malformed: fields with text behind their closing quote, or without one.
        quoted: fields in quotes.
    """

    rows: list[Record] = field(default_factory=list)
    lines: list[int] = field(default_factory=list)
    malformed: int = 0
    quoted: int = 0


@lru_cache
def _pattern(dialect: Dialect) -> re.Pattern[str]:
    quote, delimiter = re.escape(dialect.quote), re.escape(dialect.delimiter)
    inner = (
        rf"(?:[^{quote}]|{quote}{quote})*+"
        if dialect.escape == dialect.quote
        else rf"(?:[^{quote}\\]|\\.)*+"
    )
    return re.compile(
        rf"(?:{quote}({inner}){quote}([^{delimiter}\n]*+)|([^{delimiter}\n]*+))"
        rf"({delimiter}|\n|\Z)",
        re.DOTALL,
    )


def read_records(text: str, dialect: Dialect, *, is_whole: bool = True, skip: int = 0) -> Records:
    """Read the records of a text.

    Args:
        text: of a file.
        dialect: of it.
        is_whole: whether the text ends where the file does; otherwise the last record is dropped.
        skip: lines before the first record.
    """
    found = Records()
    line = start = 0
    for _ in range(skip):
        end = text.find("\n", start)
        start = len(text) if end < 0 else end + 1
        line += 1
    row: Record = []
    first_line = line
    for value, ended, lines, is_quoted, is_malformed in _fields(text, start, dialect):
        if is_malformed and not is_quoted and not is_whole:
            return found  # the field goes on where the text is cut
        row.append(value)
        line += lines
        found.malformed += is_malformed
        found.quoted += is_quoted
        if ended:
            if row != [None]:
                found.rows.append(row)
                found.lines.append(first_line)
            row, first_line = [], line
    if row and row != [None] and is_whole:
        found.rows.append(row)
        found.lines.append(first_line)
    return found


def _fields(
    text: str, start: int, dialect: Dialect
) -> Iterator[tuple[str | None, bool, int, bool, bool]]:
    """The fields of a text.

    Yields:
        The value; whether the record ends behind it; line ends in and behind it; whether it is in
        quotes; whether it is malformed.
    """
    quote, doubled = dialect.quote, dialect.quote * 2
    unescape = re.compile(rf"\\([{re.escape(quote)}\\])")
    for match in _pattern(dialect).finditer(text, start):
        inside, behind, plain, end = match.groups()
        is_end = end == "\n"
        value: str | None
        if inside is None:
            value = plain[:-1] if is_end and plain.endswith("\r") else plain
            is_malformed = value.startswith(quote)
            lines = is_end
            value = value or None
        else:
            if dialect.escape != quote:
                value = unescape.sub(r"\1", inside) if "\\" in inside else inside
            else:
                value = inside.replace(doubled, quote)
            is_malformed = bool(behind) and not (is_end and behind == "\r")
            lines = inside.count("\n") + is_end
        yield value, is_end, lines, inside is not None, is_malformed
        if not end:
            return
