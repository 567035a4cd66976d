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
    from xacct_assets.aws.redshift.sql import load_statement

    sql = load_statement(
        "xacct_assets.feed", "load_audit_entries", load_audit=feed.warehouse.load_audit
    )
    rows = aws.warehouse.query(sql, (feed.name, min(days), max(days)))
    return {
        as_day(row["partition_date"]): LoadAuditEntry(
            load_id=row["load_id"],
            rows_loaded=int(row["rows_loaded"]),
            transformed=row["transformed_at"] is not None,
            loaded_at=row["loaded_at"],
        )
        for row in rows
    }
