"""Decides for each record by itself whether it is good, and if not, what its problem is."""

from __future__ import annotations

from dataclasses import dataclass

from pyspark.sql import Column, DataFrame
from pyspark.sql import functions as F

from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.headers import fold_header
from xacct_assets.contract.load_request import MASK, FeedColumn, LoadRequest
from xacct_load.column_sql import ValueSql, column_value_sql, compared_sql, trimmed
from xacct_load.records import text_name
from xacct_load.sql_texts import sql_text
from xacct_load.supplier_rows import (
    BACKSLASH_QUOTE,
    EMPTY_ROW,
    MYSQL_NULL,
    MYSQL_NULL_KIND,
    TEXT_AFTER_QUOTE,
    WRONG_WIDTH,
    has_backslash_quote,
    wrong_width,
)

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
        (column, _text(column), column_value_sql(column, _text(column), request.trailing_blanks))
        for column in request.columns
    ]
    found = problems(request)
    cases = [f"WHEN {problem.condition} THEN {n}" for n, problem in enumerate(found)]
    shown = [
        f"WHEN {n} THEN {shown_sql(column, _text(column))}"
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
    types = {column.name: column.type.name for column in request.columns}
    is_text = any(types[name] in ("varchar", "char") for name in request.key)
    # Spark would tell such keys apart.
    blanks = " (trailing blanks do not count, as in Redshift)" if is_text else ""
    return f"{', '.join(request.key)}: duplicate key{blanks}"


def shown_sql(column: FeedColumn, value: str) -> str:
    """SQL of a value of a column as a reason shows it."""
    return sql_text(MASK) if column.sensitive else value


def compared_key(request: LoadRequest) -> list[Column]:
    """The columns of a good row's key; equal if Redshift compares them as equal."""
    types = {column.name: column.type for column in request.columns}
    return [F.expr(compared_sql(types[name], f"values.`{name}`")) for name in request.key]


def problems(request: LoadRequest) -> list[Problem]:
    """What can be wrong with a record, in the order of the search."""
    after_quote = _text_after_quote(request.dialect)
    backslash = has_backslash_quote(request.dialect.quote, request.dialect.delimiter)
    found = [
        Problem(NO_TEXT, "raw_record IS NULL"),
        Problem(BACKSLASH_QUOTE, f"NOT is_plain AND {backslash} AND {after_quote}"),
        Problem(TEXT_AFTER_QUOTE, f"NOT is_plain AND {after_quote}"),
        *(Problem(kind, f"NOT is_row AND {condition}") for kind, condition in wrong_width()),
        Problem(WRONG_WIDTH, "NOT is_row"),
        *_header_problems(request),
    ]
    texts = [_text(column) for column in request.columns]
    if len(texts) > 1:
        found.append(Problem(EMPTY_ROW, f"COALESCE({', '.join(texts)}) IS NULL"))
    may_be_null = [c for c in request.columns if MYSQL_NULL not in c.null_values]
    if may_be_null:
        listed = ", ".join(map(_text, may_be_null))
        found.append(Problem(MYSQL_NULL_KIND, f"{sql_text(MYSQL_NULL)} IN ({listed})"))
    for column in request.columns:
        sql = column_value_sql(column, _text(column), request.trailing_blanks)
        found += _value_problems(column, sql)
    return found


def _value_problems(column: FeedColumn, sql: ValueSql) -> list[Problem]:
    is_missing = f"{_value(column)} IS NULL"
    is_null_refused = not column.nullable and column.default is None
    found = []
    if is_null_refused:
        found.append(Problem(f"{column.name}: missing", f"{sql.text} IS NULL"))
    found += [
        Problem(f"{column.name}: {fault}", f"{is_missing} AND {condition}", column.name)
        for condition, fault in sql.special
    ]
    has_text = f"{is_missing} AND {sql.text} IS NOT NULL"
    is_wrong = is_missing if is_null_refused or column.default is not None else has_text
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
    names = list(request.file_columns.names)
    if len(names) == 1 or not request.dialect.header_row:
        return []
    if request.relaxed_header:
        names = [fold_header(name, is_relaxed=True) for name in names]
    first, *_ = texts = [_as_name(request, column) for column in request.columns]
    array = f"ARRAY({', '.join(texts)})"
    wanted = ", ".join(map(sql_text, names))
    may_be = f"{first} IN ({wanted})"
    if never := [c for c in request.columns if c.type.name in _NEVER_A_NAME and c.default is None]:
        may_be = f"{_value(never[0])} IS NULL AND {may_be}"
    return [
        Problem(HEADER_AGAIN, f"{may_be} AND {array} = ARRAY({wanted})"),
        Problem(
            OTHER_HEADER,
            f"{may_be} AND SIZE(ARRAY_INTERSECT({array}, ARRAY({wanted}))) = {len(names)}",
        ),
    ]


def _as_name(request: LoadRequest, column: FeedColumn) -> str:
    """SQL of a field as the name of a column; of a column that the file lacks, that name."""
    # A file that was put behind another one may bring its byte order mark along.
    text = f"TRIM(LEADING '\ufeff' FROM {_text(column)})"
    if request.relaxed_header:
        text = f"LOWER({trimmed(text)})"
    if column.optional:
        name = fold_header(column.header_name, is_relaxed=request.relaxed_header)
        text = f"COALESCE({text}, {sql_text(name)})"
    return text
