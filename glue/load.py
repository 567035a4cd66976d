"""Loads days of one feed from the Glue Data Catalog into Redshift staging (AWS Glue 5.0).

The load request arrives as the extras of a Dagster Pipes context. The load report goes back as one
Pipes message. `xacct deploy` puts this script into S3, and beside it the zip of the packages that
it imports: `xacct_load` (its parts), `xacct_assets.contract` (what it shares with the orchestrator)
and `dagster_pipes`.

What holds at the end of a run that succeeded, for every requested day of which the report names no
problem:
    rows read from the day's files = rows in staging + rows under the rejects prefix
The rows of those days are replaced, and the load audit table is written, in one transaction. A day
with a problem (a file of it cannot be loaded) is left as it was, and so are all days by a run that
fails: staging, load audit and the published rejects.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import TYPE_CHECKING

import boto3
from awsglue.context import GlueContext
from awsglue.job import Job
from awsglue.utils import getResolvedOptions
from botocore.config import Config
from pyspark.context import SparkContext

try:
    from dagster_pipes import PipesCliArgsParamsLoader, PipesContext, open_dagster_pipes

    from xacct_assets.contract.bucket_owners import ARGUMENT as BUCKET_OWNERS
    from xacct_assets.contract.bucket_owners import parse_owners
    from xacct_assets.contract.load_report import LoadReport
    from xacct_assets.contract.load_request import LOAD_ID_ARGUMENT, LoadRequest
    from xacct_load.bad_files import count_bad_days
    from xacct_load.catalog import check_connection, find_partitions
    from xacct_load.counts import LoadCounts
    from xacct_load.errors import LoadError
    from xacct_load.failures import (
        naming_broken_gzip,
        naming_denied_file,
        naming_refused_login,
        naming_refused_value,
        spark_failures,
    )
    from xacct_load.headers import Header, read_headers
    from xacct_load.own_count import (
        OwnCount,
        count_uncounted,
        differing_days,
        with_own_counts,
        without_days,
    )
    from xacct_load.pipes import ContextLoader, MessageWriter
    from xacct_load.records import read_records
    from xacct_load.rejects import publish_rejects, sample_rejects, write_rejects
    from xacct_load.s3 import check_bucket, delete_objects, expect_owners, region_of, split_uri
    from xacct_load.settings import set_shuffle_tasks, set_up_spark
    from xacct_load.source_files import THREADS, SourceFile, list_files
    from xacct_load.staging import write_staging
    from xacct_load.validation import validate
    from xacct_load.verdicts import Verdicts, settle
except ImportError as missing:
    raise ImportError(
        f"{missing}: the zip that --extra-py-files names is missing or older than this script; run "
        "`xacct deploy`"
    ) from missing

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


def main() -> None:
    """Run the job that the arguments describe."""
    arguments = getResolvedOptions(sys.argv, ["JOB_NAME", LOAD_ID_ARGUMENT, BUCKET_OWNERS])
    if "--dagster-pipes-context" not in sys.argv:
        raise LoadError(
            "--dagster-pipes-context is missing: this job is started by its Dagster asset, "
            "which passes what to load"
        )
    glue_context = GlueContext(SparkContext.getOrCreate())
    job = Job(glue_context)
    job.init(arguments["JOB_NAME"], arguments)
    # One connection per thread: with a smaller pool, further requests need a handshake each.
    s3 = boto3.client("s3", config=Config(max_pool_connections=THREADS))
    owners = parse_owners(arguments[BUCKET_OWNERS])
    expect_owners(s3, owners)
    with open_dagster_pipes(
        context_loader=ContextLoader(client=s3),
        message_writer=MessageWriter(client=s3),
        # dagster_pipes leaves its constructor without annotations.
        params_loader=PipesCliArgsParamsLoader(),  # type: ignore[no-untyped-call]
    ) as pipes:
        request = LoadRequest.from_json(pipes.extras)
        if request.load_id != arguments[LOAD_ID_ARGUMENT]:
            raise LoadError(
                f"--{LOAD_ID_ARGUMENT} is {arguments[LOAD_ID_ARGUMENT]!r}, the Pipes context says "
                f"{request.load_id!r}: they belong to different loads"
            )
        with spark_failures():
            report = load(glue_context, s3, request, pipes, owners)
        pipes.report_custom_message(report.to_json())
    job.commit()


def load(
    glue_context: GlueContext,
    s3: S3Client,
    request: LoadRequest,
    pipes: PipesContext,
    owners: Mapping[str, str],
) -> LoadReport:
    """Replace the days in the staging table.

    Days with a file that cannot be loaded, or of which two counts differ, are left as they were.
    """
    spark = glue_context.spark_session
    set_up_spark(spark)
    glue = boto3.client("glue", region_name=region_of(s3, request.tmp_dir))
    check_connection(glue, request)
    for bucket in {split_uri(uri)[0] for uri in (request.tmp_dir, request.rejects)}:
        check_bucket(s3, bucket)

    files = list_files(s3, request, find_partitions(glue, request))
    headers, bad_files = read_headers(s3, request, files)
    pipes.log.info(f"reading {len(files)} files of {len(request.days)} days")
    own = count_uncounted(spark, s3, request, files, owners)
    bad_days = count_bad_days(files, {**own.bad_files, **bad_files})
    counts, samples = LoadCounts(bad_days), dict[date, list[dict[str, str]]]()
    if left := tuple(item for item in request.days if item.day not in bad_days):
        of_left = [file for file in files if file.day not in bad_days]
        with naming_refused_login(glue, request):
            found, samples = load_days(
                *(glue_context, s3, pipes, replace(request, days=left)), of_left, headers, own
            )
        counts = LoadCounts({**bad_days, **found.days})
    for day, of_day in counts.days.items():
        if of_day.problem:
            pipes.log.warning(f"{day} is not loaded: {of_day.problem}")
    delete_objects(s3, *split_uri(request.tmp_dir))
    return with_own_counts(counts.report(request.load_id, samples), own)


def load_days(
    glue_context: GlueContext,
    s3: S3Client,
    pipes: PipesContext,
    request: LoadRequest,
    files: Sequence[SourceFile],
    headers: Mapping[SourceFile, Header],
    own: OwnCount,
) -> tuple[LoadCounts, dict[date, list[dict[str, str]]]]:
    """Read and load days whose files passed so far; a few of the rejects of each loaded day."""
    spark = glue_context.spark_session
    request = replace(request, splittable_files=request.splittable_files + own.splittable_files)
    expected = sum(own.rows.values()) + sum(item.rows or 0 for item in request.days)
    set_shuffle_tasks(spark, expected)
    headers = {file: headers[file] for file in files if file in headers}
    try:
        with naming_broken_gzip(s3, files), naming_denied_file(s3, files):
            rows = validate(read_records(spark, request, headers), request)
            verdicts, counts = settle(rows, request, files, expected)
        pipes.log.info(
            f"read {counts.loaded + counts.rejected} rows: {counts.loaded} to load, "
            f"{counts.rejected} rejected"
        )
        differing = differing_days(request, counts, own)
        for day, problem in differing.items():
            pipes.log.warning(f"{day} is not loaded: {problem}")
        stopped = {*differing, *(day for day, of_day in counts.days.items() if of_day.problem)}
        if len(stopped) == len(request.days):
            return counts, {}
        agreed = without_days(verdicts, request, counts, stopped)
        return counts, replace_days(glue_context, s3, pipes, *agreed)
    finally:
        spark.catalog.clearCache()


def replace_days(
    glue_context: GlueContext,
    s3: S3Client,
    pipes: PipesContext,
    verdicts: Verdicts,
    request: LoadRequest,
    counts: LoadCounts,
) -> dict[date, list[dict[str, str]]]:
    """Write rows and rejects of the request's days; a few of the rejects of each day."""
    reject_files = write_rejects(glue_context.spark_session, s3, verdicts.rejected, request, counts)
    with naming_refused_value(request):
        write_staging(glue_context, verdicts.good, request, counts)
    pipes.log.info(f"committed {counts.loaded} rows to {request.staging_table}")
    publish_rejects(s3, request, counts, reject_files)
    return sample_rejects(s3, request, reject_files)


if __name__ == "__main__":
    main()
