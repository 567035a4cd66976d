"""Runs the load job through Dagster Pipes over S3: sends the request, reads the report.

The messages of a load are under ``pipes/<feed>/<load_id>/`` in the processing bucket, not under a
random prefix as with Dagster's own classes. So a step that reattaches to the job run of an earlier
attempt finds its messages. They are read once, after the job run has ended: Dagster's reader polls
S3 all the time and waits ten seconds more at the end. Progress is in the job's log, which is
followed anyway. A lifecycle rule deletes the prefix. A short context is passed as a job argument,
which saves a request.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, Any

import dagster as dg

from xacct_assets.contract.bucket_owners import ARGUMENT as BUCKET_OWNERS
from xacct_assets.contract.bucket_owners import format_owners
from xacct_assets.contract.column_types import ColumnType
from xacct_assets.contract.days import day_values
from xacct_assets.contract.load_report import DayLoad, LoadReport
from xacct_assets.contract.load_request import FeedColumn, LoadRequest, RequestedDay
from xacct_assets.contract.reject_manifest import feed_prefix
from xacct_assets.feed.raw_files import csv_dialect

if TYPE_CHECKING:
    from dagster_pipes import PipesContextData, PipesParams

    from xacct_assets.aws.glue.job_result import JobRunResult
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.settings import Settings


#: A context of at most this many characters, as Pipes encodes it, is passed as a job argument. The
#: Glue API reference names no limit for arguments; the context of a month is about half of this.
INLINE_CHARACTERS = 6_000


@dataclass(frozen=True)
class LoadOutcome:
    """A finished load: the job run and its report for each day."""

    job_run: JobRunResult
    days: Mapping[date, DayLoad]


def load_prefix(feed: FeedSpec, load_id: str) -> str:
    """Key prefix of the load's context and messages."""
    return f"pipes/{feed.name}/{load_id}/"


def load_request(
    feed: FeedSpec, aws: AwsClients, load_id: str, raw_rows: Mapping[date, int]
) -> LoadRequest:
    """The request for the job script.

    Args:
        feed: what to load.
        aws: whose settings name buckets, connection and role.
        load_id: identifies the load.
        raw_rows: rows counted in the raw files of each day.
    """
    settings = aws.settings
    bucket = settings.processing_bucket
    return LoadRequest(
        feed=feed.name,
        load_id=load_id,
        days=tuple(
            RequestedDay(day, tuple(day_values(day)), raw_rows[day]) for day in sorted(raw_rows)
        ),
        catalog_database=feed.catalog.database,
        catalog_table=feed.catalog.table,
        dialect=csv_dialect(feed),
        patterns=tuple(feed.source.patterns),
        columns=tuple(
            FeedColumn(column.name, ColumnType.parse(column.type), column.nullable)
            for column in feed.columns
        ),
        key=tuple(feed.key),
        staging_table=feed.warehouse.staging,
        load_audit_table=feed.warehouse.load_audit,
        connection=settings.glue_connection,
        database=settings.database,
        tmp_dir=f"s3://{bucket}/glue-tmp/{feed.name}/{load_id}/",
        copy_role=settings.role_b_arn,
        rejects=f"s3://{bucket}/{feed_prefix(feed.name)}",
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
    raw_rows: Mapping[date, int],
    *,
    first_attempt: bool = False,
    past_seconds: Sequence[float] = (),
) -> LoadOutcome:
    """Runs the job for these days, or reattaches to the job run of an earlier attempt.

    Args:
        raw_rows: rows counted in the raw files of each day.
        first_attempt: True if there cannot be an earlier job run of this load.
        past_seconds: durations of earlier, similar job runs, newest first.

    Raises:
        AwsFailure: the job run did not succeed, or could not be started.
        Failure: it succeeded without a report.
    """
    settings = aws.settings
    prefix = load_prefix(feed, load_id)
    injector_class, reader_class = _pipes_classes()
    s3 = aws.client("s3")
    owner = settings.account_b
    injector = injector_class(s3, settings.processing_bucket, owner, prefix)
    reader = reader_class(s3, settings.processing_bucket, owner, prefix)

    def announce(run_id: str, attached: bool) -> None:
        verb = "Reattached to" if attached else "Started"
        context.log.info(f"{verb} Glue job run {run_id} for load {load_id}")

    with dg.open_pipes_session(
        context=context,
        context_injector=injector,
        message_reader=reader,
        extras=load_request(feed, aws, load_id, raw_rows).to_json(),
    ) as session:
        result = aws.glue_job.run(
            feed.job_name(settings.suffix),
            load_id,
            {
                **session.get_bootstrap_cli_arguments(),
                f"--{BUCKET_OWNERS}": bucket_owners(aws.settings),
            },
            worker_type=feed.load.worker_type,
            number_of_workers=feed.load.number_of_workers,
            timeout_minutes=feed.load.timeout_minutes,
            execution_class=feed.load.execution_class,
            first_attempt=first_attempt,
            past_seconds=past_seconds,
            on_start=announce,
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


def _pipes_classes() -> tuple[type[Any], type[Any]]:
    """Dagster's Pipes classes for S3, with keys under the load's prefix.

    They are defined here because importing dagster_aws costs over a second and 50 MB, which only a
    process that runs a load needs.
    """
    from dagster_aws.pipes import PipesS3ContextInjector, PipesS3MessageReader
    from dagster_pipes import encode_param

    from xacct_assets.aws.errors import NotFound
    from xacct_assets.aws.polling import suppress_and_log
    from xacct_assets.aws.s3.bucket import Bucket

    class LoadContextInjector(PipesS3ContextInjector):
        """Writes the context under the load's prefix."""

        def __init__(self, client: Any, bucket: str, owner: str, prefix: str) -> None:
            super().__init__(bucket=bucket, client=client, key_prefix=prefix)
            self._owner = owner

        @contextmanager
        def inject_context(self, context: PipesContextData) -> Iterator[PipesParams]:
            inline: PipesParams = {"data": context}
            if len(encode_param(inline)) <= INLINE_CHARACTERS:
                yield inline
                return
            key = f"{self.key_prefix}context.json"
            Bucket(self.client, self.bucket, self._owner).put(key, json.dumps(context).encode())
            # Not deleted: the job run may outlive this process, and a later attempt reattaches.
            yield {"bucket": self.bucket, "key": key}

    class LoadMessageReader(PipesS3MessageReader):
        """Reads the load's messages once the job run has ended."""

        def __init__(self, client: Any, bucket: str, owner: str, prefix: str) -> None:
            super().__init__(bucket=bucket, client=client)
            self._owner = owner
            self._prefix = prefix

        @contextmanager
        def read_messages(self, handler: Any) -> Iterator[PipesParams]:
            # The job's message writer appends /1.json to this prefix.
            try:
                yield {"bucket": self.bucket, "key_prefix": f"{self._prefix}messages"}
            except BaseException:
                # Messages from before the failure help, but must not hide the failure.
                suppress_and_log(
                    lambda: self._deliver(handler), f"reading messages under {self._prefix}"
                )
                raise
            self._deliver(handler)

        def _deliver(self, handler: Any) -> None:
            for message in self._messages():
                handler.handle_message(message)

        def _messages(self) -> list[Mapping[str, Any]]:
            """The messages of the load's last job run: one object, written when the script ends."""
            bucket = Bucket(self.client, self.bucket, self._owner)
            try:
                body = bucket.read(f"{self._prefix}messages/1.json")
            except NotFound:
                return []
            return [json.loads(line) for line in body.decode().splitlines()]

    return LoadContextInjector, LoadMessageReader
