"""The load job and Dagster talk through Dagster Pipes over S3: what it must do, what it did.

Everything of one piece of work lives under one prefix that follows from its id,
``pipes/<feed>/<load_id>/`` in the processing bucket, instead of under random keys: whoever attaches
to a job run that somebody else started finds its messages. They are read once, when the job has
ended: Dagster's own reader waits ten seconds more at that point, and polls S3 all the while. What
the job says meanwhile is in its log, which is followed anyway. A lifecycle rule clears the prefix.
A context that is short enough goes with the job's arguments instead, which saves a request.
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


#: A context of no more characters (as Pipes encodes it) is one of the job's arguments. Glue's
#: reference names no limit for these; a context of a month of days is about half of this.
INLINE_CHARACTERS = 6_000


@dataclass(frozen=True)
class LoadOutcome:
    """A finished load: the job run and its account of each day."""

    job_run: JobRunResult
    days: Mapping[date, DayLoad]


def load_prefix(feed: FeedSpec, load_id: str) -> str:
    """Key prefix of the work's context and messages."""
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
    """Run the job for these days, or follow the run of the same work that is already there.

    Args:
        raw_rows: rows counted in the raw files of each day.
        first_attempt: True if there can be no such run.
        past_seconds: how long runs of its like took.

    Raises:
        AwsFailure: the job run did not succeed, or could not be started.
        Failure: it succeeded but gave no account of what it did.
    """
    settings = aws.settings
    prefix = load_prefix(feed, load_id)
    injector_class, reader_class = _pipes_classes()
    s3 = aws.client("s3")
    owner = settings.account_b
    injector = injector_class(s3, settings.processing_bucket, owner, prefix)
    reader = reader_class(s3, settings.processing_bucket, owner, prefix)

    def announce(run_id: str, attached: bool) -> None:
        verb = "Following" if attached else "Started"
        context.log.info(f"{verb} Glue job run {run_id} for work {load_id}")

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
            f"Glue job run {run_id} succeeded but left no account of what it loaded (no Pipes "
            f"message for work {load_id}). Is glue/load.py of this version deployed? Run "
            "`xacct deploy`, then materialize again."
        )
    return report.days


def _pipes_classes() -> tuple[type[Any], type[Any]]:
    """Dagster's Pipes over S3, bound to the work's prefix.

    Made here because importing dagster_aws costs over a second and 50 MB, which only the process
    that runs a load should pay.
    """
    from dagster_aws.pipes import PipesS3ContextInjector, PipesS3MessageReader
    from dagster_pipes import encode_param

    from xacct_assets.aws.errors import NotFound
    from xacct_assets.aws.polling import suppress_and_log
    from xacct_assets.aws.s3.bucket import Bucket

    class WorkContextInjector(PipesS3ContextInjector):
        """Puts the context where the work's id says."""

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
            # Not deleted: a job run may outlive us, and be followed by somebody else.
            yield {"bucket": self.bucket, "key": key}

    class WorkMessageReader(PipesS3MessageReader):
        """Reads the work's messages once the job has ended."""

        def __init__(self, client: Any, bucket: str, owner: str, prefix: str) -> None:
            super().__init__(bucket=bucket, client=client)
            self._owner = owner
            self._prefix = prefix

        @contextmanager
        def read_messages(self, handler: Any) -> Iterator[PipesParams]:
            # The writer appends /1.json and so on; here too no random part.
            try:
                yield {"bucket": self.bucket, "key_prefix": f"{self._prefix}messages"}
            except BaseException:
                # What the job said before it failed helps, but must not hide how it failed.
                suppress_and_log(
                    lambda: self._deliver(handler), f"reading messages under {self._prefix}"
                )
                raise
            self._deliver(handler)

        def _deliver(self, handler: Any) -> None:
            for message in self._messages():
                handler.handle_message(message)

        def _messages(self) -> list[Mapping[str, Any]]:
            """The messages of the work's last run: one object, written when the script ends."""
            bucket = Bucket(self.client, self.bucket, self._owner)
            try:
                body = bucket.read(f"{self._prefix}messages/1.json")
            except NotFound:
                return []
            return [json.loads(line) for line in body.decode().splitlines()]

    return WorkContextInjector, WorkMessageReader
