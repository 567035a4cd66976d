"""The records of delimited and CSV files, as pieces that PostgreSQL's COPY reads.

Most chunks go to PostgreSQL as they are: with the options of their ``Form``, its CSV reader
understands the fields as Redshift does. The others are converted (``conversion``).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from xacct_sandbox.redshift.copy.conversion import transformed
from xacct_sandbox.redshift.copy.record_cutting import (
    plain_line_feeds,
    valid_utf8,
    whole_records,
    without_blank_lines,
)
from xacct_sandbox.redshift.copy.rules import NO_QUOTE, Form, Piece, Rules
from xacct_sandbox.redshift.sql.errors import FEATURE_NOT_SUPPORTED, RedshiftError


def pieces(chunks: Iterable[bytes], rules: Rules) -> Iterator[Piece]:
    """The records of a delimited or CSV file.

    Raises:
        FieldCountError: A record of a converted chunk has too few or too many fields.
    """
    statement = rules.statement
    quote = rules.quote if rules.quote != NO_QUOTE else None
    for raw in whole_records(chunks, quote, statement.ignore_header):
        data = raw
        if statement.accept_invalid is not None:
            data = valid_utf8(data, statement.accept_invalid)
        data = plain_line_feeds(data, rules.quote)
        if statement.ignore_blank_lines and (b"\n\n" in data or data.startswith(b"\n")):
            data = without_blank_lines(data, rules.quote)
        if quote is None and NO_QUOTE.encode() in data:
            raise RedshiftError(
                "COPY: control character 0x01 in delimited text is not supported by the sandbox",
                sqlstate=FEATURE_NOT_SUPPORTED,
                hint="Load the file as CSV.",
            )
        form = rules.form_of(data)
        if data and form is None:
            data = transformed(data, rules)
        if data:
            lines = data.count(b"\n")
            raw_lines = lines if data is raw else raw.count(b"\n")
            yield Piece(data, lines, len(raw), raw_lines, form or Form.MARKED)
