"""Reads the files with Spark: one row per CSV record, with the record's raw text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import date

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from xacct_assets.contract.load_request import LoadRequest
from xacct_load.headers import FileLayout
from xacct_load.source_files import SourceFile

#: Where from_csv puts a record whose number of fields is not that of the header. No feed column has
#: this name, because column names have no blanks.
_MALFORMED = "no row"


def read_records(
    spark: SparkSession,
    request: LoadRequest,
    groups: Mapping[FileLayout, Sequence[SourceFile]],
    locations: Mapping[str, date],
) -> DataFrame:
    """One row per record.

    Positions grow within a file: a multi-line CSV file is never split, so one task reads it from
    beginning to end.

    Returns:
        Columns day, source_file, position, raw_record, and fields: a struct of texts in the feed's
        order, or NULL if the record has the wrong number of fields.
    """
    parts = [
        _read_group(spark, request, layout, paths, options)
        for layout, files in groups.items()
        for paths, options in spark_paths(files)
    ]
    if not parts:
        parts = [
            spark.createDataFrame(
                [],
                "source_file STRING, position BIGINT, raw_record STRING, "
                f"fields STRUCT<{_text_columns(request.column_names, ':')}>",
            )
        ]
    records = parts[0]
    for part in parts[1:]:
        records = records.union(part)
    return records.withColumn("day", _day_of_file(locations))


def _read_group(
    spark: SparkSession,
    request: LoadRequest,
    layout: FileLayout,
    paths: list[str],
    path_options: Mapping[str, str],
) -> DataFrame:
    """The records of files that share a layout.

    Spark keeps the text of a record only if the record does not fit the schema. So the files are
    first read with a schema that no record fits (one column where several are expected), which
    keeps the raw text for the rejects. Then the text is parsed with the true columns.
    """
    misfit = ["a"] if len(layout.header) > 1 else ["a", "b"]
    options = _csv_options(request)
    cut = (
        spark.read.schema(f"{_text_columns(misfit)}, record STRING")
        .options(**options, **path_options)
        .options(header="true", encoding="UTF-8", columnNameOfCorruptRecord="record")
        .csv(paths)
    )
    if layout.crlf:
        # Spark skips empty lines. With the given line end, an empty line of these files is a CR.
        empty = (F.col("a") == "\r") & (F.coalesce("record", F.lit("")) == "")
        cut = cut.where(~F.coalesce(empty, F.lit(False)))
    parsed = F.from_csv(
        F.col("record"),
        f"{_text_columns(layout.header)}, `{_MALFORMED}` STRING",
        {**options, "header": "false", "columnNameOfCorruptRecord": _MALFORMED},
    )
    in_feed_order = F.struct(*(F.col(f"parsed.`{name}`") for name in request.column_names))
    as_csv = {key: options[key] for key in ("sep", "quote", "escape")}
    return cut.select(
        file_path().alias("source_file"),
        F.monotonically_increasing_id().alias("position"),
        F.coalesce(F.col("record"), F.to_csv(F.struct(*misfit), as_csv)).alias("raw_record"),
        F.when(F.col("record").isNotNull(), parsed).alias("parsed"),
    ).select(
        "source_file",
        "position",
        "raw_record",
        F.when(
            F.col("parsed").isNotNull() & F.col(f"parsed.`{_MALFORMED}`").isNull(), in_feed_order
        ).alias("fields"),
    )


def _csv_options(request: LoadRequest) -> dict[str, str]:
    return {
        "sep": request.dialect.delimiter,
        "quote": request.dialect.quote,
        "escape": request.dialect.escape,
        "mode": "PERMISSIVE",
        "multiLine": "true",
        # Given, because detection cuts wrongly where a file mixes line ends. Spark removes the
        # carriage return of CRLF from the record.
        "lineSep": "\n",
        # The only way to tell an empty field from a quoted empty one.
        "nullValue": request.null_marker,
        "emptyValue": "",
        # Spark may be configured to skip what it cannot read; this job must not.
        "ignoreCorruptFiles": "false",
        "ignoreMissingFiles": "false",
    }


def file_path() -> Column:
    """The URI of the file that a row was read from.

    ``_metadata.file_path`` is percent-encoded, except that a plus stays a plus.
    """
    return F.expr("url_decode(replace(_metadata.file_path, '+', '%2B'))")


def _text_columns(names: Iterable[str], separator: str = "") -> str:
    """Columns of text in Spark's DDL (in a STRUCT<> the separator is a colon)."""
    return ", ".join(f"`{name}`{separator} STRING" for name in names)


def spark_paths(files: Sequence[SourceFile]) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Paths that Spark can read at once, with the options it needs to find just these files.

    Spark takes paths for patterns, so special characters are escaped. Hadoop cannot match an
    escaped path whose key has a colon (HADOOP-14217). Such files are read one by one with Spark's
    option to take a path literally; with several paths that option would read files repeatedly.
    """
    together = []
    for file in files:
        escaped = escape_glob(file.uri)
        if escaped != file.uri and ":" in file.key:
            yield [file.uri], {"__globPaths__": "false"}
        else:
            together.append(escaped)
    if together:
        yield together, {}


def escape_glob(uri: str) -> str:
    """Escape a path so that Spark takes ``[``, ``*`` and the like literally."""
    return re.sub(r"([\\\[\]{}*?])", r"\\\1", uri)


def _day_of_file(locations: Mapping[str, date]) -> Column:
    """The day of a record, from the location of its file."""
    result = F.lit(None).cast("string")
    for location, day in locations.items():
        result = F.when(F.col("source_file").startswith(location), F.lit(str(day))).otherwise(
            result
        )
    return result
