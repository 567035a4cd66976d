"""Decides for each record by itself whether it is good, and if not, what its problem is."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.load_request import FeedColumn, LoadRequest
from xacct_load.column_sql import ValueSql, compared_sql, sql_text, value_sql
from xacct_load.records import text_name

#: Characters of a rejected value that are quoted in the reason (the raw record has all of it).
QUOTED_VALUE_CHARACTERS = 200
#: Kinds of problems that `verdicts` knows by name.
HEADER_AGAIN = "the header row again"
OTHER_HEADER = "a header row in another order"
NO_TEXT = "a record whose text Spark does not keep"
#: Types whose values no name of a column is.
_NEVER_A_NAME = frozenset(
    {"bigint", "integer", "smallint", "decimal", "double precision", "real", "date", "timestamp"}
)


@dataclass(frozen=True)
class Problem:
    """What can be wrong with a record.

    Attributes:
        kind: of the reject.
        condition: SQL that is true of a record that has the problem, and none of those before it.
        column: the column whose text the reason shows.
    """

    kind: str
    condition: str
    column: str | None = None


def validate(records: DataFrame, request: LoadRequest) -> DataFrame:
    """Try each value, and find the first problem of each record.

    Returns:
        Columns file_path, block, id, day and raw_record (as of the records), problem (a number, see
        `kinds`; NULL if there is none), shown (the value that the reason shows), values (a struct
        of texts for COPY, in the feed's order; NULL with a problem), and key_hash (NULL with a
        problem; equal if Redshift compares the keys of two rows of a day as equal).
    """
    columns = [
        (column, _text(column), value_sql(column.type, _text(column), request.trailing_blanks))
        for column in request.columns
    ]
    found = problems(request)
    cases = [f"WHEN {problem.condition} THEN {n}" for n, problem in enumerate(found)]
    shown = [
        f"WHEN {n} THEN {_text(column)}"
        for n, problem in enumerate(found)
        for column in request.columns
        if column.name == problem.column
    ]
    values = ", ".join(f"'{column.name}', {_value(column)}" for column in request.columns)
    kept = ("file_path", "block", "id", "day", "raw_record")
    texts = [text for _, text, _ in columns]
    return (
        records.selectExpr(
            *(*kept, "is_plain", "is_row", *texts),
            *(f"{sql.loaded} AS {_value(column)}" for column, _, sql in columns),
        )
        .selectExpr("*", f"CASE {' '.join(cases)} END AS problem")
        .selectExpr(
            *(*kept, "problem"),
            f"LEFT(CASE problem {' '.join(shown)} END, {QUOTED_VALUE_CHARACTERS}) AS shown",
            f"CASE WHEN problem IS NULL THEN NAMED_STRUCT({values}) END AS values",
            f"CASE WHEN problem IS NULL THEN {_key_hash(request)} END AS key_hash",
        )
    )


def kinds(request: LoadRequest) -> list[str]:
    """The kind of each problem, by its number. The last one is no record's own: `verdicts`."""
    return [*(problem.kind for problem in problems(request)), duplicate_kind(request)]


def duplicate_kind(request: LoadRequest) -> str:
    """The kind of a row whose key a row before it has."""
    return f"{', '.join(request.key)}: duplicate key"


def compared_key(request: LoadRequest) -> list[Column]:
    """The columns of a good row's key; equal if Redshift compares them as equal."""
    types = {column.name: column.type for column in request.columns}
    return [F.expr(compared_sql(types[name], f"values.`{name}`")) for name in request.key]


def problems(request: LoadRequest) -> list[Problem]:
    """What can be wrong with a record, in the order of the search."""
    found = [
        Problem(NO_TEXT, "raw_record IS NULL"),
        Problem(
            "text after a closing quote (a quote inside a quoted field must be doubled)",
            f"NOT is_plain AND {_text_after_quote(request.dialect)}",
        ),
        Problem("wrong number of fields", "NOT is_row"),
        *_header_problems(request),
    ]
    for column in request.columns:
        sql = value_sql(column.type, _text(column), request.trailing_blanks)
        found += _value_problems(column, sql)
    return found


def _value_problems(column: FeedColumn, sql: ValueSql) -> list[Problem]:
    text, is_missing = _text(column), f"{_value(column)} IS NULL"
    found = []
    if not column.nullable:
        found.append(Problem(f"{column.name}: missing", f"{text} IS NULL"))
    if sql.special:
        condition, fault = sql.special
        problem = Problem(f"{column.name}: {fault}", f"{is_missing} AND {condition}", column.name)
        found.append(problem)
    is_wrong = f"{is_missing} AND {text} IS NOT NULL" if column.nullable else is_missing
    found.append(Problem(f"{column.name}: {sql.fault}", is_wrong, column.name))
    return found


def _text(column: FeedColumn) -> str:
    return f"`{text_name(column.name)}`"


def _value(column: FeedColumn) -> str:
    return f"`value {column.name}`"


def _key_hash(request: LoadRequest) -> str:
    if not request.key:
        return "CAST(NULL AS BIGINT)"
    columns = {column.name: column for column in request.columns}
    compared = [compared_sql(columns[n].type, _value(columns[n])) for n in request.key]
    return f"XXHASH64(day, {', '.join(compared)})"


def _text_after_quote(dialect: CsvDialect) -> str:
    r"""SQL that is true of a record with text between a closing quote and the field's end.

    RFC 4180 does not allow it, COPY refuses it, Python's csv drops the quotes and Spark keeps them.
    (A quote inside a field without quotes is not RFC 4180 either, but is read alike by all of
    these but COPY: it is content.)

    The pattern takes one piece at a time from where the one before ended (``\G``): from a quote to
    the next one (a doubled quote ends one such piece and begins another), a delimiter, or a field
    without quotes, which cannot follow a quote. So it needs no recursion, which Java's regular
    expressions would answer with a StackOverflowError for a long record. What is left over begins
    where the record breaks the rule.
    """
    quote, delimiter = (f"\\x{ord(mark):02x}" for mark in (dialect.quote, dialect.delimiter))
    pieces = (
        rf"\G(?:{quote}[^{quote}]*+{quote}|{delimiter}|"
        rf"(?<!{quote})[^{quote}{delimiter}][^{delimiter}]*+)"
    )
    return (
        f"CONTAINS(raw_record, {sql_text(dialect.quote)}) AND "
        f"REGEXP_REPLACE(raw_record, {sql_text(pieces)}, '') <> ''"
    )


def _header_problems(request: LoadRequest) -> list[Problem]:
    """The problems of a header row that is not the file's first row.

    Files that were put together have such rows. In a feed of one column it may be a value.
    """
    names = request.column_names
    if len(names) == 1:
        return []
    # A file that was put behind another one may bring its byte order mark along.
    first, *_ = texts = [f"TRIM(LEADING '\ufeff' FROM {_text(c)})" for c in request.columns]
    array = f"ARRAY({', '.join(texts)})"
    wanted = ", ".join(map(sql_text, names))
    may_be = f"{first} IN ({wanted})"
    if never := [column for column in request.columns if column.type.name in _NEVER_A_NAME]:
        may_be = f"{_value(never[0])} IS NULL AND {may_be}"
    return [
        Problem(HEADER_AGAIN, f"{may_be} AND {array} = ARRAY({wanted})"),
        Problem(OTHER_HEADER, f"{may_be} AND ARRAY_SORT({array}) = ARRAY_SORT(ARRAY({wanted}))"),
    ]
