"""UNLOAD ('select …') TO 's3://…': the statement, parsed and checked.

Options and their meaning: Redshift documentation, "UNLOAD".
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.ddl import column_list
from xacct_sandbox.redshift.sql.errors import SYNTAX_ERROR, RedshiftError, sandbox_lacks
from xacct_sandbox.redshift.sql.lexer import Token
from xacct_sandbox.redshift.sql.option_lists import (
    AUTHORIZATION,
    OptionReader,
    S3Location,
    authorization,
    s3_location,
)

TEXT = "text"
CSV = "csv"
JSON = "json"
PARQUET = "parquet"
MB = 1 << 20
GB = 1 << 30
DEFAULT_FILE_BYTES = int(6.2 * GB)
SMALLEST_FILE_BYTES = 5 * MB
DEFAULT_ROW_GROUP_BYTES = 32 * MB


@dataclass(frozen=True)
class UnloadStatement:
    """An UNLOAD as it was asked for."""

    query: str
    target: S3Location
    roles: tuple[str, ...] | str
    format: str = TEXT
    delimiter: str = "|"
    header: bool = False
    add_quotes: bool = False
    escape: bool = False
    null_as: str = ""
    compression: str | None = None
    parallel: bool = True
    max_file_bytes: int = DEFAULT_FILE_BYTES
    row_group_bytes: int = DEFAULT_ROW_GROUP_BYTES
    manifest: bool = False
    verbose: bool = False
    allow_overwrite: bool = False
    clean_path: bool = False
    partition_by: tuple[str, ...] = ()
    include: bool = False
    extension: str | None = None
    region: str | None = None


_LACKING = {
    "FIXEDWIDTH": "Use CSV.",
    "ENCRYPTED": "Use the bucket's default encryption, which needs no option.",
    "KMS_KEY_ID": "Use the bucket's default encryption, which needs no option.",
    "MASTER_SYMMETRIC_KEY": "Use the bucket's default encryption, which needs no option.",
    "BZIP2": "Compress with GZIP or ZSTD.",
}


def parse_unload(sql: str, tokens: list[Token]) -> UnloadStatement:
    """Parse an UNLOAD statement.

    Raises:
        RedshiftError: wrong, contradictory, or an option the sandbox lacks; it is named.
    """
    reader = OptionReader("UNLOAD", sql, tokens, 1)
    reader.expect("(")
    query = reader.literal("the query").strip().rstrip(";").strip()
    reader.expect(")")
    reader.expect("TO")
    values: dict[str, Any] = {
        "query": query,
        "target": s3_location("UNLOAD", reader.literal("the target")),
        "roles": None,
    }
    while not reader.done():
        _option(reader, values)
    if values["roles"] is None:
        raise RedshiftError(
            "UNLOAD needs authorization", hint="Add IAM_ROLE 'arn:…' or IAM_ROLE default."
        )
    if values.get("format") == CSV:
        values.setdefault("delimiter", ",")
    _check_query(query)
    return _checked(UnloadStatement(**values))


def _option(reader: OptionReader, values: dict[str, Any]) -> None:
    token = reader.next()
    word = token.upper
    if word in _LACKING:
        raise sandbox_lacks(f"UNLOAD option {word}", _LACKING[word])
    if word in AUTHORIZATION:
        values["roles"] = authorization(reader, word)
    elif word == "FORMAT":
        reader.accept("AS")
        _format(reader, values, reader.next())
    elif word in ("CSV", "PARQUET", "JSON", "TEXT"):
        _format(reader, values, token)
    elif word == "DELIMITER":
        values["delimiter"] = reader.one_character("DELIMITER")
    elif word == "HEADER":
        values["header"] = True
    elif word == "ADDQUOTES":
        values["add_quotes"] = True
    elif word == "ESCAPE":
        values["escape"] = True
    elif word == "NULL":
        values["null_as"] = reader.as_literal("NULL AS")
    elif word in ("GZIP", "ZSTD"):
        values["compression"] = word.lower()
    elif word == "PARALLEL":
        values["parallel"] = reader.on_off()
    elif word == "MAXFILESIZE":
        reader.accept("AS")
        values["max_file_bytes"] = _size(
            reader, "MAXFILESIZE", SMALLEST_FILE_BYTES, DEFAULT_FILE_BYTES
        )
    elif word == "ROWGROUPSIZE":
        reader.accept("AS")
        values["row_group_bytes"] = _size(reader, "ROWGROUPSIZE", 32 * MB, 128 * MB)
    elif word == "MANIFEST":
        values["manifest"] = True
        values["verbose"] = reader.accept("VERBOSE")
    elif word == "ALLOWOVERWRITE":
        values["allow_overwrite"] = True
    elif word == "CLEANPATH":
        values["clean_path"] = True
    elif word == "PARTITION":
        reader.expect("BY")
        names, reader.index = column_list(reader.tokens, reader.index)
        values["partition_by"] = tuple(names)
        values["include"] = reader.accept("INCLUDE")
    elif word == "EXTENSION":
        values["extension"] = reader.as_literal("EXTENSION")
    elif word == "REGION":
        values["region"] = reader.as_literal("REGION")
    else:
        raise reader.error(token.text)


def _format(reader: OptionReader, values: dict[str, Any], token: Token) -> None:
    formats = {"CSV": CSV, "PARQUET": PARQUET, "JSON": JSON, "TEXT": TEXT}
    if token.upper not in formats:
        raise sandbox_lacks(f"UNLOAD format {token.text}", "Use CSV, PARQUET, JSON or TEXT.")
    values["format"] = formats[token.upper]


def _size(reader: OptionReader, what: str, low: int, high: int) -> int:
    value = reader.number(what)
    unit = GB if reader.accept("GB") else MB
    if unit == MB:
        reader.accept("MB")
    size = int(value * unit)
    if not low <= size <= high:
        raise RedshiftError(
            f"UNLOAD: {what} must be between {low // MB} MB and {high / MB:.0f} MB",
            sqlstate=SYNTAX_ERROR,
        )
    return size


def _check_query(query: str) -> None:
    tokens = lexer.tokenize(query)
    if not tokens or tokens[0].upper not in ("SELECT", "WITH", "("):
        raise RedshiftError("UNLOAD: the query must be a SELECT statement", sqlstate=SYNTAX_ERROR)
    if any(token.text == ";" for token in tokens):
        raise RedshiftError("UNLOAD: the query must be a single statement", sqlstate=SYNTAX_ERROR)
    depth = 0
    for token in tokens:
        if token.text == "(":
            depth += 1
        elif token.text == ")":
            depth -= 1
        elif depth == 0 and token.upper in ("LIMIT", "TOP"):
            raise RedshiftError(
                f"{token.upper} clause is not supported in the outer SELECT of UNLOAD",
                sqlstate="0A000",
                hint="Put the limit into a subquery: SELECT * FROM (SELECT … LIMIT n).",
            )


def _checked(given: UnloadStatement) -> UnloadStatement:
    if given.allow_overwrite and given.clean_path:
        raise RedshiftError("UNLOAD: CLEANPATH and ALLOWOVERWRITE cannot be used together")
    for option, present, formats in (
        ("HEADER", given.header, (PARQUET, JSON)),
        ("ADDQUOTES", given.add_quotes, (CSV, PARQUET, JSON)),
        ("ESCAPE", given.escape, (CSV, PARQUET, JSON)),
        ("NULL AS", given.null_as, (PARQUET, JSON)),
        ("DELIMITER", given.delimiter not in ("|", ","), (PARQUET, JSON)),
        ("GZIP/ZSTD", given.compression, (PARQUET,)),
    ):
        if present and given.format in formats:
            raise RedshiftError(
                f"UNLOAD: {option} is not supported with FORMAT {given.format.upper()}"
            )
    if given.include and not given.partition_by:
        raise RedshiftError("UNLOAD: INCLUDE needs PARTITION BY")
    return given
