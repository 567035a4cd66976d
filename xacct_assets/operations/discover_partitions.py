"""The days that a feed has anything of: what `xacct reconcile` looks at if no day is named."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING, Protocol

from xacct_assets.feed.partitions import day_folder
from xacct_assets.feed.spec import DayLayout

if TYPE_CHECKING:
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.spec import FeedSpec


class Folders(Protocol):
    """Lists the folders directly under a prefix."""

    def folders(self, prefix: str) -> list[str]: ...


def discover_partitions(feed: FeedSpec, aws: AwsClients) -> list[date]:
    """Days with a raw folder, a load audit entry, fact rows or an export, in order."""
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


def days_in(bucket: Folders, prefix: str, layout: DayLayout) -> list[date]:
    """The day folders under a prefix: three levels of listings, whatever lies in the days."""
    return [
        day
        for year in bucket.folders(f"{prefix}/")
        for month in bucket.folders(f"{prefix}/{year}/")
        for last in bucket.folders(f"{prefix}/{year}/{month}/")
        if (day := _day(f"{year}/{month}/{last}", layout)) is not None
    ]


def _day(folder: str, layout: DayLayout) -> date | None:
    digits = [part.rpartition("=")[2] for part in folder.split("/")]
    if not all(part.isascii() and part.isdigit() for part in digits):
        return None
    try:
        day = date(*map(int, digits))
    except ValueError:
        return None
    # Only the spelling that the pipeline itself reads and writes is a day's folder.
    return day if day_folder(layout, day) == folder else None
