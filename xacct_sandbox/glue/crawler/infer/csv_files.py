"""The built-in CSV classifier.

Rules of the Glue developer guide ("Built-in CSV classifier"): delimiters comma, pipe, tab,
semicolon and Ctrl-A; at least two columns and two rows; the first row is a header if every cell
parses as STRING, all but the last are shorter than 150 characters, all can be column names, and
some later row parses as something else than STRING. Without a header the columns are ``col0``,
``col1``, ... (as in crawled tables; the guide counts from 1). Values are bigint, double, boolean or
string: dates and times stay strings.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

from xacct_sandbox.glue.crawler.infer.schema import Unclassified
from xacct_sandbox.glue.crawler.infer.types import HiveType, merge

DELIMITERS = (",", "|", "\t", ";", "\x01")
MAX_HEADER_CELL = 150
CONSISTENT_SHARE = 0.5
"""Share of rows that must have as many columns as the first row; the others may be broken."""

_INTEGER = re.compile(r"[+-]?\d+")
_FLOAT = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?")
_COLUMN_NAME = re.compile(r"[^\x00-\x1f]{1,255}")
_LONGEST_FIELD = 2**24


@dataclass(frozen=True)
class CsvSchema:
    """What was found in the sample of a CSV file."""

    delimiter: str
    header: bool
    quoted: bool
    columns: dict[str, HiveType]
    rows: int
    """Data records in the sample, without the header."""


def infer_csv(text: str, *, complete: bool) -> CsvSchema:
    """Delimiter, header and typed columns of CSV text.

    Args:
        text: the beginning of the file.
        complete: the text is the whole file; otherwise its last record is left out.

    Raises:
        Unclassified: it is not CSV by the rules above.
    """
    best: tuple[float, int, str, list[list[str]]] | None = None
    for delimiter in DELIMITERS:
        rows = _records(text, delimiter, complete=complete)
        if len(rows) < 2 or len(rows[0]) < 2:
            continue
        width = len(rows[0])
        share = sum(len(row) == width for row in rows) / len(rows)
        if share >= CONSISTENT_SHARE and (best is None or (share, width) > best[:2]):
            best = (share, width, delimiter, rows)
    if best is None:
        raise Unclassified(
            "no delimiter of , | tab ; Ctrl-A gives two columns and two rows, as CSV needs"
        )
    _, width, delimiter, rows = best
    names = [cell.strip() for cell in rows[0]]
    body = [row for row in rows[1:] if len(row) == width]
    kinds = _column_types(body, width)
    header = _is_header(names, kinds)
    if not header:
        body = [row for row in rows if len(row) == width]
        kinds = _column_types(body, width)
        names = [f"col{index}" for index in range(width)]
    first_line = text.split("\n", 1)[0].rstrip("\r")
    return CsvSchema(
        delimiter=delimiter,
        header=header,
        quoted=all(cell.startswith('"') for cell in first_line.split(delimiter)),
        columns={
            (name.lower() or f"col{index}"): kind
            for index, (name, kind) in enumerate(zip(names, kinds, strict=True))
        },
        rows=len(rows) - header,
    )


def value_type(value: str) -> HiveType:
    """The type of one CSV value; None for an empty one."""
    # Only these blanks: strip() and int() accept control characters too, numbers in Hive do not.
    text = value.strip(" \t")
    if not text:
        return None
    if _INTEGER.fullmatch(text):
        # Only a double can hold more than 64 bits.
        return "bigint" if -(2**63) <= int(text) < 2**63 else "double"
    if _FLOAT.fullmatch(text):
        return "double"
    if text.lower() in {"true", "false"}:
        return "boolean"
    return "string"


def _records(text: str, delimiter: str, *, complete: bool) -> list[list[str]]:
    csv.field_size_limit(_LONGEST_FIELD)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    try:
        rows = [row for row in reader if row]
    except csv.Error as problem:
        raise Unclassified(f"it cannot be parsed as CSV: {problem}") from problem
    return rows if complete else rows[:-1]


def _column_types(rows: Sequence[Sequence[str]], width: int) -> list[HiveType]:
    kinds: list[HiveType] = [None] * width
    for row in rows:
        for index, cell in enumerate(row):
            if kinds[index] != "string":
                kinds[index] = merge(kinds[index], value_type(cell))
    return kinds


def _is_header(cells: Sequence[str], kinds: Sequence[HiveType]) -> bool:
    *leading, last = cells
    named = [*leading, last] if last else leading
    if not all(
        value_type(cell) == "string"
        and len(cell) < MAX_HEADER_CELL
        and _COLUMN_NAME.fullmatch(cell)
        for cell in named
    ):
        return False
    if not last and kinds[-1] is not None:
        # Only a column without values (a trailing delimiter) may have no name.
        return False
    if len({cell.lower() for cell in named}) != len(named):
        return False
    return any(kind not in (None, "string") for kind in kinds)
