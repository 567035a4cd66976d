"""The daily schedule: runs the day that ended, so that a missing day shows as a failed one."""

from datetime import UTC, date, datetime, timedelta

import dagster as dg

from xacct_assets.aws_clients import AwsClients
from xacct_assets.contract.fingerprint import fingerprint
from xacct_assets.feed.arrival.run_history import PRIORITY_TAGS, days_of_run
from xacct_assets.feed.assets import raw_partition, s3_export
from xacct_assets.feed.assets.defaults import asset_key
from xacct_assets.feed.event_log import latest_materializations
from xacct_assets.feed.partitions import describe_outside, outside_days
from xacct_assets.feed.raw_files import list_day
from xacct_assets.feed.spec import FeedSpec

UNFINISHED_STATUSES = (
    dg.DagsterRunStatus.QUEUED,
    dg.DagsterRunStatus.NOT_STARTED,
    dg.DagsterRunStatus.STARTING,
    dg.DagsterRunStatus.STARTED,
)


def build_schedule(feed: FeedSpec) -> dg.ScheduleDefinition:
    """Build the feed's schedule.

    It requests yesterday (UTC) unless the day is already exported or a run of it is under way. It
    also requests a day without files: raw_partition then fails for exactly that day, which shows as
    a failed partition and alerts whoever watches failed runs. Without that run, a missing day would
    look like any other.
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
        day = last_ended_day(now)
        today = now.astimezone(UTC).date()
        if outside := outside_days(feed, [(day, day)], today):
            return dg.SkipReason(describe_outside(feed, outside, today))
        reason = skip_reason(feed, aws, context.instance, day)
        if reason:
            return dg.SkipReason(reason)
        return dg.RunRequest(
            run_key=f"{feed.name}:{day}:{now.isoformat()}",
            partition_key=day.isoformat(),
            tags=PRIORITY_TAGS,
        )

    return daily


def last_ended_day(now: datetime) -> date:
    """The last UTC day that has ended at a time, which must have a time zone."""
    return now.astimezone(UTC).date() - timedelta(days=1)


def skip_reason(
    feed: FeedSpec, aws: AwsClients, instance: dg.DagsterInstance, day: date
) -> str | None:
    """Why the day needs no run; None if it needs one."""
    run = _unfinished_run(feed, instance, day)
    if run is not None:
        return f"run {run.run_id} of {day} is under way"
    raw = latest_materializations(instance, asset_key(feed, raw_partition.NAME), [day]).get(day)
    export = latest_materializations(instance, asset_key(feed, s3_export.NAME), [day]).get(day)
    if raw is None or export is None or export.storage_id < raw.storage_id:
        return None
    objects = list_day(feed, aws, day)
    if not objects:
        return f"the raw files of {day} are gone, and what was loaded from them is exported"
    if fingerprint(objects) == raw.data_version:
        return f"the export of {day} is made from the files that are there"
    return None


def _unfinished_run(
    feed: FeedSpec, instance: dg.DagsterInstance, day: date
) -> dg.DagsterRun | None:
    """An unfinished run that takes the day through the whole chain, alone or within a range."""
    first_and_last_asset = {asset_key(feed, module.NAME) for module in (raw_partition, s3_export)}
    for run in instance.get_runs(dg.RunsFilter(statuses=list(UNFINISHED_STATUSES))):
        # A run launched in the UI is not of the feed's job, but of a selection of assets.
        is_whole_chain = run.job_name == job_name(feed) or first_and_last_asset <= set(
            run.asset_selection or ()
        )
        if is_whole_chain and day in days_of_run(run):
            return run
    return None


def job_name(feed: FeedSpec) -> str:
    """Name of the job that takes a day through the whole chain."""
    return f"{feed.name}_day"
