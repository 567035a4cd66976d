r"""Counting the records of a CSV stream exactly as the load job cuts them in Spark.

Spark reads CSV with the univocity parser. What decides the number of records:

- A quote is special only as the first character of a field. A doubled quote inside a quoted field
  is one quote. After the closing quote, anything up to the next delimiter or line end is content.
- A line end inside a quoted field is content.
- The first line end of the file decides: if it is ``\r\n``, then ``\r\n`` and ``\n`` end records;
  if it is ``\n``, a ``\r`` is content. Files that use a bare ``\r``, or that begin with an empty
  line of ``\r\n``, are refused here as in the job.
- Empty lines (nothing at all between two line ends) are no records.

The count works on whole chunks with bytes methods that run in C (several hundred MB/s), by looking
at the quotes' parity; a chunk in which quotes stand in odd places is read field by field instead.
All delimiters and quotes are ASCII, so UTF-8 text can be scanned as bytes.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from xacct_assets.contract.csv_dialect import CsvDialect

#: A line (or the part of a quoted field up to its next line end) longer than this is no product
#: file: Redshift's own limit for a row is 4 MB. It bounds the memory used here.
MAX_LINE_BYTES = 16 * 1024 * 1024

UTF8_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")


class MalformedCsv(Exception):
    """The file as a whole is not readable as the feed's CSV. The message is for the user."""


@dataclass
class RecordCounter:
    """Feed it a file's bytes in order; ask it for the header and the number of data records.

    Attributes:
        header: the fields of the first record; empty until it is complete.
        rows: records after the header.
    """

    dialect: CsvDialect = field(default_factory=CsvDialect)
    header: tuple[str, ...] = ()
    rows: int = 0

    def __post_init__(self) -> None:
        self._rest = b""
        self._offset = 0  # of the first byte of _rest, in the file
        self._in_quotes = False
        self._open_quote = 0
        self._crlf: bool | None = None
        self._begun = False
        quote, delimiter = self.dialect.quote.encode(), self.dialect.delimiter.encode()
        self._quote = quote
        self._openings = (delimiter + quote, b"\n" + quote)
        q, d = re.escape(quote), re.escape(delimiter)
        # One field; group "open" is set if it is quoted, "shut" if its closing quote is there too.
        self._field = re.compile(
            b"(?:(?P<open>%b)(?:[^%b]++|%b%b)*+(?P<shut>%b)?)?+[^%b\n]*+" % (q, q, q, q, q, d)
        )
        # The rest of a quoted field that began in an earlier chunk.
        self._inside = re.compile(
            b"(?P<open>)(?:[^%b]++|%b%b)*+(?P<shut>%b)?+[^%b\n]*+" % (q, q, q, q, d)
        )

    def feed(self, data: bytes) -> None:
        """Count a piece of the file, of any size.

        Raises:
            MalformedCsv: not UTF-8, gzip in disguise, a bare-CR file, or a line without end.
        """
        if not self._begun:
            data = self._rest + data
            self._rest = b""
            if len(data) < 4:
                self._rest = data
                return
            data = self._begin(data)
        end = data.rfind(b"\n") + 1
        if end == 0:
            self._keep(data)
            return
        chunk = self._rest + data[:end]
        self._rest = b""
        self._count(chunk)
        self._keep(data[end:])

    def finish(self) -> None:
        """Count the last record, which needs no line end.

        Raises:
            MalformedCsv: as `feed`, or a quoted field is not closed.
        """
        if not self._begun:
            self._rest = self._begin(self._rest)
        if self._rest or self._in_quotes:
            last, self._rest = self._rest, b""
            if self._crlf is None and b"\r" in last:
                raise self._lone_carriage_return(last.find(b"\r"))
            self._count(last + b"\n")  # the last line needs no line end
        if self._in_quotes or self._rest:
            raise MalformedCsv(
                f"the quoted field that is open at byte {self._open_quote:,} is never closed: "
                "somewhere a quote is missing, or a quote inside a field is not doubled"
            )

    def _begin(self, data: bytes) -> bytes:
        self._begun = True
        if data.startswith(b"\x1f\x8b"):
            raise MalformedCsv(
                "its content is gzip but its name does not end in .gz, so readers would take the "
                "compressed bytes for text: rename it to *.csv.gz"
            )
        for mark in _OTHER_BOMS:
            if data.startswith(mark):
                raise MalformedCsv("it is UTF-16, not UTF-8: convert it to UTF-8")
        if data.startswith(UTF8_BOM):
            self._offset = len(UTF8_BOM)
            return data[len(UTF8_BOM) :]
        return data

    def _keep(self, data: bytes) -> None:
        self._rest = self._rest + data if self._rest else data
        if len(self._rest) > MAX_LINE_BYTES:
            raise MalformedCsv(
                f"the line at byte {self._offset:,} is longer than "
                f"{MAX_LINE_BYTES // 1024 // 1024} MiB: this is not a CSV file with line ends, or "
                "its lines end in something else than \\n or \\r\\n"
            )

    def _count(self, chunk: bytes) -> None:
        """Count a chunk that begins at the start of a line and ends with a line end."""
        if not chunk.isascii():
            try:
                chunk.decode("utf-8")
            except UnicodeDecodeError as error:
                raise MalformedCsv(
                    f"it is not UTF-8: byte {self._offset + error.start:,} is "
                    f"0x{chunk[error.start]:02x} ({error.reason}); convert the file to UTF-8"
                ) from None
        if self._crlf is None:
            self._crlf = self._uses_crlf(chunk)
        if not self.header:
            after = self._take_header(chunk)
            if after is None:
                self._rest = chunk
                return
            self._offset += len(chunk) - len(after)
            chunk = after
        if self._quote in chunk:
            if not self._count_by_parity(chunk):
                self.rows += sum(1 for _ in self._records(chunk))
            if self._in_quotes:
                self._open_quote = self._offset + chunk.rfind(self._quote)
        elif not self._in_quotes:
            self.rows += self._lines(chunk)
        self._offset += len(chunk)

    def _uses_crlf(self, chunk: bytes) -> bool:
        newline, carriage = chunk.find(b"\n"), chunk.find(b"\r")
        if carriage == -1 or newline < carriage:
            return False
        if newline != carriage + 1:
            raise self._lone_carriage_return(carriage)
        return True

    def _lone_carriage_return(self, position: int) -> MalformedCsv:
        return MalformedCsv(
            f"its first line end, at byte {self._offset + position:,}, is a carriage return "
            "alone: write line ends as \\n or \\r\\n"
        )

    def _lines(self, outside: bytes) -> int:
        """Lines of text without quotes that are not empty."""
        count = outside.count(b"\n")
        if outside.startswith((b"\n", b"\r\n")) or b"\n\n" in outside or b"\n\r\n" in outside:
            lines = outside.split(b"\n")
            lines.pop()  # after the last line end there is no line, or an open quote
            count -= lines.count(b"")
            if self._crlf:
                count -= lines.count(b"\r")
        return count

    def _count_by_parity(self, chunk: bytes) -> bool:
        """Count by taking every second piece between quotes as inside. False if quotes stand where
        that would be wrong: anywhere but at the start of a field."""
        pieces = chunk.split(self._quote)
        inside_first = self._in_quotes
        outside = self._quote.join(pieces[1 if inside_first else 0 :: 2])
        if inside_first:
            outside = self._quote + outside
        inside_last = self._in_quotes ^ (len(pieces) % 2 == 0)
        if inside_last:
            outside += self._quote
        # Doubled quotes have become runs of quotes; one is enough to mark a quoted field.
        double = self._quote * 2
        while double in outside:
            outside = outside.replace(double, self._quote)
        right = sum(outside.count(opening) for opening in self._openings)
        right += outside.startswith(self._quote)
        if right != outside.count(self._quote):
            return False
        self.rows += self._lines(outside)
        self._in_quotes = inside_last
        return True

    def _records(self, chunk: bytes) -> Iterator[tuple[int, int]]:
        """(start, end) of each record that ends in the chunk, read field by field.

        Leaves `_in_quotes` saying whether the chunk ends inside a quoted field.
        """
        position = start = 0
        blank = (b"\n", b"\r\n") if self._crlf else (b"\n",)
        while position < len(chunk):
            if self._in_quotes:
                match = self._inside.match(chunk, position)
            elif position == start and chunk.startswith(blank, position):
                position = start = chunk.index(b"\n", position) + 1
                continue
            else:
                match = self._field.match(chunk, position)
            if match is None:  # cannot be: every part of the patterns may be empty
                raise MalformedCsv(f"it cannot be read at byte {self._offset + position:,}")
            quoted = self._in_quotes or match["open"] is not None
            self._in_quotes = quoted and match["shut"] is None
            if self._in_quotes:
                return
            # A chunk ends with a line end, so a field is always followed by something.
            position = match.end() + 1
            if chunk[match.end()] == 10:
                yield start, match.end()
                start = position

    def _take_header(self, chunk: bytes) -> bytes | None:
        """Read the header from the chunk: what follows it, or None if it is not complete yet."""
        if chunk.startswith(b"\r\n"):
            raise MalformedCsv("it begins with an empty line instead of a header: remove that line")
        for start, end in self._records(chunk):
            line = chunk[start:end]
            self.header = _fields(line.removesuffix(b"\r") if self._crlf else line, self.dialect)
            if not self.header:
                raise MalformedCsv(
                    "the line where its header should be holds a carriage return alone, and other "
                    "lines end without one: write all line ends as \\n or \\r\\n"
                )
            return chunk[end + 1 :]
        if self._in_quotes:
            self._in_quotes = False  # it will be read again from its start
            return None
        return b""


def _fields(line: bytes, dialect: CsvDialect) -> tuple[str, ...]:
    try:
        return tuple(next(dialect.reader([line.decode("utf-8")]), []))
    except csv.Error as error:
        raise MalformedCsv(f"its header cannot be read: {error}") from None


def count_records(chunks: Iterable[bytes], dialect: CsvDialect | None = None) -> RecordCounter:
    """Count a whole stream.

    Raises:
        MalformedCsv: the file as a whole is not readable.
    """
    counter = RecordCounter(dialect or CsvDialect())
    for chunk in chunks:
        counter.feed(chunk)
    counter.finish()
    return counter
