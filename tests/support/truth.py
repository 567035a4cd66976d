"""What a day's raw files say, computed without any code that loads, counts or exports them.

Of the pipeline only the feed's list of columns is used. Rows that do not fit it are rejected, and
of rows with one key the first is kept, in the order of object keys and then of rows.
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
    """The records of a CSV file, header first; None where nothing at all is written.

    The values are those of the csv module. The pattern is there because that module (before Python
    3.12) gives the same for an empty field and for one that is quoted and empty.
    """
    text = body.decode()
    ends, empty, row = 0, [], []
    for match in _FIELD.finditer(text):
        row.append(match[1] == "")
        if match[2] != ",":
            empty.append(row)
            row = []
        ends = match.end()
        if ends == len(text):
            break
    assert ends == len(text)
    records = list(csv.reader(io.StringIO(text, newline="")))
    assert [len(record) for record in records] == [len(row) for row in empty]
    for record, holes in zip(records, empty, strict=True):
        yield [None if hole else value for value, hole in zip(record, holes, strict=True)]


def typed(text: str | None, column_type: str, nullable: bool) -> Any:
    """The value that a field means.

    Raises:
        ValueError: it means none.
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
    assert kind.length is not None, f"{kind} is read by none of the above"
    if len(text.encode()) > kind.length:
        raise ValueError("too long")
    return text


@dataclass(frozen=True)
class Truth:
    """What the files of a day mean: good rows by key, and how many rows there are in all."""

    rows: list[dict[str, Any]]
    read: int

    @property
    def rejected(self) -> int:
        """Rows that fit no column or repeat a key."""
        return self.read - len(self.rows)


def truth_of(feed: FeedSpec, bodies: Iterable[bytes]) -> Truth:
    """The rows of a day's files (gzip or not), which come in the order of their keys."""
    rows: dict[Any, dict[str, Any]] = {}
    read = 0
    for body in bodies:
        plain = gzip.decompress(body) if body[:2] == b"\x1f\x8b" else body
        header, *records = fields_of(plain)
        read += len(records)
        for record in records:
            if len(record) != len(header):
                continue
            told = dict(zip(header, record, strict=True))
            try:
                row = {c.name: typed(told[c.name], c.type, c.nullable) for c in feed.columns}
            except ValueError:
                continue
            rows.setdefault(tuple(row[name] for name in feed.key), row)
    return Truth([rows[key] for key in sorted(rows)], read)


def expected_rows(feed: FeedSpec, bodies: Iterable[bytes]) -> list[dict[str, Any]]:
    """The rows of a day's files that fit the feed, by key; of rows with one key, the first."""
    return truth_of(feed, bodies).rows
