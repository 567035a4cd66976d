"""UNLOAD ('select …') TO 's3://…': the statement, parsed and checked.

Options: Redshift documentation, "UNLOAD".
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
from xacct_sandbox.redshift.sql.lexer import Token, column_list
from xacct_sandbox.redshift.sql.option_lists import (
    CSV,
    JSON,
    PARQUET,
    OptionReader,
    OptionTable,
    S3Location,
    s3_location,
)

TEXT = "text"
MB = 1 << 20
GB = 1 << 30
DEFAULT_FILE_BYTES = int(6.2 * GB)
SMALLEST_FILE_BYTES = 5 * MB
DEFAULT_ROW_GROUP_BYTES = 32 * MB
LARGEST_ROW_GROUP_BYTES = 128 * MB


@dataclass(frozen=True)
class UnloadStatement:
    """An UNLOAD. None: the option was not given."""

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
    kms_key_id: str | None = None
    encrypted: bool = False

    @property
    def encryption(self) -> dict[str, str]:
        """How S3 is asked to encrypt the files.

        Without KMS_KEY_ID with S3's own keys, whatever the bucket's default is ("Unloading
        encrypted data files").
        """
        if self.kms_key_id is None:
            return {"ServerSideEncryption": "AES256"}
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key_id}


_LACKING = {
    "FIXEDWIDTH": "Use CSV.",
    "MASTER_SYMMETRIC_KEY": "Use KMS_KEY_ID and ENCRYPTED, or neither.",
    "BZIP2": "Compress with GZIP or ZSTD.",
}
_OPTIONS = OptionTable(
    "UNLOAD",
    lacking=_LACKING,
    flags={
        "HEADER": "header",
        "ADDQUOTES": "add_quotes",
        "ESCAPE": "escape",
        "ALLOWOVERWRITE": "allow_overwrite",
        "CLEANPATH": "clean_path",
        "ENCRYPTED": "encrypted",
    },
    literals={
        "NULL": "null_as",
        "EXTENSION": "extension",
        "REGION": "region",
        "KMS_KEY_ID": "kms_key_id",
    },
    characters={"DELIMITER": "delimiter"},
    compressions=frozenset({"GZIP", "ZSTD"}),
)
_FORMATS = {"CSV": CSV, "PARQUET": PARQUET, "JSON": JSON, "TEXT": TEXT}


def parse_unload(sql: str, tokens: list[Token]) -> UnloadStatement:
    """Parse an UNLOAD statement.

    Raises:
        RedshiftError: It is wrong, or an option is not supported; the option is named.
    """
    reader = OptionReader("UNLOAD", sql, tokens, 1)
    reader.expect("(")
    query = reader.literal("the query").strip().rstrip(";").strip()
    reader.expect(")")
    reader.expect("TO")
    target = s3_location("UNLOAD", reader.literal("the target"))
    values: dict[str, Any] = {"query": query, "target": target}
    while not reader.done():
        _option(reader, values)
    values = _OPTIONS.complete(values)
    _check_query(query)
    return _checked(UnloadStatement(**values))


def _option(reader: OptionReader, values: dict[str, Any]) -> None:
    token = reader.next()
    word = token.upper
    if _OPTIONS.read(reader, word, values):
        return
    if word == "FORMAT":
        reader.accept("AS")
        _format(values, reader.next())
    elif word in _FORMATS:
        _format(values, token)
    elif word == "PARALLEL":
        values["parallel"] = reader.on_off()
    elif word == "MAXFILESIZE":
        values["max_file_bytes"] = _size(reader, word, SMALLEST_FILE_BYTES, DEFAULT_FILE_BYTES)
    elif word == "ROWGROUPSIZE":
        smallest, largest = DEFAULT_ROW_GROUP_BYTES, LARGEST_ROW_GROUP_BYTES
        values["row_group_bytes"] = _size(reader, word, smallest, largest)
    elif word == "MANIFEST":
        values["manifest"] = True
        values["verbose"] = reader.accept("VERBOSE")
    elif word == "PARTITION":
        reader.expect("BY")
        names, reader.index = column_list(reader.tokens, reader.index)
        values["partition_by"] = tuple(names)
        values["include"] = reader.accept("INCLUDE")
    else:
        raise reader.error(token.text)


def _format(values: dict[str, Any], token: Token) -> None:
    if token.upper not in _FORMATS:
        raise sandbox_lacks(f"UNLOAD format {token.text}", "Use CSV, PARQUET, JSON or TEXT.")
    values["format"] = _FORMATS[token.upper]


def _size(reader: OptionReader, option: str, low: int, high: int) -> int:
    """A size in bytes; MB is the default unit."""
    reader.accept("AS")
    value = reader.number(option)
    unit = GB if reader.accept("GB") else MB
    if unit == MB:
        reader.accept("MB")
    size = int(value * unit)
    if not low <= size <= high:
        raise RedshiftError(
            f"UNLOAD: {option} must be between {low // MB} MB and {high / MB:.0f} MB",
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
                sqlstate=FEATURE_NOT_SUPPORTED,
                hint="Put the limit into a subquery: SELECT * FROM (SELECT … LIMIT n).",
            )


def _checked(given: UnloadStatement) -> UnloadStatement:
    if given.allow_overwrite and given.clean_path:
        raise RedshiftError("UNLOAD: CLEANPATH and ALLOWOVERWRITE cannot be used together")
    if given.encrypted != (given.kms_key_id is not None):
        raise RedshiftError(
            "UNLOAD: ENCRYPTED and KMS_KEY_ID belong together",
            sqlstate=SYNTAX_ERROR,
            hint="The sandbox supports KMS_KEY_ID 'key' ENCRYPTED, without AUTO and without a key"
            " of the client.",
        )
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
