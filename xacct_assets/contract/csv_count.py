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

Chunks are counted with bytes methods that run in C, using the parity of quotes. A chunk with quotes
elsewhere than at the start of fields is read record by record instead. All delimiters and quotes
are ASCII, so UTF-8 text can be scanned as bytes. Beside Python's csv module (60 to 110 MB/s, by
machine) that is six times as fast without quotes, two to three times as fast with some, and less
than half as fast where each row has a quote inside a field (docs/benchmarks.md, counting).
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from typing import Self

from xacct_assets.contract.csv_dialect import MAX_FIELDS, CsvDialect
from xacct_assets.contract.csv_patterns import patterns_of
from xacct_assets.contract.malformed_csv import (
    MalformedCsv,
    check_encoding,
    check_end,
    check_first_line_end,
    check_preamble,
    lone_carriage_return,
    never_closed,
    too_many_fields,
    without_mark,
)

#: Bytes of a line, or of a quoted field up to its next line end. It bounds the memory used here;
#: Redshift's own limit for a row is 4 MB.
MAX_LINE_BYTES = 16 * 1024 * 1024

#: Smaller files are not worth being split among several readers.
WORTH_SPLITTING_BYTES = 64 * 1024 * 1024

_EMPTY_LINE = re.compile(rb"\n\r?\n")


@dataclass
class RecordCounter:
    """Counts data records while a file's bytes are fed to it in order.

    Attributes:
        dialect: of the file.
        header: the fields of the first record; empty until it is complete. If the dialect has no
            header row, it is a row like others.
        rows: records after the header.
        has_inner_line_ends: whether a quoted field (of the header, too) has a line end in it.
        open_quote: offset in the file of the quote of the field that is open; None if none is, or
            if it was opened before this counter began.
    """

    dialect: CsvDialect = field(default_factory=CsvDialect)
    header: tuple[str, ...] = ()
    rows: int = 0
    has_inner_line_ends: bool = False
    open_quote: int | None = None

    def __post_init__(self) -> None:
        self._rest = b""
        self._offset = 0  # of the first byte of _rest, in the file
        self._in_quotes = False
        self._header_is_read = False
        self._preamble = self.dialect.preamble_lines  # that are still to come
        self._delimiters = 0  # so far, in the record that is open
        self._line_end_is_known = False
        self._begun = False
        self._quote, self._delimiter = self.dialect.quote.encode(), self.dialect.delimiter.encode()
        self._patterns = patterns_of(self._quote, self._delimiter)

    @classmethod
    def from_line(cls, dialect: CsvDialect, offset: int, *, in_quotes: bool) -> Self:
        """A counter for the rest of a file from the start of a line on, behind its header.

        Args:
            dialect: of the file.
            offset: of the line.
            in_quotes: whether the line lies in a quoted field that began earlier.
        """
        counter = cls(dialect)
        counter._begun = counter._line_end_is_known = counter._header_is_read = True
        counter._offset, counter._in_quotes, counter._preamble = offset, in_quotes, 0
        counter.has_inner_line_ends = in_quotes
        return counter

    @property
    def in_quotes(self) -> bool:
        """Whether what was fed ends inside a quoted field."""
        return self._in_quotes

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
        chunk = (
            b"".join((self._rest, memoryview(data)[:end]))
            if self._rest or end < len(data)
            else data
        )
        self._rest = b""
        self._count(chunk)
        self._keep(data[end:])

    def finish(self) -> None:
        """Count the last record, which needs no line end.

        Raises:
            MalformedCsv: as `feed`, a quoted field is not closed, or the last line is cut.
        """
        last = self.finish_line()
        if self._in_quotes:
            raise never_closed(self.open_quote)
        check_end(last)

    def finish_line(self) -> bytes:
        """Count the last record, which needs no line end; its text after the last line end.

        Raises:
            MalformedCsv: as `feed`.
        """
        if not self._begun:
            self._rest = self._begin(self._rest)
        last = b""
        if self._rest or self._in_quotes:
            last, self._rest = self._rest, b""
            if not self._line_end_is_known and b"\r" in last:
                raise lone_carriage_return(self._offset + last.find(b"\r"))
            self._count(last + b"\n")
        if self._rest:  # of a header that is open
            raise never_closed(self.open_quote)
        return last

    def _begin(self, data: bytes) -> bytes:
        self._begun = True
        text = without_mark(data)
        self._offset = len(data) - len(text)
        return text

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
        check_encoding(chunk, self._offset)
        if not self._line_end_is_known:
            check_first_line_end(chunk, self._offset)
            self._line_end_is_known = True
        if self._preamble:
            chunk = self._skip_preamble(chunk)
        if not self._header_is_read:
            after = self._take_header(chunk)
            if after is None:
                self._rest = chunk
                return
            self._offset += len(chunk) - len(after)
            chunk = after
        if self._quote in chunk:
            if not self._count_by_parity(chunk):
                self.rows += sum(1 for _ in self._records(chunk))
            self.open_quote = self._offset + chunk.rfind(self._quote) if self._in_quotes else None
        elif not self._in_quotes:
            self._check_width(chunk)
            self.rows += _lines(chunk)
        self._offset += len(chunk)

    def _check_width(self, outside: bytes) -> None:
        """Refuse text without quotes that has a record of too many fields."""
        first = outside.find(b"\n")
        head = outside if first < 0 else outside[:first]
        if self._delimiters + head.count(self._delimiter) >= MAX_FIELDS or _has_wide_line(
            outside, self._delimiter
        ):
            raise too_many_fields(self._offset)
        open_record = outside[outside.rfind(b"\n") + 1 :].count(self._delimiter)
        self._delimiters = open_record + (self._delimiters if first < 0 else 0)

    def _count_by_parity(self, chunk: bytes) -> bool:
        """Count a chunk, taking every second piece between quotes as inside a quoted field.

        Returns:
            False, and nothing is counted, if a quote is elsewhere than at the start of a field.
        """
        pieces = chunk.split(self._quote)
        between = [b"", *pieces[1::2]] if self._in_quotes else pieces[0::2]
        if b"" in between[1:]:
            # Doubled quotes: of a run of quotes one is left, which marks a quoted field.
            between = [between[0], *filter(None, between[1:])]
        outside = self._quote.join(between)
        inside_last = self._in_quotes ^ (len(pieces) % 2 == 0)
        if inside_last:
            outside += self._quote
        if self._patterns.misplaced.search(outside):
            return False
        self._check_width(outside)
        self.rows += _lines(outside)
        self.has_inner_line_ends = self.has_inner_line_ends or outside.count(b"\n") != chunk.count(
            b"\n"
        )
        self._in_quotes = inside_last
        return True

    def _records(self, chunk: bytes) -> Iterator[tuple[int, int]]:
        """(start, end) of each record that ends in the chunk, read by the rules for fields.

        Sets `_in_quotes` to whether the chunk ends inside a quoted field.
        """
        position = start = 0
        while position < len(chunk):
            if self._in_quotes:
                match = self._patterns.inside.match(chunk, position)
            elif position == start and chunk.startswith((b"\n", b"\r\n"), position):
                position = start = chunk.index(b"\n", position) + 1
                continue
            # A record has no more fields than bytes.
            elif (
                position == start
                and (record := self._patterns.record.match(chunk, start))
                and record.end() - start <= MAX_FIELDS
            ):
                position = record.end()
                if not self.has_inner_line_ends:
                    self.has_inner_line_ends = chunk.find(b"\n", start, position - 1) >= 0
                yield start, position - 1
                start = position
                continue
            else:
                match = self._patterns.field.match(chunk, position)
            if match is None:  # not possible: every part of the patterns may be empty
                raise MalformedCsv(f"it cannot be read at byte {self._offset + position:,}")
            quoted = self._in_quotes or match["open"] is not None
            self._in_quotes = quoted and match["shut"] is None
            if quoted and not self.has_inner_line_ends:
                self.has_inner_line_ends = chunk.find(b"\n", position, match.end()) >= 0
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
                raise too_many_fields(self._offset)

    def _skip_preamble(self, chunk: bytes) -> bytes:
        """The chunk behind the lines of the preamble that are in it; empty lines do not count."""
        while self._preamble and chunk:
            line, _, chunk = chunk.partition(b"\n")
            check_preamble(line, self._offset, self._quote)
            self._offset += len(line) + 1
            self._preamble -= line not in (b"", b"\r")
        return chunk

    def _take_header(self, chunk: bytes) -> bytes | None:
        """Read the header from the chunk; the rest of the chunk, or None if it is incomplete."""
        if chunk.lstrip(b"\n").startswith(b"\r\n") and not self.dialect.preamble_lines:
            raise MalformedCsv("it begins with an empty line instead of a header: remove that line")
        for start, end in self._records(chunk):
            self._header_is_read, self.open_quote = True, None
            self.rows += not self.dialect.header_row
            line = chunk[start:end]
            self.header = _fields(line.removesuffix(b"\r"), self.dialect)
            if not self.header:
                raise MalformedCsv(
                    "the line where its header should be holds a carriage return alone, and other "
                    "lines end without one: write all line ends as \\n or \\r\\n"
                )
            return chunk[end + 1 :]
        if self._in_quotes:
            if len(chunk) > MAX_LINE_BYTES:
                raise MalformedCsv(
                    "its header row has a quoted field that does not end within "
                    f"{MAX_LINE_BYTES // 1024 // 1024} MiB: somewhere in the header a quote is "
                    "missing"
                )
            # The header will be read again from its start.
            self._in_quotes, self._delimiters = False, 0
            self.open_quote = self._offset + chunk.rfind(self._quote)
            return None
        return b""


def _has_wide_line(outside: bytes, delimiter: bytes) -> bool:
    """Whether a line has more than `MAX_FIELDS` fields."""
    # Such a line leaves one of these windows without a line end.
    size, at = MAX_FIELDS // 2, 0
    while at < len(outside):
        if outside.find(b"\n", at, at + size) < 0:
            start, end = outside.rfind(b"\n", 0, at) + 1, outside.find(b"\n", at + size)
            end = len(outside) if end < 0 else end
            if outside.count(delimiter, start, end) >= MAX_FIELDS:
                return True
            at = end
        at += size
    return False


def _lines(outside: bytes) -> int:
    """Lines of text without quotes that are not empty."""
    count = outside.count(b"\n")
    if outside.startswith((b"\n", b"\r\n")) or _EMPTY_LINE.search(outside):
        lines = outside.split(b"\n")
        lines.pop()  # after the last line end there is no line, or an open quote
        count -= lines.count(b"") + lines.count(b"\r")
    return count


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
