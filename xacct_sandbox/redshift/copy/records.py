"""The text of load files, cut into whole records and put into the words PostgreSQL's COPY reads.

Most chunks go to PostgreSQL as they are: told the right things (``Form``), its CSV reader
understands the fields of such a chunk as Redshift does. Only chunks for which no form is right
(``Rules.form_of``) are taken apart, column by column with Arrow, never row by row.

What Redshift does (documentation of COPY, "Data conversion parameters"): an empty field of a
CHAR/VARCHAR column is an empty string, of any other column NULL; EMPTYASNULL makes it NULL
everywhere; NULL AS (default \\N) is NULL everywhere.
"""

from __future__ import annotations

import codecs
import functools
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import Enum

from xacct_sandbox.redshift.copy.options import CSV, CopyStatement
from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.errors import RedshiftError

LONGEST_RECORD = 64 << 20
# Quote character of formats that have none: a control character no text field should hold.
NO_QUOTE = "\x01"
DEFAULT_NULL = "\\N"
_BOM = codecs.BOM_UTF8


@dataclass(frozen=True)
class Column:
    """A target column of a COPY."""

    name: str
    number: int
    type_name: str  # as PostgreSQL formats it, without length
    length: int | None  # of VARCHAR and CHAR, bytes
    not_null: bool
    identity: str

    @property
    def is_text(self) -> bool:
        return self.type_name in ("character varying", "character", "text")


class Form(Enum):
    """Which unquoted fields are NULL in a piece, as PostgreSQL's COPY is told."""

    MARKED = "the NULL marker is, in every column; there are no empty fields, or they are texts"
    EMPTY = "an empty field is, except in a column of text; the marker does not occur"


@dataclass(frozen=True)
class Piece:
    """Whole records of one object, ready for PostgreSQL."""

    data: bytes
    lines: int  # line feeds in ``data``
    size: int  # bytes they took in the file
    raw_lines: int
    form: Form = Form.MARKED


class FieldCountError(Exception):
    """A record has too few or too many fields."""

    def __init__(self, text: str, expected: int, found: int, line: int) -> None:
        super().__init__(f"expected {expected} fields, found {found}")
        self.text = text
        self.expected = expected
        self.found = found
        self.line = line  # lines of the piece before the record


@dataclass(frozen=True)
class Rules:
    """How the fields of one COPY are read."""

    statement: CopyStatement
    columns: tuple[Column, ...]

    @property
    def delimiter(self) -> str:
        return self.statement.delimiter

    @property
    def quote(self) -> str:
        """The quote character PostgreSQL is told; none for formats without quotes."""
        if self.statement.format == CSV:
            return self.statement.quote
        return '"' if self.statement.remove_quotes else NO_QUOTE

    @property
    def null(self) -> str:
        """The unquoted field that is NULL to PostgreSQL."""
        statement = self.statement
        if statement.null_as is not None:
            return statement.null_as
        return "" if statement.empty_as_null else DEFAULT_NULL

    def copy_sql(self, form: Form) -> str:
        """PostgreSQL's own COPY for this statement's pieces of one form."""
        null = self.null if form is Form.MARKED else ""
        names = ", ".join(lexer.quote_name(column.name) for column in self.columns)
        options = [
            "FORMAT csv",
            f"DELIMITER {lexer.quote_literal(self.delimiter)}",
            f"QUOTE {lexer.quote_literal(self.quote)}",
            f"ESCAPE {lexer.quote_literal(self.quote)}",
            f"NULL {lexer.quote_literal(null)}",
            "ENCODING 'UTF8'",
        ]
        texts = [lexer.quote_name(column.name) for column in self.columns if column.is_text]
        if form is Form.EMPTY and texts:
            options.append(f"FORCE_NOT_NULL ({', '.join(texts)})")
        return f"COPY {self.statement.qualified} ({names}) FROM STDIN ({', '.join(options)})"

    def form_of(self, chunk: bytes) -> Form | None:
        """The form in which PostgreSQL reads this chunk as Redshift would; None: in neither."""
        statement = self.statement
        if (
            statement.blanks_as_null
            or statement.truncate_columns
            or statement.trim_blanks
            or statement.escape
        ):
            return None
        if self.null == "":
            # EMPTYASNULL: the default \N is NULL too. NULL AS '': every empty field is NULL.
            return None if statement.null_as is None and _DEFAULT.search(chunk) else Form.MARKED
        if not statement.empty_as_null:
            if all(column.is_text for column in self.columns):
                return Form.MARKED
            if _finder(self.null).search(chunk) is None:
                return Form.EMPTY
        return None if self._holds_empty_fields(chunk) else Form.MARKED

    def _holds_empty_fields(self, chunk: bytes) -> bool:
        # Two ends of fields side by side, and an even number of quotes before them. Passes of C
        # code only: this runs over every chunk that holds the NULL marker.
        delimiter, mark = self.delimiter.encode(), self.quote.encode()
        ends = chunk.translate(bytes.maketrans(b"\n", delimiter))
        if ends.startswith(delimiter):
            return True
        looked_at = quotes = 0
        for found in _finder(self.delimiter * 2).finditer(ends):
            quotes += chunk.count(mark, looked_at, found.start())
            looked_at = found.start()
            if quotes % 2 == 0:
                return True
        return False


@functools.cache
def _finder(text: str) -> re.Pattern[bytes]:
    """A search for a literal text: re finds one twice as fast as ``in`` does."""
    return re.compile(re.escape(text.encode()))


_DEFAULT = _finder(DEFAULT_NULL)


# -- cutting -----------------------------------------------------------------------------------


def whole_records(chunks: Iterable[bytes], quote: str | None, skip_lines: int) -> Iterator[bytes]:
    """Chunks that end where a record ends. The file's last record gets its line feed.

    ``quote``: line feeds between two of these belong to the field; None if there are no quotes.

    Raises:
        RedshiftError: a record is longer than any Redshift takes (a quote may be missing).
    """
    rest = b""
    first = True
    mark = None if quote is None else quote.encode()
    for chunk in chunks:
        data = rest + chunk
        if first:
            if len(data) < len(_BOM):
                rest = data
                continue
            data = data.removeprefix(_BOM)
            first = False
        while skip_lines:
            end = data.find(b"\n")
            if end < 0:
                break
            data = data[end + 1 :]
            skip_lines -= 1
        if skip_lines:
            rest = data
            continue
        cut = _last_record_end(data, mark)
        rest = data[cut:]
        if len(rest) > LONGEST_RECORD:
            raise RedshiftError(
                f"COPY: a record is longer than {LONGEST_RECORD >> 20} MB",
                hint="A closing quote may be missing, or the record ends are not line feeds.",
            )
        if cut:
            yield data[:cut]
    if first:
        rest = rest.removeprefix(_BOM)
    if skip_lines:
        return
    if rest:
        yield rest + (b"\r\n" if rest.endswith(b"\r") else b"\n")


def _last_record_end(data: bytes, mark: bytes | None) -> int:
    end = data.rfind(b"\n")
    if mark is None or end < 0:
        return end + 1
    open_quote = data.count(mark, 0, end) & 1
    while open_quote and end > 0:
        before = data.rfind(b"\n", 0, end)
        open_quote ^= data.count(mark, before + 1, end) & 1
        end = before
    return end + 1 if not open_quote else 0


def plain_line_feeds(chunk: bytes, quote: str) -> bytes:
    """CR LF outside quotes as LF: PostgreSQL wants one kind of line end in all files of a COPY."""
    if b"\r" not in chunk:
        return chunk
    mark = quote.encode()
    if mark not in chunk:
        return chunk.replace(b"\r\n", b"\n")
    parts = chunk.split(mark)
    parts[::2] = [part.replace(b"\r\n", b"\n") for part in parts[::2]]
    return mark.join(parts)


def valid_utf8(chunk: bytes, replacement: str) -> bytes:
    """ACCEPTINVCHARS: every byte of an invalid sequence as ``replacement``."""
    try:
        chunk.decode()
    except UnicodeDecodeError:
        name = f"sandbox-replace-{ord(replacement)}"
        try:
            codecs.lookup_error(name)
        except LookupError:
            codecs.register_error(
                name, lambda error: (replacement * (error.end - error.start), error.end)
            )
        return chunk.decode("utf-8", name).encode()
    return chunk


# -- putting into PostgreSQL's words -------------------------------------------------------------


def pieces(chunks: Iterable[bytes], rules: Rules) -> Iterator[Piece]:
    """The records of a delimited or CSV file.

    Raises:
        FieldCountError: of a record in a chunk that had to be taken apart.
    """
    statement = rules.statement
    quote = rules.quote if rules.quote != NO_QUOTE else None
    for raw in whole_records(chunks, quote, statement.ignore_header):
        data = raw
        if statement.accept_invalid is not None:
            data = valid_utf8(data, statement.accept_invalid)
        data = plain_line_feeds(data, rules.quote)
        if statement.ignore_blank_lines and (b"\n\n" in data or data.startswith(b"\n")):
            data = _without_blank_lines(data, rules.quote)
        if quote is None and NO_QUOTE.encode() in data:
            raise RedshiftError(
                "COPY: control character 0x01 in delimited text is not supported by the sandbox",
                sqlstate="0A000",
                hint="Load the file as CSV.",
            )
        form = rules.form_of(data)
        if data and form is None:
            data = transformed(data, rules)
        if data:
            lines = data.count(b"\n")
            raw_lines = lines if data is raw else raw.count(b"\n")
            yield Piece(data, lines, len(raw), raw_lines, form or Form.MARKED)


_BLANK_LINES = re.compile(rb"\n\n+")


def _without_blank_lines(chunk: bytes, quote: str) -> bytes:
    mark = quote.encode()
    parts = chunk.split(mark)
    parts[::2] = [_BLANK_LINES.sub(b"\n", part) for part in parts[::2]]
    return mark.join(parts).lstrip(b"\n")


def transformed(chunk: bytes, rules: Rules) -> bytes:
    """The chunk with every field as PostgreSQL must read it: quoted, or the NULL marker."""
    import pyarrow as pa
    import pyarrow.compute as pc

    statement = rules.statement
    null = statement.null_as if statement.null_as is not None else DEFAULT_NULL
    table = _parse(chunk, rules, sorted({null, ""}))
    exact = _parse(chunk, rules, [null]) if null and null.encode() in chunk else None
    texts = []
    for number, column in enumerate(rules.columns):
        values = table.column(number)
        if column.is_text and not statement.empty_as_null and null != "":
            # An empty field is an empty string; only the marker is NULL.
            values = exact.column(number) if exact is not None else pc.fill_null(values, "")
        values = values.combine_chunks()
        if isinstance(values, pa.ChunkedArray):
            values = (
                pa.concat_arrays(values.chunks) if values.num_chunks else pa.array([], pa.string())
            )
        if column.is_text:
            if statement.trim_blanks:
                values = pc.utf8_rtrim(values, characters=" ")
            if statement.blanks_as_null:
                blank = pc.equal(pc.utf8_trim_whitespace(values), "")
                values = pc.if_else(blank, pa.scalar(None, pa.string()), values)
            if statement.truncate_columns and column.length is not None:
                values = _truncated(values, column.length)
        texts.append(values)
    return to_copy_text(texts, rules)


def to_copy_text(texts: list[object], rules: Rules) -> bytes:
    """Arrow string columns as the CSV that ``Rules.copy_sql`` describes."""
    import pyarrow as pa
    import pyarrow.compute as pc

    quote, null = rules.quote, rules.null
    fields = []
    for values in texts:
        inner = pc.replace_substring(values, quote, quote * 2)
        quoted = pc.binary_join_element_wise(quote, inner, quote, "")
        fields.append(pc.fill_null(quoted, null))
    rows = pc.binary_join_element_wise(*fields, rules.delimiter)
    if len(rows) == 0:
        return b""
    offsets = pa.array([0, len(rows)], pa.int32())
    joined = pc.binary_join(pa.ListArray.from_arrays(offsets, rows), "\n")
    return joined[0].as_buffer().to_pybytes() + b"\n"


def _parse(chunk: bytes, rules: Rules, null_values: list[str]) -> object:
    import pyarrow as pa
    from pyarrow import csv

    wrong: list[csv.InvalidRow] = []

    def note(row: csv.InvalidRow) -> str:
        wrong.append(row)
        return "skip"

    names = [column.name for column in rules.columns]
    quote: str | bool = rules.quote if rules.quote != NO_QUOTE else False
    table = csv.read_csv(
        pa.BufferReader(chunk),
        read_options=csv.ReadOptions(
            column_names=names, use_threads=False, block_size=len(chunk) + 1
        ),
        parse_options=csv.ParseOptions(
            delimiter=rules.delimiter,
            quote_char=quote,
            double_quote=quote is not False,
            escape_char="\\" if rules.statement.escape else False,
            newlines_in_values=quote is not False,
            ignore_empty_lines=False,
            invalid_row_handler=note,
        ),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=null_values,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            check_utf8=False,
        ),
    )
    if wrong:
        row = wrong[0]
        line = _lines_before(chunk, row.number, quote or None)
        raise FieldCountError(row.text, row.expected_columns, row.actual_columns, line)
    return table


def _lines_before(chunk: bytes, record: int, quote: str | None) -> int:
    """Line feeds before a record (from 1). Its text may occur in others, so it is counted off."""
    mark = quote.encode() if quote else None
    open_quotes = 0
    for line, text in enumerate(chunk.split(b"\n")):
        if open_quotes == 0:
            record -= 1
            if record == 0:
                return line
        if mark:
            open_quotes = (open_quotes + text.count(mark)) % 2
    raise AssertionError("the record is one of the chunk")


def _truncated(values: object, size: int) -> object:
    """TRUNCATECOLUMNS: at most ``size`` bytes, never half a character."""
    import pyarrow as pa
    import pyarrow.compute as pc

    too_long = pc.greater(pc.binary_length(values), size)
    if not pc.any(too_long).as_py():
        return values
    cut = [
        None
        if value is None
        else value.encode()[:size].decode("utf-8", "ignore")
        if len(value.encode()) > size
        else value
        for value in values.to_pylist()  # type: ignore[attr-defined]
    ]
    return pa.array(cut, pa.string())
