"""Files of the load benchmark: products and a wide feed, with a share of rows to reject."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from itertools import islice

from xacct_sandbox.sample_data import ProductFile
from xacct_sandbox.sample_values import quoted

#: Name, type, nullable.
Column = tuple[str, str, bool]

PRODUCTS: list[Column] = [
    ("id", "bigint", False),
    ("name", "varchar(256)", False),
    ("category", "varchar(64)", False),
    ("brand", "varchar(128)", True),
    ("price", "decimal(12,2)", False),
    ("currency", "varchar(3)", False),
    ("stock", "integer", True),
    ("description", "varchar(4096)", True),
    ("updated_at", "timestamp", False),
]
_WIDE_TYPES = (
    *("varchar(40)", "integer", "decimal(12,2)", "varchar(80)", "date"),
    *("double precision", "boolean", "timestamp", "bigint"),
)
WIDE: list[Column] = [
    ("id", "bigint", False),
    *((f"c{number:02}", _WIDE_TYPES[number % 9], True) for number in range(45)),
]
_DAY = date(2026, 1, 1)
_CHUNK = 5000


@dataclass(frozen=True)
class Rows:
    """What a day's files hold.

    Attributes:
        columns: of the feed.
        rows: of all files together.
        files: how many.
        reject_every: one row of so many is rejected; 0 for none.
        breaks: an eighth of the rows has line breaks inside quotes.
    """

    columns: list[Column]
    rows: int
    files: int
    reject_every: int = 200
    breaks: bool = False

    def chunks(self, number: int) -> Iterator[bytes]:
        """The file of this number, a part at a time."""
        count = self.rows // self.files
        yield (",".join(name for name, _, _ in self.columns) + "\n").encode()
        lines = _products(count, number, self.breaks) if self.is_products else _wide(count, number)
        block = []
        for row, line in enumerate(lines):
            block.append(self._line(row, line) + "\n")
            if len(block) == _CHUNK:
                yield "".join(block).encode()
                block = []
        yield "".join(block).encode()

    @property
    def is_products(self) -> bool:
        return self.columns is PRODUCTS

    def _line(self, row: int, line: str) -> str:
        """The row, or a form of it that is rejected: five kinds, one after the other."""
        if not self.reject_every or row % self.reject_every != self.reject_every // 2:
            return line
        identity, _, rest = line.partition(",")
        return (
            f"x{line}",
            f"{int(identity) - 1},{rest}",
            f"{line},one field too many",
            f",{rest}",
            line.rpartition(",")[0],
        )[row // self.reject_every % 5]


def _products(count: int, number: int, breaks: bool) -> Iterator[str]:
    """The good rows of the sample data (of which one of 200 is none)."""
    source = ProductFile(1, _DAY, count + count // 150 + 1, number)
    good = (record for record in source.records() if record.reject is None)
    for record in islice(good, count):
        line = ",".join(quoted(value) for value in record.values)
        yield line if breaks else line.replace("\n", " ")


def _wide(count: int, number: int) -> Iterator[str]:
    """Rows of five times nine values of every type."""
    for row in range(count):
        mixed = ((row + number * 7919) * 0x9E3779B97F4A7C15 & (1 << 64) - 1) >> 16
        nine = (
            f"text {mixed % 9973},{mixed % 100_000},{mixed % 50_000}.{mixed % 100:02},"
            f'"quoted, {mixed % 977}",2026-0{1 + mixed % 9}-1{mixed % 9},{mixed % 10_000}.25,'
            f"{'true' if mixed & 1 else 'f'},2026-01-1{mixed % 9} 0{mixed % 9}:30:00,{mixed}"
        )
        yield f"{number * 1_000_000_000 + row + 1000},{nine},{nine},{nine},,,,,,,,,,{nine}"
