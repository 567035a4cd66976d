"""Chunks whose fields PostgreSQL would read otherwise than Redshift, converted with Arrow.

Conversion works column by column, never row by row.
"""

from __future__ import annotations

from typing import Any

from xacct_sandbox.redshift.copy.rules import DEFAULT_NULL, NO_QUOTE, Rules


class FieldCountError(Exception):
    """A record has too few or too many fields.

    Attributes:
        text: The record.
        line: Line feeds of the chunk before the record.
    """

    def __init__(self, text: str, expected: int, found: int, line: int) -> None:
        super().__init__(f"expected {expected} fields, found {found}")
        self.text = text
        self.expected = expected
        self.found = found
        self.line = line


def transformed(chunk: bytes, rules: Rules) -> bytes:
    """The chunk with every field either quoted or the NULL marker, as ``Form.MARKED`` wants it.

    Raises:
        FieldCountError: A record has too few or too many fields.
    """
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


def to_copy_text(texts: list[Any], rules: Rules) -> bytes:
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
    text: bytes = joined[0].as_buffer().to_pybytes()
    return text + b"\n"


def _parse(chunk: bytes, rules: Rules, null_values: list[str]) -> Any:
    """The chunk as a table of strings."""
    import pyarrow as pa
    from pyarrow import csv

    invalid: list[csv.InvalidRow] = []

    def skip(row: csv.InvalidRow) -> str:
        invalid.append(row)
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
            invalid_row_handler=skip,
        ),
        convert_options=csv.ConvertOptions(
            column_types=dict.fromkeys(names, pa.string()),
            null_values=null_values,
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
            check_utf8=False,
        ),
    )
    if invalid:
        row = invalid[0]
        line = _lines_before(chunk, row.number, None if quote is False else rules.quote)
        raise FieldCountError(row.text, row.expected_columns, row.actual_columns, line)
    return table


def _lines_before(chunk: bytes, record: int, quote: str | None) -> int:
    """Line feeds before a record, whose number counts from 1."""
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


def _truncated(values: Any, size: int) -> Any:
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
        for value in values.to_pylist()
    ]
    return pa.array(cut, pa.string())
