"""COPY … FROM 's3://…': the statement, parsed and checked.

Options: Redshift documentation, "COPY" (data format, data conversion, data load operations).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.errors import (
    FEATURE_NOT_SUPPORTED,
    SYNTAX_ERROR,
    RedshiftError,
    sandbox_lacks,
)
from xacct_sandbox.redshift.sql.lexer import Token, column_list, qualified_name_end
from xacct_sandbox.redshift.sql.option_lists import (
    CSV,
    JSON,
    PARQUET,
    OptionReader,
    OptionTable,
    S3Location,
    first_given,
    s3_location,
)

DELIMITED = "delimited"
MAX_ERRORS = 100_000


@dataclass(frozen=True)
class CopyStatement:
    """A COPY. None: the option was not given."""

    schema: str | None
    table: str
    columns: tuple[str, ...] | None
    source: S3Location
    roles: tuple[str, ...] | str
    format: str = DELIMITED
    delimiter: str = "|"
    quote: str = '"'
    null_as: str | None = None
    escape: bool = False
    remove_quotes: bool = False
    empty_as_null: bool = False
    blanks_as_null: bool = False
    trim_blanks: bool = False
    ignore_blank_lines: bool = False
    ignore_header: int = 0
    compression: str | None = None
    manifest: bool = False
    date_format: str | None = None
    time_format: str | None = None
    accept_invalid: str | None = None
    truncate_columns: bool = False
    max_errors: int = 0
    explicit_ids: bool = False
    json_auto: str = "auto"
    no_load: bool = False
    region: str | None = None

    @property
    def qualified(self) -> str:
        """The table's name, quoted for SQL."""
        name = lexer.quote_name(self.table)
        return name if self.schema is None else f"{lexer.quote_name(self.schema)}.{name}"


_LACKING = {
    "AVRO": "Convert the files to CSV or Parquet.",
    "ORC": "Convert the files to Parquet.",
    "SHAPEFILE": "Convert the files to CSV.",
    "FIXEDWIDTH": "Convert the files to CSV.",
    "LZOP": "Compress with GZIP, BZIP2 or ZSTD.",
    "ENCRYPTED": "Use server-side encryption, which needs no option.",
    "SSH": "Load from S3.",
    "READRATIO": "It belongs to DynamoDB; load from S3.",
    "MASTER_SYMMETRIC_KEY": "Use server-side encryption, which needs no option.",
    "ENCODING": "Convert the files to UTF-8.",
    "SIMPLIFY": "It belongs to SHAPEFILE.",
    "FILLRECORD": "Write every record with all its fields.",
    "ROUNDEC": "Decimals are rounded as without it.",
    "SERIALIZETOJSON": "Flatten nested columns before the load.",
    "JOB": "Run COPY itself.",
    "ACCEPTANYDATE": "Clean the dates before the load.",
}
_OPTIONS = OptionTable(
    "COPY",
    lacking=_LACKING,
    flags={
        "ESCAPE": "escape",
        "REMOVEQUOTES": "remove_quotes",
        "EMPTYASNULL": "empty_as_null",
        "BLANKSASNULL": "blanks_as_null",
        "TRIMBLANKS": "trim_blanks",
        "IGNOREBLANKLINES": "ignore_blank_lines",
        "MANIFEST": "manifest",
        "TRUNCATECOLUMNS": "truncate_columns",
        "EXPLICIT_IDS": "explicit_ids",
        "NOLOAD": "no_load",
    },
    literals={
        "NULL": "null_as",
        "DATEFORMAT": "date_format",
        "TIMEFORMAT": "time_format",
        "REGION": "region",
    },
    characters={"QUOTE": "quote", "DELIMITER": "delimiter"},
    compressions=frozenset({"GZIP", "BZIP2", "ZSTD"}),
)


def parse_copy(sql: str, tokens: list[Token]) -> CopyStatement:
    """Parse a COPY statement.

    Raises:
        RedshiftError: It is wrong, or an option is not supported; the option is named.
    """
    index = qualified_name_end(tokens, 1)
    names = [token.name for token in tokens[1:index] if token.is_name()]
    columns: tuple[str, ...] | None = None
    if index < len(tokens) and tokens[index].text == "(":
        listed, index = column_list(tokens, index)
        columns = tuple(listed)
    reader = OptionReader("COPY", sql, tokens, index)
    if reader.peek() == "TO":
        raise RedshiftError(
            "COPY … TO is not supported by Redshift",
            sqlstate=FEATURE_NOT_SUPPORTED,
            hint="Use UNLOAD.",
        )
    reader.expect("FROM")
    if not reader.peek_is(lexer.STRING):
        raise RedshiftError(
            f"COPY … FROM {reader.peek() or '?'} is not supported by Redshift",
            sqlstate=FEATURE_NOT_SUPPORTED,
            hint="COPY loads from a quoted Amazon S3 location.",
        )
    values: dict[str, Any] = {
        "schema": names[-2] if len(names) > 1 else None,
        "table": names[-1],
        "columns": columns,
        "source": s3_location("COPY", reader.literal("the source")),
    }
    while not reader.done():
        _option(reader, values)
    return _checked(CopyStatement(**_OPTIONS.complete(values)))


def _option(reader: OptionReader, values: dict[str, Any]) -> None:
    token = reader.next()
    word = token.upper
    if word == "WITH" and reader.peek() not in ("CREDENTIALS", ""):
        _option(reader, values)
    elif _OPTIONS.read(reader, word, values):
        return
    elif word == "FORMAT":
        reader.accept("AS")
        _format(reader, values, reader.next().upper)
    elif word in ("CSV", "JSON", "PARQUET"):
        _format(reader, values, word)
    elif word == "IGNOREHEADER":
        values["ignore_header"] = _whole_number(reader, word, 1 << 31)
    elif word == "MAXERROR":
        values["max_errors"] = _whole_number(reader, word, MAX_ERRORS)
    elif word == "ACCEPTINVCHARS":
        reader.accept("AS")
        values["accept_invalid"] = reader.literal(word) if reader.peek_is(lexer.STRING) else "?"
    elif word in ("COMPUPDATE", "STATUPDATE"):
        # Statistics and encodings change no answer.
        if not (word == "COMPUPDATE" and reader.accept("PRESET")):
            reader.on_off()
    elif word == "COMPROWS":
        reader.number("COMPROWS")
    else:
        raise reader.error(token.text)


def _format(reader: OptionReader, values: dict[str, Any], word: str) -> None:
    if word == "CSV":
        values["format"] = CSV
    elif word == "PARQUET":
        values["format"] = PARQUET
    elif word == "JSON":
        values["format"] = JSON
        reader.accept("AS")
        mode = reader.literal("JSON") if reader.peek_is(lexer.STRING) else "auto"
        if mode not in ("auto", "auto ignorecase"):
            raise sandbox_lacks(
                f"COPY … JSON '{mode}'", "Use 'auto' or 'auto ignorecase' (no jsonpaths file)."
            )
        values["json_auto"] = mode
    elif word == "DELIMITER":
        values["delimiter"] = reader.one_character("DELIMITER")
    elif word in _LACKING:
        raise sandbox_lacks(f"COPY format {word}", _LACKING[word])
    else:
        raise reader.error(word)


def _whole_number(reader: OptionReader, option: str, highest: int) -> int:
    reader.accept("AS")
    value = reader.number(option)
    if value != int(value) or not 0 <= value <= highest:
        raise RedshiftError(
            f"COPY: {option} must be a whole number from 0 to {highest}", sqlstate=SYNTAX_ERROR
        )
    return int(value)


def _checked(given: CopyStatement) -> CopyStatement:
    """The statement, if its options go together and the sandbox has their values.

    Raises:
        RedshiftError: They do not, or it does not.
    """
    if given.format == CSV:
        option = first_given({"ESCAPE": given.escape, "REMOVEQUOTES": given.remove_quotes})
        if option is not None:
            raise RedshiftError(f"COPY: CSV is not compatible with {option}")
    if given.format == PARQUET:
        option = first_given(
            {
                "a compression option": given.compression,
                "IGNOREHEADER": given.ignore_header,
                "MAXERROR": given.max_errors,
                "NULL AS": given.null_as,
                "ACCEPTINVCHARS": given.accept_invalid,
                "DATEFORMAT": given.date_format,
                "TRUNCATECOLUMNS": given.truncate_columns,
            }
        )
        if option is not None:
            raise RedshiftError(
                f"COPY: {option} is not compatible with FORMAT PARQUET",
                hint="COPY from columnar files takes no text options.",
            )
    if given.accept_invalid is not None and (
        len(given.accept_invalid) != 1 or ord(given.accept_invalid) > 127
    ):
        raise RedshiftError("COPY: ACCEPTINVCHARS takes a single ASCII character")
    _check_date_format("DATEFORMAT", given.date_format, _ISO_DATES)
    _check_date_format("TIMEFORMAT", given.time_format, _ISO_DATES | _ISO_TIMES)
    if given.null_as == "\n":
        raise RedshiftError("COPY: NULL AS cannot be a line feed")
    return given


_ISO_DATES = frozenset({"auto", "yyyy-mm-dd"})
_ISO_TIMES = frozenset({"yyyy-mm-dd hh:mi:ss", "yyyy-mm-dd hh24:mi:ss"})


def _check_date_format(option: str, value: str | None, allowed: frozenset[str]) -> None:
    if value is not None and value.lower() not in allowed:
        raise sandbox_lacks(
            f"COPY … {option} '{value}'", "Use 'auto', or write ISO dates (YYYY-MM-DD)."
        )
