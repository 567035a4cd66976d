"""fact_table: the rows of the days in the fact table, written by the feed's stored procedure."""

from collections.abc import Mapping, Sequence
from datetime import date
from typing import Any

import dagster as dg

from xacct_assets.aws.redshift.data_api import token_of
from xacct_assets.aws.redshift.data_api_results import StatementResult
from xacct_assets.aws.redshift.sql import load_statement, qualified
from xacct_assets.aws_clients import AwsClients
from xacct_assets.feed import advice
from xacct_assets.feed.assets.defaults import (
    asset_defaults,
    asset_key,
    column_schema,
    description,
    retry_transient_errors,
)
from xacct_assets.feed.assets.staging_table import NAME as STAGING_TABLE
from xacct_assets.feed.assets.staging_table import too_many_rejects
from xacct_assets.feed.deployment import naming_what_is_not_deployed
from xacct_assets.feed.metadata import LoadedRows
from xacct_assets.feed.partition_results import PartitionBatch, PartitionEvents, PartitionResult
from xacct_assets.feed.partitions import contiguous
from xacct_assets.feed.reconciliation.load_audit import LoadAuditEntry, read_load_audit
from xacct_assets.feed.reconciliation.warehouse_counts import count_by_day
from xacct_assets.feed.spec import FeedSpec

NAME = "fact_table"


def build(feed: FeedSpec) -> dg.AssetsDefinition:
    """The asset of the feed's fact days."""

    @dg.asset(
        **asset_defaults(feed, NAME, "1", feed.columns, feed.warehouse),
        deps=[asset_key(feed, STAGING_TABLE)],
        kinds={"redshift"},
        description=description(
            feed,
            f"The day's rows in {feed.warehouse.fact}, replaced by {feed.warehouse.procedure}; "
            f"then the day is deleted from {feed.warehouse.staging}. A day that is there already "
            "is left as it is.",
        ),
        metadata={
            "dagster/table_name": feed.warehouse.fact,
            "dagster/column_schema": column_schema(feed),
        },
    )
    def fact_table(
        context: dg.AssetExecutionContext, aws: dg.ResourceParam[AwsClients]
    ) -> PartitionEvents:
        with retry_transient_errors(context), naming_what_is_not_deployed(feed, aws):
            batch = PartitionBatch.of(context, upstream=asset_key(feed, STAGING_TABLE))
            for day in list(batch.ready):
                load = LoadedRows.from_metadata(batch.inputs[day].metadata)
                if problem := too_many_rejects(feed, load):
                    batch.fail(day, problem)
            batch.raise_if_none_is_ready()
            _fail_days_never_loaded(batch, read_load_audit(feed, aws, batch.ready), feed)
            before = count_by_day(aws, feed.warehouse.fact, batch.ready)
            # Days with a problem may lie between the ready ones and must not be transformed.
            statements = [
                _call_procedure(context, feed, aws, first, last)
                for first, last in contiguous(batch.ready)
            ]
            after = count_by_day(aws, feed.warehouse.fact, batch.ready)
            load_audit = read_load_audit(feed, aws, batch.ready)
            for day in list(batch.ready):
                problem = _problem(feed, load_audit.get(day), after.get(day, 0))
                if problem:
                    batch.fail(day, problem)
            batch.raise_if_none_is_ready()
            cleaned = _clean_staging(feed, aws, batch.ready)
            results = {
                day: PartitionResult(
                    {
                        "dagster/partition_row_count": after.get(day, 0),
                        "rows before": before.get(day, 0),
                        "rows loaded": load_audit[day].rows_loaded,
                        "staging rows deleted": cleaned.get(day, 0),
                        "load id": load_audit[day].load_id,
                        "statements": [statement.id for statement in statements],
                    }
                )
                for day in batch.ready
            }
            yield from batch.report(results)

    return fact_table


def _fail_days_never_loaded(
    batch: PartitionBatch, load_audit: Mapping[date, LoadAuditEntry], feed: FeedSpec
) -> None:
    for day in list(batch.ready):
        if day not in load_audit:
            batch.fail(
                day,
                f"{feed.warehouse.load_audit} has no load of the day: the warehouse was rebuilt, "
                f"or staging_table ran against another; {advice.LOAD}",
            )
    batch.raise_if_none_is_ready()


def _call_procedure(
    context: dg.AssetExecutionContext,
    feed: FeedSpec,
    aws: AwsClients,
    first: date,
    last: date,
) -> StatementResult:
    return aws.data_api.execute(
        f"CALL {qualified(feed.warehouse.procedure)}(:from_day, :to_day)",
        {"from_day": first.isoformat(), "to_day": last.isoformat()},
        client_token=statement_token(context, feed, "call", first, last),
        name=f"{feed.name} {NAME} {first} {last}",
    )


def statement_token(context: dg.AssetExecutionContext, feed: FeedSpec, *what: Any) -> str:
    """A client token (at most 64 characters): submitting the statement twice runs it once.

    It differs between attempts: for eight hours the Data API answers a known token with the
    statement it belongs to, even if that one failed.
    """
    parts = (feed.name, context.run.run_id, context.retry_number, *what)
    return token_of(*(str(part) for part in parts))


def _problem(feed: FeedSpec, load_audit: LoadAuditEntry | None, rows: int) -> str | None:
    if load_audit is None:
        return f"{feed.warehouse.load_audit} lost its entry of this day while it was transformed"
    if not load_audit.transformed:
        return (
            f"{feed.warehouse.procedure} succeeded but did not transform the load; another load "
            f"of the day may have come in between; {advice.LOAD}"
        )
    if rows != load_audit.rows_loaded:
        return (
            f"{feed.warehouse.fact} has {rows} rows, but {load_audit.rows_loaded} were loaded: "
            f"{advice.mend_fact(has_files=True)}"
        )
    return None


def _clean_staging(feed: FeedSpec, aws: AwsClients, days: Sequence[date]) -> dict[date, int]:
    """Deletes the transformed days from staging in one transaction. Returns the rows deleted.

    The load audit is read inside the transaction: a day that was loaded again meanwhile is kept.
    """
    tables = {"staging": feed.warehouse.staging, "load_audit": feed.warehouse.load_audit}
    count = load_statement("xacct_assets.feed", "count_transformed_staging", **tables)
    delete = load_statement("xacct_assets.feed", "delete_transformed_staging", **tables)

    def clean(connection: Any) -> dict[date, int]:
        deleted = {}
        cursor = connection.cursor()
        for first, last in contiguous(days):
            bounds = (feed.name, first, last)
            cursor.execute(count, bounds)
            deleted.update({day: int(rows) for day, rows in cursor.fetchall()})
            cursor.execute(delete, bounds)
        return deleted

    # Deleting rows twice changes nothing, so the transaction may be repeated after a lost answer.
    return aws.warehouse.transaction(clean, idempotent=True)
