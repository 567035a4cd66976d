"""Repairs catalog tables and partitions that the crawler skipped or got wrong.

An incremental crawl reads a folder once and describes its first files. If these were malformed or
empty, or mixed gzip with plain files on the feed's first day, the catalog has no partition, no
table, or one with columns that no file has any more. Files that land later do not change that.

The feed's columns are used for the repair: raw_partition has verified that every file has exactly
these.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from xacct_assets.aws.errors import NotFound
from xacct_assets.contract.column_types import ColumnType
from xacct_assets.contract.days import DayLayout, day_values
from xacct_assets.feed.raw_files import raw_prefix
from xacct_assets.feed.spec import Column, FeedSpec

if TYPE_CHECKING:
    from xacct_assets.aws.glue.catalog import CatalogPartition
    from xacct_assets.aws_clients import AwsClients

# Types that a crawler may infer for a column whose values fit the feed's type. varchar is left out:
# a text column of digits is inferred as a number, so every inferred type fits.
_INFERRED = {
    "bigint": {"bigint", "int", "smallint", "tinyint"},
    "integer": {"bigint", "int", "smallint", "tinyint"},
    "smallint": {"bigint", "int", "smallint", "tinyint"},
    "decimal": {"double", "float", "bigint", "int", "decimal"},
    "double precision": {"double", "float", "bigint", "int", "decimal"},
    "real": {"double", "float", "bigint", "int", "decimal"},
    "boolean": {"boolean", "string", "bigint", "int"},
    "date": {"date", "string"},
    "timestamp": {"timestamp", "date", "string"},
}

# Glue's API takes one to 255 characters, none of them a control character.
_CATALOG_NAME = re.compile(r"[^\x00-\x1f]{1,255}")

# Glue's timestamps are whole seconds, S3's may be more precise: without this, a file could seem to
# be newer than the crawl that read it.
_TIMESTAMP_PRECISION = timedelta(seconds=1)


def repair(
    feed: FeedSpec,
    aws: AwsClients,
    days: Sequence[date],
    newest: Mapping[date, datetime],
    found: Mapping[tuple[str, ...], CatalogPartition],
) -> dict[date, str]:
    """Add and correct the partitions of days that have rows.

    A day without rows needs no partition, but the load needs the table, which is created if a
    partition is missing.

    Args:
        newest: for each day with rows, when its last file was written (UTC).
        found: the days' partitions in the catalog, by partition values.

    Returns:
        What was repaired, by day; a day whose partition was right is left out.
    """
    repaired: dict[date, str] = {}
    any_missing = any(tuple(day_values(day)) not in found for day in days)
    has_table = any_missing and _ensure_table(feed, aws)
    for day in newest:
        partition = found.get(tuple(day_values(day)))
        if partition is None:
            if not has_table:
                continue  # a table of other files has this name
            _write_partition(feed, aws, day, aws.catalog.add_partition)
            repaired[day] = "added: a crawl saw the folder with files that it could not describe"
        elif partition.location.rstrip("/") != day_location(feed, aws, day).rstrip("/"):
            continue  # a partition of other files is never overwritten
        elif reason := _outdated(feed, partition, newest[day]):
            _write_partition(feed, aws, day, aws.catalog.update_partition)
            repaired[day] = f"updated to the feed's columns: {reason}"
    return repaired


def day_location(feed: FeedSpec, aws: AwsClients, day: date) -> str:
    """S3 location that the day's partition must have."""
    return f"s3://{aws.input_bucket(feed)}/{raw_prefix(feed, day)}"


def table_location(feed: FeedSpec, aws: AwsClients) -> str:
    """S3 location that the feed's table must have."""
    return f"s3://{aws.input_bucket(feed)}/{feed.source.prefix}/"


def missing_columns(feed: FeedSpec, inferred: Mapping[str, str]) -> list[str]:
    """Columns of the feed that are not in the catalog; none if nothing was inferred."""
    found = _by_feed_name(feed, inferred)
    return [
        column.name
        for column in feed.columns
        if inferred and not column.optional and column.name not in found
    ]


def unknown_columns(feed: FeedSpec, inferred: Mapping[str, str]) -> list[str]:
    """Columns of the catalog that are not the feed's, unless the feed ignores such."""
    if feed.source.csv.extra_columns == "ignore":
        return []
    former = {name.strip().lower() for name in feed.source.csv.former_columns}
    known = {*feed.column_names(), *former}
    return [name for name in _by_feed_name(feed, inferred) if name not in known]


def type_drift(feed: FeedSpec, inferred: Mapping[str, str]) -> list[str]:
    """Columns for which the crawler inferred a type that does not fit the feed's."""
    drift = []
    by_name = _by_feed_name(feed, inferred)
    for column in feed.columns:
        accepted = _INFERRED.get(ColumnType.parse(column.type).name)
        found = by_name.get(column.name)
        if _is_written_otherwise(feed, column):
            continue
        if found is not None and accepted is not None and found.split("(")[0] not in accepted:
            drift.append(f"{column.name}: {column.type} in the feed, {found} in the files")
    return drift


def _is_written_otherwise(feed: FeedSpec, column: Column) -> bool:
    """Whether the files write its values so that a crawler takes them for text."""
    is_null_text = column.null_values or feed.source.csv.null_values
    return bool(column.format or column.trim or is_null_text)


def _catalog_names(feed: FeedSpec) -> list[str]:
    """The name of each column in the catalog, as a crawler makes it.

    A crawler takes the names of a header row in lower case, with their blanks and signs; without a
    header row it counts the columns from col0 (Glue's guide, "Built-in CSV classifier"; it says
    from 1, and crawled tables begin with 0).
    """
    if not feed.source.csv.header_row:
        return [f"col{number}" for number in range(len(feed.columns))]
    names = [column.header_name.strip().lower() for column in feed.columns]
    can_be_used = len(set(names)) == len(names) and all(map(_CATALOG_NAME.fullmatch, names))
    return names if can_be_used else feed.column_names()


def _by_feed_name(feed: FeedSpec, inferred: Mapping[str, str]) -> dict[str, str]:
    """The columns of the catalog, those of the feed by their names in it."""
    names = {
        old.strip().lower(): column.name for column in feed.columns for old in column.former_headers
    }
    names.update(zip(_catalog_names(feed), feed.column_names(), strict=True))
    return {names.get(name, name): kind for name, kind in inferred.items()}


def _outdated(feed: FeedSpec, partition: CatalogPartition, newest: datetime) -> str | None:
    """Why the partition cannot describe the day's present files; None if it may."""
    inferred = dict(partition.columns)
    names = [
        *(f"{name} was missing" for name in missing_columns(feed, inferred)),
        *(f"{name} is in no file" for name in unknown_columns(feed, inferred)),
    ]
    if names:
        return "; ".join(names)
    # Inferred types are kept if the crawl read these files; schema_matches_feed then reports them.
    crawled = partition.created
    if crawled is None or newest <= crawled.astimezone(UTC) + _TIMESTAMP_PRECISION:
        return None
    drift = type_drift(feed, inferred)
    return f"{'; '.join(drift)} that were there before" if drift else None


def _ensure_table(feed: FeedSpec, aws: AwsClients) -> bool:
    """Create the feed's table if there is none; False if a table of other files has its name."""
    catalog, location = feed.catalog, table_location(feed, aws)
    try:
        table = aws.catalog.table(catalog.database, catalog.table)
    except NotFound:
        aws.catalog.create_table(
            catalog.database,
            catalog.table,
            location,
            columns=_columns(feed),
            partition_keys=_partition_keys(feed),
            delimiter=feed.source.csv.delimiter,
            crawler=feed.crawler_name(aws.settings.suffix),
            header_lines=feed.source.csv.preamble_lines + feed.source.csv.header_row,
        )
        return True
    return table.location.rstrip("/") == location.rstrip("/")


def _write_partition(
    feed: FeedSpec, aws: AwsClients, day: date, write: Callable[..., None]
) -> None:
    write(
        feed.catalog.database,
        feed.catalog.table,
        day_values(day),
        day_location(feed, aws, day),
        _columns(feed),
    )


def _columns(feed: FeedSpec) -> Sequence[tuple[str, str]]:
    types = [ColumnType.parse(column.type).hive for column in feed.columns]
    return list(zip(_catalog_names(feed), types, strict=True))


def _partition_keys(feed: FeedSpec) -> Sequence[str]:
    if feed.source.layout is DayLayout.KEY_VALUE:
        return ("year", "month", "day")
    return ("partition_0", "partition_1", "partition_2")
