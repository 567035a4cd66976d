"""COPY … FROM 's3://…': the statement, parsed and checked.

Options and their meaning: Redshift documentation, "COPY" (data format, data conversion, data load).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.ddl import column_list, qualified_name_end
from xacct_sandbox.redshift.sql.errors import SYNTAX_ERROR, RedshiftError, sandbox_lacks
from xacct_sandbox.redshift.sql.lexer import Token
from xacct_sandbox.redshift.sql.option_lists import (
    AUTHORIZATION,
    OptionReader,
    S3Location,
    authorization,
    s3_location,
)

CSV = "csv"
DELIMITED = "delimited"
JSON = "json"
PARQUET = "parquet"
MAX_ERRORS = 100_000


@dataclass(frozen=True)
class CopyStatement:
    """A COPY as it was asked for; None means the option was not given."""

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
}


def parse_copy(sql: str, tokens: list[Token]) -> CopyStatement:
    """Parse a COPY statement.

    Raises:
        RedshiftError: wrong, contradictory, or an option the sandbox lacks; it is named.
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
            "COPY … TO is not supported by Redshift", sqlstate="0A000", hint="Use UNLOAD."
        )
    reader.expect("FROM")
    if not reader.peek_is(lexer.STRING):
        raise RedshiftError(
            f"COPY … FROM {reader.peek() or '?'} is not supported by Redshift",
            sqlstate="0A000",
            hint="COPY loads from a quoted Amazon S3 location.",
        )
    values: dict[str, Any] = {
        "schema": names[-2] if len(names) > 1 else None,
        "table": names[-1],
        "columns": columns,
        "source": s3_location("COPY", reader.literal("the source")),
        "roles": None,
    }
    while not reader.done():
        _option(reader, values)
    if values["roles"] is None:
        raise RedshiftError(
            "COPY needs authorization", hint="Add IAM_ROLE 'arn:…' or IAM_ROLE default."
        )
    if values.get("format") == CSV:
        values.setdefault("delimiter", ",")
    return _checked(CopyStatement(**values))


def _option(reader: OptionReader, values: dict[str, Any]) -> None:
    token = reader.next()
    word = token.upper
    if word in _LACKING:
        raise sandbox_lacks(f"COPY option {word}", _LACKING[word])
    if word == "WITH" and reader.peek() not in ("CREDENTIALS", ""):
        return _option(reader, values)
    if word in AUTHORIZATION:
        values["roles"] = authorization(reader, word)
    elif word == "FORMAT":
        reader.accept("AS")
        _format(reader, values, reader.next().upper)
    elif word in ("CSV", "JSON", "PARQUET"):
        _format(reader, values, word)
    elif word == "QUOTE":
        values["quote"] = reader.one_character("QUOTE")
    elif word == "DELIMITER":
        values["delimiter"] = reader.one_character("DELIMITER")
    elif word == "NULL":
        values["null_as"] = reader.as_literal("NULL AS")
    elif word == "ESCAPE":
        values["escape"] = True
    elif word == "REMOVEQUOTES":
        values["remove_quotes"] = True
    elif word == "EMPTYASNULL":
        values["empty_as_null"] = True
    elif word == "BLANKSASNULL":
        values["blanks_as_null"] = True
    elif word == "TRIMBLANKS":
        values["trim_blanks"] = True
    elif word == "IGNOREBLANKLINES":
        values["ignore_blank_lines"] = True
    elif word == "IGNOREHEADER":
        reader.accept("AS")
        values["ignore_header"] = _whole(reader, "IGNOREHEADER", 0, 1 << 31)
    elif word in ("GZIP", "BZIP2", "ZSTD"):
        values["compression"] = word.lower()
    elif word == "MANIFEST":
        values["manifest"] = True
    elif word == "DATEFORMAT":
        values["date_format"] = reader.as_literal("DATEFORMAT")
    elif word == "TIMEFORMAT":
        values["time_format"] = reader.as_literal("TIMEFORMAT")
    elif word == "ACCEPTINVCHARS":
        reader.accept("AS")
        values["accept_invalid"] = (
            reader.literal("ACCEPTINVCHARS") if reader.peek_is(lexer.STRING) else "?"
        )
    elif word == "ACCEPTANYDATE":
        raise sandbox_lacks("COPY option ACCEPTANYDATE", "Clean the dates before the load.")
    elif word == "TRUNCATECOLUMNS":
        values["truncate_columns"] = True
    elif word == "MAXERROR":
        reader.accept("AS")
        values["max_errors"] = _whole(reader, "MAXERROR", 0, MAX_ERRORS)
    elif word == "EXPLICIT_IDS":
        values["explicit_ids"] = True
    elif word == "NOLOAD":
        values["no_load"] = True
    elif word == "REGION":
        values["region"] = reader.as_literal("REGION")
    elif word in ("COMPUPDATE", "STATUPDATE"):
        if word == "COMPUPDATE" and reader.accept("PRESET"):
            return
        reader.on_off()  # statistics and encodings change no answer
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


def _whole(reader: OptionReader, what: str, low: int, high: int) -> int:
    value = reader.number(what)
    if value != int(value) or not low <= value <= high:
        raise RedshiftError(
            f"COPY: {what} must be a whole number from {low} to {high}", sqlstate=SYNTAX_ERROR
        )
    return int(value)


def _checked(statement: CopyStatement) -> CopyStatement:
    given = statement
    if given.format == CSV:
        for option, present in (
            ("ESCAPE", given.escape),
            ("REMOVEQUOTES", given.remove_quotes),
        ):
            if present:
                raise RedshiftError(f"COPY: CSV is not compatible with {option}")
    if given.format == PARQUET:
        for option, present in (
            ("a compression option", given.compression),
            ("IGNOREHEADER", given.ignore_header),
            ("MAXERROR", given.max_errors),
            ("NULL AS", given.null_as),
            ("ACCEPTINVCHARS", given.accept_invalid),
            ("DATEFORMAT", given.date_format),
            ("TRUNCATECOLUMNS", given.truncate_columns),
        ):
            if present:
                raise RedshiftError(
                    f"COPY: {option} is not compatible with FORMAT PARQUET",
                    hint="COPY from columnar files takes no text options.",
                )
    if given.accept_invalid is not None and (
        len(given.accept_invalid) != 1 or ord(given.accept_invalid) > 127
    ):
        raise RedshiftError("COPY: ACCEPTINVCHARS takes a single ASCII character")
    for option, value in (("DATEFORMAT", given.date_format), ("TIMEFORMAT", given.time_format)):
        if value is not None and value.lower() not in ("auto", "yyyy-mm-dd"):
            if option == "TIMEFORMAT" and value.lower() in (
                "yyyy-mm-dd hh:mi:ss",
                "yyyy-mm-dd hh24:mi:ss",
            ):
                continue
            raise sandbox_lacks(
                f"COPY … {option} '{value}'", "Use 'auto', or write ISO dates (YYYY-MM-DD)."
            )
    if given.null_as == "\n":
        raise RedshiftError("COPY: NULL AS cannot be a line feed")
    return given
