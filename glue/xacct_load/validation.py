"""Decides for each record whether it is loaded or rejected, and why."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.load_request import LoadRequest
from xacct_load.column_sql import compared_sql, sql_text, value_sql

#: Characters of a rejected value that are quoted in the reason (the raw record has all of it).
QUOTED_VALUE_CHARACTERS = 200
#: Kinds of rejects that `counts` knows by name.
HEADER_AGAIN = "the header row again"
OTHER_HEADER = "a header row in another order"
NO_TEXT = "a record whose text Spark does not keep"


def validate(records: DataFrame, request: LoadRequest) -> DataFrame:
    """Add the columns values (texts for COPY, in the feed's order) and problem (NULL if good)."""
    columns = [
        (
            column,
            f"fields.`{column.name}`",
            value_sql(column.type, f"fields.`{column.name}`", request.trailing_blanks),
        )
        for column in request.columns
    ]
    values = ", ".join(f"'{column.name}', {sql.loaded}" for column, _, sql in columns)
    problems = [
        _problem("raw_record IS NULL", NO_TEXT, "NULL"),
        _problem(
            _text_after_quote(request.dialect),
            "text after a closing quote (a quote inside a quoted field must be doubled)",
            "NULL",
        ),
        _problem("fields IS NULL", "wrong number of fields", "NULL"),
        *_header_problems(request),
    ]
    for column, text, sql in columns:
        if not column.nullable:
            problems.append(_problem(f"{text} IS NULL", f"{column.name}: missing", "NULL"))
        if sql.special:
            condition, fault = sql.special
            problems.append(_problem(condition, f"{column.name}: {fault}", text))
        problems.append(
            _problem(
                f"{text} IS NOT NULL AND values.`{column.name}` IS NULL",
                f"{column.name}: {sql.fault}",
                text,
            )
        )
    with_values = records.withColumn("values", F.expr(f"NAMED_STRUCT({values})"))
    return with_values.withColumn("problem", F.expr(f"COALESCE({', '.join(problems)})"))


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
        f"INSTR(raw_record, {sql_text(dialect.quote)}) > 0 AND "
        f"REGEXP_REPLACE(raw_record, {sql_text(pieces)}, '') <> ''"
    )


def _header_problems(request: LoadRequest) -> list[str]:
    """SQL of the problems of a header row that is not the file's first row.

    Files that were put together have such rows. In a feed of one column it may be a value.
    """
    names = request.column_names
    if len(names) == 1:
        return []
    # A file that was put behind another one may bring its byte order mark along.
    first, *_ = texts = [f"TRIM(LEADING '\ufeff' FROM fields.`{name}`)" for name in names]
    array = f"ARRAY({', '.join(texts)})"
    found = f"{first} IN ({_texts(names)}) AND"
    return [
        _problem(f"{found} {array} = ARRAY({_texts(names)})", HEADER_AGAIN, "NULL"),
        _problem(
            f"{found} ARRAY_SORT({array}) = ARRAY_SORT(ARRAY({_texts(names)}))",
            OTHER_HEADER,
            "NULL",
        ),
    ]


def _texts(values: list[str]) -> str:
    return ", ".join(map(sql_text, values))


def _problem(condition: str, kind: str, value: str) -> str:
    """SQL for a problem of this kind where the condition holds, else NULL."""
    shown = f"LEFT({value}, {QUOTED_VALUE_CHARACTERS})"
    return (
        f"CASE WHEN {condition} THEN "
        f"NAMED_STRUCT('kind', {sql_text(kind)}, 'value', CAST({shown} AS STRING)) END"
    )


def reject_duplicates(rows: DataFrame, request: LoadRequest) -> DataFrame:
    """Reject all but the first good row of a key within a day (order: object key, then row).

    Keys are equal if Redshift compares them as equal.
    """
    if request.key:
        # Rejected rows are partitioned by their position, so that none of them displaces a good
        # row and no partition of the window gets all of them.
        rejected_row = F.when(F.col("problem").isNotNull(), F.struct("source_file", "position"))
        types = {column.name: column.type for column in request.columns}
        compared = [F.expr(compared_sql(types[name], f"values.`{name}`")) for name in request.key]
        occurrence = F.row_number().over(
            Window.partitionBy("day", rejected_row, *compared).orderBy("source_file", "position")
        )
        duplicate = F.struct(
            F.lit(f"{', '.join(request.key)}: duplicate key").alias("kind"),
            F.concat_ws(", ", *(F.col(f"values.`{name}`") for name in request.key)).alias("value"),
        )
        rows = rows.withColumn("occurrence", occurrence).withColumn(
            "problem", F.when(F.col("occurrence") > 1, duplicate).otherwise(F.col("problem"))
        )
    rejected = F.col("problem").isNotNull()
    return rows.select(
        "day",
        "source_file",
        "position",
        "problem",
        F.when(~rejected, F.col("values")).alias("values"),
        # Kept for rejects only: good rows would be stored twice.
        F.when(rejected, F.col("raw_record")).alias("raw_record"),
    )
