"""Replaces the days in the staging and load audit tables, in one transaction."""

from __future__ import annotations

from awsglue.context import GlueContext
from awsglue.dynamicframe import DynamicFrame
from pyspark.sql import DataFrame

from xacct_assets.contract.conflicts import is_conflict, retry_transaction
from xacct_assets.contract.days import PARTITION_COLUMN
from xacct_assets.contract.load_request import LoadRequest
from xacct_assets.contract.logins import is_login_refused, retry_refused_login
from xacct_load.counts import LoadCounts

#: Rows per temporary file. COPY loads files in parallel; more and smaller files cost more.
ROWS_PER_FILE = 250_000
#: Longest first and longest pause after a conflict, in seconds.
FIRST_PAUSE, LONGEST_PAUSE = 1.0, 16.0


def write_staging(
    glue_context: GlueContext, good: DataFrame, request: LoadRequest, counts: LoadCounts
) -> None:
    """Replace the days in both tables.

    All values are texts (COPY casts them to the table's types), so nothing between here and
    Redshift can round, trim or reformat them. A conflict with another transaction, and a login that
    is refused while its password is being rotated, is answered by running only this transaction
    again: reading and validating the files is most of a run. The connector reads the connection's
    secret, or asks for a temporary password, at each write.
    """
    columns = [f"values.`{name}`" for name in request.column_names]
    frame = good.selectExpr(*columns, f"day AS {PARTITION_COLUMN}").coalesce(
        1 + counts.loaded // ROWS_PER_FILE
    )

    if any(column.sensitive for column in request.columns):
        # The connector logs the row that COPY refuses.
        glue_context.spark_session.sparkContext.setLogLevel("OFF")

    def write(_attempt: int) -> None:
        glue_context.write_dynamic_frame.from_options(
            frame=DynamicFrame.fromDF(frame, glue_context, "staging"),
            connection_type="redshift",
            connection_options=connection_options(request, counts),
        )

    def write_past_conflicts() -> None:
        retry_transaction(
            write,
            lambda failure: is_conflict(str(failure)),
            first_pause=FIRST_PAUSE,
            longest_pause=LONGEST_PAUSE,
        )

    retry_refused_login(write_past_conflicts, lambda failure: is_login_refused(str(failure)))


def connection_options(request: LoadRequest, counts: LoadCounts) -> dict[str, str]:
    """Options of Glue's Redshift connection (its connector is spark-redshift 6).

    An address of JDBC with "iam" has no login: its driver asks for a temporary password as the
    job's role, at each write (Redshift guide, "Authentication with the Spark connector").
    """
    login = (
        {"url": request.warehouse_url}
        if request.warehouse_url
        else {"useConnectionProperties": "true", "connectionName": request.connection}
    )
    return {
        **login,
        "dbtable": request.staging_table,
        "redshiftTmpDir": request.tmp_dir,
        "aws_iam_role": request.copy_role,
        "preactions": preactions(request),
        "postactions": postactions(request, counts),
        "tempformat": "CSV GZIP",
        "csvnullstring": request.null_marker,
        # COPY by name: the table may have its columns in another order than the feed.
        "include_column_list": "true",
        # Older releases of the connector trimmed blanks at both ends of every value.
        "legacy_trim_csv_writes": "false",
        # The staging table has its encodings; sampling them again would slow every load.
        "extracopyoptions": "COMPUPDATE OFF",
    }


def preactions(request: LoadRequest) -> str:
    """SQL before COPY: no newlines, statements separated by semicolons, no percent sign.

    The connector takes no parameters; `LoadRequest` has checked every name in the text.
    """
    days = ", ".join(f"'{item.day}'" for item in request.days)
    of_feed = f"feed = '{request.feed}' AND {PARTITION_COLUMN} IN ({days})"
    staging = f"DELETE FROM {request.staging_table} WHERE {PARTITION_COLUMN} IN ({days})"  # noqa: S608
    load_audit = f"DELETE FROM {request.load_audit_table} WHERE {of_feed}"  # noqa: S608
    return f"{staging}; {load_audit}"


def postactions(request: LoadRequest, counts: LoadCounts) -> str:
    """SQL after COPY: the rows of each day, which the procedure compares with those in staging."""
    rows = ", ".join(
        f"('{request.feed}', '{day}', '{request.load_id}', {of_day.loaded}, GETDATE())"
        for day, of_day in counts.days.items()
    )
    columns = f"feed, {PARTITION_COLUMN}, load_id, rows_loaded, loaded_at"
    return f"INSERT INTO {request.load_audit_table} ({columns}) VALUES {rows}"  # noqa: S608
