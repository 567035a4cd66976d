"""Runs the load job through Dagster Pipes over S3: sends the request, reads the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.contract.bucket_owners import ARGUMENT as BUCKET_OWNERS
from xacct_assets.contract.bucket_owners import format_owners
from xacct_assets.contract.column_types import ColumnType
from xacct_assets.contract.days import day_values
from xacct_assets.contract.load_report import DayLoad, LoadReport
from xacct_assets.contract.load_request import FeedColumn, LoadRequest, RequestedDay
from xacct_assets.contract.reject_manifest import feed_prefix
from xacct_assets.feed.load_pipes import LoadContextInjector, LoadMessageReader
from xacct_assets.feed.raw_files import csv_dialect

if TYPE_CHECKING:
    from xacct_assets.aws.glue.job_result import JobRunResult
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.metadata import RawFiles
    from xacct_assets.feed.spec import Column, FeedSpec
    from xacct_assets.settings import Settings


@dataclass(frozen=True)
class LoadOutcome:
    """A finished load: the job run and its report for each day."""

    job_run: JobRunResult
    days: Mapping[date, DayLoad]


def load_prefix(feed: FeedSpec, load_id: str) -> str:
    """Key prefix of the load's context and messages."""
    return f"pipes/{feed.name}/{load_id}/"


def load_request(
    feed: FeedSpec, aws: AwsClients, load_id: str, raw: Mapping[date, RawFiles]
) -> LoadRequest:
    """The request for the job script.

    Args:
        feed: what to load.
        aws: whose settings name buckets, connection and role.
        load_id: identifies the load.
        raw: the raw files of each day.
    """
    settings = aws.settings
    bucket = settings.processing_bucket
    headers = {tuple(files.header or ()) for files in raw.values() if files.rows != 0}
    return LoadRequest(
        feed=feed.name,
        load_id=load_id,
        days=tuple(
            RequestedDay(day, tuple(day_values(day)), raw[day].rows, raw[day].version)
            for day in sorted(raw)
        ),
        catalog_database=feed.catalog.database,
        catalog_table=feed.catalog.table,
        dialect=csv_dialect(feed),
        patterns=tuple(feed.source.patterns),
        columns=tuple(_requested(feed, column) for column in feed.columns),
        key=tuple(feed.key),
        trailing_blanks=feed.load.trailing_blanks,
        staging_table=feed.warehouse.staging,
        load_audit_table=feed.warehouse.load_audit,
        connection=settings.glue_connection,
        database=settings.database,
        tmp_dir=f"s3://{bucket}/glue-tmp/{feed.name}/{load_id}/",
        copy_role=settings.role_b_arn,
        rejects=f"s3://{bucket}/{feed_prefix(feed.name)}",
        header=headers.pop() if len(headers) == 1 else (),
        splittable_files=tuple(
            f"s3://{aws.input_bucket(feed)}/{key}"
            for day in sorted(raw)
            for key in raw[day].splittable_files or ()
        ),
        relaxed_header=feed.source.csv.header_match == "relaxed",
        ignores_other_columns=feed.source.csv.extra_columns == "ignore",
        former_columns=tuple(feed.source.csv.former_columns),
        warehouse_url=aws.job_warehouse_url(),
    )


def _requested(feed: FeedSpec, column: Column) -> FeedColumn:
    return FeedColumn(
        name=column.name,
        type=ColumnType.parse(column.type),
        nullable=column.nullable,
        header=column.header or "",
        format=column.format,
        null_values=tuple(dict.fromkeys([*feed.source.csv.null_values, *column.null_values])),
        trim=column.trim,
        default=column.default,
        sensitive=column.sensitive,
        optional=column.optional,
        former_headers=tuple(column.former_headers),
    )


def bucket_owners(settings: Settings) -> str:
    """The job argument that names the owning account of each bucket that the job uses."""
    return format_owners(
        {
            settings.input_bucket: settings.account_a,
            settings.processing_bucket: settings.account_b,
        }
    )


def run_load_job(
    context: dg.AssetExecutionContext,
    feed: FeedSpec,
    aws: AwsClients,
    load_id: str,
    raw: Mapping[date, RawFiles],
    *,
    first_attempt: bool = False,
    past_seconds: Sequence[float] = (),
) -> LoadOutcome:
    """Runs the job for these days, or reattaches to the job run of an earlier attempt.

    Args:
        raw: the raw files of each day.
        first_attempt: True if there cannot be an earlier job run of this load.
        past_seconds: durations of earlier, similar job runs, newest first.

    Raises:
        AwsFailure: the job run did not succeed, or could not be started.
        Failure: it succeeded without a report.
    """
    settings = aws.settings
    prefix = load_prefix(feed, load_id)
    bucket = Bucket(aws.client("s3"), settings.processing_bucket, settings.account_b)

    def announce(run_id: str, attached: bool) -> None:
        verb = "Reattached to" if attached else "Started"
        context.log.info(f"{verb} Glue job run {run_id} for load {load_id}")

    with dg.open_pipes_session(
        context=context,
        context_injector=LoadContextInjector(bucket, prefix),
        message_reader=LoadMessageReader(bucket, prefix),
        extras=load_request(feed, aws, load_id, raw).to_json(),
    ) as session:
        result = aws.glue_job.run(
            feed.job_name(settings.suffix),
            load_id,
            {
                **session.get_bootstrap_cli_arguments(),
                f"--{BUCKET_OWNERS}": bucket_owners(settings),
            },
            worker_type=feed.load.worker_type,
            number_of_workers=feed.load.number_of_workers,
            timeout_minutes=feed.load.timeout_minutes,
            execution_class=feed.load.execution_class,
            first_attempt=first_attempt,
            past_seconds=past_seconds,
            on_start=announce,
            log_group=feed.log_group(settings.suffix),
            on_log=lambda line: context.log.info(f"[glue] {line}"),
        )
    return LoadOutcome(result, _loaded_days(session.get_custom_messages(), load_id, result.run_id))


def _loaded_days(messages: Sequence[Any], load_id: str, run_id: str) -> Mapping[date, DayLoad]:
    report = LoadReport.find(messages, load_id)
    if report is None:
        raise dg.Failure(
            f"Glue job run {run_id} succeeded but left no report of load {load_id} (no Pipes "
            "message). The deployed job script may be of another version: run `xacct deploy`, then "
            "materialize again."
        )
    return report.days
