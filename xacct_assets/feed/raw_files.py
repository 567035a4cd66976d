"""Lists and reads a day's raw files in account A."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from threading import Event
from typing import TYPE_CHECKING

from xacct_assets.aws.denials import account_of, permission_hint
from xacct_assets.aws.errors import AwsFailure
from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.aws.s3.keys import KeySample
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.days import day_prefix
from xacct_assets.contract.file_patterns import FilePatterns
from xacct_assets.contract.headers import FileColumns

if TYPE_CHECKING:
    from xacct_assets.aws.s3.file_inspection import FileVerdict, RawObject
    from xacct_assets.aws.s3.raw_bucket import Listing
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.spec import FeedSpec

#: Files that are inspected at the same time. A small file takes the time of its request.
FILES_AT_ONCE = 16
#: Files of a day whose problems are told; the others are counted.
PROBLEMS_SHOWN = 50


def raw_prefix(feed: FeedSpec, day: date) -> str:
    """Key prefix of the day's raw files, ending in a slash."""
    return day_prefix(feed.source.prefix, feed.source.layout, day)


@contextmanager
def naming_denied_key(feed: FeedSpec, aws: AwsClients, days: Sequence[date]) -> Iterator[None]:
    """Context manager: if a role may not use the key of raw files, say which key it is.

    KMS does not tell who may not use a key of another account; S3 does.
    """
    try:
        yield
    except AwsFailure as failure:
        of_key = (failure.action or "").startswith("kms:")
        if of_key and ":kms:" not in (failure.resource or ""):
            listings = survey_days(feed, aws, days)
            names = [item.key for day in days for item in listings[day].objects]
            raw = aws.raw_bucket(feed).bucket
            bucket = Bucket(aws.client("s3"), raw, aws.settings.account_a)
            key = bucket.kms_key(names[0]) if names else None
            if key is not None:
                fix = permission_hint(failure.action, key, failure.principal)
                failure.name_resource(key, account_of(key) or "", fix)
        raise


def csv_dialect(feed: FeedSpec) -> CsvDialect:
    """The dialect of the feed's raw files."""
    source = feed.source.csv
    return CsvDialect(
        delimiter=source.delimiter,
        quote=source.quote,
        escape=source.quote,
        encoding=source.encoding,
        header_row=source.header_row,
        preamble_lines=source.preamble_lines,
    )


def file_columns(feed: FeedSpec) -> FileColumns:
    """Which columns the feed's raw files have."""
    source = feed.source.csv
    return FileColumns(
        names=tuple(column.header_name for column in feed.columns),
        optional=tuple(column.header_name for column in feed.columns if column.optional),
        is_relaxed=source.header_match == "relaxed",
        ignores_others=source.extra_columns == "ignore",
        former=tuple(
            (old, column.header_name) for column in feed.columns for old in column.former_headers
        ),
        ignored=tuple(source.former_columns),
    )


def file_patterns(feed: FeedSpec) -> FilePatterns:
    """The rule for which files in a day's folder are loaded."""
    return FilePatterns(feed.source.patterns, feed.arrival.marker)


def describe_unmatched(feed: FeedSpec, files: object) -> str:
    """What is said about files that no pattern matches; `files` names them."""
    return (
        f"not loaded, because no pattern of the feed ({', '.join(feed.source.patterns)}) matches: "
        f"{files}. Rename them, or add a pattern to source.patterns"
    )


def list_day(feed: FeedSpec, aws: AwsClients, day: date) -> list[RawObject]:
    """List the day's files that belong to the feed, sorted by key."""
    return aws.raw_bucket(feed).list_objects(raw_prefix(feed, day), feed.source.patterns)


def survey_days(feed: FeedSpec, aws: AwsClients, days: Sequence[date]) -> dict[date, Listing]:
    """List each day's folder: the feed's files, and files that no pattern matches."""
    prefixes = {day: raw_prefix(feed, day) for day in days}
    listings = aws.raw_bucket(feed).survey_all(
        list(prefixes.values()), feed.source.patterns, marker=feed.arrival.marker
    )
    return {day: listings[prefix] for day, prefix in prefixes.items()}


def inspect_day(
    feed: FeedSpec,
    aws: AwsClients,
    objects: Sequence[RawObject],
    *,
    is_counted: bool = True,
    days_at_once: int = 1,
    stop: Event | None = None,
) -> list[FileVerdict]:
    """Read the files and count their rows; report a file that cannot be loaded as a whole.

    Args:
        objects: the files.
        is_counted: whether large files are read to their end and counted.
        days_at_once: days that the caller inspects at the same time.
        stop: ends the reading early once it is set.

    Returns:
        One verdict per file, in the order of the objects.

    Raises:
        ReadingStopped: ``stop`` was set.
    """
    return aws.raw_bucket(feed).inspect(
        *(objects, csv_dialect(feed), file_columns(feed)),
        is_counted=is_counted,
        workers=max(1, FILES_AT_ONCE // days_at_once),
        stop=stop,
    )


def is_counted_here(feed: FeedSpec, objects: Sequence[RawObject]) -> bool:
    """Whether raw_partition counts the day's rows, and not the load job."""
    return sum(item.size for item in objects) <= feed.source.count_until_mb * 1_000_000


def problems_of(verdicts: Sequence[FileVerdict]) -> list[str]:
    """What is wrong with the files, one text per file; of many files, the last text counts them."""
    problems = [verdict.problem for verdict in verdicts if verdict.problem]
    if len(problems) <= PROBLEMS_SHOWN:
        return problems
    more = len(problems) - PROBLEMS_SHOWN
    return [*problems[:PROBLEMS_SHOWN], f"{more:,} more files cannot be loaded"]


def how_to_admit(feed: FeedSpec, bucket: str, verdicts: Sequence[FileVerdict]) -> str | None:
    """The command that changes the feed for files with other columns; None if there are none."""
    columns, dialect = file_columns(feed), csv_dialect(feed)
    for verdict in verdicts:
        if verdict.problem and verdict.header and columns.are_others(verdict.header, dialect):
            uri = shlex.quote(f"s3://{bucket}/{verdict.object.key}")
            return (
                f"If the supplier changed the columns, this admits them: xacct feed evolve "
                f"{feed.name} --from {uri}"
            )
    return None


def archived_problem(objects: Sequence[RawObject]) -> str | None:
    """Why a day cannot be loaded whose files a listing shows as archived; None if it can."""
    archived = [item for item in objects if item.archive]
    if not archived:
        return None
    names = KeySample.of([item.key for item in archived])
    return (
        f"{len(archived)} of {len(objects)} files are archived in {archived[0].archive} ({names}): "
        "restore them (raw_partition names the command), then materialize the day again from "
        "raw_partition on"
    )
