r"""Counts the records of a CSV stream exactly as Spark does in the load job.

Spark reads CSV with the univocity parser. These rules decide the number of records:

- A quote is special only as the first character of a field. A doubled quote inside a quoted field
  is one quote. After the closing quote, anything up to the next delimiter or line end belongs to
  the field (the job rejects such a record).
- A line end inside a quoted field is content.
- ``\n`` and ``\r\n`` end records, also in one file. Any other ``\r`` is content. Files whose first
  line end is a bare ``\r``, or that begin with an empty line of ``\r\n``, are refused here as in
  the job.
- A file whose last line ends in ``\r`` was cut within ``\r\n``, and is refused. So is one that ends
  in a form feed, which Spark would drop.
- Empty lines (nothing at all between two line ends) are no records.
- A record has at most `MAX_FIELDS` fields; Spark would fail at more.

Whole chunks are counted with bytes methods that run in C (several hundred MB/s), using the parity
of quotes. A chunk with quotes elsewhere than at the start of fields is read field by field instead.
All delimiters and quotes are ASCII, so UTF-8 text can be scanned as bytes.
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from xacct_assets.contract.csv_dialect import MAX_FIELDS, CsvDialect

#: Bytes of a line, or of a quoted field up to its next line end. It bounds the memory used here;
#: Redshift's own limit for a row is 4 MB.
MAX_LINE_BYTES = 16 * 1024 * 1024

UTF8_BOM = b"\xef\xbb\xbf"
_OTHER_BOMS = (b"\xff\xfe", b"\xfe\xff")


class MalformedCsv(Exception):
    """The file cannot be read as the feed's CSV. The message is for the user."""


@dataclass
class RecordCounter:
    """Counts data records while a file's bytes are fed to it in order.

    Attributes:
        dialect: of the file.
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
        self._delimiters = 0  # so far, in the record that is open
        self._line_end_is_known = False
        self._begun = False
        quote, delimiter = self.dialect.quote.encode(), self.dialect.delimiter.encode()
        self._quote, self._delimiter = quote, delimiter
        self._openings = (delimiter + quote, b"\n" + quote)
        q, d = re.escape(quote), re.escape(delimiter)
        # One field; group "open" matches if it is quoted, "shut" if its closing quote is there too.
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
            MalformedCsv: not UTF-8, unannounced gzip, lone carriage returns, a line too long, or a
                record with too many fields.
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
            MalformedCsv: as `feed`, a quoted field is not closed, or the last line is cut.
        """
        if not self._begun:
            self._rest = self._begin(self._rest)
        last = b""
        if self._rest or self._in_quotes:
            last, self._rest = self._rest, b""
            if not self._line_end_is_known and b"\r" in last:
                raise self._lone_carriage_return(last.find(b"\r"))
            self._count(last + b"\n")
        if self._in_quotes or self._rest:
            raise MalformedCsv(
                f"the quoted field that is open at byte {self._open_quote:,} is never closed: "
                "somewhere a quote is missing, or a quote inside a field is not doubled"
            )
        if last.endswith(b"\r"):
            raise MalformedCsv(
                "it is cut off between the carriage return and the line feed of its last line: "
                "upload it again"
            )
        if last.endswith(b"\f"):
            raise MalformedCsv("its last character is a form feed without a line end: remove it")

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
        if not self._line_end_is_known:
            self._check_first_line_end(chunk)
            self._line_end_is_known = True
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
            self._check_width(chunk)
            self.rows += self._lines(chunk)
        self._offset += len(chunk)

    def _check_first_line_end(self, chunk: bytes) -> None:
        newline, carriage = chunk.find(b"\n"), chunk.find(b"\r")
        if -1 < carriage < newline - 1:
            raise self._lone_carriage_return(carriage)

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
            count -= lines.count(b"") + lines.count(b"\r")
        return count

    def _check_width(self, outside: bytes) -> None:
        """Refuse text without quotes that has a record of too many fields."""
        # Such a record fills one of these windows, without a line end in it.
        size = MAX_FIELDS // 2
        if (
            not self._delimiters
            and outside.endswith(b"\n")
            and all(outside.find(b"\n", at, at + size) >= 0 for at in range(0, len(outside), size))
        ):
            return
        delimiters = [line.count(self._delimiter) for line in outside.split(b"\n")]
        delimiters[0] += self._delimiters
        if max(delimiters) >= MAX_FIELDS:
            raise self._too_many_fields()
        self._delimiters = delimiters[-1]

    def _too_many_fields(self) -> MalformedCsv:
        return MalformedCsv(
            f"a record after byte {self._offset:,} has more than {MAX_FIELDS:,} fields: line ends "
            "are missing, or this is not a CSV file"
        )

    def _count_by_parity(self, chunk: bytes) -> bool:
        """Count a chunk, taking every second piece between quotes as inside a quoted field.

        Returns:
            False, and nothing is counted, if a quote is elsewhere than at the start of a field.
        """
        pieces = chunk.split(self._quote)
        inside_first = self._in_quotes
        outside = self._quote.join(pieces[1 if inside_first else 0 :: 2])
        if inside_first:
            outside = self._quote + outside
        inside_last = self._in_quotes ^ (len(pieces) % 2 == 0)
        if inside_last:
            outside += self._quote
        # Runs of quotes are reduced to one quote, which marks a quoted field.
        double = self._quote * 2
        while double in outside:
            outside = outside.replace(double, self._quote)
        at_start = sum(outside.count(opening) for opening in self._openings)
        at_start += outside.startswith(self._quote)
        if at_start != outside.count(self._quote):
            return False
        self._check_width(outside)
        self.rows += self._lines(outside)
        self._in_quotes = inside_last
        return True

    def _records(self, chunk: bytes) -> Iterator[tuple[int, int]]:
        """(start, end) of each record that ends in the chunk, read field by field.

        Sets `_in_quotes` to whether the chunk ends inside a quoted field.
        """
        position = start = 0
        while position < len(chunk):
            if self._in_quotes:
                match = self._inside.match(chunk, position)
            elif position == start and chunk.startswith((b"\n", b"\r\n"), position):
                position = start = chunk.index(b"\n", position) + 1
                continue
            else:
                match = self._field.match(chunk, position)
            if match is None:  # not possible: every part of the patterns may be empty
                raise MalformedCsv(f"it cannot be read at byte {self._offset + position:,}")
            quoted = self._in_quotes or match["open"] is not None
            self._in_quotes = quoted and match["shut"] is None
            if self._in_quotes:
                return
            # A chunk ends with a line end, so a field is always followed by something.
            position = match.end() + 1
            if chunk[match.end()] == 10:
                self._delimiters = 0
                yield start, match.end()
                start = position
                continue
            self._delimiters += 1
            if self._delimiters >= MAX_FIELDS:
                raise self._too_many_fields()

    def _take_header(self, chunk: bytes) -> bytes | None:
        """Read the header from the chunk; the rest of the chunk, or None if it is incomplete."""
        if chunk.lstrip(b"\n").startswith(b"\r\n"):
            raise MalformedCsv("it begins with an empty line instead of a header: remove that line")
        for start, end in self._records(chunk):
            line = chunk[start:end]
            self.header = _fields(line.removesuffix(b"\r"), self.dialect)
            if not self.header:
                raise MalformedCsv(
                    "the line where its header should be holds a carriage return alone, and other "
                    "lines end without one: write all line ends as \\n or \\r\\n"
                )
            return chunk[end + 1 :]
        if self._in_quotes:
            # The header will be read again from its start.
            self._in_quotes, self._delimiters = False, 0
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
