"""Reads the load audit: the warehouse table with the last committed load of each day."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import TYPE_CHECKING

from xacct_assets.feed.reconciliation.warehouse_counts import as_day

if TYPE_CHECKING:
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.spec import FeedSpec


@dataclass(frozen=True)
class LoadAuditEntry:
    """The last committed load of a day.

    Attributes:
        load_id: identifies the load; the manifest of rejected rows carries the same id.
        rows_loaded: rows that the load put into the staging table.
        transformed: whether the procedure has moved these rows to the fact table.
        loaded_at: when the load was committed; UTC without a time zone, as Redshift returns it.
    """

    load_id: str
    rows_loaded: int
    transformed: bool
    loaded_at: datetime | None = None


def read_load_audit(
    feed: FeedSpec, aws: AwsClients, days: Sequence[date]
) -> dict[date, LoadAuditEntry]:
    """Read the load audit entries between the first and the last of the days, one query.

    Returns:
        Entry by day; a day that was never loaded is left out.
    """
    from xacct_assets.aws.redshift.sql import qualified

    load_audit = qualified(feed.warehouse.load_audit)
    columns = "partition_date, load_id, rows_loaded, loaded_at, transformed_at"
    select = f"SELECT {columns} FROM {load_audit}"  # noqa: S608
    rows = aws.warehouse.query(
        f"{select} WHERE feed = %s AND partition_date BETWEEN %s AND %s",
        (feed.name, min(days), max(days)),
    )
    return {
        as_day(row["partition_date"]): LoadAuditEntry(
            load_id=row["load_id"],
            rows_loaded=int(row["rows_loaded"]),
            transformed=row["transformed_at"] is not None,
            loaded_at=row["loaded_at"],
        )
        for row in rows
    }
