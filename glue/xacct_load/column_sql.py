"""Spark SQL that validates a text as a value of a Redshift type.

A value is loaded only if nothing of it is lost:
    bigint, integer, smallint   digits with an optional sign, in range
    decimal(p,s)                plain digits; no more than s decimals (further zeros are allowed)
    real, double precision      digits, optional exponent; finite
    boolean                     true/false, t/f, yes/no, y/n, 1/0 in any case
    date                        YYYY-MM-DD
    timestamp                   YYYY-MM-DDThh:mm[:ss[.ffffff]][Z|+hh:mm|-hh:mm], or a blank for
                                the T; with an offset it is converted to UTC
    varchar(n)                  at most n bytes (not characters) of UTF-8, no NUL character; with
                                `TrailingBlanks.CUT`, blanks behind the n bytes are dropped
An empty field is NULL, a quoted empty field is the empty string.
"""

from __future__ import annotations

from dataclasses import dataclass

from xacct_assets.contract.column_types import ColumnType, TrailingBlanks

_INTEGERS = {"bigint": "BIGINT", "integer": "INT", "smallint": "SMALLINT"}
_FLOATS = {"double precision": "DOUBLE", "real": "FLOAT"}


@dataclass(frozen=True)
class ValueSql:
    """How a text is validated.

    Attributes:
        loaded: SQL for the text that COPY gets; NULL if the text is no value of the type.
        fault: why it is none, for the reject.
        special: a condition and its own fault, tested before `loaded`.
    """

    loaded: str
    fault: str
    special: tuple[str, str] | None = None


def value_sql(
    column_type: ColumnType, text: str, trailing_blanks: TrailingBlanks = TrailingBlanks.REJECT
) -> ValueSql:
    """The SQL that validates the SQL expression ``text`` as a value of the type."""
    name = column_type.name
    if name in _INTEGERS:
        return ValueSql(
            f"CASE WHEN {_matches(text, '[+-]?[0-9]+')} "
            f"THEN CAST(TRY_CAST({text} AS {_INTEGERS[name]}) AS STRING) END",
            f"not {'an' if name == 'integer' else 'a'} {name}",
        )
    if name == "decimal":
        return _decimal(column_type, text)
    if name in _FLOATS:
        return _float(name, text)
    if name == "boolean":
        return ValueSql(
            f"CASE WHEN LOWER({text}) IN ('true', 't', 'yes', 'y', '1') THEN 'true' "
            f"WHEN LOWER({text}) IN ('false', 'f', 'no', 'n', '0') THEN 'false' END",
            "not a boolean",
        )
    if name == "date":
        return ValueSql(
            f"CASE WHEN {_matches(text, '(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}')} "
            f"THEN CAST(TRY_CAST({text} AS DATE) AS STRING) END",
            "not a date",
        )
    if name == "timestamp":
        return _timestamp(text)
    return _varchar(column_type, text, trailing_blanks)


def _decimal(column_type: ColumnType, text: str) -> ValueSql:
    decimals = f"([.][0-9]{{0,{column_type.scale}}}0*)?"
    plain = f"[+-]?(?=[.]?[0-9])[0-9]*{decimals}"
    spark_type = f"DECIMAL({column_type.precision},{column_type.scale})"
    return ValueSql(
        f"CASE WHEN {_matches(text, plain)} "
        f"THEN CAST(TRY_CAST({text} AS {spark_type}) AS STRING) END",
        f"not a {column_type}",
    )


def _float(name: str, text: str) -> ValueSql:
    number = "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"
    cast = f"TRY_CAST({text} AS {_FLOATS[name]})"
    underflow = f"({cast} = 0 AND {_matches(text, '[^eE]*[1-9].*')})"
    return ValueSql(
        f"CASE WHEN {_matches(text, number)} AND ABS({cast}) < "
        f"CAST('Infinity' AS {_FLOATS[name]}) AND NOT {underflow} THEN {text} END",
        f"not a {name}",
    )


def _timestamp(text: str) -> ValueSql:
    time_of_day = "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6}0*)?)?"
    zone = "(Z|[+-][0-9]{2}:[0-9]{2})?"
    pattern = f"(?!0000)[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]{time_of_day}{zone}"
    in_utc = f"DATE_FORMAT(TRY_CAST({text} AS TIMESTAMP), 'yyyy-MM-dd HH:mm:ss.SSSSSS')"
    # An offset can lead out of the years 0001-9999; the text is then longer.
    return ValueSql(
        f"CASE WHEN {_matches(text, pattern)} AND LENGTH({in_utc}) = 26 THEN {in_utc} END",
        "not a timestamp",
    )


def _varchar(column_type: ColumnType, text: str, trailing_blanks: TrailingBlanks) -> ValueSql:
    length = column_type.length
    nul = f"CONTAINS({text}, CHR(0))"
    cut = ""
    if trailing_blanks is TrailingBlanks.CUT:
        # As Redshift does (its guide, "Significance of trailing blanks"): to n bytes, not to none.
        bare = f"RTRIM({text})"
        cut = (
            f"WHEN OCTET_LENGTH({bare}) <= {length} "
            f"THEN CONCAT({bare}, REPEAT(' ', {length} - OCTET_LENGTH({bare}))) "
        )
    return ValueSql(
        f"CASE WHEN {nul} THEN NULL WHEN OCTET_LENGTH({text}) <= {length} THEN {text} {cut}END",
        f"longer than {length} bytes",
        (nul, "holds a NUL character, which Redshift cannot"),
    )


def compared_sql(column_type: ColumnType, value: str) -> str:
    """SQL that is equal for two loaded values if and only if Redshift compares them as equal.

    Redshift ignores trailing blanks (U+0020 only, as Spark's RTRIM) when it compares texts (its
    guide, "Significance of trailing blanks"). The other types have one text for each value, but for
    floats.
    """
    if column_type.name == "varchar":
        return f"RTRIM({value})"
    if column_type.name in _FLOATS:
        return f"CAST({value} AS {_FLOATS[column_type.name]})"
    return value


def _matches(text: str, pattern: str) -> str:
    """SQL that is true if the whole text matches (``$`` would accept a final newline)."""
    return f"{text} RLIKE {sql_text(f'^(?:{pattern})' + chr(92) + 'z')}"


def sql_text(value: str) -> str:
    """A Spark SQL string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"
