"""Reads the files with Spark: one row per CSV record, with the record's raw text.

A file is cut into records in one of two ways, which give the same records:

- **Split.** The count has proved that every line end outside quotes ends a record, and that none is
  inside. So a line is a record, and Spark reads as many parts of the file at once as it has cores.
- **Whole.** One task reads the file from its beginning to its end.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce

from pyspark.sql import Column, DataFrame, SparkSession
from pyspark.sql import functions as F

from xacct_assets.contract.load_request import LoadRequest
from xacct_load.headers import Header
from xacct_load.source_files import SourceFile

#: Where from_csv puts a record whose number of fields is not that of the header.
_MALFORMED = "malformed"
#: Fields of the schema that no record fits, beyond the feed's columns.
SURPLUS_FIELDS = 100


def read_records(
    spark: SparkSession, request: LoadRequest, headers: Mapping[SourceFile, Header]
) -> DataFrame:
    """One row per record. The header of a file that is read split is one too (`split_headers`).

    The plan has the same depth and size for any number of days, files and headers: what differs
    between the files is a table that is joined, not a part of the plan. (Files that
    `spark_paths` reads alone are the exception; their plans are joined as a balanced tree.)

    Positions grow within a file: one task reads it, or each of its blocks, from beginning to end.

    Args:
        spark: the session.
        request: of the load.
        headers: the files that have a row, with the header of each.

    Returns:
        Columns day (NULL if the file is none of these), source_file, position (a struct of the
        block's offset and the row's id), raw_record, and fields: a struct of texts in the feed's
        order, or NULL if the record has the wrong number of fields.
    """
    names = request.column_names
    fields = [f"f{number}" for number in range(len(names))]
    parsed = F.from_csv(
        F.col("raw_record"),
        f"{_text_columns([*fields, _MALFORMED])}",
        {**_csv_options(request), "header": "false", "columnNameOfCorruptRecord": _MALFORMED},
    )
    is_row = F.col("parsed").isNotNull() & F.col(f"parsed.{_MALFORMED}").isNull()
    in_feed_order = F.struct(
        *(F.col("texts")[F.col("positions")[n]].alias(name) for n, name in enumerate(names))
    )
    return (
        _cut_records(spark, request, list(headers))
        .select("*", parsed.alias("parsed"))
        .select(
            *("source_file", "position", "raw_record", is_row.alias("is_row")),
            F.array(*(F.col(f"parsed.{field}") for field in fields)).alias("texts"),
        )
        .join(F.broadcast(_file_table(spark, request, headers)), "source_file", "left")
        .select(
            *("day", "source_file", "position", "raw_record"),
            F.when(F.col("is_row"), in_feed_order).alias("fields"),
        )
    )


def split_files(request: LoadRequest, files: Iterable[SourceFile]) -> list[SourceFile]:
    """The files that are read split. In a feed of one column, a header may look like a value."""
    allowed = set(request.splittable_files) if len(request.columns) > 1 else set()
    return [file for file in files if file.uri in allowed]


def _cut_records(
    spark: SparkSession, request: LoadRequest, files: Sequence[SourceFile]
) -> DataFrame:
    """The raw text of each record: columns source_file, position, raw_record."""
    split = split_files(request, files)
    whole = [file for file in files if file not in set(split)]
    parts = [_cut_files(spark, request, paths, options) for paths, options in spark_paths(whole)]
    parts += [_cut_lines(spark, paths, options) for paths, options in spark_paths(split)]
    if not parts:
        columns = (
            "source_file STRING, position STRUCT<block: BIGINT, id: BIGINT>, raw_record STRING"
        )
        return spark.createDataFrame([], columns)
    while len(parts) > 1:
        parts = [reduce(DataFrame.union, parts[n : n + 2]) for n in range(0, len(parts), 2)]
    return parts[0]


def _cut_lines(spark: SparkSession, paths: list[str], path_options: Mapping[str, str]) -> DataFrame:
    """The records of files that are read split."""
    line = F.col("value")
    # The carriage return of CRLF belongs to the line end.
    record = F.when(line.endswith("\r"), F.expr("LEFT(value, LENGTH(value) - 1)")).otherwise(line)
    return (
        spark.read.options(lineSep="\n", **path_options)
        .text(paths)
        .select(
            file_path().alias("source_file"),
            _position(F.col("_metadata.file_block_start")),
            record.alias("raw_record"),
        )
        .where("raw_record <> ''")
    )


def _cut_files(
    spark: SparkSession, request: LoadRequest, paths: list[str], path_options: Mapping[str, str]
) -> DataFrame:
    """The records of files that are read whole.

    Spark keeps the text of a record only if the record does not fit the schema. So the schema has
    far more fields than a record can be expected to have. (Not more than any can: planning takes
    Spark seconds for a thousand.) Of a record of just as many fields, raw_record is NULL.
    """
    fields = [f"f{number}" for number in range(len(request.columns) + SURPLUS_FIELDS)]
    cut = (
        spark.read.schema(f"{_text_columns([*fields, 'record'])}")
        .options(**_csv_options(request), **path_options)
        .options(header="true", encoding="UTF-8", columnNameOfCorruptRecord="record")
        .csv(paths)
    )
    # Spark skips empty lines. With the given line end, an empty line that ends in CRLF is a CR.
    is_empty = F.col("f0").eqNullSafe("\r") & F.col("record").eqNullSafe("")
    return cut.where(~is_empty).select(
        file_path().alias("source_file"),
        _position(F.lit(0)),
        F.col("record").alias("raw_record"),
    )


def _position(block: Column) -> Column:
    identifier = F.monotonically_increasing_id()
    return F.struct(block.cast("bigint").alias("block"), identifier.alias("id")).alias("position")


def _file_table(
    spark: SparkSession, request: LoadRequest, headers: Mapping[SourceFile, Header]
) -> DataFrame:
    """One row per file: source_file, its day, and the positions of the feed's columns in it.

    It is made from one JSON text, because a DataFrame made from Python's objects needs a Python
    process on the workers.
    """
    orders = {header: number for number, header in enumerate(dict.fromkeys(headers.values()))}
    positions = [[header.index(name) for name in request.column_names] for header in orders]
    files = {
        file.uri: {"day": str(file.day), "header": orders[header]}
        for file, header in headers.items()
    }
    of_header = F.from_json(F.lit(json.dumps(positions)), "ARRAY<ARRAY<INT>>")
    return (
        spark.range(0, 1, 1, 1)
        .select(
            F.explode(
                F.from_json(
                    F.lit(json.dumps(files)), "MAP<STRING, STRUCT<day: STRING, header: INT>>"
                )
            ).alias("source_file", "file")
        )
        .select(
            "source_file",
            F.col("file.day").alias("day"),
            of_header[F.col("file.header")].alias("positions"),
        )
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


def _text_columns(names: Iterable[str]) -> str:
    """Columns of text in Spark's DDL."""
    return ", ".join(f"{name} STRING" for name in names)


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
