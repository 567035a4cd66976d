"""staging_table: the rows of the days in Redshift's staging table, loaded by one Glue job run."""

import contextlib
import hashlib
from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from xacct_assets.aws.glue.job_result import JobRunResult
from xacct_assets.aws_clients import AwsClients
from xacct_assets.contract.fingerprint import fingerprint
from xacct_assets.contract.load_report import DayLoad
from xacct_assets.contract.reject_manifest import day_rejects, feed_prefix
from xacct_assets.feed import advice
from xacct_assets.feed.assets.catalog_table import NAME as CATALOG_TABLE
from xacct_assets.feed.assets.defaults import (
    asset_defaults,
    asset_key,
    column_schema,
    description,
    retry_transient_errors,
    table,
)
from xacct_assets.feed.assets.raw_partition import NAME as RAW_PARTITION
from xacct_assets.feed.deployment import naming_what_is_not_deployed, require_tables
from xacct_assets.feed.event_log import (
    Materialization,
    latest_materializations,
    recent_materializations,
    run_lineage,
)
from xacct_assets.feed.load_job import LoadOutcome, run_load_job
from xacct_assets.feed.metadata import LoadedRows, MetadataMissing, RawFiles
from xacct_assets.feed.partition_results import PartitionBatch, PartitionEvents, PartitionResult
from xacct_assets.feed.partitions import batched
from xacct_assets.feed.raw_files import archived_problem, survey_days
from xacct_assets.feed.spec import FeedSpec

NAME = "staging_table"
# The duration of a job run is estimated from the last 10 runs found in the last 60 events.
PAST_EVENTS, PAST_RUNS = 60, 10


def build(feed: FeedSpec) -> dg.AssetsDefinition:
    """The asset of the feed's staged days."""

    @dg.asset(
        **asset_defaults(
            *(feed, NAME, "2", feed.columns, feed.key, feed.source.csv, feed.warehouse),
            feed.load.trailing_blanks,
        ),
        deps=[asset_key(feed, CATALOG_TABLE)],
        kinds={"glue", "spark", "redshift"},
        description=description(
            feed,
            f"The day's rows in {feed.warehouse.staging}, cast to the feed's columns by a Glue "
            "job. Rows that do not fit are rejected and stored with the reason.",
        ),
        metadata={
            "dagster/table_name": feed.warehouse.staging,
            "dagster/column_schema": column_schema(feed),
        },
    )
    def staging_table(
        context: dg.AssetExecutionContext, aws: dg.ResourceParam[AwsClients]
    ) -> PartitionEvents:
        with retry_transient_errors(context), naming_what_is_not_deployed(feed, aws):
            batch = PartitionBatch.of(context, upstream=asset_key(feed, CATALOG_TABLE))
            raw = latest_materializations(
                context.instance, asset_key(feed, RAW_PARTITION), batch.ready
            )
            _fail_days_without_raw(batch, raw)
            landed = {day: RawFiles.from_metadata(raw[day].metadata) for day in batch.ready}
            # Days that this run has just listed are compared once, after they are loaded.
            lineage = run_lineage(context.run)
            earlier = [day for day in batch.ready if raw[day].run_id not in lineage]
            when = "since raw_partition listed them"
            _fail_changed_days(batch, feed, aws, raw, earlier, when, before_load=True)
            # Glue's Redshift connection would make a table that is missing, with types of its own.
            require_tables(feed, aws)
            loads: dict[date, tuple[str, LoadOutcome]] = {}
            # Only a run that was launched by hand may have more days than this.
            for days in batched(list(batch.ready), feed.max_days_per_run):
                load_id = _load_id(context, feed, {day: raw[day] for day in days})
                outcome = run_load_job(
                    context,
                    feed,
                    aws,
                    load_id,
                    {day: landed[day] for day in days},
                    first_attempt=_is_first_attempt(context),
                    past_seconds=_past_seconds(context, len(days)),
                )
                loads |= dict.fromkeys(days, (load_id, outcome))
            _fail_changed_days(batch, feed, aws, raw, batch.ready, "while they were loaded")
            results = {}
            for day in list(batch.ready):
                load_id, outcome = loads[day]
                load = outcome.days.get(day)
                if load is None:
                    batch.fail(day, NOT_REPORTED)
                elif problem := _problem(load, landed[day].rows):
                    batch.fail(day, problem)
                else:
                    results[day] = _result(
                        *(feed, aws, day, load, outcome, load_id), raw[day].data_version
                    )
            yield from batch.report(results)

    return staging_table


def _fail_days_without_raw(batch: PartitionBatch, raw: Mapping[date, Materialization]) -> None:
    for day in list(batch.ready):
        if day not in raw:
            batch.fail(day, "raw_partition was never materialized for this day; start with it")
    batch.raise_if_none_is_ready()


def _fail_changed_days(
    batch: PartitionBatch,
    feed: FeedSpec,
    aws: AwsClients,
    raw: Mapping[date, Materialization],
    days: Sequence[date],
    when: str,
    *,
    before_load: bool = False,
) -> None:
    """Fails those of the days whose raw files are no longer those that raw_partition counted.

    Before they are loaded, also those whose files were archived since.
    """
    for day, listing in survey_days(feed, aws, days).items():
        if not listing.objects:
            batch.fail(day, advice.files_deleted(when))
        elif fingerprint(listing.objects) != raw[day].data_version:
            batch.fail(day, advice.files_changed(when))
        elif before_load and (archived := archived_problem(listing.objects)):
            batch.fail(day, archived)
    batch.raise_if_none_is_ready()


def _load_id(
    context: dg.AssetExecutionContext, feed: FeedSpec, raw: Mapping[date, Materialization]
) -> str:
    """An id that is the same for every attempt at the same load, and new for a new run.

    A step that is retried, or a run that was re-executed from failure, finds the job run that the
    earlier attempt started. A new run of the days loads them again.
    """
    run = context.run
    is_resumed = run.tags.get("dagster/is_resume_retry") == "true"
    attempt = (run.root_run_id or run.run_id) if is_resumed else run.run_id
    days = "".join(f"{day}={raw[day].data_version};" for day in sorted(raw))
    return hashlib.sha256(f"{feed.name};{attempt};{days}".encode()).hexdigest()[:32]


def _is_first_attempt(context: dg.AssetExecutionContext) -> bool:
    """Whether this step was never attempted before, so that there is no job run of it.

    An orchestrator that restarts a run under its own id starts the step again.
    """
    step = context.asset_key.to_python_identifier()
    starts = context.instance.all_logs(context.run.run_id, of_type=dg.DagsterEventType.STEP_START)
    return (
        context.retry_number == 0
        and context.run.parent_run_id is None
        and sum(entry.step_key == step for entry in starts) == 1
    )


def _past_seconds(context: dg.AssetExecutionContext, days: int) -> list[float]:
    """Durations of the last job runs in seconds: those of as many days, if there are any."""
    runs = {}
    for event in recent_materializations(context.instance, context.asset_key, PAST_EVENTS):
        with contextlib.suppress(MetadataMissing):
            load = LoadedRows.from_metadata(event.metadata)
            if load.job_run_seconds is not None:
                runs[load.job_run_id] = (load.job_run_days, load.job_run_seconds)
    alike = [seconds for of_days, seconds in runs.values() if of_days == days]
    return (alike or [seconds for _, seconds in runs.values()])[:PAST_RUNS]


NOT_REPORTED = "the job run reported nothing for this day; run `xacct deploy` to update the job"
NOT_COUNTED = (
    "raw_partition left the day's rows to the job to count, and the job did not; run `xacct "
    "deploy` to update the job"
)


def _problem(load: DayLoad, rows_landed: int | None) -> str | None:
    if load.problem:
        return load.problem
    counted = load.rows_counted if rows_landed is None else rows_landed
    if counted is None:
        return NOT_COUNTED
    if load.rows_read != counted:
        who = "its own count found" if rows_landed is None else "raw_partition counted"
        return (
            f"the job read {load.rows_read} rows, but {who} {counted}: the day was not loaded. The "
            f"files may have been replaced meanwhile: {advice.LOAD_CHANGED_FILES}. If that does "
            "not help, the files hold records that are parsed in two ways."
        )
    if load.rows_loaded + load.rows_rejected != load.rows_read:
        lost = load.rows_read - load.rows_loaded - load.rows_rejected
        return (
            f"of {load.rows_read} rows read, {load.rows_loaded} were loaded and "
            f"{load.rows_rejected} rejected: {lost} are unaccounted for"
        )
    return None


def too_many_rejects(feed: FeedSpec, load: LoadedRows) -> str | None:
    """The problem if more of a day's rows were rejected than the feed allows."""
    read, rejected = load.rows_read, load.rows_rejected
    if not read or rejected / read <= feed.reject_threshold:
        return None
    return (
        f"{rejected} of {read} rows were rejected ({rejected / read:.1%}), more than the "
        f"{feed.reject_threshold:.1%} that reject_threshold allows. See the reasons in the day's "
        "metadata: correct the files, or raise the threshold in the feed's defs.yaml, and "
        "materialize the day again."
    )


def _result(
    feed: FeedSpec,
    aws: AwsClients,
    day: date,
    load: DayLoad,
    outcome: LoadOutcome,
    load_id: str,
    raw_version: str | None,
) -> PartitionResult:
    job_run = outcome.job_run
    facts = LoadedRows(
        rows_read=load.rows_read,
        rows_rejected=load.rows_rejected,
        load_id=load_id,
        job_run_id=job_run.run_id,
        job_run_days=len(outcome.days),
        job_run_seconds=_seconds(job_run),
        raw_version=raw_version,
    )
    metadata: dict[str, Any] = {
        "dagster/partition_row_count": load.rows_loaded,
        **facts.to_metadata(),
        "files": load.files,
        "job run seconds billed": job_run.execution_seconds,
        "job run reattached": job_run.attached,
    }
    if job_run.dpu_seconds is not None:
        metadata["job run DPU seconds"] = job_run.dpu_seconds
    for name, url in job_run.log_urls.items():
        metadata[name] = dg.MetadataValue.url(url)
    if load.rows_rejected:
        prefix = f"{day_rejects(feed_prefix(feed.name), day)}{load_id}/"
        metadata["reasons"] = dict(load.reasons)
        bucket = aws.settings.processing_bucket
        metadata["rejects"] = dg.MetadataValue.path(f"s3://{bucket}/{prefix}")
        metadata["rejects in S3"] = dg.MetadataValue.url(aws.console.s3_folder(bucket, prefix))
        metadata["sample of rejects"] = table([dict(row) for row in load.sample])
    return PartitionResult(metadata)


def _seconds(job_run: JobRunResult) -> float | None:
    if job_run.started is None or job_run.completed is None:
        return None
    return (job_run.completed - job_run.started).total_seconds()
