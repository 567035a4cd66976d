"""The expected rows of a day, computed from its raw files without the pipeline's code.

Only the feed's columns are used. Rows that do not fit them are rejected. Of rows with the same key,
the first one is kept, in the order of object keys and rows.
"""

from __future__ import annotations

import csv
import gzip
import io
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from xacct_assets.contract.column_types import ColumnType
from xacct_assets.feed.spec import FeedSpec

_FIELD = re.compile(r'("(?:[^"]|"")*"|[^,\r\n]*)(,|\r?\n|\Z)')
_WHOLE = {"bigint": 63, "integer": 31, "smallint": 15}
_BOOLEANS = {"true": True, "t": True, "false": False, "f": False}


def fields_of(body: bytes) -> Iterator[list[str | None]]:
    """The records of a CSV file, header first; None for an unquoted empty field.

    The values are those of the csv module. The pattern is needed because that module, before Python
    3.12, does not distinguish an unquoted empty field from a quoted one.
    """
    text = body.decode()
    end, empty, row = 0, [], []
    for match in _FIELD.finditer(text):
        row.append(match[1] == "")
        if match[2] != ",":
            empty.append(row)
            row = []
        end = match.end()
        if end == len(text):
            break
    assert end == len(text)
    records = list(csv.reader(io.StringIO(text, newline="")))
    assert [len(record) for record in records] == [len(row) for row in empty]
    for record, is_empty in zip(records, empty, strict=True):
        yield [None if hole else value for value, hole in zip(record, is_empty, strict=True)]


def typed(text: str | None, column_type: str, nullable: bool) -> Any:
    """The value of a field.

    Raises:
        ValueError: the field has no value of this type.
    """
    if text is None:
        if not nullable:
            raise ValueError("a value is required")
        return None
    kind = ColumnType.parse(column_type)
    if kind.name in _WHOLE:
        number = int(text)
        if not -(2 ** _WHOLE[kind.name]) <= number < 2 ** _WHOLE[kind.name]:
            raise ValueError("out of range")
        return number
    if kind.name == "decimal":
        assert kind.scale is not None
        try:
            amount = Decimal(text)
        except InvalidOperation as problem:
            raise ValueError(text) from problem
        if amount != round(amount, kind.scale):
            raise ValueError("a decimal would be lost")
        return amount
    if kind.name == "boolean":
        if text not in _BOOLEANS:
            raise ValueError("neither true nor false")
        return _BOOLEANS[text]
    if kind.name == "date":
        return date.fromisoformat(text)
    if kind.name == "timestamp":
        return datetime.strptime(text, "%Y-%m-%d %H:%M:%S")
    assert kind.length is not None, f"{kind} has no rule"
    if len(text.encode()) > kind.length:
        raise ValueError("too long")
    return text


@dataclass(frozen=True)
class Truth:
    """The valid rows of a day in the order of their keys, and the number of all rows."""

    rows: list[dict[str, Any]]
    read: int

    @property
    def rejected(self) -> int:
        """Number of rows that do not fit the columns or repeat a key."""
        return self.read - len(self.rows)


def truth_of(feed: FeedSpec, bodies: Iterable[bytes]) -> Truth:
    """The expected rows of a day.

    Args:
        feed: the feed.
        bodies: content of the day's files (gzip or not), in the order of their object keys.
    """
    rows: dict[Any, dict[str, Any]] = {}
    read = 0
    for body in bodies:
        plain = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        header, *records = fields_of(plain)
        read += len(records)
        for record in records:
            if len(record) != len(header):
                continue
            fields = dict(zip(header, record, strict=True))
            try:
                row = {c.name: typed(fields[c.name], c.type, c.nullable) for c in feed.columns}
            except ValueError:
                continue
            rows.setdefault(tuple(_compared(row[name]) for name in feed.key), row)
    return Truth([rows[key] for key in sorted(rows)], read)


def _compared(value: Any) -> Any:
    """A key's value as Redshift compares it: without its trailing blanks."""
    return value.rstrip(" ") if isinstance(value, str) else value


def expected_rows(feed: FeedSpec, bodies: Iterable[bytes]) -> list[dict[str, Any]]:
    """The valid rows of a day's files, in the order of their keys."""
    return truth_of(feed, bodies).rows
