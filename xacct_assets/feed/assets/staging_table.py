"""staging_table: the days' rows in Redshift's staging table, loaded by one Glue job run."""

import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from xacct_assets.aws_clients import AwsClients
from xacct_assets.contract.load_report import DayLoad
from xacct_assets.contract.reject_manifest import day_rejects, feed_prefix
from xacct_assets.feed.arrival.fingerprint import fingerprint
from xacct_assets.feed.assets.catalog_table import NAME as CATALOG_TABLE
from xacct_assets.feed.assets.defaults import (
    asset_key,
    column_schema,
    common,
    fail_fast_on_permanent_errors,
    pool,
    table,
)
from xacct_assets.feed.assets.raw_partition import NAME as RAW_PARTITION
from xacct_assets.feed.assets.raw_partition import ROWS
from xacct_assets.feed.event_log import (
    Materialization,
    latest_materializations,
    recent_materializations,
    run_lineage,
)
from xacct_assets.feed.load_job import LoadOutcome, run_load_job
from xacct_assets.feed.partition_results import PartitionBatch, PartitionEvents, PartitionResult
from xacct_assets.feed.partitions import batched
from xacct_assets.feed.raw_files import survey_days
from xacct_assets.feed.spec import FeedSpec

NAME = "staging_table"
READ, REJECTED, WORK_ID = "rows read", "rows rejected", "load id"
DAYS, SECONDS = "days of the job run", "job run seconds from start to end"
# How far back it is looked for how long a job run takes: events, and runs.
PAST_EVENTS, PAST_RUNS = 60, 10


def build(feed: FeedSpec) -> dg.AssetsDefinition:
    """The asset of the feed's staged days."""

    @dg.asset(
        **common(feed, NAME, "1", feed.columns, feed.key, feed.source.csv, feed.warehouse),
        deps=[asset_key(feed, CATALOG_TABLE)],
        kinds={"glue", "spark", "redshift"},
        pool=pool(feed, "load"),
        description=(
            f"The day's rows in {feed.warehouse.staging}, cast to the feed's columns by a Glue "
            "job; rows that do not fit are set aside with their reason."
        ),
        metadata={
            "dagster/table_name": feed.warehouse.staging,
            "dagster/column_schema": column_schema(feed),
        },
    )
    def staging_table(
        context: dg.AssetExecutionContext, aws: dg.ResourceParam[AwsClients]
    ) -> PartitionEvents:
        with fail_fast_on_permanent_errors():
            step = PartitionBatch.of(context, upstream=asset_key(feed, CATALOG_TABLE))
            raw = latest_materializations(
                context.instance, asset_key(feed, RAW_PARTITION), step.ready
            )
            _drop_unknown(step, raw)
            # Days that this run has just looked at are compared once, after they are loaded.
            family = run_lineage(context.run)
            before = [day for day in step.ready if raw[day].run_id not in family]
            _drop_changed(step, feed, aws, raw, before, "since raw_partition looked at them")
            loads: dict[date, tuple[str, LoadOutcome]] = {}
            # A backfill's runs are no larger than this; one launched by hand may be.
            for days in batched(list(step.ready), feed.max_days_per_run):
                load_id = _work_id(context, feed, {day: raw[day] for day in days})
                rows = {day: raw[day].metadata[ROWS] for day in days}
                outcome = run_load_job(
                    context,
                    feed,
                    aws,
                    load_id,
                    rows,
                    first_attempt=_is_first_attempt(context),
                    past_seconds=_past_seconds(context, len(days)),
                )
                loads |= dict.fromkeys(days, (load_id, outcome))
            _drop_changed(step, feed, aws, raw, step.ready, "while they were loaded")
            reports = {}
            for day in list(step.ready):
                load_id, outcome = loads[day]
                load = outcome.days.get(day)
                problem = _problem(load, raw[day].metadata[ROWS])
                if problem or load is None:
                    step.fail(day, problem)
                else:
                    reports[day] = _report(feed, aws, day, load, outcome, load_id)
            yield from step.report(reports)

    return staging_table


def _drop_unknown(step: PartitionBatch, raw: Mapping[date, Materialization]) -> None:
    for day in list(step.ready):
        if day not in raw:
            step.fail(day, "raw_partition was never materialized for this day; start with it")
    step.raise_if_none_is_ready()


def _drop_changed(
    step: PartitionBatch,
    feed: FeedSpec,
    aws: AwsClients,
    raw: Mapping[date, Materialization],
    days: Sequence[date],
    since: str,
) -> None:
    """Take out those of the days whose raw files are not those that raw_partition counted."""
    for day, listing in survey_days(feed, aws, days).items():
        if fingerprint(listing.objects) != raw[day].data_version:
            step.fail(
                day,
                f"the raw files of {day} changed {since}; materialize the day again from "
                "raw_partition on (the arrival sensor does so by itself)",
            )
    step.raise_if_none_is_ready()


def _work_id(
    context: dg.AssetExecutionContext, feed: FeedSpec, raw: Mapping[date, Materialization]
) -> str:
    """The same for every attempt at the same work, another for a deliberate new run.

    A step that is retried, or a run that takes up a failed one ("from failure"), finds the job run
    that the attempt before it started. Running the days again on purpose loads them again.
    """
    run = context.run
    takes_up = run.tags.get("dagster/is_resume_retry") == "true"
    attempt = (run.root_run_id or run.run_id) if takes_up else run.run_id
    days = "".join(f"{day}={raw[day].data_version};" for day in sorted(raw))
    return hashlib.sha256(f"{feed.name};{attempt};{days}".encode()).hexdigest()[:32]


def _is_first_attempt(context: dg.AssetExecutionContext) -> bool:
    """Whether nobody can have tried the work of this step yet, so that no job run of it is there.

    A run that is taken up under its own id, by an orchestrator that can do that, starts it again.
    """
    step = context.asset_key.to_python_identifier()
    starts = context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.STEP_START)
    return (
        context.retry_number == 0
        and context.run.parent_run_id is None
        and sum(entry.step_key == step for entry in starts) == 1
    )


def _past_seconds(context: dg.AssetExecutionContext, days: int) -> list[float]:
    """How long the last job runs took, of as many days if there are such, from start to end."""
    runs = {
        event.metadata["job run id"]: (event.metadata[DAYS], event.metadata[SECONDS])
        for event in recent_materializations(context.instance, context.asset_key, PAST_EVENTS)
        if SECONDS in event.metadata
    }
    alike = [seconds for of_days, seconds in runs.values() if of_days == days]
    return (alike or [seconds for _, seconds in runs.values()])[:PAST_RUNS]


def _problem(load: DayLoad | None, rows_landed: int) -> str | None:
    if load is None:
        return "the job run says nothing of this day; is glue/load.py of this version deployed?"
    if load.rows_read != rows_landed:
        return (
            f"the job read {load.rows_read} rows, but raw_partition counted {rows_landed}. The "
            "files may have been replaced meanwhile: materialize the day again from raw_partition "
            "on. If it stays so, the files hold records that are read in two ways."
        )
    if load.rows_loaded + load.rows_rejected != load.rows_read:
        lost = load.rows_read - load.rows_loaded - load.rows_rejected
        return (
            f"of {load.rows_read} rows read, {load.rows_loaded} were loaded and "
            f"{load.rows_rejected} rejected: {lost} are unaccounted for"
        )
    return None


def too_many_rejects(feed: FeedSpec, metadata: Mapping[str, Any]) -> str | None:
    """What is wrong if more of a day's rows were rejected than the feed allows."""
    read, rejected = metadata[READ], metadata[REJECTED]
    if not read or rejected / read <= feed.reject_threshold:
        return None
    return (
        f"{rejected} of {read} rows were rejected ({rejected / read:.1%}), more than the "
        f"{feed.reject_threshold:.1%} that reject_threshold allows. See the reasons in the day's "
        "metadata: correct the files, or raise the threshold in the feed's defs.yaml, and "
        "materialize the day again."
    )


def _report(
    feed: FeedSpec,
    aws: AwsClients,
    day: date,
    load: DayLoad,
    outcome: LoadOutcome,
    load_id: str,
) -> PartitionResult:
    job_run = outcome.job_run
    metadata: dict[str, Any] = {
        "dagster/partition_row_count": load.rows_loaded,
        READ: load.rows_read,
        REJECTED: load.rows_rejected,
        "files": load.files,
        WORK_ID: load_id,
        "job run id": job_run.run_id,
        "job run seconds": job_run.execution_seconds,
        "job run was already there": job_run.attached,
    }
    if job_run.started is not None and job_run.completed is not None:
        metadata[SECONDS] = (job_run.completed - job_run.started).total_seconds()
        metadata[DAYS] = len(outcome.days)
    if job_run.dpu_seconds is not None:
        metadata["job run DPU seconds"] = job_run.dpu_seconds
    for name, url in job_run.log_urls.items():
        metadata[name] = dg.MetadataValue.url(url)
    if load.rows_rejected:
        prefix = f"{day_rejects(feed_prefix(feed.name), day)}{load_id}/"
        metadata["reasons"] = dict(load.reasons)
        metadata["rejects"] = dg.MetadataValue.path(
            f"s3://{aws.settings.processing_bucket}/{prefix}"
        )
        metadata["sample of rejects"] = table([dict(row) for row in load.sample])
    return PartitionResult(metadata)
