"""Finds the days that a feed has any data of: what `xacct reconcile` checks by default."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import date
from itertools import islice
from typing import TYPE_CHECKING, Protocol

from xacct_assets.contract.days import DayFolders, DayLayout

if TYPE_CHECKING:
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.spec import FeedSpec


class FolderListing(Protocol):
    """Lists the folders directly under a prefix."""

    def folders(self, prefix: str) -> list[str]: ...


def discover_partitions(feed: FeedSpec, aws: AwsClients) -> list[date]:
    """Find the days with a raw folder, a load audit entry, warehouse rows or an export, in order.

    Raises:
        AwsFailure: the warehouse or a bucket cannot be read.
    """
    from xacct_assets.aws.redshift.sql import load_statement

    tables = feed.warehouse
    sql = load_statement(
        "xacct_assets.feed",
        "days_in_warehouse",
        load_audit=tables.load_audit,
        fact=tables.fact,
        staging=tables.staging,
    )
    rows = aws.warehouse.query(sql, (feed.name,))
    days = {row["partition_date"] for row in rows}
    days |= set(days_in(aws.raw_bucket(feed), feed.source.prefix, feed.source.layout))
    days |= set(days_in(aws.exports(feed), feed.export.prefix, feed.export.layout))
    return sorted(days)


def days_in(bucket: FolderListing, prefix: str, layout: DayLayout) -> list[date]:
    """Find the day folders under a prefix by listing years, months and days; no files are listed.

    Args:
        prefix: without a slash at its end.
    """
    return sorted(_newest_first(bucket, prefix, layout))


def newest_days_in(bucket: FolderListing, prefix: str, layout: DayLayout, count: int) -> list[date]:
    """The newest of the day folders under a prefix, newest first; older folders are not listed."""
    return list(islice(_newest_first(bucket, prefix, layout), count))


def _newest_first(bucket: FolderListing, prefix: str, layout: DayLayout) -> Iterator[date]:
    folders = DayFolders(prefix, layout)
    for year in reversed(bucket.folders(f"{prefix}/")):
        for month in reversed(bucket.folders(f"{prefix}/{year}/")):
            for last in reversed(bucket.folders(f"{prefix}/{year}/{month}/")):
                day = folders.day_of(f"{prefix}/{year}/{month}/{last}/")
                if day is not None:
                    yield day
