"""s3_export: the fact rows of the days as files in account A, written by Redshift."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import dagster as dg

from xacct_assets.aws.redshift.sql import identifier, literal, qualified
from xacct_assets.aws.redshift.unload import UnloadOptions, UnloadSpec, statement
from xacct_assets.aws_clients import AwsClients
from xacct_assets.contract.days import PARTITION_COLUMN, day_prefix
from xacct_assets.feed import advice
from xacct_assets.feed.assets.defaults import (
    asset_defaults,
    asset_key,
    column_schema,
    description,
    retry_transient_errors,
    table,
)
from xacct_assets.feed.assets.fact_table import NAME as FACT_TABLE
from xacct_assets.feed.assets.fact_table import statement_token
from xacct_assets.feed.deployment import naming_what_is_not_deployed
from xacct_assets.feed.metadata import ExportedFiles
from xacct_assets.feed.partition_results import PartitionBatch, PartitionEvents, PartitionResult
from xacct_assets.feed.partitions import batched
from xacct_assets.feed.reconciliation.collection import export_days
from xacct_assets.feed.reconciliation.equation import ExportDay
from xacct_assets.feed.reconciliation.warehouse_counts import count_by_day
from xacct_assets.feed.schema_changes import announcement, schema_changes
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.feed.sql_files.migrations import Migration

NAME = "s3_export"
# BatchExecuteStatement takes at most 40 statements.
STATEMENTS_PER_BATCH = 40
# A range of 8 days or more is split into batches that run in parallel.
BATCHES_AT_ONCE, DAYS_PER_BATCH_AT_LEAST = 4, 8


def build(feed: FeedSpec) -> dg.AssetsDefinition:
    """The asset of the feed's exported days."""

    @dg.asset(
        **asset_defaults(feed, NAME, "1", feed.columns, feed.export),
        deps=[asset_key(feed, FACT_TABLE)],
        kinds={"redshift", "s3", feed.export.format},
        description=description(
            feed,
            f"The day's rows of {feed.warehouse.fact} as {feed.export.format} files in the central "
            "account's export bucket. An export is complete when it has a manifest, which is read "
            "back and verified against the files.",
        ),
        metadata={"dagster/column_schema": column_schema(feed)},
    )
    def s3_export(
        context: dg.AssetExecutionContext, aws: dg.ResourceParam[AwsClients]
    ) -> PartitionEvents:
        with retry_transient_errors(context), naming_what_is_not_deployed(feed, aws):
            batch = PartitionBatch.of(context, upstream=asset_key(feed, FACT_TABLE))
            expected = count_by_day(aws, feed.warehouse.fact, batch.ready)
            _unload(context, feed, aws, batch.ready)
            changes = schema_changes(feed, aws)
            if changes and batch.ready:
                aws.data_api.execute(announcement(feed, aws), name=f"{feed.name} schema changes")
            exports = export_days(feed, aws, batch.ready)
            results = {}
            for day, export in exports.items():
                problem = _problem(export, expected.get(day, 0))
                if problem:
                    batch.fail(day, problem)
                else:
                    results[day] = _result(feed, aws, day, export, changes)
            yield from batch.report(results)

    return s3_export


def _announced(changes: Sequence[Migration]) -> dict[str, dg.MetadataValue]:
    """The changes of the columns, newest first."""
    if not changes:
        return {}
    rows = [{"migration": one.name, "change": "; ".join(one.changes)} for one in changes[::-1]]
    return {"schema changes": table(rows)}


def _unload(
    context: dg.AssetExecutionContext, feed: FeedSpec, aws: AwsClients, days: Sequence[date]
) -> None:
    def unload(some: Sequence[date]) -> None:
        aws.data_api.batch(
            [unload_statement(feed, aws, day) for day in some],
            client_token=statement_token(context, feed, "unload", some[0], some[-1]),
            name=f"{feed.name} {NAME} {some[0]} {some[-1]}",
        )

    # The statements of a batch run one after the other, so a range is split into several batches.
    at_once = -(-len(days) // BATCHES_AT_ONCE)
    size = min(STATEMENTS_PER_BATCH, max(DAYS_PER_BATCH_AT_LEAST, at_once))
    batches = list(batched(days, size))
    if len(batches) == 1:
        unload(batches[0])
        return
    with ThreadPoolExecutor(BATCHES_AT_ONCE, "unload") as threads:
        list(threads.map(unload, batches))


def unload_statement(feed: FeedSpec, aws: AwsClients, day: date) -> str:
    """UNLOAD of one day into its own prefix, which CLEANPATH empties first."""
    columns = ", ".join(identifier(name) for name in [*feed.column_names(), PARTITION_COLUMN])
    query = (
        f"SELECT {columns} FROM {qualified(feed.warehouse.fact)} "  # noqa: S608
        f"WHERE {identifier(PARTITION_COLUMN)} = {literal(day.isoformat())}"
    )
    if not feed.export.parallel and feed.key:
        # Files are written in sequence to get them in order.
        query += f" ORDER BY {', '.join(identifier(name) for name in feed.key)}"
    settings, export = aws.settings, feed.export
    defaults = UnloadOptions()
    return statement(
        UnloadSpec(
            query=query,
            target=export_uri(feed, aws, day),
            role_chain=(settings.role_b_arn, settings.role_a_arn),
            format="CSV" if export.format == "csv" else "PARQUET",
            options=UnloadOptions(
                max_file_mb=export.max_file_size_mb or defaults.max_file_mb,
                parallel=export.parallel,
                header=export.header is not False,
                delimiter=export.delimiter or defaults.delimiter,
                compression=export.compression or defaults.compression,
                kms_key_id=aws.export_key(feed),
            ),
        )
    )


def export_uri(feed: FeedSpec, aws: AwsClients, day: date) -> str:
    """S3 URI of the day's files; its final slash keeps CLEANPATH inside the day."""
    prefix = day_prefix(feed.export.prefix, feed.export.layout, day)
    return f"s3://{aws.export_bucket(feed)}/{prefix}"


def _problem(export: ExportDay, rows: int) -> str | None:
    if export.problems:
        return f"the export is not complete: {'; '.join(export.problems)}; {advice.EXPORT}"
    if export.rows is None and rows:
        return f"UNLOAD succeeded but left no manifest for {rows} rows; {advice.EXPORT}"
    if export.rows is not None and export.rows != rows:
        return (
            f"the manifest counts {export.rows} rows, but the fact table had {rows}: the day was "
            f"loaded again meanwhile; {advice.EXPORT}"
        )
    return None


def _result(
    feed: FeedSpec,
    aws: AwsClients,
    day: date,
    export: ExportDay,
    changes: Sequence[Migration],
) -> PartitionResult:
    facts = ExportedFiles(rows=export.rows or 0, files=export.files, bytes=export.bytes)
    return PartitionResult(
        {
            "dagster/uri": export_uri(feed, aws, day),
            "dagster/partition_row_count": facts.rows,
            **facts.to_metadata(),
            **_announced(changes),
            "manifest": table(
                [
                    {
                        "url": entry.url,
                        "bytes": entry.content_length,
                        "rows": entry.record_count,
                    }
                    for entry in export.entries
                ]
            ),
        }
    )
