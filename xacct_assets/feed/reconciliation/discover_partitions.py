"""Finds the days that a feed has any data of: what `xacct reconcile` checks by default."""

from __future__ import annotations

from datetime import date
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
    from xacct_assets.aws.redshift.sql import qualified

    tables = feed.warehouse
    rows = aws.warehouse.query(
        f"SELECT partition_date FROM {qualified(tables.load_audit)} WHERE feed = %s "  # noqa: S608
        f"UNION SELECT partition_date FROM {qualified(tables.fact)} "
        f"UNION SELECT partition_date FROM {qualified(tables.staging)}",
        (feed.name,),
    )
    days = {row["partition_date"] for row in rows}
    days |= set(days_in(aws.raw_bucket(feed), feed.source.prefix, feed.source.layout))
    days |= set(days_in(aws.exports(feed), feed.export.prefix, feed.export.layout))
    return sorted(days)


def days_in(bucket: FolderListing, prefix: str, layout: DayLayout) -> list[date]:
    """Find the day folders under a prefix by listing years, months and days; no files are listed.

    Args:
        prefix: without a slash at its end.
    """
    folders = DayFolders(prefix, layout)
    return [
        day
        for year in bucket.folders(f"{prefix}/")
        for month in bucket.folders(f"{prefix}/{year}/")
        for last in bucket.folders(f"{prefix}/{year}/{month}/")
        if (day := folders.day_of(f"{prefix}/{year}/{month}/{last}/")) is not None
    ]
