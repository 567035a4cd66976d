"""Days without a file at the feed's deadline, and exports that are behind."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from xacct_assets.aws_clients import AwsClients
from xacct_assets.feed import advice
from xacct_assets.feed.alerts.alert import Alert, Kind
from xacct_assets.feed.assets import raw_partition, s3_export
from xacct_assets.feed.assets.defaults import asset_key
from xacct_assets.feed.event_log import latest_materializations
from xacct_assets.feed.partitions import parse_day
from xacct_assets.feed.raw_files import list_day
from xacct_assets.feed.retention import first_kept_day
from xacct_assets.feed.spec import FeedSpec

#: Days before the newest that is due which are looked at too.
DAYS_BACK = 6


def late_days(
    feed: FeedSpec,
    aws: AwsClients,
    instance: dg.DagsterInstance,
    now: datetime,
    told: Iterable[str],
) -> list[Alert]:
    """Days that have no file though the feed's deadline is over.

    Args:
        told: days that have been told; they are looked at however old they are.

    Raises:
        AwsFailure: the raw bucket cannot be listed.
    """
    hours = feed.alerts.late_after_hours
    newest = _newest_due(now, hours)
    if hours is None or newest is None:
        return []
    first = max(feed.start, newest - timedelta(days=DAYS_BACK))
    days = {first + timedelta(days=after) for after in range((newest - first).days + 1)}
    kept = first_kept_day(feed, now.date()) or feed.start
    days = {day for day in days | set(map(parse_day, told)) if day >= kept}
    arrived = latest_materializations(instance, asset_key(feed, raw_partition.NAME), days)
    return list(_late(feed, aws, sorted(days - set(arrived)), hours))


def _late(feed: FeedSpec, aws: AwsClients, days: list[date], hours: int) -> Iterator[Alert]:
    for day in days:
        if not list_day(feed, aws, day):
            folder = f"s3://{aws.input_bucket(feed)}/{feed.source.prefix}/"
            yield Alert(
                Kind.DAY_LATE,
                day.isoformat(),
                f"no file of the day has landed in {folder} {_in_hours(hours)} after the day's end "
                "(alerts.late_after_hours)",
                "ask the supplier; the arrival sensor runs the day once its files are there",
                feed=feed.name,
                stage=raw_partition.NAME,
            )


def stale_export(feed: FeedSpec, instance: dg.DagsterInstance, now: datetime) -> list[Alert]:
    """The feed's export, if its newest day that is due has not been exported."""
    hours = feed.alerts.stale_after_hours
    due = _newest_due(now, hours)
    if hours is None or due is None or due < feed.start:
        return []
    days = [day for day in map(parse_day, _exported(feed, instance)) if day >= due]
    if days:
        return []
    return [
        Alert(
            Kind.EXPORT_STALE,
            s3_export.NAME,
            f"{due} is not exported {_in_hours(hours)} after the day's end "
            "(alerts.stale_after_hours)",
            f"`xacct reconcile --feed {feed.name} --partition {due}` shows how far it came; "
            f"{advice.LOAD}",
            feed=feed.name,
            stage=s3_export.NAME,
        )
    ]


def _exported(feed: FeedSpec, instance: dg.DagsterInstance) -> Iterable[str]:
    return instance.get_materialized_partitions(asset_key(feed, s3_export.NAME))


def _in_hours(hours: int) -> str:
    return "1 hour" if hours == 1 else f"{hours} hours"


def _newest_due(now: datetime, hours: int | None) -> date | None:
    """The newest UTC day that ended at least so many hours ago."""
    if hours is None:
        return None
    return (now.astimezone(UTC) - timedelta(hours=hours)).date() - timedelta(days=1)
