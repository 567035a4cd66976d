"""Brings the catalog to what the day's files are, where a crawl left it wrong or left it out.

An incremental crawl looks at a folder once, and makes of it what its first files were. If these
were malformed or empty, or the feed's very first day was (or mixed gzip with plain files), there is
no partition, or no table, or one with columns that no file has any more. Nothing that lands later
changes that. By then raw_partition has proven that every file has exactly the feed's columns, so
the feed says what the catalog should.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from xacct_assets.aws.errors import NotFound
from xacct_assets.contract.column_types import ColumnType
from xacct_assets.contract.days import DayLayout, day_values
from xacct_assets.feed.raw_files import raw_prefix
from xacct_assets.feed.spec import FeedSpec

if TYPE_CHECKING:
    from xacct_assets.aws.glue.catalog import CatalogPartition
    from xacct_assets.aws_clients import AwsClients

# What a crawler may infer for a column whose values fit the feed's type. Digits in a text column
# are inferred as numbers, so text accepts everything.
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

# Glue tells the time in whole seconds, S3 may tell it more exactly: a file and the crawl that saw
# it may seem to have come in the wrong order.
_GRAIN = timedelta(seconds=1)


def mend(
    feed: FeedSpec,
    aws: AwsClients,
    days: Sequence[date],
    newest: Mapping[date, datetime],
    found: Mapping[tuple[str, ...], CatalogPartition],
) -> dict[date, str]:
    """Add and correct partitions of days that have rows; what was done to each day.

    A day without rows needs no partition, but the load asks its table which partitions there are.

    Args:
        newest: those of the days that have rows, and when the last file was written (UTC).
        found: the partitions that the catalog has of the days.
    """
    done: dict[date, str] = {}
    absent = any(tuple(day_values(day)) not in found for day in days)
    has_table = absent and _has_table(feed, aws)
    for day in newest:
        partition = found.get(tuple(day_values(day)))
        if partition is None:
            if not has_table:
                continue  # the name is taken by a table of other files
            _describe(feed, aws, day, aws.catalog.add_partition)
            done[day] = "added: the crawl had seen the folder with files that it could not describe"
        elif partition.location.rstrip("/") != day_location(feed, aws, day).rstrip("/"):
            continue  # of other files: that is for a person to decide
        elif what := _outdated(feed, partition, newest[day]):
            _describe(feed, aws, day, aws.catalog.update_partition)
            done[day] = f"brought to the feed's columns: {what}"
    return done


def day_location(feed: FeedSpec, aws: AwsClients, day: date) -> str:
    """Where the day's partition must be."""
    return f"s3://{aws.input_bucket(feed)}/{raw_prefix(feed, day)}"


def table_location(feed: FeedSpec, aws: AwsClients) -> str:
    """Where the feed's table must be."""
    return f"s3://{aws.input_bucket(feed)}/{feed.source.prefix}/"


def missing_columns(feed: FeedSpec, inferred: Mapping[str, str]) -> list[str]:
    """Columns of the feed that the catalog does not know."""
    return [name for name in feed.column_names() if inferred and name not in inferred]


def unknown_columns(feed: FeedSpec, inferred: Mapping[str, str]) -> list[str]:
    """Columns of the catalog that are not the feed's."""
    return [name for name in inferred if name not in feed.column_names()]


def type_drift(feed: FeedSpec, inferred: Mapping[str, str]) -> list[str]:
    """Columns whose values, to the crawler, do not look like the feed's type."""
    drift = []
    for column in feed.columns:
        accepted = _INFERRED.get(ColumnType.parse(column.type).name)
        seen = inferred.get(column.name)
        if seen is not None and accepted is not None and seen.split("(")[0] not in accepted:
            drift.append(f"{column.name}: {column.type} in the feed, {seen} in the files")
    return drift


def _outdated(feed: FeedSpec, partition: CatalogPartition, newest: datetime) -> str | None:
    """What the catalog says of the day's files that cannot be true of them (any more)."""
    inferred = dict(partition.columns)
    names = [
        *(f"{name} was missing" for name in missing_columns(feed, inferred)),
        *(f"{name} is in no file" for name in unknown_columns(feed, inferred)),
    ]
    if names:
        return "; ".join(names)
    # Types are the crawler's to judge, as long as it was these files that it saw.
    crawled = partition.created
    if crawled is None or newest <= crawled.astimezone(UTC) + _GRAIN:
        return None
    drift = type_drift(feed, inferred)
    return f"{'; '.join(drift)} that were there before" if drift else None


def _has_table(feed: FeedSpec, aws: AwsClients) -> bool:
    """Whether there is a table for the feed's partitions, made now if there was none."""
    catalog, place = feed.catalog, table_location(feed, aws)
    try:
        table = aws.catalog.table(catalog.database, catalog.table)
    except NotFound:
        aws.catalog.create_table(
            catalog.database,
            catalog.table,
            place,
            columns=_columns(feed),
            partition_keys=_partition_keys(feed),
            delimiter=feed.source.csv.delimiter,
            crawler=feed.crawler_name(aws.settings.suffix),
        )
        return True
    return table.location.rstrip("/") == place.rstrip("/")


def _describe(feed: FeedSpec, aws: AwsClients, day: date, write: Callable[..., None]) -> None:
    write(
        feed.catalog.database,
        feed.catalog.table,
        day_values(day),
        day_location(feed, aws, day),
        _columns(feed),
    )


def _columns(feed: FeedSpec) -> Sequence[tuple[str, str]]:
    return [(column.name, ColumnType.parse(column.type).hive) for column in feed.columns]


def _partition_keys(feed: FeedSpec) -> Sequence[str]:
    if feed.source.layout is DayLayout.KEY_VALUE:
        return ("year", "month", "day")
    return ("partition_0", "partition_1", "partition_2")
