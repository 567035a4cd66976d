"""The CSV dialect of a feed's raw files: RFC 4180 with configurable characters, UTF-8."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

#: Fields of a record. A table of Redshift has at most as many columns, so that a record with more
#: is none of any feed.
MAX_FIELDS = 1600


@dataclass(frozen=True)
class CsvDialect:
    """How a feed's files are written.

    Attributes:
        delimiter: one ASCII character between fields.
        quote: one ASCII character around fields; doubled to stand for itself.
        escape: always the quote. Spark needs it as a setting of its own.
        encoding: always UTF-8.

    Raises:
        ValueError: naming the setting that is not supported.
    """

    delimiter: str = ","
    quote: str = '"'
    escape: str = '"'
    encoding: str = "utf-8"

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
        if self.encoding.lower().replace("_", "-") not in ("utf-8", "utf8"):
            raise ValueError(f"CSV encoding {self.encoding!r} is not supported: only UTF-8 is")

    def reader(self, lines: Iterable[str]) -> Iterator[list[str]]:
        """Read records with Python's csv module; used for headers only, never for data.

        Raises:
            csv.Error: while reading, if a record cannot be parsed.
        """
        return csv.reader(lines, delimiter=self.delimiter, quotechar=self.quote, doublequote=True)
