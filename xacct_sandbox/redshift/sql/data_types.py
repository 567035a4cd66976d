"""Redshift's data types as PostgreSQL's, and the types that are refused."""

from __future__ import annotations

from xacct_sandbox.redshift.sql import lexer
from xacct_sandbox.redshift.sql.errors import (
    SYNTAX_ERROR,
    RedshiftError,
    not_supported,
    sandbox_lacks,
)
from xacct_sandbox.redshift.sql.lexer import Token, word_at

MAX_VARCHAR = 65535
MAX_CHAR = 4096
MAX_PRECISION = 38
INVALID_LENGTH = "22023"

_POSTGRESQL_TYPES = {
    "JSON": "SUPER",
    "JSONB": "SUPER",
    "UUID": "VARCHAR(36)",
    "BYTEA": "VARBYTE",
    "SERIAL": "BIGINT IDENTITY(1, 1)",
    "BIGSERIAL": "BIGINT IDENTITY(1, 1)",
    "SMALLSERIAL": "INTEGER IDENTITY(1, 1)",
    "MONEY": "DECIMAL",
    "INET": "VARCHAR",
    "CIDR": "VARCHAR",
    "XML": "VARCHAR",
    "HSTORE": "SUPER",
    "CITEXT": "VARCHAR",
}
_LACKING_TYPES = {"VARBYTE", "VARBINARY", "HLLSKETCH", "GEOMETRY", "GEOGRAPHY"}


def type_edit(tokens: list[Token], index: int, *, column: bool) -> tuple[int, str] | None:
    """The type at ``index`` as PostgreSQL writes it.

    Args:
        column: In a column definition, where a type without a length has Redshift's default.

    Returns:
        The number of tokens it takes and PostgreSQL's text; None if the text stays as it is.

    Raises:
        RedshiftError: Redshift or the sandbox does not have the type.
    """
    word = tokens[index].upper
    if tokens[index].kind != lexer.WORD:
        return None
    if word in _POSTGRESQL_TYPES:
        raise not_supported(f"type {word}", f"Use {_POSTGRESQL_TYPES[word]}.")
    if word in _LACKING_TYPES:
        raise sandbox_lacks(f"type {word}", "Leave the column out, or keep it as VARCHAR.")
    used = 1
    name = word
    if word == "CHARACTER" and word_at(tokens, index + 1) == "VARYING":
        name, used = "VARCHAR", 2
    elif word == "BINARY" and word_at(tokens, index + 1) == "VARYING":
        raise sandbox_lacks("type VARBYTE", "Leave the column out, or keep it as VARCHAR.")
    elif word == "NVARCHAR":
        name = "VARCHAR"
    elif word in ("NCHAR", "CHARACTER"):
        name = "CHAR"
    if word_at(tokens, index + used) == "[":
        raise not_supported("an array type", "Use SUPER.")
    if name == "SUPER":
        return used, "jsonb"
    if name in ("TEXT", "BPCHAR") and column:
        _no_length(tokens, index + used, name)
        return used, "varchar(256)" if name == "TEXT" else "char(256)"
    if name in ("VARCHAR", "CHAR"):
        return _character_type(tokens, index, used, name, column=column)
    if name in ("DECIMAL", "NUMERIC", "DEC"):
        return _decimal_type(tokens, index, used)
    return None


def _character_type(
    tokens: list[Token], index: int, used: int, name: str, *, column: bool
) -> tuple[int, str] | None:
    largest = MAX_VARCHAR if name == "VARCHAR" else MAX_CHAR
    if word_at(tokens, index + used) != "(":
        if not column:
            return (used, name.lower()) if tokens[index].upper != name else None
        return used, "varchar(256)" if name == "VARCHAR" else "char(1)"
    close = lexer.closing(tokens, index + used)
    length = tokens[index + used + 1]
    size = largest if length.upper == "MAX" else None
    if size is None:
        if length.kind != lexer.NUMBER or close != index + used + 2:
            return None
        size = int(length.text)
    if size > largest:
        raise RedshiftError(
            f"length for type {name.lower()} cannot exceed {largest}", sqlstate=INVALID_LENGTH
        )
    return close - index + 1, f"{name.lower()}({size})"


def _decimal_type(tokens: list[Token], index: int, used: int) -> tuple[int, str] | None:
    if word_at(tokens, index + used) != "(":
        return used, "numeric(18, 0)"  # Redshift's default; PostgreSQL's has no limit
    precision = tokens[index + used + 1]
    if precision.kind == lexer.NUMBER and int(precision.text) > MAX_PRECISION:
        raise RedshiftError(
            f"DECIMAL precision {precision.text} must be between 1 and {MAX_PRECISION}",
            sqlstate=INVALID_LENGTH,
        )
    return None


def _no_length(tokens: list[Token], index: int, name: str) -> None:
    if word_at(tokens, index) == "(":
        raise RedshiftError(f"type {name} takes no length: use VARCHAR(n)", sqlstate=SYNTAX_ERROR)
