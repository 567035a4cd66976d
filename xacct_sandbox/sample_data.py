"""Product files as a real supplier sends them, made from a seed, with the answer known.

The same (seed, day, file, rows) give the same bytes on any machine. Text holds what CSV readers
stumble over: commas, quotes, line breaks, accents, emoji, empty strings beside NULLs, values as
long as their column. About 0.5 % of the rows must be rejected, and :class:`ProductFile` says how
many, why, and what every other row holds.
"""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from enum import StrEnum

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
"""Files of one day never share an id, whatever their number of rows."""

REJECT_EVERY = 200
LEAST_ROWS_WITH_REJECTS = 100
LEAST_REJECTS = 3

NAME_BYTES = 256
DESCRIPTION_BYTES = 4096


class Reject(StrEnum):
    """Why a row must be rejected."""

    BAD_NUMBER = "bad_number"
    MISSING_REQUIRED = "missing_required"
    TOO_LONG = "too_long"
    DUPLICATE_KEY = "duplicate_key"
    TOO_MANY_FIELDS = "too_many_fields"


_KINDS = tuple(Reject)

_THINGS = (
    ("Espresso machine", "kitchen"),
    ("Crème brûlée torch", "kitchen"),
    ("Notebook, ruled", "office"),
    ('Monitor 27"', "electronics"),
    ("Käsereibe", "kitchen"),
    ("Ergonomic chair", "furniture"),
    ("USB-C cable, 2 m", "electronics"),
    ('The "good" scissors', "office"),
    ("Jalapeño sauce 🌶️", "food"),
    ('Garden hose 3/4"', "garden"),
    ("Wool jumper, size Ö", "clothing"),
    ("抹茶 bowl", "kitchen"),
    ("Rain boots", "clothing"),
    ("Desk lamp; dimmable", "furniture"),
    ("Toy rocket 🚀", "toys"),
    ("Batteries (AA), 4-pack", "electronics"),
)
_QUALITIES = (
    "",
    " Pro",
    " Mini",
    ", refurbished",
    ' "Signature"',
    " – édition limitée",
    " XL",
    " 2",
)
_BRANDS: tuple[str | None, ...] = (
    "Acme",
    "Müller & Söhne",
    None,
    "O'Neill",
    "",
    "Smith, Jones & Co.",
    "Ångström",
    None,
    'Bob "the" Builder',
    "Lumière",
    "Nørrebro",
    "日本製",
    "Globex",
    "",
    "Initech",
    "Æther",
)
_CURRENCIES = ("EUR", "USD", "GBP", "SEK", "CHF", "EUR", "USD", "EUR")
_TEXTS: tuple[str | None, ...] = (
    "Made to last.",
    None,
    "Line one\nline two",
    "",
    'They said: "buy it", so we did.',
    "Dimensions: 10 x 20 x 30 cm, weight 1,5 kg",
    "Perfect as a gift 🎁; ships in 24 h",
    "Ein Klassiker für große und kleine Küchen.",
    '"Quoted from end to end"',
    "Trailing comma,",
    "  blanks around  ",
    'First\n\nafter an empty line,\nand "quotes" on a third',
    "NULL",
    "50% off \\ while stocks last",
    "a\tb",
    "@NULL@ is not null",
)


def quoted(value: str | None) -> str:
    """A value as RFC 4180 writes it: NULL is nothing, an empty string is two quotes."""
    if value is None:
        return ""
    if value == "" or any(sign in value for sign in ',"\r\n') or value != value.strip():
        return '"' + value.replace('"', '""') + '"'
    return value


def _fill(text: str, length: int) -> str:
    """``text`` repeated to exactly ``length`` bytes of UTF-8."""
    cut = (text * (length // len(text.encode()) + 1)).encode()[:length].decode(errors="ignore")
    return cut + "." * (length - len(cut.encode()))


_NAMES: tuple[tuple[str, str], ...] = tuple(
    (thing + quality, category) for quality in _QUALITIES for thing, category in _THINGS
)
_DESCRIPTIONS: tuple[str | None, ...] = (
    *(_TEXTS * 15),
    *(_fill(f"Longest description {number}: größe, ", DESCRIPTION_BYTES) for number in range(2)),
    *_TEXTS[:14],
)

_NAMES_CSV = tuple(f"{quoted(name)},{category}" for name, category in _NAMES)
_BRANDS_CSV = tuple(quoted(brand) for brand in _BRANDS)
_DESCRIPTIONS_CSV = tuple(quoted(text) for text in _DESCRIPTIONS)
_STOCKS: tuple[int | None, ...] = tuple(
    None if number % 16 == 5 else (number * 37) % 5000 for number in range(256)
)
_STOCKS_CSV = tuple("" if stock is None else str(stock) for stock in _STOCKS)
_TIMES = tuple(
    f"{hour:02d}:{(hour * 7 + step * 11) % 60:02d}:{(step * 17) % 60:02d}"
    for hour in range(24)
    for step in range(64)
)

_MIX = 0x9E3779B97F4A7C15
_MASK = (1 << 64) - 1


@dataclass(frozen=True)
class Record:
    """One row of a file: its values as text (None is NULL), and why it must be rejected, if so."""

    values: tuple[str | None, ...]
    reject: Reject | None


@dataclass(frozen=True)
class ProductFile:
    """One CSV file of products. ``number`` tells the files of one day apart."""

    seed: int
    day: date
    rows: int
    number: int = 0

    @property
    def rejected(self) -> dict[Reject, int]:
        """How many rows must be rejected, by reason."""
        kinds = Counter(
            _KINDS[self._reject_number(row) % len(_KINDS)] for row in self._reject_rows()
        )
        return dict(kinds)

    @property
    def rejected_rows(self) -> int:
        """How many rows must be rejected."""
        return len(self._reject_rows())

    @property
    def good_rows(self) -> int:
        """How many rows must be loaded."""
        return self.rows - self.rejected_rows

    def chunks(self) -> Iterator[bytes]:
        """The file's bytes, header first, a few hundred kilobytes at a time."""
        yield (",".join(COLUMNS) + "\n").encode()
        salt, base, day = self._salt, self._first_id, self.day.isoformat()
        rejects = frozenset(self._reject_rows())
        for start in range(0, self.rows, CHUNK_ROWS):
            lines = []
            for row in range(start, min(start + CHUNK_ROWS, self.rows)):
                if row in rejects:
                    lines.append(self._rejected_line(row))
                    continue
                mixed = ((row + salt) * _MIX & _MASK) >> 16
                cents = 99 + (mixed >> 5) % 499_900
                lines.append(
                    f"{base + row},{_NAMES_CSV[mixed & 127]},{_BRANDS_CSV[mixed >> 7 & 15]},"
                    f"{cents // 100}.{cents % 100:02d},{_CURRENCIES[mixed >> 11 & 7]},"
                    f"{_STOCKS_CSV[mixed >> 14 & 255]},{_DESCRIPTIONS_CSV[mixed >> 22 & 255]},"
                    f"{day} {_TIMES[(mixed >> 30) % 1536]}\n"
                )
            yield "".join(lines).encode()

    def open(self) -> io.BufferedReader:
        """The file's bytes as a binary stream that is made while it is read."""
        return io.BufferedReader(_ChunkStream(self.chunks()), buffer_size=1024 * 1024)

    def records(self) -> Iterator[Record]:
        """Every row as a right reader must understand it, in file order."""
        rejects = frozenset(self._reject_rows())
        for row in range(self.rows):
            if row in rejects:
                kind = _KINDS[self._reject_number(row) % len(_KINDS)]
                yield Record(self._rejected_values(row, kind), kind)
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
        name, category = _NAMES[mixed & 127]
        stock = _STOCKS[mixed >> 14 & 255]
        return (
            str(self._first_id + row),
            name,
            category,
            _BRANDS[mixed >> 7 & 15],
            f"{cents // 100}.{cents % 100:02d}",
            _CURRENCIES[mixed >> 11 & 7],
            None if stock is None else str(stock),
            _DESCRIPTIONS[mixed >> 22 & 255],
            f"{self.day.isoformat()} {_TIMES[(mixed >> 30) % 1536]}",
        )

    # -- rows that must be rejected --------------------------------------------------------

    @property
    def _reject_stride(self) -> int:
        return min(REJECT_EVERY, self.rows // LEAST_REJECTS)

    def _reject_rows(self) -> range:
        """The places of the rows to reject; never the first row, never two together."""
        if self.rows < LEAST_ROWS_WITH_REJECTS:
            return range(0)
        stride = self._reject_stride
        return range(stride // 2, self.rows, stride)

    def _reject_number(self, row: int) -> int:
        """Which of the file's rejects a row is; the first kind differs from file to file."""
        return row // self._reject_stride + self.seed + self.day.toordinal() + self.number

    def _rejected_values(self, row: int, kind: Reject) -> tuple[str | None, ...]:
        values = list(self._values(row))
        again = self._reject_number(row) // len(_KINDS) % 2
        if kind is Reject.BAD_NUMBER:
            values[4 if again else 6] = "n/a" if again else "a dozen"
        elif kind is Reject.MISSING_REQUIRED:
            values[1 if again else 5] = None
        elif kind is Reject.TOO_LONG:
            # 200 letters, but more bytes than the column holds; or simply too many letters.
            values[1] = "é" * 200 if again else "x" * (NAME_BYTES + 1)
        elif kind is Reject.DUPLICATE_KEY:
            values[0] = str(self._first_id + row - 1)
        else:
            values.append("one field too many")
        return tuple(values)

    def _rejected_line(self, row: int) -> str:
        kind = _KINDS[self._reject_number(row) % len(_KINDS)]
        return ",".join(quoted(value) for value in self._rejected_values(row, kind)) + "\n"


class _ChunkStream(io.RawIOBase):
    """A readable stream over an iterator of bytes."""

    def __init__(self, chunks: Iterator[bytes]) -> None:
        self._chunks = chunks
        self._rest = memoryview(b"")

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        while not self._rest:
            chunk = next(self._chunks, None)
            if chunk is None:
                return 0
            self._rest = memoryview(chunk)
        size = min(len(buffer), len(self._rest))
        buffer[:size] = self._rest[:size]
        self._rest = self._rest[size:]
        return size
