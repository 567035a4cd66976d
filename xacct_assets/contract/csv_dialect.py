"""The CSV dialect of a feed's raw files: RFC 4180 with configurable characters."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: Fields of a record. A table of Redshift has at most as many columns, so that a record with more
#: is none of any feed.
MAX_FIELDS = 1600
#: The encodings of raw files, with Python's names. (Windows-1252 has printable characters where
#: ISO 8859-1, which is Python's "latin-1", has control characters.)
ENCODINGS = {
    "utf-8": "utf-8",
    "utf-16": "utf-16",
    "windows-1252": "cp1252",
    "iso-8859-1": "latin-1",
}


@dataclass(frozen=True)
class CsvDialect:
    """How a feed's files are written.

    Attributes:
        delimiter: one ASCII character between fields.
        quote: one ASCII character around fields; doubled to stand for itself.
        escape: always the quote. Spark needs it as a setting of its own.
        encoding: of `ENCODINGS`.
        header_row: whether the first record names the columns.
        preamble_lines: lines before it that are skipped, without empty ones.

    Raises:
        ValueError: naming the setting that is not supported.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    encoding: str = "utf-8"
    header_row: bool = True
    preamble_lines: int = 0

    def __post_init__(self) -> None:
        for name in ("delimiter", "quote", "escape"):
            value = getattr(self, name)
            if len(value) != 1 or not value.isascii() or value in "\r\n\0":
                raise ValueError(f"CSV {name} {value!r} is not one ASCII character")
        if self.escape != self.quote:
            raise ValueError(
                f"CSV escape {self.escape!r} is not supported: quotes are escaped by doubling "
                f"them, so it must be the quote {self.quote!r}"
            )
        if self.delimiter == self.quote:
            raise ValueError(f"CSV delimiter and quote are both {self.quote!r}")
        object.__setattr__(self, "encoding", self.encoding.lower())
        if self.encoding not in ENCODINGS:
            raise ValueError(
                f"CSV encoding {self.encoding!r} is not supported: there are {', '.join(ENCODINGS)}"
            )

    @property
    def is_read_by_line(self) -> bool:
        """Whether a file may be read in parts, where its lines are records."""
        return self.encoding == "utf-8" and not self.preamble_lines

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Read records with Python's csv module; used for headers only, never for data.

        Raises:
            csv.Error: while reading, if a record cannot be parsed.
        """
        return csv.reader(lines, delimiter=self.delimiter, quotechar=self.quote, doublequote=True)
