"""catalog_table: the day as a partition of the feed's table in the Glue Data Catalog."""

from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from xacct_assets.aws.errors import NotFound
from xacct_assets.aws.glue.catalog import CatalogPartition
from xacct_assets.aws.glue.crawler import CrawlRequirement, CrawlResult
from xacct_assets.aws_clients import AwsClients
from xacct_assets.contract.days import day_values
from xacct_assets.feed.assets.defaults import (
    asset_key,
    column_schema,
    common,
    fail_fast_on_permanent_errors,
    pool,
)
from xacct_assets.feed.assets.raw_partition import NAME as RAW_PARTITION
from xacct_assets.feed.assets.raw_partition import NEWEST, ROWS
from xacct_assets.feed.catalog_repair import (
    day_location,
    mend,
    missing_columns,
    table_location,
    type_drift,
    unknown_columns,
)
from xacct_assets.feed.event_log import requested_at
from xacct_assets.feed.partition_results import PartitionBatch, PartitionEvents, PartitionResult
from xacct_assets.feed.spec import FeedSpec

NAME = "catalog_table"
DRIFT, MISSING_COLUMNS, UNKNOWN_COLUMNS = "type drift", "columns missing", "columns unknown"
REPAIRED = "mended after the crawl"


def build(feed: FeedSpec) -> dg.AssetsDefinition:
    """The asset of the feed's catalog partitions."""

    @dg.asset(
        **common(feed, NAME, "1", feed.catalog, feed.source.prefix, feed.source.layout),
        deps=[asset_key(feed, RAW_PARTITION)],
        kinds={"glue"},
        pool=pool(feed, "crawl"),
        description=(
            f"The day as a partition of {feed.catalog.database}.{feed.catalog.table}: crawled, "
            "then proven to be in the catalog with the right location and the feed's columns."
        ),
        metadata={"dagster/column_schema": column_schema(feed)},
    )
    def catalog_table(
        context: dg.AssetExecutionContext, aws: dg.ResourceParam[AwsClients]
    ) -> PartitionEvents:
        with fail_fast_on_permanent_errors():
            step = PartitionBatch.of(context, upstream=asset_key(feed, RAW_PARTITION))
            values = [day_values(day) for day in step.ready]

            def in_catalog() -> dict[tuple[str, ...], CatalogPartition]:
                try:
                    return aws.catalog.partitions(feed.catalog.database, feed.catalog.table, values)
                except NotFound:
                    # Before the first crawl there is no table; each day is judged by that below.
                    return {}

            crawl = aws.crawler.crawl(
                feed.crawler_name(aws.settings.suffix),
                feed.catalog.timeout_minutes * 60,
                # Another run's crawl that found our days spares us one of our own.
                requirement=CrawlRequirement(
                    landed=_newest(step),
                    since=requested_at(context.instance, context.run),
                    is_there=lambda: len(in_catalog()) == len(values),
                ),
            )
            whose = "An earlier crawl covers the days:" if crawl.reused else "Crawl"
            context.log.info(f"{whose} {crawl.crawl_id} ended as {crawl.state}: {crawl.summary}")
            found = in_catalog()
            mended = mend(feed, aws, list(step.ready), _newest_files(step), found)
            for day, what in mended.items():
                context.log.warning(f"The partition of {day} was {what}")
            if mended:
                found = in_catalog()
            reports = {}
            for day in list(step.ready):
                partition = found.get(tuple(day_values(day)))
                has_rows = step.inputs[day].metadata[ROWS] > 0
                problem = _problem(feed, aws, day, partition, crawl, has_rows=has_rows)
                if problem:
                    step.fail(day, problem)
                else:
                    reports[day] = _report(feed, partition, crawl, mended.get(day))
            yield from step.report(reports)

    return catalog_table


def _newest(step: PartitionBatch) -> datetime:
    """When the last of the days' files landed."""
    stamps = [step.inputs[day].metadata[NEWEST] for day in step.ready]
    return datetime.fromtimestamp(max(stamps), UTC)


def _newest_files(step: PartitionBatch) -> dict[date, datetime]:
    """The days that have rows, and when the last file of each was written."""
    return {
        day: datetime.fromtimestamp(step.inputs[day].metadata[NEWEST], UTC)
        for day in step.ready
        if step.inputs[day].metadata[ROWS] > 0
    }


def _problem(
    feed: FeedSpec,
    aws: AwsClients,
    day: date,
    partition: CatalogPartition | None,
    crawl: CrawlResult,
    *,
    has_rows: bool,
) -> str | None:
    name = f"{feed.catalog.database}.{feed.catalog.table}"
    location = day_location(feed, aws, day)
    if partition is None:
        # Crawlers make no partition of files without rows; there is nothing to describe then.
        if not has_rows:
            return None
        return (
            f"crawl {crawl.crawl_id} of {feed.crawler_name(aws.settings.suffix)} made no "
            f"partition {'/'.join(day_values(day))} for {location}, and none can be added: table "
            f"{name} describes other files than {table_location(feed, aws)}. Delete that "
            "table from the catalog, or give the feed another catalog.table, and materialize the "
            "day again."
        )
    if partition.location.rstrip("/") != location.rstrip("/"):
        return (
            f"partition {'/'.join(day_values(day))} of {name} is located at {partition.location}, "
            f"not at {location}. Delete it from the catalog and materialize the day again."
        )
    return None


def _report(
    feed: FeedSpec, partition: CatalogPartition | None, crawl: CrawlResult, mended: str | None
) -> PartitionResult:
    inferred = {} if partition is None else dict(partition.columns)
    metadata: dict[str, Any] = {
        "dagster/table_name": f"{feed.catalog.database}.{feed.catalog.table}",
        "partition": "none: the files hold no rows" if partition is None else partition.location,
        REPAIRED: mended or "nothing",
        "crawl": crawl.crawl_id,
        "crawl was another run's": crawl.reused,
        "crawl summary": crawl.summary,
        MISSING_COLUMNS: missing_columns(feed, inferred),
        UNKNOWN_COLUMNS: unknown_columns(feed, inferred),
        DRIFT: type_drift(feed, inferred),
    }
    if inferred:
        metadata["dagster/column_schema"] = dg.MetadataValue.table_schema(
            dg.TableSchema(
                columns=[dg.TableColumn(name=name, type=type_) for name, type_ in inferred.items()]
            )
        )
    if crawl.started is not None and crawl.ended is not None:
        metadata["crawl seconds"] = (crawl.ended - crawl.started).total_seconds()
    if crawl.dpu_hours is not None:
        metadata["crawl DPU hours"] = crawl.dpu_hours
    return PartitionResult(metadata)
