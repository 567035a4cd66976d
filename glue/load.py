"""Loads days of one feed from the Glue Data Catalog into Redshift staging (AWS Glue 5.0).

What to load arrives as the extras of a Dagster Pipes context; what was loaded goes back as one
Pipes message. Read `main` first, then `load`: the rest is in the order in which it is used.

What holds at the end of a run that succeeded, for every day asked for:
    rows read from the day's files = rows in staging + rows under the rejects prefix
The rows of those days are replaced, and the load audit table is written, in one transaction. A run
that fails leaves staging, load audit and the published rejects as they were.

A value is loaded only if nothing of it is lost:
    bigint, integer, smallint   digits with an optional sign, in range
    decimal(p,s)                plain digits; no more than s decimals (further zeros are allowed)
    real, double precision      digits, optional exponent; finite
    boolean                     true/false, t/f, yes/no, y/n, 1/0 in any case
    date                        YYYY-MM-DD
    timestamp                   YYYY-MM-DDThh:mm[:ss[.ffffff]][Z|+hh:mm|-hh:mm], or a blank for
                                the T; with an offset it is turned into UTC
    varchar(n)                  at most n bytes (not characters) of UTF-8, no NUL character
An empty field is NULL, a quoted empty field is the empty string.
"""

from __future__ import annotations

import csv
import fnmatch
import gzip
import io
import itertools
import json
import random
import re
import sys
import time
import zlib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
from functools import partial
from typing import Any

import boto3
from awsglue.context import GlueContext
from awsglue.dynamicframe import DynamicFrame
from awsglue.job import Job
from awsglue.utils import getResolvedOptions
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from dagster_pipes import (
    PipesCliArgsParamsLoader,
    PipesContext,
    PipesS3ContextLoader,
    PipesS3MessageWriter,
    PipesS3MessageWriterChannel,
    open_dagster_pipes,
)
from pyspark.context import SparkContext
from pyspark.errors import PySparkException
from pyspark.sql import Column, DataFrame, SparkSession, Window
from pyspark.sql import functions as F

# Bytes of a file that are read to see its header row; a header must end within them.
HEAD_BYTES = 64 * 1024
# Files and partitions are looked at this many at a time.
THREADS = 16
# Bytes decompressed at a time.
CHUNK = 1024 * 1024
# BatchGetPartition and DeleteObjects take no more than this at once (AWS API reference).
BATCH = 1000
# One temporary file per so many rows: COPY loads files in parallel, and small ones cost more.
ROWS_PER_TEMPORARY_FILE = 250_000
ROWS_PER_REJECT_FILE = 100_000
# Rejected rows of a day that are shown with it, and how much of each.
SAMPLED_REJECTS, SAMPLED_CHARACTERS = 10, 300
# A rejected value is quoted in the reason up to this many characters (the raw record has it all).
QUOTED_VALUE_CHARACTERS = 200

# A write that meets other transactions is tried so often in all.
WRITE_ATTEMPTS = 6
# Redshift's error 1023, and PostgreSQL's words for the same and for a deadlock.
CONFLICT = re.compile(
    r"error:?\s*1023\b|could not serialize|serializable isolation|deadlock detected", re.IGNORECASE
)

NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,63}")
TABLE = re.compile(r"[a-z_][a-z0-9_]*(\.[a-z_][a-z0-9_]*)?")
COLUMN = re.compile(r"[a-z_][a-z0-9_]*")
# What S3 answers to whoever may not: HEAD requests have no body, and so no code but the status.
DENIED = ("AccessDenied", "403")
S3_URI = re.compile(r"s3://([^/]+)/(.*)", re.DOTALL)


class LoadError(Exception):
    """Why nothing was loaded: which file, partition or setting, the reason, the fix.

    Glue puts it into the job run's ErrorMessage.
    """


# --- what to load ----------------------------------------------------------------------------


@dataclass(frozen=True)
class FeedColumn:
    """A column of the feed; ``type`` as Redshift writes it, in lower case."""

    name: str
    type: str
    nullable: bool


@dataclass(frozen=True)
class Day:
    """A day, the partition values it has in the catalog, and how many rows were counted in it.

    Crawlers make no partition of files without rows: such a day is loaded as an empty one. None
    means that nobody counted.
    """

    day: date
    values: tuple[str, ...]
    rows: int | None = None


@dataclass(frozen=True)
class CsvFormat:
    """How the files of the feed are written."""

    delimiter: str
    quote: str
    escape: str
    encoding: str
    patterns: tuple[str, ...]


@dataclass(frozen=True)
class Request:
    """One load: what the orchestrator asked for."""

    feed: str
    load_id: str
    days: tuple[Day, ...]
    catalog_database: str
    catalog_table: str
    source: CsvFormat
    columns: tuple[FeedColumn, ...]
    key: tuple[str, ...]
    staging_table: str
    load_audit_table: str
    connection: str
    database: str
    tmp_dir: str
    copy_role: str
    rejects: str

    @classmethod
    def from_extras(cls, extras: Mapping[str, Any]) -> Request:
        """Read the Pipes extras.

        Raises:
            LoadError: something is missing or cannot be what it is said to be.
        """
        try:
            request = cls(
                feed=extras["feed"],
                load_id=extras["load_id"],
                days=tuple(
                    Day(date.fromisoformat(item["day"]), tuple(item["values"]), item.get("rows"))
                    for item in extras["days"]
                ),
                catalog_database=extras["catalog"]["database"],
                catalog_table=extras["catalog"]["table"],
                source=CsvFormat(
                    delimiter=extras["source"]["delimiter"],
                    quote=extras["source"]["quote"],
                    escape=extras["source"]["escape"],
                    encoding=extras["source"]["encoding"],
                    patterns=tuple(extras["source"]["pattern"]),
                ),
                columns=tuple(
                    FeedColumn(
                        item["name"], " ".join(item["type"].lower().split()), item["nullable"]
                    )
                    for item in extras["columns"]
                ),
                key=tuple(extras["key"]),
                staging_table=extras["staging"]["table"],
                load_audit_table=extras["staging"]["load_audit"],
                connection=extras["connection"],
                database=extras["database"],
                tmp_dir=extras["tmp_dir"].rstrip("/") + "/",
                copy_role=extras["copy_role"],
                rejects=extras["rejects"].rstrip("/") + "/",
            )
        except KeyError as missing:
            raise LoadError(
                f"the Pipes context has no {missing}; script and pipeline are of different "
                "versions: deploy them together with `xacct deploy`"
            ) from missing
        except (TypeError, ValueError, AttributeError) as problem:
            raise LoadError(f"the Pipes context cannot be read: {problem}") from problem
        request.check()
        return request

    def check(self) -> None:
        """Refuse what could not be loaded rightly, before anything is touched."""
        for what, text in (("feed", self.feed), ("load_id", self.load_id)):
            _require(NAME.fullmatch(text), what, text, f"must match {NAME.pattern}")
        for what, text in (
            ("staging table", self.staging_table),
            ("load_audit", self.load_audit_table),
        ):
            _require(TABLE.fullmatch(text), what, text, "must be schema.table in lower case")
        for what, text in (("tmp_dir", self.tmp_dir), ("rejects", self.rejects)):
            _require(S3_URI.fullmatch(text), what, text, "must be s3://bucket/prefix/")
        _require(self.days, "days", [], "must name at least one day")
        days = [item.day for item in self.days]
        _require(len(set(days)) == len(days), "days", days, "must not repeat")
        _require(
            self.source.encoding.upper().replace("-", "") == "UTF8",
            "encoding",
            self.source.encoding,
            "only UTF-8 is supported",
        )
        for what, text in (
            ("delimiter", self.source.delimiter),
            ("quote", self.source.quote),
            ("escape", self.source.escape),
        ):
            _require(len(text) == 1, what, text, "must be one character")
        names = [column.name for column in self.columns]
        _require("partition_date" not in names, "columns", names, "partition_date is added here")
        _require(names and len(set(names)) == len(names), "columns", names, "must not repeat")
        by_name = {column.name: column for column in self.columns}
        for column in self.columns:
            _require(COLUMN.fullmatch(column.name), "column", column.name, "must be lower case")
            value_sql(column.type, "x")
        for name in self.key:
            _require(name in by_name, "key", name, "must be a column of the feed")
            _require(not by_name[name].nullable, "key", name, "must be a column that is not null")

    @property
    def null_marker(self) -> str:
        """Stands for NULL in text. It holds the id of this load, so that no value can be it."""
        return f"@NULL-{self.load_id}@"


def _require(condition: object, what: str, value: object, rule: str) -> None:
    if not condition:
        raise LoadError(f"{what} {value!r}: {rule}")


# --- the story -------------------------------------------------------------------------------


def main() -> None:
    """Run the job that the arguments describe."""
    arguments = getResolvedOptions(sys.argv, ["JOB_NAME", "load_id", "bucket_owners"])
    if "--dagster-pipes-context" not in sys.argv:
        raise LoadError(
            "--dagster-pipes-context is missing: this job is started by its Dagster asset, "
            "which passes what to load"
        )
    glue_context = GlueContext(SparkContext.getOrCreate())
    job = Job(glue_context)
    job.init(arguments["JOB_NAME"], arguments)
    # One connection for each thread: beyond its pool, every request is a handshake of its own.
    s3 = boto3.client("s3", config=Config(max_pool_connections=THREADS))
    expect_owners(s3, parse_owners(arguments["bucket_owners"]))
    with open_dagster_pipes(
        context_loader=ContextLoader(client=s3),
        message_writer=MessageWriter(client=s3),
        params_loader=PipesCliArgsParamsLoader(),
    ) as pipes:
        request = Request.from_extras(pipes.extras)
        if request.load_id != arguments["load_id"]:
            raise LoadError(
                f"--load_id is {arguments['load_id']!r}, the Pipes context says "
                f"{request.load_id!r}: they belong to different loads"
            )
        try:
            report = load(glue_context, s3, request, pipes)
        except PySparkException as problem:
            raise LoadError(spark_failure(str(problem))) from problem
        except Exception as problem:
            # Py4JJavaError cannot be imported here (only pyspark, awsglue, boto3 and
            # dagster_pipes are sure to be present), but its Java side can be recognised.
            if hasattr(problem, "java_exception"):
                raise LoadError(spark_failure(str(problem))) from problem
            raise
        pipes.report_custom_message(report)
    job.commit()


class ContextLoader(PipesS3ContextLoader):
    """Takes the context from the arguments if it is short enough to be in them, else from S3."""

    @contextmanager
    def load_context(self, params: Mapping[str, Any]) -> Iterator[Any]:
        if "data" in params:
            yield params["data"]
        else:
            with super().load_context(params) as context:
                yield context


class MessagesAtTheEnd(PipesS3MessageWriterChannel):
    """Writes all messages as one object when the script ends.

    They are read when the job has ended, so that writing them in parts helps nobody; and Pipes' own
    thread, which looks at its queue once a second, would keep the script waiting for two.
    """

    @contextmanager
    def buffered_upload_loop(self) -> Iterator[None]:
        try:
            yield
        finally:
            messages = self.flush_messages()
            if messages:
                self.upload_messages_chunk(io.StringIO("\n".join(map(json.dumps, messages))), 1)


class MessageWriter(PipesS3MessageWriter):
    """Pipes' writer to S3, with one object for all messages."""

    def make_channel(self, params: Mapping[str, Any]) -> MessagesAtTheEnd:
        return MessagesAtTheEnd(
            client=self._client, bucket=params["bucket"], key_prefix=params["key_prefix"]
        )


def load(
    glue_context: GlueContext, s3: Any, request: Request, pipes: PipesContext
) -> dict[str, Any]:
    """Replace the request's days in staging; answer what was read, loaded and rejected."""
    spark = glue_context.spark_session
    spark.conf.set("spark.sql.session.timeZone", "UTC")
    # Spark warns for every file that its header does not fit the schema; `read_group` says why.
    spark.sparkContext.setLogLevel("ERROR")
    glue = boto3.client("glue", region_name=region_of(s3, request))
    check_connection(glue, request)
    for bucket in {split_uri(uri)[0] for uri in (request.tmp_dir, request.rejects)}:
        check_bucket(s3, bucket)

    locations = find_partitions(glue, request)
    files = list_files(s3, request, locations)
    groups = group_by_layout(s3, request, files)
    pipes.log.info(f"reading {len(files)} files of {len(request.days)} days")

    rows = mark_duplicates(judge(read_records(spark, request, groups, locations), request), request)
    rows.persist()
    try:
        with naming_broken_gzip(s3, files):
            tally = count_rows(rows, request, files)
        pipes.log.info(f"read {tally.read} rows: {tally.loaded} to load, {tally.rejected} rejected")
        reject_files = write_rejects(spark, s3, rows, request, tally)
        write_staging(glue_context, rows, request, tally)
    finally:
        rows.unpersist()
    pipes.log.info(f"committed {tally.loaded} rows to {request.staging_table}")

    publish_rejects(s3, request, tally, reject_files)
    delete_objects(s3, *split_uri(request.tmp_dir))
    return tally.report(request, sample_rejects(s3, request, reject_files))


def region_of(s3: Any, request: Request) -> str:
    """The job's region: boto3's own, or where the working bucket is, which is made beside it."""
    if region := boto3.Session().region_name:
        return region
    location = s3.get_bucket_location(Bucket=split_uri(request.tmp_dir)[0])
    return location["LocationConstraint"] or "us-east-1"  # the API says None for us-east-1


# --- where the days are ----------------------------------------------------------------------


def check_connection(glue: Any, request: Request) -> None:
    """Make sure that the Glue connection leads to the database we were told to load."""
    try:
        answer = glue.get_connection(Name=request.connection, HidePassword=True)
    except ClientError as problem:
        raise LoadError(f"cannot read Glue connection {request.connection}: {problem}") from problem
    url = answer["Connection"]["ConnectionProperties"].get("JDBC_CONNECTION_URL", "")
    database = url.partition("?")[0].rpartition("/")[2]
    if database != request.database:
        raise LoadError(
            f"Glue connection {request.connection} leads to database {database!r} ({url}), but "
            f"{request.database!r} is to be loaded: correct the connection or XACCT_DATABASE"
        )


def find_partitions(glue: Any, request: Request) -> dict[str, date]:
    """The day of each partition location (``s3://…/``).

    Raises:
        LoadError: a day with rows has no partition in the catalog, or two days share a location.
    """
    table = f"{request.catalog_database}.{request.catalog_table}"
    found: dict[tuple[str, ...], str] = {}
    wanted = [item.values for item in request.days]
    for attempt in range(2):  # what Glue leaves out may be missing, or not have been looked at
        asked, wanted = wanted, []
        for start in range(0, len(asked), BATCH):
            try:
                answer = glue.batch_get_partition(
                    DatabaseName=request.catalog_database,
                    TableName=request.catalog_table,
                    PartitionsToGet=[{"Values": list(v)} for v in asked[start : start + BATCH]],
                )
            except ClientError as problem:
                raise LoadError(f"cannot read partitions of {table}: {problem}") from problem
            for partition in answer.get("Partitions", []):
                location = partition["StorageDescriptor"]["Location"].rstrip("/") + "/"
                found[tuple(partition["Values"])] = location
            if attempt == 0:
                wanted += [tuple(entry["Values"]) for entry in answer.get("UnprocessedKeys", [])]
    missing = [item for item in request.days if item.values not in found and item.rows != 0]
    if missing:
        listed = ", ".join(f"{item.day} (values {list(item.values)})" for item in missing)
        raise LoadError(
            f"{table} has no partition for {listed}: crawl first (materialize catalog_table)"
        )
    locations: dict[str, date] = {}
    for item in request.days:
        if item.values not in found:
            continue
        location = found[item.values]
        if not S3_URI.fullmatch(location):
            raise LoadError(f"partition {list(item.values)} of {table} is at {location}, not in S3")
        if location in locations:
            raise LoadError(
                f"{table}: {locations[location]} and {item.day} are both at {location}; "
                "remove the wrong partition and crawl again"
            )
        locations[location] = item.day
    return locations


@dataclass(frozen=True)
class SourceFile:
    """An object of a day; ``size`` in bytes."""

    bucket: str
    key: str
    size: int
    day: date

    @property
    def uri(self) -> str:
        return f"s3://{self.bucket}/{self.key}"


def list_files(s3: Any, request: Request, locations: Mapping[str, date]) -> list[SourceFile]:
    """The objects below each location that match the feed's pattern, in key order."""

    def of_location(location: str) -> list[SourceFile]:
        bucket, prefix = split_uri(location)
        try:
            return [
                SourceFile(bucket, item["Key"], item["Size"], locations[location])
                for item in list_objects(s3, bucket, prefix)
                if is_source_key(item["Key"][len(prefix) :], request.source.patterns)
            ]
        except (ClientError, BotoCoreError) as problem:
            why = denial(s3, problem, "s3:ListBucket", f"arn:aws:s3:::{bucket}") or problem
            raise LoadError(
                f"cannot list {location} (partition of {locations[location]}): {why}"
            ) from problem

    with ThreadPoolExecutor(THREADS) as pool:
        found = [file for files in pool.map(of_location, locations) for file in files]
    return sorted(found, key=lambda file: file.key.encode())


def is_source_key(relative_key: str, patterns: Iterable[str]) -> bool:
    """Whether the path below a day's folder is data of the feed.

    ``*`` does not match a slash. Names that begin with ``_`` or ``.`` are hidden, and never data.
    """
    parts = relative_key.split("/")
    if not parts[-1] or parts[-1].startswith(("_", ".")):
        return False
    return any(
        len(parts) == len(levels := pattern.split("/"))
        and all(map(fnmatch.fnmatchcase, parts, levels))
        for pattern in patterns
    )


# --- headers ---------------------------------------------------------------------------------


@dataclass(frozen=True)
class Layout:
    """How a file is laid out: its columns in order, and whether its lines end in CRLF."""

    header: tuple[str, ...]
    crlf: bool


def group_by_layout(
    s3: Any, request: Request, files: Sequence[SourceFile]
) -> dict[Layout, list[SourceFile]]:
    """Files by layout; nearly always one group. Files without a row are left out.

    Raises:
        LoadError: a header is not the feed's columns.
    """

    def layout_of(file: SourceFile) -> Layout | None:
        if file.size == 0:
            return None
        try:
            answer = s3.get_object(
                Bucket=file.bucket, Key=file.key, Range=f"bytes=0-{HEAD_BYTES - 1}"
            )
            head = answer["Body"].read()
        except (ClientError, BotoCoreError) as problem:
            arn = f"arn:aws:s3:::{file.bucket}/{file.key}"
            why = denial(s3, problem, "s3:GetObject", arn) or problem
            raise LoadError(f"cannot read {file.uri}: {why}") from problem
        try:
            layout = parse_head(head, file.key, file.size <= HEAD_BYTES, request.source)
        except ValueError as problem:
            raise LoadError(f"{file.uri}: {problem}") from problem
        if layout is not None:
            columns = [column.name for column in request.columns]
            if difference := header_difference(layout.header, columns):
                raise LoadError(f"{file.uri}: {difference}; correct the file or the feed's columns")
        return layout

    groups: dict[Layout, list[SourceFile]] = {}
    with ThreadPoolExecutor(THREADS) as pool:
        for file, layout in zip(files, pool.map(layout_of, files), strict=True):
            if layout is not None:
                groups.setdefault(layout, []).append(file)
    return groups


def parse_head(head: bytes, key: str, is_whole: bool, source: CsvFormat) -> Layout | None:
    """The layout that the first bytes of a file show, or None if it holds no row at all.

    Raises:
        ValueError: the bytes are not what the key and the feed's format say.
    """
    gzipped = head[:2] == b"\x1f\x8b"
    if key.endswith(".gz"):
        if not gzipped:
            raise ValueError("is named .gz but is not gzip; rename it or compress it")
        try:
            head, is_whole = inflate_head(head, is_whole)
        except zlib.error as problem:
            raise ValueError(f"is a broken gzip file ({problem}); deliver it again") from problem
    elif gzipped:
        raise ValueError("is gzip without a name ending in .gz; rename it")
    try:
        # An incomplete character at the cut is no fault of the file.
        text = head.decode("utf-8-sig", errors="strict" if is_whole else "ignore")
    except UnicodeDecodeError as problem:
        raise ValueError(f"is not UTF-8 ({problem}); deliver it in UTF-8") from problem
    rows = csv.reader(
        io.StringIO(text, newline=""),
        delimiter=source.delimiter,
        quotechar=source.quote,
        doublequote=source.escape == source.quote,
        escapechar=None if source.escape == source.quote else source.escape,
    )
    try:
        header = next((row for row in rows if row), None)
        complete = is_whole or next(rows, None) is not None
    except csv.Error as problem:
        raise ValueError(f"has no readable header row ({problem})") from problem
    if header is None:
        return None
    if not complete:
        raise ValueError(f"has a header row longer than {HEAD_BYTES} bytes")
    line_end = re.search("\r?\n|\r", text)
    if line_end and line_end[0] == "\r":
        raise ValueError("ends its lines with a lone carriage return; use LF or CRLF")
    if text.startswith("\r\n"):
        raise ValueError("begins with an empty line; remove it")
    return Layout(tuple(header), crlf=line_end is not None and line_end[0] == "\r\n")


def inflate_head(packed: bytes, is_whole: bool) -> tuple[bytes, bool]:
    """The first bytes of a gzip file, of several members too, and whether they are all of it.

    Raises:
        ValueError: the file ends too early.
        zlib.error: it is damaged.
    """
    head = b""
    while True:
        inflater = zlib.decompressobj(wbits=31)
        head += inflater.decompress(packed, HEAD_BYTES - len(head))
        packed = inflater.unused_data
        if not inflater.eof:
            if is_whole and len(head) < HEAD_BYTES:
                raise ValueError("is a gzip file that ends too early; deliver it again")
            return head, False
        if not packed:
            return head, is_whole
        if len(head) >= HEAD_BYTES:
            return head, False


def header_difference(header: Sequence[str], columns: Sequence[str]) -> str | None:
    """What is wrong with a header, or None. The order of columns does not matter."""
    missing = [name for name in columns if name not in header]
    extra = [name for name in header if name not in columns]
    repeated = sorted({name for name in header if header.count(name) > 1})
    parts = [
        f"{label} {', '.join(map(repr, names))}"
        for label, names in (("missing", missing), ("extra", extra), ("repeated", repeated))
        if names
    ]
    return f"header differs from the feed's columns: {'; '.join(parts)}" if parts else None


# --- records ---------------------------------------------------------------------------------


def read_records(
    spark: SparkSession,
    request: Request,
    groups: Mapping[Layout, Sequence[SourceFile]],
    locations: Mapping[str, date],
) -> DataFrame:
    """One row per record: day, source_file, position, raw_record, fields (NULL if miscounted).

    Positions grow within a file: a multi-line CSV file is never split, so one task reads it from
    beginning to end.
    """
    parts = [
        read_group(spark, request, layout, paths, options)
        for layout, files in groups.items()
        for paths, options in spark_paths(files)
    ]
    if not parts:
        parts = [
            spark.createDataFrame(
                [],
                "source_file STRING, position BIGINT, raw_record STRING, "
                f"fields STRUCT<{fields_ddl([column.name for column in request.columns], ':')}>",
            )
        ]
    records = parts[0]
    for part in parts[1:]:
        records = records.union(part)
    return records.withColumn("day", day_of(locations))


def read_group(
    spark: SparkSession,
    request: Request,
    layout: Layout,
    paths: list[str],
    path_options: Mapping[str, str],
) -> DataFrame:
    """The records of files that share a layout.

    Spark hands over the text of a record only when it does not fit the schema. So the records are
    first cut with a schema that none of them fits (one column where several are expected), which
    keeps the raw text for the rejects, and the text is then parsed with the true columns.
    """
    misfit = ["a"] if len(layout.header) > 1 else ["a", "b"]
    options = {
        "sep": request.source.delimiter,
        "quote": request.source.quote,
        "escape": request.source.escape,
        "mode": "PERMISSIVE",
        "multiLine": "true",
        # Given, not detected: detection cuts wrongly where a file mixes line ends. The carriage
        # return of CRLF is taken off the record by Spark.
        "lineSep": "\n",
        # Only so an empty field and a quoted empty one can be told apart.
        "nullValue": request.null_marker,
        "emptyValue": "",
        # Spark can be set to skip what it cannot read; not here.
        "ignoreCorruptFiles": "false",
        "ignoreMissingFiles": "false",
    }
    cut = (
        spark.read.schema(f"{fields_ddl(misfit)}, record STRING")
        .options(**options, **path_options)
        .options(header="true", encoding="UTF-8", columnNameOfCorruptRecord="record")
        .csv(paths)
    )
    if layout.crlf:
        # Spark skips empty lines; with the given line end, this is an empty one of these files.
        empty = (F.col("a") == "\r") & (F.coalesce("record", F.lit("")) == "")
        cut = cut.where(~F.coalesce(empty, F.lit(False)))
    parsed = F.from_csv(
        F.col("record"),
        f"{fields_ddl(layout.header)}, `{MISFIT}` STRING",
        {**options, "header": "false", "columnNameOfCorruptRecord": MISFIT},
    )
    in_feed_order = F.struct(*(F.col(f"parsed.`{column.name}`") for column in request.columns))
    as_csv = {key: options[key] for key in ("sep", "quote", "escape")}
    return cut.select(
        # _metadata.file_path is percent-encoded, except that a plus stays a plus.
        F.expr("url_decode(replace(_metadata.file_path, '+', '%2B'))").alias("source_file"),
        F.monotonically_increasing_id().alias("position"),
        F.coalesce(F.col("record"), F.to_csv(F.struct(*misfit), as_csv)).alias("raw_record"),
        F.when(F.col("record").isNotNull(), parsed).alias("parsed"),
    ).select(
        "source_file",
        "position",
        "raw_record",
        F.when(
            F.col("parsed").isNotNull() & F.col(f"parsed.`{MISFIT}`").isNull(), in_feed_order
        ).alias("fields"),
    )


# Where from_csv puts a record that has not as many fields as the header. No feed column is so
# named: COLUMN allows no blank.
MISFIT = "no row"


def fields_ddl(names: Iterable[str], separator: str = "") -> str:
    """Columns of text, as Spark's DDL (in a STRUCT<> the separator is a colon)."""
    return ", ".join(f"`{name}`{separator} STRING" for name in names)


def spark_paths(files: Sequence[SourceFile]) -> Iterator[tuple[list[str], dict[str, str]]]:
    """Paths that Spark can read at once, with the options it needs to find just these files.

    Spark takes paths for patterns, so what means something in a pattern is escaped. Hadoop cannot
    match that where the key has a colon too (HADOOP-14217): such files are read one by one with
    Spark's own option to take a path as it is, which multiplies files if there are several.
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
    """A path that Spark takes literally: in an object key, ``[`` and ``*`` are just characters."""
    return re.sub(r"([\\\[\]{}*?])", r"\\\1", uri)


def day_of(locations: Mapping[str, date]) -> Column:
    """The day of a record, by where its file is."""
    result = F.lit(None).cast("string")
    for location, day in locations.items():
        result = F.when(F.col("source_file").startswith(location), F.lit(str(day))).otherwise(
            result
        )
    return result


# --- verdicts --------------------------------------------------------------------------------


@dataclass(frozen=True)
class ValueSql:
    """How a text is judged: ``loaded`` is the text COPY gets, or NULL with the ``fault``.

    A ``special`` fault (condition, name) is looked for first.
    """

    loaded: str
    fault: str
    special: tuple[str, str] | None = None


INTEGERS = {"bigint": "BIGINT", "integer": "INT", "int": "INT", "smallint": "SMALLINT"}
FLOATS = {"double precision": "DOUBLE", "float8": "DOUBLE", "real": "FLOAT", "float4": "FLOAT"}


def value_sql(column_type: str, text: str) -> ValueSql:
    """Spark SQL that judges the expression ``text`` as a value of a Redshift type.

    Raises:
        LoadError: the type is not one this script loads.
    """
    if spark_type := INTEGERS.get(column_type):
        return ValueSql(
            f"CASE WHEN {matches(text, '[+-]?[0-9]+')} "
            f"THEN CAST(TRY_CAST({text} AS {spark_type}) AS STRING) END",
            f"not {'an' if column_type[0] == 'i' else 'a'} {column_type}",
        )
    if found := re.fullmatch(r"(?:decimal|numeric) ?\( ?(\d+) ?(?:, ?(\d+) ?)?\)", column_type):
        precision, scale = int(found[1]), int(found[2] or 0)
        if not 1 <= precision <= 38 or scale > precision:
            raise LoadError(f"column type {column_type!r}: Redshift has no such decimal")
        decimals = f"([.][0-9]{{0,{scale}}}0*)?"
        plain = f"[+-]?(?=[.]?[0-9])[0-9]*{decimals}"
        return ValueSql(
            f"CASE WHEN {matches(text, plain)} "
            f"THEN CAST(TRY_CAST({text} AS DECIMAL({precision},{scale})) AS STRING) END",
            f"not a decimal({precision},{scale})",
        )
    if spark_type := FLOATS.get(column_type):
        number = "[+-]?([0-9]+[.]?[0-9]*|[.][0-9]+)([eE][+-]?[0-9]+)?"
        cast = f"TRY_CAST({text} AS {spark_type})"
        underflown = f"({cast} = 0 AND {matches(text, '[^eE]*[1-9].*')})"
        return ValueSql(
            f"CASE WHEN {matches(text, number)} AND ABS({cast}) < "
            f"CAST('Infinity' AS {spark_type}) AND NOT {underflown} THEN {text} END",
            f"not a {column_type}",
        )
    if column_type in ("boolean", "bool"):
        return ValueSql(
            f"CASE WHEN LOWER({text}) IN ('true', 't', 'yes', 'y', '1') THEN 'true' "
            f"WHEN LOWER({text}) IN ('false', 'f', 'no', 'n', '0') THEN 'false' END",
            "not a boolean",
        )
    if column_type == "date":
        return ValueSql(
            f"CASE WHEN {matches(text, '(?!0000)[0-9]{4}-[0-9]{2}-[0-9]{2}')} "
            f"THEN CAST(TRY_CAST({text} AS DATE) AS STRING) END",
            "not a date",
        )
    if column_type in ("timestamp", "timestamp without time zone"):
        clock = "[0-9]{2}:[0-9]{2}(:[0-9]{2}([.][0-9]{1,6}0*)?)?"
        zone = "(Z|[+-][0-9]{2}:[0-9]{2})?"
        moment = f"(?!0000)[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}}[T ]{clock}{zone}"
        written = f"DATE_FORMAT(TRY_CAST({text} AS TIMESTAMP), 'yyyy-MM-dd HH:mm:ss.SSSSSS')"
        # An offset can lead out of the years 0001-9999, which would be written longer.
        return ValueSql(
            f"CASE WHEN {matches(text, moment)} AND LENGTH({written}) = 26 THEN {written} END",
            "not a timestamp",
        )
    if found := re.fullmatch(r"(?:varchar|character varying) ?\( ?(\d+|max) ?\)", column_type):
        limit = 65535 if found[1] == "max" else int(found[1])
        if not 1 <= limit <= 65535:
            raise LoadError(f"column type {column_type!r}: Redshift's limit is 65535 bytes")
        return ValueSql(
            f"CASE WHEN OCTET_LENGTH({text}) <= {limit} AND INSTR({text}, CHR(0)) = 0 "
            f"THEN {text} END",
            f"longer than {limit} bytes",
            (f"INSTR({text}, CHR(0)) > 0", "holds a NUL character, which Redshift cannot"),
        )
    raise LoadError(
        f"column type {column_type!r} is not supported: use bigint, integer, smallint, "
        "decimal(p,s), double precision, real, boolean, date, timestamp or varchar(n)"
    )


def matches(text: str, pattern: str) -> str:
    """SQL that is true if the whole text matches (``$`` would let a final newline pass)."""
    return f"{text} RLIKE {sql_text(f'^(?:{pattern})' + chr(92) + 'z')}"


def sql_text(value: str) -> str:
    """A Spark SQL string literal."""
    return "'" + value.replace("\\", "\\\\").replace("'", "\\'") + "'"


def judge(records: DataFrame, request: Request) -> DataFrame:
    """Per record: values (texts for COPY, in the feed's order) and problem (NULL if it is good)."""
    columns = [
        (column, f"fields.`{column.name}`", value_sql(column.type, f"fields.`{column.name}`"))
        for column in request.columns
    ]
    values = ", ".join(f"'{column.name}', {sql.loaded}" for column, _, sql in columns)
    judged = records.withColumn("values", F.expr(f"NAMED_STRUCT({values})"))
    problems = [problem_sql("fields IS NULL", "wrong number of fields", "NULL")]
    for column, text, sql in columns:
        if not column.nullable:
            problems.append(problem_sql(f"{text} IS NULL", f"{column.name}: missing", "NULL"))
        if sql.special:
            condition, fault = sql.special
            problems.append(problem_sql(condition, f"{column.name}: {fault}", text))
        problems.append(
            problem_sql(
                f"{text} IS NOT NULL AND values.`{column.name}` IS NULL",
                f"{column.name}: {sql.fault}",
                text,
            )
        )
    return judged.withColumn("problem", F.expr(f"COALESCE({', '.join(problems)})"))


def problem_sql(condition: str, kind: str, value: str) -> str:
    """SQL for a problem of this kind where the condition holds, else NULL."""
    shown = f"LEFT({value}, {QUOTED_VALUE_CHARACTERS})"
    return (
        f"CASE WHEN {condition} THEN "
        f"NAMED_STRUCT('kind', {sql_text(kind)}, 'value', CAST({shown} AS STRING)) END"
    )


def mark_duplicates(rows: DataFrame, request: Request) -> DataFrame:
    """Reject all but the first good row of a key within a day (order: object key, then row)."""
    if request.key:
        # Rows that are rejected already stand alone: they displace nobody and pile up nowhere.
        apart = F.when(F.col("problem").isNotNull(), F.struct("source_file", "position"))
        keys = [F.col(f"values.`{name}`") for name in request.key]
        turn = F.row_number().over(
            Window.partitionBy("day", apart, *keys).orderBy("source_file", "position")
        )
        duplicate = F.struct(
            F.lit(f"{', '.join(request.key)}: duplicate key").alias("kind"),
            F.concat_ws(", ", *keys).alias("value"),
        )
        rows = rows.withColumn("turn", turn).withColumn(
            "problem", F.when(F.col("turn") > 1, duplicate).otherwise(F.col("problem"))
        )
    rejected = F.col("problem").isNotNull()
    return rows.select(
        "day",
        "source_file",
        "position",
        "problem",
        F.when(~rejected, F.col("values")).alias("values"),
        # Kept for rejects only: the good rows would be stored twice.
        F.when(rejected, F.col("raw_record")).alias("raw_record"),
    )


# --- counts ----------------------------------------------------------------------------------


@dataclass
class DayTally:
    """The rows of one day."""

    files: int = 0
    loaded: int = 0
    reasons: dict[str, int] = field(default_factory=dict)

    @property
    def rejected(self) -> int:
        return sum(self.reasons.values())


@dataclass
class Tally:
    """The rows of all days of the request."""

    days: dict[date, DayTally]

    @property
    def loaded(self) -> int:
        return sum(day.loaded for day in self.days.values())

    @property
    def rejected(self) -> int:
        return sum(day.rejected for day in self.days.values())

    @property
    def read(self) -> int:
        return self.loaded + self.rejected

    def report(
        self, request: Request, samples: Mapping[date, Sequence[Mapping[str, str]]]
    ) -> dict[str, Any]:
        """The message that goes back to the asset."""
        return {
            "load_id": request.load_id,
            "days": {
                str(day): {
                    "files": tally.files,
                    "rows_read": tally.loaded + tally.rejected,
                    "rows_loaded": tally.loaded,
                    "rows_rejected": tally.rejected,
                    "reasons": tally.reasons,
                    "sample": samples[day],
                }
                for day, tally in self.days.items()
            },
        }


def count_rows(rows: DataFrame, request: Request, files: Sequence[SourceFile]) -> Tally:
    """Count good rows and rejects by day and kind. Fills the cache on the way."""
    tally = Tally({item.day: DayTally() for item in request.days})
    for file in files:
        tally.days[file.day].files += 1
    counts = rows.groupBy("day", F.col("problem.kind").alias("kind")).count()
    for row in counts.orderBy("day", "kind").collect():
        if row["day"] is None:
            raise LoadError(
                f"{row['count']} rows were read from files outside the partitions' locations; "
                "an object key may be written in a way this script does not expect"
            )
        of_day = tally.days[date.fromisoformat(row["day"])]
        if row["kind"] is None:
            of_day.loaded = row["count"]
        else:
            of_day.reasons[row["kind"]] = row["count"]
    return tally


# --- rejects ---------------------------------------------------------------------------------


def rejects_prefix(request: Request, day: date) -> str:
    """``s3://…/`` of a day's rejects, of every load of that day."""
    return f"{request.rejects}{day:%Y/%m/%d}/"


def write_rejects(
    spark: SparkSession, s3: Any, rows: DataFrame, request: Request, tally: Tally
) -> dict[date, list[dict[str, Any]]]:
    """Write the rejected rows under this load's folder; answer key and rows of each file.

    They count only once the day's manifest names them (`publish_rejects`), after the load.
    """
    written: dict[date, list[dict[str, Any]]] = {day: [] for day in tally.days}
    days = [day for day, of_day in tally.days.items() if of_day.rejected]
    if not days:
        return written
    kind, value = F.col("problem.kind"), F.col("problem.value")
    reason = F.when(value.isNull(), kind).otherwise(F.concat(kind, F.lit(": "), value))
    # All days in one write: a write of its own for each takes Spark longer than their rows do. Its
    # folders are `day=…`, so the files are put where they belong afterwards.
    together = f"{request.tmp_dir}rejects/"
    (
        rows.where(F.col("problem").isNotNull())
        # As a date: Spark would sort a text that may be NULL again, by nothing else.
        .withColumn("day", F.to_date("day"))
        .select("day", "source_file", "position", "raw_record", reason.alias("reason"))
        .coalesce(1 + tally.rejected // ROWS_PER_REJECT_FILE)
        .sortWithinPartitions("day", "source_file", "position")
        .drop("position")
        .write.partitionBy("day")
        .mode("overwrite")
        .option("mapreduce.fileoutputcommitter.marksuccessfuljobs", "false")
        .json(together, compression="gzip")
    )
    place_rejects(s3, request, days, together)
    count_rejects(spark, request, days, written)
    for day in days:
        rows_written = sum(file["rows"] for file in written[day])
        if rows_written != tally.days[day].rejected:
            raise LoadError(
                f"{rows_written} of {tally.days[day].rejected} rejects of {day} arrived under "
                f"{rejects_prefix(request, day)}{request.load_id}/; run the load again"
            )
    return written


def place_rejects(s3: Any, request: Request, days: Sequence[date], together: str) -> None:
    """Copy the days' files to this load's folder of each day; what was there goes."""
    bucket, written_prefix = split_uri(together)

    def place(day: date) -> None:
        _, prefix = split_uri(f"{rejects_prefix(request, day)}{request.load_id}/")
        delete_objects(s3, split_uri(request.rejects)[0], prefix)
        for item in list_objects(s3, bucket, f"{written_prefix}day={day}/"):
            s3.copy_object(
                CopySource={"Bucket": bucket, "Key": item["Key"]},
                Bucket=split_uri(request.rejects)[0],
                Key=prefix + item["Key"].rpartition("/")[2],
            )

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(place, days))


def count_rejects(
    spark: SparkSession,
    request: Request,
    days: Sequence[date],
    written: dict[date, list[dict[str, Any]]],
) -> None:
    """Read back what was written: the manifest says what is there, not what should be."""
    folders = {f"{rejects_prefix(request, day)}{request.load_id}/": day for day in days}
    counts = (
        spark.read.text([escape_glob(folder) for folder in folders])
        .groupBy(F.expr("url_decode(replace(_metadata.file_path, '+', '%2B'))").alias("file"))
        .count()
        .orderBy("file")
    )
    for row in counts.collect():
        day = next(day for folder, day in folders.items() if row["file"].startswith(folder))
        written[day].append({"key": split_uri(row["file"])[1], "rows": row["count"]})


def publish_rejects(
    s3: Any,
    request: Request,
    tally: Tally,
    reject_files: Mapping[date, list[dict[str, Any]]],
) -> None:
    """Write each day's manifest (also when nothing was rejected), then drop older loads' files."""

    def publish(day: date) -> None:
        of_day = tally.days[day]
        bucket, prefix = split_uri(rejects_prefix(request, day))
        manifest = {
            "feed": request.feed,
            "day": str(day),
            "load_id": request.load_id,
            "rejected_rows": of_day.rejected,
            "reasons": of_day.reasons,
            "files": reject_files[day],
        }
        s3.put_object(
            Bucket=bucket,
            Key=f"{prefix}manifest.json",
            Body=json.dumps(manifest, ensure_ascii=False, indent=1).encode(),
            ContentType="application/json",
        )
        delete_objects(
            s3, bucket, prefix, keep=(f"{prefix}manifest.json", f"{prefix}{request.load_id}/")
        )

    with ThreadPoolExecutor(THREADS) as pool:
        list(pool.map(publish, tally.days))


def sample_rejects(
    s3: Any, request: Request, reject_files: Mapping[date, Sequence[Mapping[str, Any]]]
) -> dict[date, list[dict[str, str]]]:
    """The first rejected rows of each day, to be shown with the day."""
    bucket, _ = split_uri(request.rejects)

    def of_day(files: Sequence[Mapping[str, Any]]) -> list[dict[str, str]]:
        if not files:
            return []
        body = s3.get_object(Bucket=bucket, Key=files[0]["key"])["Body"]
        with gzip.open(body, "rt", encoding="utf-8") as lines:
            rows = [json.loads(line) for line in itertools.islice(lines, SAMPLED_REJECTS)]
        return [
            {
                "source_file": row["source_file"],
                "reason": row["reason"],
                "raw_record": row["raw_record"][:SAMPLED_CHARACTERS],
            }
            for row in rows
        ]

    with ThreadPoolExecutor(THREADS) as pool:
        return dict(zip(reject_files, pool.map(of_day, reject_files.values()), strict=True))


# --- staging ---------------------------------------------------------------------------------


def write_staging(
    glue_context: GlueContext, rows: DataFrame, request: Request, tally: Tally
) -> None:
    """Replace the days in staging and load audit, in the connector's one transaction.

    All values are texts already (COPY turns them into the table's types), so nothing between here
    and Redshift can round, trim or reformat them.
    """
    good = (
        rows.where(F.col("problem").isNull())
        .select(
            *(F.col(f"values.`{column.name}`") for column in request.columns),
            F.col("day").alias("partition_date"),
        )
        .coalesce(1 + tally.loaded // ROWS_PER_TEMPORARY_FILE)
    )

    def write() -> None:
        glue_context.write_dynamic_frame.from_options(
            frame=DynamicFrame.fromDF(good, glue_context, "staging"),
            connection_type="redshift",
            connection_options=connection_options(request, tally),
        )

    again_after_conflicts(write)


def again_after_conflicts(
    transaction: Callable[[], None], sleep: Callable[[float], None] = time.sleep
) -> None:
    """Run a transaction; if another one got in its way, nothing of it was kept: run it again.

    Reading and judging the files is most of a run; a run that failed for this would repeat it all.
    """
    for attempt in range(1, WRITE_ATTEMPTS + 1):
        try:
            return transaction()
        except Exception as problem:
            if attempt == WRITE_ATTEMPTS or not CONFLICT.search(str(problem)):
                raise
        # Full jitter: rivals that collided must not collide again in step.
        sleep(random.uniform(0.1, 0.5 * 2**attempt))  # noqa: S311 -- not a secret


def connection_options(request: Request, tally: Tally) -> dict[str, str]:
    """Options of Glue's Redshift connection (its connector is spark-redshift 6)."""
    return {
        "useConnectionProperties": "true",
        "connectionName": request.connection,
        "dbtable": request.staging_table,
        "redshiftTmpDir": request.tmp_dir,
        "aws_iam_role": request.copy_role,
        "preactions": preactions(request),
        "postactions": postactions(request, tally),
        "tempformat": "CSV GZIP",
        "csvnullstring": request.null_marker,
        # COPY by name: the table's order of columns need not be the feed's.
        "include_column_list": "true",
        # The connector's older releases trimmed blanks at both ends of every value.
        "legacy_trim_csv_writes": "false",
        # Staging has its encodings; sampling them again would slow every load.
        "extracopyoptions": "COMPUPDATE OFF",
    }


def preactions(request: Request) -> str:
    """SQL before COPY: no newlines, statements parted by semicolons, no percent sign.

    The connector takes no parameters; every name in the text was checked in `Request.check`.
    """
    days = ", ".join(f"'{item.day}'" for item in request.days)
    of_feed = f"feed = '{request.feed}' AND partition_date IN ({days})"
    staging = f"DELETE FROM {request.staging_table} WHERE partition_date IN ({days})"  # noqa: S608
    load_audit = f"DELETE FROM {request.load_audit_table} WHERE {of_feed}"  # noqa: S608
    return f"{staging}; {load_audit}"


def postactions(request: Request, tally: Tally) -> str:
    """SQL after COPY: what was counted here, for the procedure to compare with what arrived."""
    rows = ", ".join(
        f"('{request.feed}', '{day}', '{request.load_id}', {of_day.loaded}, GETDATE())"
        for day, of_day in tally.days.items()
    )
    columns = "feed, partition_date, load_id, rows_loaded, loaded_at"
    return f"INSERT INTO {request.load_audit_table} ({columns}) VALUES {rows}"  # noqa: S608


# --- S3 and failures -------------------------------------------------------------------------


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an ``s3://`` URI."""
    found = S3_URI.fullmatch(uri)
    if found is None:
        raise LoadError(f"{uri!r} is not s3://bucket/key")
    return found[1], found[2]


def parse_owners(text: str) -> dict[str, str]:
    """The account of each bucket, from ``bucket=account,bucket=account``.

    Raises:
        LoadError: it is not written so.
    """
    pairs = [pair.partition("=") for pair in text.split(",")]
    for bucket, _, account in pairs:
        _require(
            bucket and re.fullmatch(r"\d{12}", account),
            "--bucket_owners",
            text,
            "must be bucket=account id, parted by commas",
        )
    return {bucket: account for bucket, _, account in pairs}


def expect_owners(s3: Any, owners: Mapping[str, str]) -> None:
    """Have every call of this client say which account must own the bucket.

    Also the calls that Pipes and paginators make. S3 refuses what is asked of a bucket of another
    account (ExpectedBucketOwner): a name that was let go can be taken by anybody. Bound to the
    client so that no call can be without it.
    """

    def name_owner(
        params: Mapping[str, Any], context: dict[str, Any], **_: Any
    ) -> Mapping[str, Any]:
        bucket = params["Bucket"]
        if bucket not in owners:
            raise LoadError(
                f"s3://{bucket} is no bucket of this load, which has {', '.join(sorted(owners))}: "
                "a location in the catalog or a setting leads elsewhere; correct it"
            )
        context["expected_owner"] = owners[bucket]
        named = {**params, "ExpectedBucketOwner": owners[bucket]}
        if "CopySource" in params:
            named["ExpectedSourceBucketOwner"] = owners[params["CopySource"]["Bucket"]]
        return named

    def tell_owner(parsed: dict[str, Any], context: Mapping[str, Any], **_: Any) -> None:
        # S3 does not say whether the owner was the reason.
        if parsed.get("Error", {}).get("Code") in DENIED:
            said = parsed["Error"].get("Message") or "Access Denied"
            parsed["Error"]["Message"] = (
                f"{said}; account {context['expected_owner']} must own the bucket"
            )

    s3.meta.events.register("provide-client-params.s3", name_owner)
    s3.meta.events.register("after-call.s3", tell_owner)


def check_bucket(s3: Any, bucket: str) -> None:
    """Make sure whose bucket it is before Spark, which cannot name an owner, writes to it."""
    try:
        s3.head_bucket(Bucket=bucket)
    except (ClientError, BotoCoreError) as problem:
        why = denial(s3, problem, "s3:ListBucket", f"arn:aws:s3:::{bucket}") or problem
        raise LoadError(f"cannot use s3://{bucket}: {why}") from problem


def denial(s3: Any, problem: Exception, action: str, resource: str) -> str | None:
    """A denial of S3 in full, or None if it is none: to another account S3 says "Access Denied".

    The words are IAM's own, so that whoever reads the run's error understands them as such.
    """
    error = getattr(problem, "response", {}).get("Error", {})
    if error.get("Code") not in DENIED:
        return None
    try:
        sts = boto3.client("sts", region_name=s3.meta.region_name)
        caller = sts.get_caller_identity()["Arn"]  # needs no permission
    except (ClientError, BotoCoreError) as unknown:
        caller = f"(unknown: {unknown})"
    return (
        f"User: {caller} is not authorized to perform: {action} on resource: {resource} "
        f"({error['Message']})"
    )


def list_objects(s3: Any, bucket: str, prefix: str) -> Iterator[dict[str, Any]]:
    """Every object below a prefix, in the order of their keys' UTF-8 bytes."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Contents", [])


def delete_objects(s3: Any, bucket: str, prefix: str, keep: tuple[str, ...] = ()) -> None:
    """Delete what lies below a prefix, but for keys that begin with one of ``keep``."""
    keys = [item["Key"] for item in list_objects(s3, bucket, prefix)]
    keys = [key for key in keys if not key.startswith(keep)] if keep else keys
    for start in range(0, len(keys), BATCH):
        answer = s3.delete_objects(
            Bucket=bucket,
            Delete={"Objects": [{"Key": key} for key in keys[start : start + BATCH]]},
        )
        for error in answer.get("Errors", []):
            raise LoadError(
                f"cannot delete s3://{bucket}/{error['Key']}: {error['Code']}: {error['Message']}"
            )


@contextmanager
def naming_broken_gzip(s3: Any, files: Sequence[SourceFile]) -> Iterator[None]:
    """Spark says that a gzip file is broken, but not which: find it, now that there is one."""
    try:
        yield
    except Exception as problem:
        if not re.search("EOFException|ZipException|incorrect|invalid", str(problem)):
            raise
        compressed = [file for file in files if file.key.endswith(".gz")]
        with ThreadPoolExecutor(THREADS) as pool:
            for file, fault in zip(
                compressed, pool.map(partial(gzip_fault, s3), compressed), strict=True
            ):
                if fault:
                    raise LoadError(
                        f"{file.uri}: is a broken gzip file ({fault}); deliver it again"
                    ) from problem
        raise


def gzip_fault(s3: Any, file: SourceFile) -> str | None:
    """What is wrong with a gzip object, read to its end; None if nothing is."""
    if file.size == 0:
        return None
    body = s3.get_object(Bucket=file.bucket, Key=file.key)["Body"]
    try:
        with gzip.GzipFile(fileobj=body) as text:
            while text.read(CHUNK):
                pass
    except (OSError, EOFError, zlib.error) as problem:
        return str(problem)
    return None


def spark_failure(text: str) -> str:
    """The lines of a Spark or Java error that say which file and why."""
    file = re.search(r"reading file:? (s3://[^\n]*?)\.?(?: Details:)?\s*(?:\n|$)", text)
    causes = re.findall(r"^Caused by: (.*)$", text, flags=re.MULTILINE)
    reason = causes[-1] if causes else text.strip().partition("\n")[0]
    if not causes and reason.startswith("An error occurred while calling"):
        reason = " ".join(text.strip().split("\n")[:2])
    return f"{file[1]}: {reason}" if file else reason


if __name__ == "__main__":
    main()
