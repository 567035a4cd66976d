"""Decides for each record whether it is loaded or rejected, and why."""

from __future__ import annotations

from pyspark.sql import DataFrame, Window
from pyspark.sql import functions as F

from xacct_assets.contract.load_request import LoadRequest
from xacct_load.column_sql import sql_text, value_sql

#: Characters of a rejected value that are quoted in the reason (the raw record has all of it).
QUOTED_VALUE_CHARACTERS = 200


def validate(records: DataFrame, request: LoadRequest) -> DataFrame:
    """Add the columns values (texts for COPY, in the feed's order) and problem (NULL if good)."""
    columns = [
        (column, f"fields.`{column.name}`", value_sql(column.type, f"fields.`{column.name}`"))
        for column in request.columns
    ]
    values = ", ".join(f"'{column.name}', {sql.loaded}" for column, _, sql in columns)
    problems = [_problem("fields IS NULL", "wrong number of fields", "NULL")]
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


def _problem(condition: str, kind: str, value: str) -> str:
    """SQL for a problem of this kind where the condition holds, else NULL."""
    shown = f"LEFT({value}, {QUOTED_VALUE_CHARACTERS})"
    return (
        f"CASE WHEN {condition} THEN "
        f"NAMED_STRUCT('kind', {sql_text(kind)}, 'value', CAST({shown} AS STRING)) END"
    )


def reject_duplicates(rows: DataFrame, request: LoadRequest) -> DataFrame:
    """Reject all but the first good row of a key within a day (order: object key, then row)."""
    if request.key:
        # Rejected rows are partitioned by their position, so that none of them displaces a good
        # row and no partition of the window gets all of them.
        rejected_row = F.when(F.col("problem").isNotNull(), F.struct("source_file", "position"))
        keys = [F.col(f"values.`{name}`") for name in request.key]
        occurrence = F.row_number().over(
            Window.partitionBy("day", rejected_row, *keys).orderBy("source_file", "position")
        )
        duplicate = F.struct(
            F.lit(f"{', '.join(request.key)}: duplicate key").alias("kind"),
            F.concat_ws(", ", *keys).alias("value"),
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
