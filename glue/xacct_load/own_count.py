"""The job's own count of days that raw_partition did not count, because they are too large for it.

It is independent of Spark's reader: it has nothing in common with it but the bytes, which are read
with boto3 in Spark's tasks. A large file is cut into segments at line ends, and the segments are
counted in parallel. Whether a segment begins inside a quoted field is only known once the one
before it is counted. So each is counted as if it began outside; then the counts are joined in
order, and the few segments that began inside a field are counted again. (A record that runs on from
one segment to the next is measured in parts against `MAX_FIELDS`.)
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import lru_cache, partial
from itertools import chain
from typing import TYPE_CHECKING

import boto3
from botocore.exceptions import (
    BotoCoreError,
    ClientError,
    HTTPClientError,
    IncompleteReadError,
)
from pyspark.sql import SparkSession
from urllib3.exceptions import HTTPError

from xacct_assets.contract.csv_count import WORTH_SPLITTING_BYTES, RecordCounter
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.encodings import explain, to_utf8
from xacct_assets.contract.gzip_stream import CHUNK, gunzip
from xacct_assets.contract.load_report import LoadReport
from xacct_assets.contract.load_request import LoadRequest
from xacct_assets.contract.malformed_csv import MalformedCsv, check_end, never_closed
from xacct_load.bad_files import BadFiles
from xacct_load.counts import LoadCounts
from xacct_load.errors import LoadError
from xacct_load.s3 import denial, expect_owners, region_of
from xacct_load.source_files import SourceFile
from xacct_load.verdicts import Verdicts

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

#: Bytes of a segment, and of one request. A task holds a request's bytes and a few copies.
SEGMENT_BYTES = 64 * 1024 * 1024
REQUEST_BYTES = 4 * 1024 * 1024
#: Bytes of a request behind a segment's end, where only the end of its last line is looked for.
LINE_BYTES = 64 * 1024
#: How often a request is made whose connection breaks.
ATTEMPTS = 5
#: Tasks of one Spark job, at most.
TASKS = 1000


@dataclass(frozen=True)
class Segment:
    """The lines of a file that begin at the offsets from start to stop (exclusive).

    ``in_quotes`` says that its first line is taken to be inside a quoted field.
    """

    file: SourceFile
    start: int
    stop: int
    in_quotes: bool = False


@dataclass(frozen=True)
class SegmentCount:
    """What is in a segment, if it begins as it says.

    Attributes:
        rows: records that end in it; the header is none.
        in_quotes: whether it ends inside a quoted field.
        has_inner_line_ends: whether a line end in it is inside a quoted field.
        open_quote: offset of the quote that opened the field which is open at its end; None if none
            is, or if it was opened in an earlier segment.
        problem: why the file cannot be loaded.
        failure: why it could not be read, which says nothing of the file.
    """

    rows: int = 0
    in_quotes: bool = False
    has_inner_line_ends: bool = False
    open_quote: int | None = None
    problem: str | None = None
    failure: str | None = None


@dataclass(frozen=True)
class FileCount:
    """A file's records, joined from its segments.

    Attributes:
        missing: segments that must be counted once more, before this is the file's count.
    """

    rows: int
    has_inner_line_ends: bool
    problem: str | None
    missing: tuple[Segment, ...] = ()


@dataclass(frozen=True)
class OwnCount:
    """What the job counted itself.

    Attributes:
        rows: of each day that nobody else counted, and that has no bad file.
        splittable_files: URIs of the large files among theirs in which every line end ends a
            record.
        bad_files: of theirs.
    """

    rows: Mapping[date, int]
    splittable_files: tuple[str, ...]
    bad_files: BadFiles = field(default_factory=dict)


def count_uncounted(
    spark: SparkSession,
    s3: S3Client,
    request: LoadRequest,
    files: Sequence[SourceFile],
    owners: Mapping[str, str],
) -> OwnCount:
    """Count the rows of the days for which the request names no number.

    Args:
        spark: the session; its tasks read the files.
        s3: the client of this process.
        request: of the load.
        files: of all days.
        owners: account id of each bucket.

    Raises:
        LoadError: a file could not be read.
    """
    rows = {item.day: 0 for item in request.days if item.rows is None}
    region = region_of(s3, request.tmp_dir)
    wanted = [file for file in files if file.day in rows and file.size]
    count = partial(count_segment, dialect=request.dialect, region=region, owners=dict(owners))
    known: dict[Segment, SegmentCount] = {}
    segments = partial(segments_of, encoding=request.dialect.encoding)
    missing = [segment for file in wanted for segment in segments(file)]
    found: dict[SourceFile, FileCount] = {}
    while missing:
        known |= zip(missing, _in_parallel(spark, count, missing), strict=True)
        found = {file: join(segments(file), known) for file in wanted}
        missing = [segment for each in found.values() for segment in each.missing]
    bad = {file: counted.problem for file, counted in found.items() if counted.problem}
    for file, counted in found.items():
        rows[file.day] += counted.rows
    for day in {file.day for file in bad}:
        del rows[day]
    splittable = partial(_is_splittable, request.dialect)
    return OwnCount(rows, tuple(file.uri for file in wanted if splittable(file, found[file])), bad)


def _is_splittable(dialect: CsvDialect, file: SourceFile, count: FileCount) -> bool:
    is_plain = dialect.is_read_by_line and not file.key.endswith(".gz")
    return is_plain and file.size >= WORTH_SPLITTING_BYTES and not count.has_inner_line_ends


def _in_parallel(
    spark: SparkSession,
    count: partial[SegmentCount],
    segments: Sequence[Segment],
) -> list[SegmentCount]:
    if sum(segment.stop - segment.start for segment in segments) <= SEGMENT_BYTES:
        # Starting Python on the workers takes longer.
        counts = [count(segment) for segment in segments]
    else:
        tasks = min(len(segments), TASKS)
        counts = spark.sparkContext.parallelize(segments, tasks).map(count).collect()
    for segment, found in zip(segments, counts, strict=True):
        if found.failure:
            raise LoadError(f"{segment.file.uri}: {found.failure}")
    return counts


def segments_of(file: SourceFile, encoding: str = "utf-8") -> list[Segment]:
    """The file in segments.

    A gzip file, and one that must be decoded first, are one: they are read from their start only.
    """
    if file.key.endswith(".gz") or encoding != "utf-8":
        return [Segment(file, 0, file.size)]
    starts = range(0, file.size, SEGMENT_BYTES)
    return [Segment(file, start, min(start + SEGMENT_BYTES, file.size)) for start in starts]


def join(segments: Sequence[Segment], known: Mapping[Segment, SegmentCount]) -> FileCount:
    """Join the counts of a file's segments.

    Of a segment that begins inside a quoted field, and was not counted so, it is taken that it ends
    as it would not if it began outside. If that is wrong, the next attempt will know more.
    """
    rows, inner, in_quotes = 0, False, False
    open_quote: int | None = None
    missing: list[Segment] = []
    for outside in segments:
        segment = replace(outside, in_quotes=in_quotes)
        found = known.get(segment)
        if found is None:
            missing.append(segment)
            in_quotes = not known[outside].in_quotes
            continue
        if found.problem and not missing:
            return FileCount(0, inner, found.problem)
        rows += found.rows
        inner = inner or found.has_inner_line_ends
        in_quotes = found.in_quotes
        open_quote = found.open_quote or open_quote
    if in_quotes and not missing:
        return FileCount(0, inner, str(never_closed(open_quote)))
    return FileCount(rows, inner, None, tuple(missing))


def count_segment(
    segment: Segment, dialect: CsvDialect, region: str, owners: Mapping[str, str]
) -> SegmentCount:
    """Count the records of a segment; runs in a Spark task."""
    file = segment.file
    s3 = _client(region, tuple(owners.items()))
    try:
        if file.key.endswith(".gz") or dialect.encoding != "utf-8":
            counter = RecordCounter(dialect)
            body = _read(s3, file, 0, file.size, REQUEST_BYTES)
            plain = gunzip(body) if file.key.endswith(".gz") else body
            for chunk in to_utf8(plain, dialect.encoding):
                counter.feed(chunk)
            counter.finish()
        else:
            counter = _count_lines(segment, dialect, _lines(s3, segment))
    except MalformedCsv as problem:
        return SegmentCount(problem=explain(problem, dialect.encoding))
    except (ClientError, BotoCoreError, HTTPError) as problem:
        arn = f"arn:aws:s3:::{file.bucket}/{file.key}"
        why = denial(s3, problem, "s3:GetObject", arn) or problem
        return SegmentCount(failure=f"cannot be read: {why}")
    return SegmentCount(
        counter.rows, counter.in_quotes, counter.has_inner_line_ends, counter.open_quote
    )


def _count_lines(
    segment: Segment, dialect: CsvDialect, lines: Iterator[tuple[int, bytes]]
) -> RecordCounter:
    begin, first = next(lines, (segment.stop, b""))
    counter = (
        RecordCounter.from_line(dialect, begin, in_quotes=segment.in_quotes)
        if segment.start
        else RecordCounter(dialect)
    )
    end = begin
    for offset, block in chain([(begin, first)], lines):
        for at in range(0, len(block), CHUNK):
            counter.feed(block[at : at + CHUNK])
        end = offset + len(block)
    if end == segment.file.size and end > begin:
        last = counter.finish_line()
        if not counter.in_quotes:
            check_end(last)
    return counter


def _lines(s3: S3Client, segment: Segment) -> Iterator[tuple[int, bytes]]:
    """The lines that begin in a segment, in blocks of any size, each with its offset."""
    file, stop = segment.file, segment.stop
    position = max(segment.start - 1, 0)
    is_at_line = segment.start == 0
    for block in chain(
        _read(s3, file, position, stop, REQUEST_BYTES),
        _read(s3, file, stop, file.size, LINE_BYTES),
    ):
        if not is_at_line:
            before = block.find(b"\n") + 1
            is_at_line = before > 0
            position += before or len(block)
            if position >= stop:
                return
            block = block[before:]
            if not is_at_line:
                continue
        end = position + len(block)
        # The line end of the segment's last line is the first one at or behind its last byte.
        last = block.find(b"\n", max(0, stop - 1 - position)) if end >= stop else -1
        if last >= 0:
            yield position, block[: last + 1]
            return
        yield position, block
        position = end


def _read(s3: S3Client, file: SourceFile, start: int, stop: int, step: int) -> Iterator[bytes]:
    """The bytes of a file from start to stop, each block in a request of its own."""
    for at in range(start, stop, step):
        yield _get(s3, file, at, min(at + step, stop))


def _get(s3: S3Client, file: SourceFile, start: int, stop: int) -> bytes:
    for attempt in range(1, ATTEMPTS + 1):
        try:
            answer = s3.get_object(
                Bucket=file.bucket, Key=file.key, Range=f"bytes={start}-{stop - 1}"
            )
            data = answer["Body"].read()
            if len(data) != stop - start:
                raise IncompleteReadError(actual_bytes=len(data), expected_bytes=stop - start)
            return data
        except (HTTPClientError, IncompleteReadError, HTTPError):
            # The connection broke within the body, which botocore does not repeat.
            if attempt == ATTEMPTS:
                raise
    raise AssertionError("not reached")


@lru_cache
def _client(region: str, owners: tuple[tuple[str, str], ...]) -> S3Client:
    """The client of this process; each process of a worker counts many segments."""
    s3 = boto3.client("s3", region_name=region)
    expect_owners(s3, dict(owners))
    return s3


def differing_days(request: LoadRequest, counts: LoadCounts, own: OwnCount) -> dict[date, str]:
    """Why days must not be loaded: Spark read another number of rows than were counted."""
    problems = {}
    for item in request.days:
        of_day = counts.days[item.day]
        if of_day.problem:
            continue
        read = of_day.loaded + of_day.rejected
        counted = own.rows[item.day] if item.rows is None else item.rows
        if read != counted:
            problems[item.day] = f"{read} rows were read, but {counted} were counted"
    return problems


def without_days(
    verdicts: Verdicts, request: LoadRequest, counts: LoadCounts, days: Collection[date]
) -> tuple[Verdicts, LoadRequest, LoadCounts]:
    """The same without some of the days; not all of them may go."""
    if not days:
        return verdicts, request, counts
    left = tuple(item for item in request.days if item.day not in days)
    return (
        verdicts.without_days(days),
        replace(request, days=left),
        LoadCounts({item.day: counts.days[item.day] for item in left}),
    )


def with_own_counts(report: LoadReport, own: OwnCount) -> LoadReport:
    """The report with what the job counted itself."""
    days = {day: replace(load, rows_counted=own.rows.get(day)) for day, load in report.days.items()}
    return replace(report, days=days)
