"""Reads and writes files in S3, with Glue's format options."""

from __future__ import annotations

from typing import Any

from pyspark.sql import DataFrame, SparkSession

from awsglue.errors import check_options, refuse

FORMATS = ("csv", "json", "parquet")
CSV_OPTIONS: dict[str, tuple[str, str | bool]] = {
    "separator": ("sep", ","),
    "quoteChar": ("quote", '"'),
    "escaper": ("escape", '"'),
    "withHeader": ("header", False),
    "multiline": ("multiLine", False),
}
"""Glue's csv format options: the name of the option in Spark, and Glue's default."""


def read_s3(
    spark: SparkSession,
    options: dict[str, Any],
    file_format: str | None,
    format_options: dict[str, Any],
) -> DataFrame:
    """Read the files below ``paths``; all columns of csv files are strings.

    Args:
        spark: the session.
        options: connection options.
        file_format: one of FORMATS.
        format_options: of csv.

    Raises:
        UnsupportedByLocalGlueError: a format or option is not supported.
        ValueError: ``paths`` is missing.
    """
    _check_format(file_format, format_options)
    check_options("reading from s3", options, ("paths", "recurse"))
    paths = options.get("paths")
    if not paths:
        raise ValueError("connection option 'paths' is missing: name at least one s3:// path")
    reader = spark.read.options(**_spark_options(file_format, format_options))
    if options.get("recurse"):
        reader = reader.option("recursiveFileLookup", "true")
    return reader.format(str(file_format)).load(list(paths))


def write_s3(
    frame: DataFrame,
    options: dict[str, Any],
    file_format: str | None,
    format_options: dict[str, Any],
) -> None:
    """Append files below ``path``.

    Args:
        frame: the rows.
        options: connection options.
        file_format: one of FORMATS.
        format_options: of csv.

    Raises:
        UnsupportedByLocalGlueError: a format or option is not supported.
        ValueError: ``path`` is missing.
    """
    _check_format(file_format, format_options)
    check_options("writing to s3", options, ("path", "partitionKeys", "compression"))
    if not options.get("path"):
        raise ValueError("connection option 'path' is missing: name an s3:// path")
    writer = frame.write.mode("append").options(**_spark_options(file_format, format_options))
    if options.get("compression"):
        writer = writer.option("compression", options["compression"])
    if options.get("partitionKeys"):
        writer = writer.partitionBy(*options["partitionKeys"])
    writer.format(str(file_format)).save(options["path"])


def _check_format(file_format: str | None, format_options: dict[str, Any]) -> None:
    if file_format not in FORMATS:
        raise refuse(f"format {file_format!r}", f"use one of {', '.join(FORMATS)}")
    supported = CSV_OPTIONS if file_format == "csv" else ()
    check_options(f"format {file_format}", format_options, supported)


def _spark_options(file_format: str | None, format_options: dict[str, Any]) -> dict[str, Any]:
    if file_format != "csv":
        return {}
    return {
        spark_name: format_options.get(glue_name, default)
        for glue_name, (spark_name, default) in CSV_OPTIONS.items()
    }
