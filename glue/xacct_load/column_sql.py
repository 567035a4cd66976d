"""Spark SQL that validates a text as a value of a feed's column.

A value is loaded only if nothing of it is lost:
    bigint, integer, smallint   digits with an optional sign, in range
    decimal(p,s)                plain digits; no more than s decimals (further zeros are allowed)
    real, double precision      digits, optional exponent; finite
    boolean                     true/false, t/f, yes/no, y/n, 1/0 in any case
    date                        YYYY-MM-DD
    time                        hh:mm[:ss[.ffffff]]
    timestamp, timestamptz      YYYY-MM-DDThh:mm[:ss[.ffffff]][Z|+hh:mm|-hh:mm], or a blank for
                                the T; converted to UTC, in which they are without an offset
    varchar(n)                  at most n bytes (not characters) of UTF-8, no NUL character; with
                                `TrailingBlanks.CUT`, blanks behind the n bytes are dropped
    char(n)                     as varchar(n), and ASCII (Redshift's guide, "Character types": CHAR
                                columns can only contain single-byte characters)
    super                       JSON (its guide, "Using COPY to load data into SUPER columns": in
                                text and CSV, SUPER is serialized JSON)
With a `format`, numbers, dates and times are first brought into this form (`format_sql`). An empty
field is NULL, a quoted empty field is the empty string.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from xacct_assets.contract.column_types import ColumnType, TrailingBlanks
from xacct_assets.contract.load_request import FeedColumn
from xacct_assets.contract.value_formats import NUMBERS, MomentFormat, NumberFormat
from xacct_load.format_sql import plain_moment, plain_number
from xacct_load.sql_texts import matches as _matches
from xacct_load.sql_texts import part, sql_text

_INTEGERS = {"bigint": "BIGINT", "integer": "INT", "smallint": "SMALLINT"}
_FLOATS = {"double precision": "DOUBLE", "real": "FLOAT"}
_DATE = "(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}"
_TIME_OF_DAY = "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6}0*)?)?"


#: What a value begins and ends with that `trim` drops, as a class of a regular expression.
_BLANK = "[\\s\\p{Z}\ufeff]"


@dataclass(frozen=True)
class ValueSql:
    """How a text is validated.

    Attributes:
        loaded: SQL for the text that COPY gets; NULL if the text is no value of the type.
        fault: why it is none, for the reject.
        special: conditions and faults of their own of texts that are no values.
        text: SQL of the text that is validated: NULL where it means NULL.
    """

    loaded: str
    fault: str
    special: tuple[tuple[str, str], ...] = ()
    text: str = ""


def column_value_sql(
    column: FeedColumn, text: str, trailing_blanks: TrailingBlanks = TrailingBlanks.REJECT
) -> ValueSql:
    """The SQL that validates the SQL expression ``text``, a field of a file, as a column's value.

    `loaded` is NULL for a NULL, unless the column has a default.
    """
    if column.trim:
        text = f"NULLIF({trimmed(text)}, '')"
    if column.null_values:
        values = ", ".join(map(sql_text, column.null_values))
        text = f"CASE WHEN {text} IN ({values}) THEN NULL ELSE {text} END"
    sql = _formatted(column, text, trailing_blanks)
    loaded = sql.loaded
    if column.default is not None:
        loaded = f"CASE WHEN {text} IS NULL THEN {sql_text(column.default)} ELSE {loaded} END"
    return replace(sql, loaded=loaded, text=text)


def trimmed(text: str) -> str:
    """SQL of a text without blanks at both ends."""
    edges = sql_text(f"^{_BLANK}+|{_BLANK}+$")
    return f"REGEXP_REPLACE({text}, {edges}, '')"


def _formatted(column: FeedColumn, text: str, trailing_blanks: TrailingBlanks) -> ValueSql:
    """The SQL for a text as the column's format has it."""
    kind = column.type
    if column.format is None:
        return value_sql(kind, text, trailing_blanks)
    if kind.name in NUMBERS:
        plain = plain_number(
            NumberFormat.parse(column.format, kind), text, is_whole=kind.name in _INTEGERS
        )
        found = value_sql(kind, plain)
        return replace(found, fault=f"{found.fault} as {column.format!r}")
    found = _moment(kind.name, plain_moment(MomentFormat.parse(column.format, kind), text))
    return replace(found, fault=f"{found.fault} as {column.format}")


def _moment(name: str, plain: str) -> ValueSql:
    """The SQL for a text that `plain_moment` has made, or that is written as SQL does."""
    if name == "date":
        return ValueSql(f"CAST(TRY_CAST({plain} AS DATE) AS STRING)", "not a date")
    # COPY would take a timestamptz without an offset in the zone of its session.
    written = {"time": "HH:mm:ss.SSSSSS", "timestamptz": "yyyy-MM-dd HH:mm:ss.SSSSSSx"}
    pattern = written.get(name, "yyyy-MM-dd HH:mm:ss.SSSSSS")
    in_utc = f"DATE_FORMAT(TRY_CAST({plain} AS TIMESTAMP), '{pattern}')"
    # An offset can lead out of the years 0001-9999; the text may then be longer. (x gives +00.)
    length = {"time": 15, "timestamptz": 29}.get(name, 26)
    is_inside = _matches(in_utc, f"(?!0000).{{{length}}}")
    return ValueSql(f"CASE WHEN {is_inside} THEN {in_utc} END", f"not a {name}")


def value_sql(
    column_type: ColumnType, text: str, trailing_blanks: TrailingBlanks = TrailingBlanks.REJECT
) -> ValueSql:
    """The SQL that validates the SQL expression ``text`` as a value of the type."""
    name = column_type.name
    if name in _INTEGERS:
        return ValueSql(
            _cast(text, _INTEGERS[name], "[+-]?[0-9]+"),
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
        # Spark writes years that COPY does not take as 0000 or with a sign.
        return ValueSql(
            _cast(text, "DATE", _DATE, canonical=f"{text} >= '0001'"),
            "not a date",
        )
    if name == "time":
        return _time(text)
    if name in ("timestamp", "timestamptz"):
        return _timestamp(name, text)
    if name == "super":
        return _super(text)
    return _varchar(column_type, text, trailing_blanks)


def _cast(text: str, spark_type: str, pattern: str, *, canonical: str = "") -> str:
    """SQL that casts a text that matches the pattern, and writes it as Spark does.

    A text that Spark writes in the same way is one of the type: matching it costs more than a
    comparison. ``canonical`` is true of no text that Spark writes and the pattern does not take.
    """
    written = f"CAST(TRY_CAST({text} AS {spark_type}) AS STRING)"
    is_written = f"{text} = {written}" + (f" AND {canonical}" if canonical else "")
    return f"CASE WHEN {is_written} THEN {text} WHEN {_matches(text, pattern)} THEN {written} END"


def _decimal(column_type: ColumnType, text: str) -> ValueSql:
    decimals = f"([.][0-9]{{0,{column_type.scale}}}0*)?"
    plain = f"[+-]?(?=[.]?[0-9])[0-9]*{decimals}"
    spark_type = f"DECIMAL({column_type.precision},{column_type.scale})"
    # Spark writes some numbers of more than six decimals with an exponent.
    canonical = f"NOT CONTAINS({text}, 'E')" if (column_type.scale or 0) > 6 else ""
    return ValueSql(_cast(text, spark_type, plain, canonical=canonical), f"not a {column_type}")


def _float(name: str, text: str) -> ValueSql:
    number = "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"
    cast = f"TRY_CAST({text} AS {_FLOATS[name]})"
    underflow = f"({cast} = 0 AND {_matches(text, '[^eE]*[1-9].*')})"
    return ValueSql(
        f"CASE WHEN {_matches(text, number)} AND ABS({cast}) < "
        f"CAST('Infinity' AS {_FLOATS[name]}) AND NOT {underflow} THEN {text} END",
        f"not a {name}",
    )


def _time(text: str) -> ValueSql:
    found = _moment("time", f"CONCAT('1970-01-01 ', {text})")
    return replace(
        found, loaded=f"CASE WHEN {_matches(text, _TIME_OF_DAY)} THEN {found.loaded} END"
    )


def _super(text: str) -> ValueSql:
    """Spark's reader of JSON stops behind the first value, and takes strings in single quotes.

    A text that goes on behind its first value, or ends the list around it, is not valid in an
    object as well.
    """
    strings = sql_text(r'"(?:[^"\\]|\\.)*+"')
    in_list = f"GET_JSON_OBJECT(CONCAT('[', {text}, ']'), '$')"
    in_object = f"GET_JSON_OBJECT(CONCAT('{{\"v\":', {text}, '}}'), '$')"
    return ValueSql(
        f"CASE WHEN INSTR(REGEXP_REPLACE({text}, {strings}, ''), '\\'') = 0 "
        f"AND {in_list} IS NOT NULL AND {in_list} <> '[]' AND {in_object} IS NOT NULL "
        f"THEN {text} END",
        "not JSON",
    )


def _timestamp(name: str, text: str) -> ValueSql:
    zone = "(Z|[+-][0-9]{2}:[0-9]{2})?"
    found = _moment(name, text)
    # Most texts need no formatting, which costs Spark more than all else: such a long one has
    # seconds without a fraction, and at most a Z.
    fraction = ".000000" if name == "timestamp" else ".000000+00"
    whole_seconds = f"CONCAT({part(text, 1, '10')}, ' ', {part(text, 12, '8')}, '{fraction}')"
    return replace(
        found,
        loaded=f"CASE WHEN {_matches(text, f'{_DATE}[T ]{_TIME_OF_DAY}{zone}')} THEN "
        f"CASE WHEN OCTET_LENGTH({text}) NOT BETWEEN 19 AND 20 THEN {found.loaded} "
        f"WHEN TRY_CAST({text} AS TIMESTAMP) IS NOT NULL THEN {whole_seconds} END END",
    )


def _varchar(column_type: ColumnType, text: str, trailing_blanks: TrailingBlanks) -> ValueSql:
    length = column_type.length
    nul = f"CONTAINS({text}, CHR(0))"
    refused = nul
    special = [(nul, "holds a NUL character, which Redshift cannot")]
    cut = ""
    if column_type.name == "char":
        is_wide = f"OCTET_LENGTH({text}) <> LENGTH({text})"
        refused += f" OR {is_wide}"
        special.append((is_wide, "holds a character that is not ASCII, which a char cannot"))
    if trailing_blanks is TrailingBlanks.CUT:
        # As Redshift does (its guide, "Significance of trailing blanks"): to n bytes, not to none.
        bare = f"RTRIM({text})"
        cut = (
            f"WHEN OCTET_LENGTH({bare}) <= {length} "
            f"THEN CONCAT({bare}, REPEAT(' ', {length} - OCTET_LENGTH({bare}))) "
        )
    return ValueSql(
        f"CASE WHEN {refused} THEN NULL WHEN OCTET_LENGTH({text}) <= {length} THEN {text} {cut}END",
        f"longer than {length} bytes",
        tuple(special),
    )


def compared_sql(column_type: ColumnType, value: str) -> str:
    """SQL that is equal for two loaded values if and only if Redshift compares them as equal.

    Redshift ignores trailing blanks (U+0020 only, as Spark's RTRIM) when it compares texts (its
    guide, "Significance of trailing blanks"). The other types have one text for each value, but for
    floats.
    """
    if column_type.name in ("varchar", "char"):
        return f"RTRIM({value})"
    if column_type.name in _FLOATS:
        return f"CAST({value} AS {_FLOATS[column_type.name]})"
    return value
