"""s3_export: the days' fact rows as files in account A, written by Redshift itself."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date

import dagster as dg

from xacct_assets.aws.redshift.sql import identifier, literal, qualified
from xacct_assets.aws.redshift.unload import UnloadOptions, UnloadSpec, statement
from xacct_assets.aws_clients import AwsClients
from xacct_assets.contract.days import PARTITION_COLUMN, day_prefix
from xacct_assets.feed.assets.defaults import (
    asset_key,
    column_schema,
    common,
    fail_fast_on_permanent_errors,
    pool,
    table,
)
from xacct_assets.feed.assets.fact_table import NAME as FACT_TABLE
from xacct_assets.feed.assets.fact_table import statement_token
from xacct_assets.feed.partition_results import PartitionBatch, PartitionEvents, PartitionResult
from xacct_assets.feed.partitions import batched
from xacct_assets.feed.reconciliation.equation import ExportDay, count_by_day, export_days
from xacct_assets.feed.spec import FeedSpec

NAME = "s3_export"
ROWS, FILES, BYTES = "dagster/partition_row_count", "files", "bytes"
# BatchExecuteStatement takes at most 40 statements.
STATEMENTS_PER_BATCH = 40
# UNLOADs under way side by side, of a range that is worth being split.
BATCHES_AT_ONCE, DAYS_PER_BATCH_AT_LEAST = 4, 8


def build(feed: FeedSpec) -> dg.AssetsDefinition:
    """The asset of the feed's exported days."""

    @dg.asset(
        **common(feed, NAME, "1", feed.columns, feed.export),
        deps=[asset_key(feed, FACT_TABLE)],
        kinds={"redshift", "s3", feed.export.format},
        pool=pool(feed, "warehouse"),
        description=(
            f"The day's rows of {feed.warehouse.fact} as {feed.export.format} files in the central "
            "account's export bucket. The manifest is what makes an export whole: it is read back "
            "and proven against the files."
        ),
        metadata={"dagster/column_schema": column_schema(feed)},
    )
    def s3_export(
        context: dg.AssetExecutionContext, aws: dg.ResourceParam[AwsClients]
    ) -> PartitionEvents:
        with fail_fast_on_permanent_errors():
            step = PartitionBatch.of(context, upstream=asset_key(feed, FACT_TABLE))
            expected = count_by_day(aws, feed.warehouse.fact, step.ready)
            _unload(context, feed, aws, step.ready)
            exports = export_days(feed, aws, step.ready)
            reports = {}
            for day, export in exports.items():
                problem = _problem(export, expected.get(day, 0))
                if problem:
                    step.fail(day, problem)
                else:
                    reports[day] = _report(feed, aws, day, export)
            yield from step.report(reports)

    return s3_export


def _unload(
    context: dg.AssetExecutionContext, feed: FeedSpec, aws: AwsClients, days: Sequence[date]
) -> None:
    def unload(batch: Sequence[date]) -> None:
        aws.data_api.batch(
            [unload_statement(feed, aws, day) for day in batch],
            client_token=statement_token(context, feed, "unload", batch[0], batch[-1]),
            name=f"{feed.name} {NAME} {batch[0]} {batch[-1]}",
        )

    # The statements of a batch run one after the other, so a range is several batches at once.
    at_once = -(-len(days) // BATCHES_AT_ONCE)
    size = min(STATEMENTS_PER_BATCH, max(DAYS_PER_BATCH_AT_LEAST, at_once))
    batches = list(batched(days, size))
    if len(batches) == 1:
        unload(batches[0])
        return
    with ThreadPoolExecutor(BATCHES_AT_ONCE, "unload") as threads:
        list(threads.map(unload, batches))


def unload_statement(feed: FeedSpec, aws: AwsClients, day: date) -> str:
    """UNLOAD of one day, into its own prefix, which is emptied first."""
    columns = ", ".join(identifier(name) for name in [*feed.column_names(), PARTITION_COLUMN])
    query = (
        f"SELECT {columns} FROM {qualified(feed.warehouse.fact)} "  # noqa: S608
        f"WHERE {identifier(PARTITION_COLUMN)} = {literal(day.isoformat())}"
    )
    if not feed.export.parallel:
        # Files in sequence are only worth having in an order.
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
            ),
        )
    )


def export_uri(feed: FeedSpec, aws: AwsClients, day: date) -> str:
    """Where the day's files go, with the slash that keeps CLEANPATH inside the day."""
    prefix = day_prefix(feed.export.prefix, feed.export.layout, day)
    return f"s3://{aws.export_bucket(feed)}/{prefix}"


def _problem(export: ExportDay, rows: int) -> str | None:
    if export.problems:
        return f"the export is not whole: {'; '.join(export.problems)}. Materialize it again."
    if export.rows is None and rows:
        return f"UNLOAD succeeded but left no manifest for {rows} rows. Materialize it again."
    if export.rows is not None and export.rows != rows:
        return (
            f"the manifest counts {export.rows} rows, but the fact table had {rows}: the day was "
            "loaded again meanwhile. Materialize it again."
        )
    return None


def _report(feed: FeedSpec, aws: AwsClients, day: date, export: ExportDay) -> PartitionResult:
    return PartitionResult(
        {
            "dagster/uri": export_uri(feed, aws, day),
            ROWS: export.rows or 0,
            FILES: export.files,
            BYTES: export.bytes,
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
