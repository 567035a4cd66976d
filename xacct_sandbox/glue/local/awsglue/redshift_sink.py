"""Writes a frame to Redshift as Glue's connector (spark-redshift 6) does.

Temporary files and a manifest go to S3. Then one transaction creates the table if it is missing,
runs the preactions, COPYs the manifest (unless there are no rows), and runs the postactions. As in
the connector, a failed transaction is repeated ``copyretrycount`` times (2).
"""

from __future__ import annotations

import gzip
import json
import re
import time
import uuid
from collections.abc import Mapping
from typing import Any

import boto3
from pyspark.sql import DataFrame
from pyspark.sql import functions as F
from pyspark.sql import types as T
from redshift_connector.error import Error

from awsglue.errors import check_options, refuse
from awsglue.redshift_session import execute_transaction
from awsglue.redshift_sql import write_statements

#: Whose logger tells of a failure.
CONNECTOR = "io.github.spark_redshift_community.spark.redshift.RedshiftWriter"

OPTIONS = {
    "useConnectionProperties",
    "connectionName",
    "url",
    "user",
    "password",
    "dbtable",
    "redshiftTmpDir",
    "aws_iam_role",
    "preactions",
    "postactions",
    "extracopyoptions",
    "tempformat",
    "csvnullstring",
    "include_column_list",
    "legacy_trim_csv_writes",
    "copyretrycount",
    "copydelay",
    "diststyle",
    "distkey",
    "sortkeyspec",
}
FORMATS = ("CSV", "CSV GZIP")
MIN_BYTES_WITH_ROWS = 64
"""A temporary file of this size has rows: gzip of no rows takes 20 bytes."""
PART = re.compile(r"/part-[^/]*$")


def write_redshift(frame: DataFrame, options: dict[str, Any]) -> None:
    """Append a frame to ``dbtable``.

    Args:
        frame: the rows.
        options: the connector's connection options.

    Raises:
        UnsupportedByLocalGlueError: an option that the sandbox does not support.
        ValueError: a required option is missing.
        redshift_connector.Error: Redshift's error; nothing was changed.
    """
    check_options("writing to redshift", options, OPTIONS)
    for name in ("dbtable", "redshiftTmpDir"):
        if not options.get(name):
            raise ValueError(f"connection option {name!r} is missing")
    if not options.get("aws_iam_role"):
        raise refuse("COPY with the job's temporary keys", "give aws_iam_role")
    if str(options.get("tempformat", "AVRO")).upper() not in FORMATS:
        raise refuse(
            f"tempformat {options.get('tempformat', 'AVRO (the default)')}",
            f"use one of {', '.join(FORMATS)}",
        )
    frame = _as_text(frame)
    manifest = _write_temporary_files(frame, options)
    statements = write_statements(frame, options, manifest)
    attempts = 1 + int(options.get("copyretrycount", 2))
    for attempt in range(1, attempts + 1):
        try:
            execute_transaction(options, statements)
        except Error as problem:
            _log_failure(frame, problem)
            if attempt == attempts:
                raise
            time.sleep(int(options.get("copydelay", 0)) / 1000)
        else:
            return


def _log_failure(frame: DataFrame, problem: Error) -> None:
    """Log a failure as the connector does: in Spark's own log, so that its log level holds."""
    logger = frame.sparkSession._jvm.org.slf4j.LoggerFactory.getLogger(CONNECTOR)  # type: ignore[union-attr]  # noqa: SLF001
    logger.error(f"Exception thrown during Redshift load; will roll back transaction: {problem}")


def _as_text(frame: DataFrame) -> DataFrame:
    """The frame with dates, timestamps and decimals in the connector's text format.

    Column names become lower case.
    """
    columns = []
    for field in frame.schema.fields:
        column = F.col(f"`{field.name}`")
        kind = field.dataType
        if isinstance(kind, T.StructType | T.ArrayType | T.MapType):
            raise refuse(f"column {field.name} of type {kind.simpleString()}", "flatten it")
        if isinstance(kind, T.TimestampType):
            column = F.date_format(column, "yyyy-MM-dd HH:mm:ss.SSSSSS")
        elif isinstance(kind, T.DateType | T.DecimalType):
            column = column.cast("string")
        columns.append(column.alias(field.name.lower()))
    return frame.select(*columns)


def _write_temporary_files(frame: DataFrame, options: dict[str, Any]) -> str | None:
    """Write the rows, and a manifest of the files that hold rows; None if no file does."""
    folder = f"{options['redshiftTmpDir'].rstrip('/')}/{uuid.uuid4()}"
    trim = str(options.get("legacy_trim_csv_writes", "false")).lower()
    writer = frame.write.format("csv").options(
        escape='"',
        nullValue=options.get("csvnullstring", "@NULL@"),
        ignoreLeadingWhiteSpace=trim,
        ignoreTrailingWhiteSpace=trim,
    )
    if options["tempformat"].upper() == "CSV GZIP":
        writer = writer.option("compression", "gzip")
    writer.save(f"{folder}/")

    s3 = boto3.client("s3")
    bucket, _, prefix = folder.removeprefix("s3://").partition("/")
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=f"{prefix}/")
    entries = [
        {
            "url": f"s3://{bucket}/{item['Key']}",
            "mandatory": True,
            "meta": {"content_length": item["Size"]},
        }
        for page in pages
        for item in page.get("Contents", [])
        if PART.search(item["Key"]) and _has_rows(s3, bucket, item)
    ]
    if not entries:
        return None
    manifest = f"{prefix}/manifest.json"
    s3.put_object(Bucket=bucket, Key=manifest, Body=json.dumps({"entries": entries}).encode())
    return f"s3://{bucket}/{manifest}"


def _has_rows(s3: Any, bucket: str, item: Mapping[str, Any]) -> bool:
    if item["Size"] >= MIN_BYTES_WITH_ROWS:
        return True
    content = s3.get_object(Bucket=bucket, Key=item["Key"])["Body"].read()
    return bool(gzip.decompress(content) if item["Key"].endswith(".gz") else content)
