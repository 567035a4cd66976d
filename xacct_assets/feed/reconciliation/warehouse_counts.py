"""Counts rows by day in the feed's warehouse tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.spec import FeedSpec


def count_by_day(aws: AwsClients, table: str, days: Sequence[date]) -> dict[date, int]:
    """Count the rows of a table between the first and the last of the days, one query.

    Args:
        table: qualified name, e.g. ``public.products_f``.

    Returns:
        Row count by day; a day without rows is left out.
    """
    from xacct_assets.aws.redshift.sql import qualified

    select = f"SELECT partition_date, COUNT(*) AS row_count FROM {qualified(table)}"  # noqa: S608
    rows = aws.warehouse.query(
        f"{select} WHERE partition_date BETWEEN %s AND %s GROUP BY partition_date",
        (min(days), max(days)),
    )
    return {as_day(row["partition_date"]): int(row["row_count"]) for row in rows}


def count_fact_by_day(
    feed: FeedSpec, aws: AwsClients, days: Sequence[date]
) -> tuple[dict[date, int], dict[date, int]]:
    """Count rows and distinct keys in the fact table, one query.

    Returns:
        Row count by day and distinct key count by day; a day without rows is in neither.
    """
    from xacct_assets.aws.redshift.sql import identifier, qualified

    key = ", ".join(identifier(name) for name in feed.key)
    by_key = (
        f"SELECT partition_date, COUNT(*) AS row_count FROM {qualified(feed.warehouse.fact)} "  # noqa: S608
        f"WHERE partition_date BETWEEN %s AND %s GROUP BY partition_date, {key}"
    )
    rows = aws.warehouse.query(
        "SELECT partition_date, SUM(row_count) AS row_count, COUNT(*) AS key_count "  # noqa: S608
        f"FROM ({by_key}) AS by_key GROUP BY partition_date",
        (min(days), max(days)),
    )
    counts = {as_day(row["partition_date"]): row for row in rows}
    return (
        {day: int(row["row_count"]) for day, row in counts.items()},
        {day: int(row["key_count"]) for day, row in counts.items()},
    )


def as_day(value: date | str) -> date:
    """Convert a query result to a date: the wire protocol returns dates, the Data API text."""
    return value if isinstance(value, date) else date.fromisoformat(value)
