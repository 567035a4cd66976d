"""The daily schedule: sees to it that the day that ended is run, or seen to be missing."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg

from xacct_assets.aws_clients import AwsClients
from xacct_assets.feed.arrival.fingerprint import fingerprint
from xacct_assets.feed.arrival.run_history import FIRST, days_of
from xacct_assets.feed.assets import raw_partition, s3_export
from xacct_assets.feed.assets.defaults import asset_key
from xacct_assets.feed.event_log import latest_materializations
from xacct_assets.feed.raw_files import list_day
from xacct_assets.feed.spec import FeedSpec

UNFINISHED = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)


def build_schedule(feed: FeedSpec) -> dg.ScheduleDefinition:
    """The feed's schedule.

    It asks for yesterday (UTC) unless the sensor has done it already. If no file has landed it asks
    all the same: raw_partition then fails for exactly that day, which shows as a failed partition
    and alerts whoever watches failed runs. A day without data must not look like a quiet day.
    """

    @dg.schedule(
        name=f"{feed.name}_daily",
        job_name=job_name(feed),
        cron_schedule=f"{feed.schedule.minute} {feed.schedule.hour} * * *",
        execution_timezone=feed.schedule.timezone,
        default_status=(
            dg.DefaultScheduleStatus.RUNNING
            if feed.arrival.start_running
            else dg.DefaultScheduleStatus.STOPPED
        ),
        description=(
            "Runs the UTC day that has ended, unless its export is already made from the files "
            "that are there now. Without files the day's raw_partition fails, on purpose."
        ),
    )
    def daily(
        context: dg.ScheduleEvaluationContext, aws: dg.ResourceParam[AwsClients]
    ) -> dg.RunRequest | dg.SkipReason:
        now = context.scheduled_execution_time
        day = ended_day(now)
        if day < feed.start:
            return dg.SkipReason(f"{day} is before the feed's first day, {feed.start}")
        reason = already_seen_to(feed, aws, context.instance, day)
        if reason:
            return dg.SkipReason(reason)
        return dg.RunRequest(
            run_key=f"{feed.name}:{day}:{now.isoformat()}",
            partition_key=day.isoformat(),
            tags=FIRST,
        )

    return daily


def ended_day(now: datetime) -> date:
    """The last UTC day that is over at this moment."""
    return now.astimezone(UTC).date() - timedelta(days=1)


def already_seen_to(
    feed: FeedSpec, aws: AwsClients, instance: dg.DagsterInstance, day: date
) -> str | None:
    """Why the day needs no run; None if it does."""
    run = _under_way(feed, instance, day)
    if run is not None:
        return f"run {run.run_id} of {day} is under way"
    raw = latest_materializations(instance, asset_key(feed, raw_partition.NAME), [day]).get(day)
    export = latest_materializations(instance, asset_key(feed, s3_export.NAME), [day]).get(day)
    if raw is None or export is None or export.storage_id < raw.storage_id:
        return None
    objects = list_day(feed, aws, day)
    if objects and fingerprint(objects) == raw.data_version:
        return f"the export of {day} is made from the files that are there"
    return None


def _under_way(feed: FeedSpec, instance: dg.DagsterInstance, day: date) -> dg.DagsterRun | None:
    """A run of the whole day, or of a range with it, whoever asked for it."""
    ends = {asset_key(feed, module.NAME) for module in (raw_partition, s3_export)}
    for run in instance.get_runs(dg.RunsFilter(statuses=list(UNFINISHED))):
        # What the UI launches is not of the feed's job, but of a selection of assets.
        whole = run.job_name == job_name(feed) or ends <= set(run.asset_selection or ())
        if whole and day in days_of(run):
            return run
    return None


def job_name(feed: FeedSpec) -> str:
    """Name of the job that takes a day through the whole chain."""
    return f"{feed.name}_day"
