"""How the fields of one COPY are read: its target columns, its options, and PostgreSQL's COPY.

Redshift (documentation of COPY, "Data conversion parameters"): an empty field of a CHAR or VARCHAR
column is an empty string, of any other column NULL. EMPTYASNULL makes it NULL in every column, and
the text of NULL AS (default \\N) is NULL in every column.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from enum import Enum

from xacct_sandbox.redshift.copy.options import CopyStatement
from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.option_lists import CSV

# Quote character of formats that have none: a control character no text field should hold.
NO_QUOTE = "\x01"
DEFAULT_NULL = "\\N"


@dataclass(frozen=True)
class Column:
    """A target column of a COPY.

    Attributes:
        number: PostgreSQL's ``attnum``.
        type_name: The type as PostgreSQL formats it, without its length.
        length: Bytes, of VARCHAR and CHAR.
        identity: PostgreSQL's ``attidentity``: ``a`` always, ``d`` by default, empty for others.
    """

    name: str
    number: int
    type_name: str
    length: int | None
    not_null: bool
    identity: str

    @property
    def is_text(self) -> bool:
        return self.type_name in ("character varying", "character", "text")


class Form(Enum):
    """Which unquoted fields of a piece are NULL; PostgreSQL's COPY gets options to match."""

    MARKED = "the NULL marker, in every column; there are no empty fields, or they are texts"
    EMPTY = "an empty field, except in a text column; the marker does not occur"


@dataclass(frozen=True)
class Piece:
    """Whole records of one object, ready for PostgreSQL.

    Attributes:
        lines: Line feeds in ``data``.
        size: Bytes that the records take in the file.
        raw_lines: Line feeds that the records have in the file.
    """

    data: bytes
    lines: int
    size: int
    raw_lines: int
    form: Form = Form.MARKED


@functools.cache
def _finder(text: str) -> re.Pattern[bytes]:
    """A search for a literal text. ``re`` is twice as fast as ``in``."""
    return re.compile(re.escape(text.encode()))


_DEFAULT_NULL = _finder(DEFAULT_NULL)


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
        """The quote character for PostgreSQL; ``NO_QUOTE`` for formats without quotes."""
        if self.statement.format == CSV:
            return self.statement.quote
        return '"' if self.statement.remove_quotes else NO_QUOTE

    @property
    def null(self) -> str:
        """The unquoted field that PostgreSQL reads as NULL."""
        statement = self.statement
        if statement.null_as is not None:
            return statement.null_as
        return "" if statement.empty_as_null else DEFAULT_NULL

    def copy_sql(self, form: Form) -> str:
        """PostgreSQL's COPY for the pieces of one form."""
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
        """The form in which PostgreSQL reads this chunk as Redshift would.

        Returns:
            None if there is none: the fields must be converted.
        """
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
            return (
                None if statement.null_as is None and _DEFAULT_NULL.search(chunk) else Form.MARKED
            )
        if not statement.empty_as_null:
            if all(column.is_text for column in self.columns):
                return Form.MARKED
            if _finder(self.null).search(chunk) is None:
                return Form.EMPTY
        return None if self._holds_empty_fields(chunk) else Form.MARKED

    def _holds_empty_fields(self, chunk: bytes) -> bool:
        # An empty field: two ends of fields side by side, after an even number of quotes.
        # This runs over every chunk that holds the NULL marker, so it uses functions in C only.
        delimiter, mark = self.delimiter.encode(), self.quote.encode()
        ends = chunk.translate(bytes.maketrans(b"\n", delimiter))
        if ends.startswith(delimiter):
            return True
        counted_to = quotes = 0
        for found in _finder(self.delimiter * 2).finditer(ends):
            quotes += chunk.count(mark, counted_to, found.start())
            counted_to = found.start()
            if quotes % 2 == 0:
                return True
        return False
