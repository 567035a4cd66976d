"""Reads the files with Spark: one row per CSV record, with its fields and its raw text.

A file is cut into records in one of two ways, which give the same records, and each record is
parsed once:

- **Split.** The count has proved that every line end outside quotes ends a record, and that none is
  inside. So a line is a record, and Spark reads as many parts of the file at once as it has cores.
- **Whole.** One task reads the file from its beginning to its end.

What a reader of CSV could be wrong about (quotes inside fields, a wrong number of fields) is not
taken from that one parse: such a record is not *plain*. It is parsed again by itself, and
`validation` looks at its quotes.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import reduce
from urllib.parse import unquote

from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

from xacct_assets.contract.load_request import LoadRequest
from xacct_load.headers import Header
from xacct_load.source_files import SourceFile
from xacct_load.sql_texts import part, sql_text

#: Where from_csv puts a record whose number of fields is not that of the header.
_MALFORMED = "malformed"
#: The empty field that from_csv is given before those of a record.
_SKIPPED = "skipped"
#: Fields of the schema that no record of a whole file fits, beyond the feed's columns.
SURPLUS_FIELDS = 100
_BEFORE_FIELDS = ("file_path", "block", "raw_record", "is_plain", "is_row")


def read_records(
    spark: SparkSession, request: LoadRequest, headers: Mapping[SourceFile, Header]
) -> DataFrame:
    """One row per record. The header of a file that is read split is one too.

    The plan has the same depth and size for any number of days, files and headers: what differs
    between the files is a table that is joined, not a part of the plan. (Files that
    `spark_paths` reads alone are the exception; their plans are joined as a balanced tree.)

    Args:
        spark: the session.
        request: of the load.
        headers: the files that have a row, with the header of each.

    Returns:
        Columns file_path (as Spark writes it, see `uri_of`), block (where the part of the file
        begins that was read), id (of the row; grows within a part), day (NULL if the file is none
        of these), raw_record, is_plain, is_row (False if the record has the wrong number of
        fields), and the fields: texts named by `text_name`, in the feed's order.
    """
    # Files with further columns, or without some, have records of another width.
    by_width: dict[int, dict[SourceFile, Header]] = defaultdict(dict)
    for file, header in headers.items():
        by_width[len(header)][file] = header
    widest = max(by_width, default=len(request.columns))
    parts = [
        part.select(*_BEFORE_FIELDS, *_padded(width, widest))
        for width, group in by_width.items()
        for part in _of_width(spark, request, list(group), width)
    ]
    if not parts:
        fields = _text_columns(_fields(widest))
        parts = [
            spark.createDataFrame(
                [],
                "file_path STRING, block BIGINT, raw_record STRING, is_plain BOOLEAN, "
                f"is_row BOOLEAN, {fields}",
            )
        ]
    while len(parts) > 1:
        parts = [reduce(DataFrame.union, parts[n : n + 2]) for n in range(0, len(parts), 2)]
    numbered = parts[0].withColumn("id", F.monotonically_increasing_id())
    return _in_feed_order(spark, request, headers, _without_preamble(numbered, request), widest)


def _of_width(
    spark: SparkSession, request: LoadRequest, files: Sequence[SourceFile], width: int
) -> list[DataFrame]:
    """The records of files whose headers have so many columns, in parts."""
    split = split_files(request, files)
    whole = [file for file in files if file not in set(split)]
    return [
        *(_whole_files(spark, request, width, *paths) for paths in spark_paths(whole)),
        *(_split_files(spark, request, width, *paths) for paths in spark_paths(split)),
    ]


def _padded(width: int, widest: int) -> list[Column]:
    """The fields of a record, and NULLs for those that wider records have."""
    absent = [F.lit(None).cast("string").alias(name) for name in _fields(widest)[width:]]
    return [*map(F.col, _fields(width)), *absent]


def _without_preamble(records: DataFrame, request: LoadRequest) -> DataFrame:
    """The records without those of the preamble, and the header behind it.

    Each line of the preamble is a record: the count has proved that no quote is open at its end.
    """
    left_out = request.dialect.preamble_lines
    if not left_out:
        return records
    number = F.row_number().over(Window.partitionBy("file_path").orderBy("block", "id"))
    first = left_out + request.dialect.header_row
    return records.withColumn("number", number).where(f"number > {first}").drop("number")


def text_name(column: str) -> str:
    """Name of the column that has a feed's column as it is in the file."""
    return f"text {column}"


def split_files(request: LoadRequest, files: Iterable[SourceFile]) -> list[SourceFile]:
    """The files that are read split. In a feed of one column, a header may look like a value."""
    allowed = set(request.splittable_files) if len(request.columns) > 1 else set()
    return [file for file in files if file.uri in allowed]


def _split_files(
    spark: SparkSession,
    request: LoadRequest,
    width: int,
    paths: list[str],
    path_options: Mapping[str, str],
) -> DataFrame:
    """The records of files that are read split."""
    # The carriage return of CRLF belongs to the line end.
    without_return = part("value", 1, "OCTET_LENGTH(value) - 1")
    record = f"IF(ENDSWITH(value, '\r'), {without_return}, value)"
    delimiter = sql_text(request.dialect.delimiter)
    return (
        spark.read.options(lineSep="\n", **path_options)
        .text(paths)
        .selectExpr(
            "_metadata.file_path AS file_path",
            "_metadata.file_block_start AS block",
            f"{record} AS raw_record",
        )
        .where("raw_record <> ''")
        .withColumn("pieces", F.expr(_pieces(request)))
        .withColumn(
            "is_plain",
            F.expr(f"SIZE(pieces) = {width} AND ARRAY_JOIN(pieces, {delimiter}) = raw_record"),
        )
        .withColumn("again", F.when(~F.col("is_plain"), _parsed(request, width)))
        .select(
            *("file_path", "block", "raw_record", "is_plain"),
            F.expr(f"is_plain OR again.{_MALFORMED} IS NULL").alias("is_row"),
            *(
                F.expr(f"IF(is_plain, {_content(request, f'pieces[{n}]')}, again.{name})").alias(
                    name
                )
                for n, name in enumerate(_fields(width))
            ),
        )
    )


def _whole_files(
    spark: SparkSession,
    request: LoadRequest,
    width: int,
    paths: list[str],
    path_options: Mapping[str, str],
) -> DataFrame:
    """The records of files that are read whole.

    Spark keeps the text of a record only if the record does not fit the schema. So the schema has
    far more fields than a record can be expected to have. (Not more than any can: planning takes
    Spark seconds for a thousand.) Of a record of just as many fields, raw_record is NULL.
    """
    fields, dialect = _fields(width), request.dialect
    surplus = [f"s{number}" for number in range(SURPLUS_FIELDS)]
    cut = (
        spark.read.schema(f"{_text_columns([*fields, *surplus, 'raw_record'])}")
        .options(**_csv_options(request), **path_options)
        .options(
            # Spark then leaves out the first record of each file.
            header=str(dialect.header_row and not dialect.preamble_lines).lower(),
            encoding=dialect.encoding,
            columnNameOfCorruptRecord="raw_record",
        )
        .csv(paths)
    )
    # Spark skips empty lines. With the given line end, an empty line that ends in CRLF is a CR.
    is_empty = F.col("f0").eqNullSafe("\r") & F.col("raw_record").eqNullSafe("")
    return (
        cut.where(~is_empty)
        .select(
            *("_metadata.file_path", "raw_record", *fields),
            # The reader leaves the carriage return of CRLF in a last field without quotes.
            F.expr(
                f"{_is_plain(request, width)} AND NOT ENDSWITH(COALESCE({fields[-1]}, ''), '\\r')"
            ).alias("is_plain"),
        )
        .withColumn("again", F.when(~F.col("is_plain"), _parsed(request, width)))
        .select(
            *("file_path", F.lit(0).cast("bigint").alias("block"), "raw_record", "is_plain"),
            F.expr(f"is_plain OR again IS NOT NULL AND again.{_MALFORMED} IS NULL").alias("is_row"),
            *(F.expr(f"IF(is_plain, {name}, again.{name})").alias(name) for name in fields),
        )
    )


def _parsed(request: LoadRequest, width: int) -> Column:
    """The fields of raw_record.

    They are parsed behind a delimiter, because the parser drops a byte order mark at the beginning
    of the first text that it is given.
    """
    return F.from_csv(
        F.concat(F.lit(request.dialect.delimiter), "raw_record"),
        _text_columns([_SKIPPED, *_fields(width), _MALFORMED]),
        {**_csv_options(request), "header": "false", "columnNameOfCorruptRecord": _MALFORMED},
    )


def _pieces(request: LoadRequest) -> str:
    """SQL of the fields of a record, with their quotes.

    A record that is not plain has text that is in none of them. The possessive quantifier keeps
    Java from recursion.
    """
    dialect = request.dialect
    quote, delimiter = (f"\\x{ord(mark):02x}" for mark in (dialect.quote, dialect.delimiter))
    quoted = f"{quote}[^{quote}]*(?:{quote}{quote}[^{quote}]*)*+{quote}"
    field = f"{delimiter}({quoted}|[^{quote}{delimiter}]*)"
    behind_delimiter = f"CONCAT({sql_text(dialect.delimiter)}, raw_record)"
    return (
        f"IF(CONTAINS(raw_record, {sql_text(dialect.quote)}), "
        f"REGEXP_EXTRACT_ALL({behind_delimiter}, {sql_text(field)}), "
        f"SPLIT(raw_record, {sql_text(re.escape(dialect.delimiter))}))"
    )


def _content(request: LoadRequest, piece: str) -> str:
    """SQL of a field without its quotes; NULL if it is empty and has none."""
    quote = request.dialect.quote
    inside = part(piece, 2, f"OCTET_LENGTH({piece}) - 2")
    return (
        f"CASE WHEN STARTSWITH({piece}, {sql_text(quote)}) "
        f"THEN REPLACE({inside}, {sql_text(quote * 2)}, {sql_text(quote)}) "
        f"ELSE NULLIF({piece}, '') END"
    )


def _is_plain(request: LoadRequest, width: int) -> str:
    """SQL that is true of a record with as many fields as the header that all readers read alike.

    Each field is without quotes, or is quoted and has none inside. The atomic group keeps Java from
    going back, and it goes only one level deeper for each field.
    """
    quote, delimiter = (
        f"\\x{ord(mark):02x}" for mark in (request.dialect.quote, request.dialect.delimiter)
    )
    field = f"(?>{quote}[^{quote}]*{quote}|[^{quote}{delimiter}]*)"
    pattern = f"^{field}(?:{delimiter}{field}){{{width - 1}}}\\z"
    return f"COALESCE(raw_record RLIKE {sql_text(pattern)}, FALSE)"


def _in_feed_order(
    spark: SparkSession,
    request: LoadRequest,
    headers: Mapping[SourceFile, Header],
    records: DataFrame,
    widest: int,
) -> DataFrame:
    """Add the day, and the fields in the feed's order, which each file's header says."""
    names = request.column_names
    kept = ("file_path", "block", "id", "day", "raw_record", "is_plain", "is_row")
    kinds = {(file.day, header) for file, header in headers.items()}
    if len(kinds) == 1:
        ((day, header),) = kinds
        absent = F.lit(None).cast("string")
        positions = request.file_columns.positions(header)
        texts = [F.col(f"f{at}") if at >= 0 else absent for at in positions]
        placed = records.withColumn("day", F.lit(str(day)))
    else:
        array = F.array(*_fields(widest)).alias("texts")
        table = _file_table(spark, request, headers)
        # The position of a column that a file lacks is -1: there is no such element.
        texts = [F.col("texts")[F.col("positions")[number]] for number in range(len(names))]
        placed = records.select("*", source_file(), array).join(
            F.broadcast(table), "source_file", "left"
        )
    return placed.select(
        *kept, *(text.alias(text_name(name)) for text, name in zip(texts, names, strict=True))
    )


def _file_table(
    spark: SparkSession, request: LoadRequest, headers: Mapping[SourceFile, Header]
) -> DataFrame:
    """One row per file: file_path, its day, and the positions of the feed's columns in it.

    It is made from one JSON text, because a DataFrame made from Python's objects needs a Python
    process on the workers.
    """
    orders = {header: number for number, header in enumerate(dict.fromkeys(headers.values()))}
    positions = [request.file_columns.positions(header) for header in orders]
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


def source_file() -> Column:
    """The URI of the file that a row was read from, of its file_path.

    That is percent-encoded, except that a plus stays a plus.
    """
    decoded = "URL_DECODE(REPLACE(file_path, '+', '%2B'))"
    return F.expr(f"IF(INSTR(file_path, '%') = 0, file_path, {decoded}) AS source_file")


def uri_of(file_path: str) -> str:
    """As `source_file`, in Python."""
    return unquote(file_path)


def _fields(width: int) -> list[str]:
    """Names of so many fields in a file's own order."""
    return [f"f{number}" for number in range(width)]


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
