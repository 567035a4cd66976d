"""Generates product files like those of a real supplier, with a known correct result.

The same (seed, day, number, rows) give the same bytes on any machine. About 0.5 % of the rows must
be rejected; :class:`ProductFile` knows how many and why, and the values of all other rows.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum
from typing import TYPE_CHECKING

from xacct_sandbox.broken_files import KINDS
from xacct_sandbox.sample_values import (
    BRANDS,
    BRANDS_CSV,
    CURRENCIES,
    DESCRIPTIONS,
    DESCRIPTIONS_CSV,
    NAMES,
    NAMES_CSV,
    STOCKS,
    STOCKS_CSV,
    TIMES,
    quoted,
)

if TYPE_CHECKING:
    from typing_extensions import Buffer

COLUMNS = (
    "id",
    "name",
    "category",
    "brand",
    "price",
    "currency",
    "stock",
    "description",
    "updated_at",
)

CHUNK_ROWS = 2000
FIRST_ID = 100_000
IDS_PER_FILE = 1_000_000_000
"""Range of ids for each file of a day, so that the files never share an id."""

REJECT_EVERY = 200
MIN_ROWS_WITH_REJECTS = 100
MIN_REJECTS = 3

NAME_BYTES = 256
"""Size of the column, in bytes."""


class Reject(StrEnum):
    """Why a row must be rejected."""

    BAD_NUMBER = "bad_number"
    MISSING_REQUIRED = "missing_required"
    TOO_LONG = "too_long"
    DUPLICATE_KEY = "duplicate_key"
    TOO_MANY_FIELDS = "too_many_fields"


_KINDS = tuple(Reject)

_MIX = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Record:
    """One row of a file.

    Attributes:
        values: as text; None is NULL.
        reject: why the row must be rejected, or None.
    """

    values: tuple[str | None, ...]
    reject: Reject | None


@dataclass(frozen=True)
class ProductFile:
    """One CSV file of products.

    Attributes:
        seed: of the generator.
        day: the day of the products.
        rows: number of rows.
        number: distinguishes the files of a day.
    """

    seed: int
    day: date
    rows: int
    number: int = 0

    @property
    def rejected(self) -> dict[Reject, int]:
        """Number of rows that must be rejected, by reason."""
        return dict(Counter(self._reject_kind(row) for row in self._reject_rows()))

    @property
    def rejected_rows(self) -> int:
        """Number of rows that must be rejected."""
        return len(self._reject_rows())

    @property
    def good_rows(self) -> int:
        """Number of rows that must be loaded."""
        return self.rows - self.rejected_rows

    def chunks(self) -> Iterator[bytes]:
        """The content of the file, header first, a few hundred kilobytes at a time."""
        yield (",".join(COLUMNS) + "\n").encode()
        salt, base, day = self._salt, self._first_id, self.day.isoformat()
        rejects = frozenset(self._reject_rows())
        for start in range(0, self.rows, CHUNK_ROWS):
            lines = []
            for row in range(start, min(start + CHUNK_ROWS, self.rows)):
                if row in rejects:
                    lines.append(self._rejected_line(row))
                    continue
                # As in _values(), but with ready CSV fields, because files can be large.
                mixed = ((row + salt) * _MIX & _MASK) >> 16
                cents = 99 + (mixed >> 5) % 499_900
                lines.append(
                    f"{base + row},{NAMES_CSV[mixed & 127]},{BRANDS_CSV[mixed >> 7 & 15]},"
                    f"{cents // 100}.{cents % 100:02d},{CURRENCIES[mixed >> 11 & 7]},"
                    f"{STOCKS_CSV[mixed >> 14 & 255]},{DESCRIPTIONS_CSV[mixed >> 22 & 255]},"
                    f"{day} {TIMES[(mixed >> 30) % 1536]}\n"
                )
            yield "".join(lines).encode()

    def open(self, broken: str | None = None) -> io.BufferedReader:
        """The content of the file as a stream, generated while it is read.

        Args:
            broken: in which way the file is broken, of ``broken_files.KINDS``.
        """
        chunks = KINDS[broken](self.chunks()) if broken else self.chunks()
        return io.BufferedReader(_ChunkStream(chunks), buffer_size=1024 * 1024)

    def records(self) -> Iterator[Record]:
        """All rows as a correct reader reads them, in file order."""
        rejects = frozenset(self._reject_rows())
        for row in range(self.rows):
            if row in rejects:
                yield Record(self._rejected_values(row), self._reject_kind(row))
            else:
                yield Record(self._values(row), None)

    # -- rows ------------------------------------------------------------------------------

    @property
    def _salt(self) -> int:
        return (
            self.seed * 1_000_003 + self.day.toordinal() * 7_919 + self.number * 104_729
        ) & _MASK

    @property
    def _first_id(self) -> int:
        return FIRST_ID + self.number * IDS_PER_FILE

    def _values(self, row: int) -> tuple[str | None, ...]:
        mixed = ((row + self._salt) * _MIX & _MASK) >> 16
        cents = 99 + (mixed >> 5) % 499_900
        name, category = NAMES[mixed & 127]
        stock = STOCKS[mixed >> 14 & 255]
        return (
            str(self._first_id + row),
            name,
            category,
            BRANDS[mixed >> 7 & 15],
            f"{cents // 100}.{cents % 100:02d}",
            CURRENCIES[mixed >> 11 & 7],
            None if stock is None else str(stock),
            DESCRIPTIONS[mixed >> 22 & 255],
            f"{self.day.isoformat()} {TIMES[(mixed >> 30) % 1536]}",
        )

    # -- rows that must be rejected --------------------------------------------------------

    @property
    def _reject_stride(self) -> int:
        return min(REJECT_EVERY, self.rows // MIN_REJECTS)

    def _reject_rows(self) -> range:
        """Numbers of the rows to reject: never the first row, never two in succession."""
        if self.rows < MIN_ROWS_WITH_REJECTS:
            return range(0)
        stride = self._reject_stride
        return range(stride // 2, self.rows, stride)

    def _reject_number(self, row: int) -> int:
        """Consecutive number of a row to reject; starts at a different number in each file."""
        return row // self._reject_stride + self.seed + self.day.toordinal() + self.number

    def _reject_kind(self, row: int) -> Reject:
        return _KINDS[self._reject_number(row) % len(_KINDS)]

    def _rejected_values(self, row: int) -> tuple[str | None, ...]:
        values, kind = list(self._values(row)), self._reject_kind(row)
        is_second_form = self._reject_number(row) // len(_KINDS) % 2
        if kind is Reject.BAD_NUMBER:
            values[4 if is_second_form else 6] = "n/a" if is_second_form else "a dozen"
        elif kind is Reject.MISSING_REQUIRED:
            values[1 if is_second_form else 5] = None
        elif kind is Reject.TOO_LONG:
            # 200 letters with more bytes than the column has; or simply too many letters.
            values[1] = "é" * 200 if is_second_form else "x" * (NAME_BYTES + 1)
        elif kind is Reject.DUPLICATE_KEY:
            values[0] = str(self._first_id + row - 1)
        else:
            values.append("one field too many")
        return tuple(values)

    def _rejected_line(self, row: int) -> str:
        return ",".join(quoted(value) for value in self._rejected_values(row)) + "\n"


class _ChunkStream(io.RawIOBase):
    """A raw stream over an iterator of bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._unread = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Buffer) -> int:
        while not self._unread:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._unread = memoryview(chunk)
        target = memoryview(buffer)
        size = min(len(target), len(self._unread))
        target[:size] = self._unread[:size]
        self._unread = self._unread[size:]
        return size
