"""Counts rows by day in the feed's warehouse tables."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from xacct_assets.contract.load_request import MASK

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
    from xacct_assets.aws.redshift.sql import load_statement

    sql = load_statement("xacct_assets.feed", "count_by_day", table=table)
    rows = aws.warehouse.query(sql, (min(days), max(days)))
    return {as_day(row["partition_date"]): int(row["row_count"]) for row in rows}


def count_fact_by_day(
    feed: FeedSpec, aws: AwsClients, days: Sequence[date]
) -> tuple[dict[date, int], dict[date, int]]:
    """Count rows and distinct keys in the fact table, one query.

    Returns:
        Row count by day and distinct key count by day; a day without rows is in neither. The second
        is empty if the feed has no key.
    """
    if not feed.key:
        return count_by_day(aws, feed.warehouse.fact, days), {}
    from xacct_assets.aws.redshift.sql import load_statement

    sql = load_statement(
        "xacct_assets.feed", "count_keys_by_day", fact=feed.warehouse.fact, key=feed.key
    )
    rows = aws.warehouse.query(sql, (min(days), max(days)))
    counts = {as_day(row["partition_date"]): row for row in rows}
    return (
        {day: int(row["row_count"]) for day, row in counts.items()},
        {day: int(row["key_count"]) for day, row in counts.items()},
    )


def doubled_keys(feed: FeedSpec, aws: AwsClients, day: date) -> tuple[str, ...]:
    """The first keys that more than one row of the day has in the fact table, for messages."""
    from xacct_assets.aws.redshift.sql import load_statement

    sql = load_statement(
        "xacct_assets.feed", "doubled_keys", fact=feed.warehouse.fact, key=feed.key
    )
    hidden = {column.name for column in feed.columns if column.sensitive}
    return tuple(
        ", ".join(f"{name}={MASK if name in hidden else repr(row[name])}" for name in feed.key)
        for row in aws.warehouse.query(sql, (day,))
    )


def as_day(value: date | str) -> date:
    """Convert a query result to a date: the wire protocol returns dates, the Data API text."""
    return value if isinstance(value, date) else date.fromisoformat(value)
