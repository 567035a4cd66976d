"""catalog_table: the day as a partition of the feed's table in the Glue Data Catalog."""

from datetime import date
from typing import Any

import dagster as dg

from xacct_assets.aws.errors import NotFound
from xacct_assets.aws.glue.catalog import CatalogPartition
from xacct_assets.aws.glue.crawler import CrawlRequirement, CrawlResult
from xacct_assets.aws_clients import AwsClients
from xacct_assets.contract.days import day_values
from xacct_assets.feed.assets.defaults import (
    asset_defaults,
    asset_key,
    column_schema,
    description,
    retry_transient_errors,
)
from xacct_assets.feed.assets.raw_partition import NAME as RAW_PARTITION
from xacct_assets.feed.catalog_repair import (
    day_location,
    missing_columns,
    repair,
    table_location,
    type_drift,
    unknown_columns,
)
from xacct_assets.feed.deployment import naming_what_is_not_deployed
from xacct_assets.feed.event_log import requested_at
from xacct_assets.feed.metadata import CrawledColumns, RawFiles
from xacct_assets.feed.partition_results import PartitionBatch, PartitionEvents, PartitionResult
from xacct_assets.feed.partitions import by_text
from xacct_assets.feed.raw_files import naming_denied_key
from xacct_assets.feed.spec import FeedSpec

NAME = "catalog_table"


def build(feed: FeedSpec) -> dg.AssetsDefinition:
    """The asset of the feed's catalog partitions."""

    @dg.asset(
        **asset_defaults(feed, NAME, "1", feed.catalog, feed.source.prefix, feed.source.layout),
        deps=[asset_key(feed, RAW_PARTITION)],
        kinds={"glue"},
        description=description(
            feed,
            f"The day as a partition of {feed.catalog.database}.{feed.catalog.table}: crawled, "
            "then verified to be in the catalog with the right location and the feed's columns.",
        ),
        metadata={"dagster/column_schema": column_schema(feed)},
    )
    def catalog_table(
        context: dg.AssetExecutionContext, aws: dg.ResourceParam[AwsClients]
    ) -> PartitionEvents:
        with retry_transient_errors(context), naming_what_is_not_deployed(feed, aws):
            batch = PartitionBatch.of(context, upstream=asset_key(feed, RAW_PARTITION))
            raw = {day: RawFiles.from_metadata(batch.inputs[day].metadata) for day in batch.ready}
            values = [day_values(day) for day in batch.ready]

            def in_catalog() -> dict[tuple[str, ...], CatalogPartition]:
                try:
                    return aws.catalog.partitions(feed.catalog.database, feed.catalog.table, values)
                except NotFound:
                    # There is no table before the first crawl.
                    return {}

            with naming_denied_key(feed, aws, batch.ready):
                crawl = aws.crawler.crawl(
                    feed.crawler_name(aws.settings.suffix),
                    feed.catalog.timeout_minutes * 60,
                    requirement=CrawlRequirement(
                        landed=max(files.newest_object for files in raw.values()),
                        since=requested_at(context.instance, context.run),
                        is_there=lambda: len(in_catalog()) == len(values),
                    ),
                )
            verb = "Reused the crawl" if crawl.reused else "Crawled:"
            context.log.info(f"{verb} {crawl.crawl_id}, {crawl.state}: {crawl.summary}")
            partitions = in_catalog()
            with_rows = {day: files.newest_object for day, files in raw.items() if files.rows != 0}
            repaired = repair(feed, aws, list(batch.ready), with_rows, partitions)
            if repaired:
                context.log.warning("Catalog partitions were repaired: %s", by_text(repaired))
                partitions = in_catalog()
            results = {}
            for day in list(batch.ready):
                partition = partitions.get(tuple(day_values(day)))
                problem = _problem(feed, aws, day, partition, crawl, has_rows=day in with_rows)
                if problem:
                    batch.fail(day, problem)
                else:
                    results[day] = _result(feed, aws, partition, crawl, repaired.get(day))
            yield from batch.report(results)

    return catalog_table


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
        # Crawlers make no partition for files without rows.
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


def _result(
    feed: FeedSpec,
    aws: AwsClients,
    partition: CatalogPartition | None,
    crawl: CrawlResult,
    repaired: str | None,
) -> PartitionResult:
    inferred = {} if partition is None else dict(partition.columns)
    columns = CrawledColumns(
        missing_columns=missing_columns(feed, inferred),
        unknown_columns=unknown_columns(feed, inferred),
        type_drift=type_drift(feed, inferred),
    )
    metadata: dict[str, Any] = {
        "dagster/table_name": f"{feed.catalog.database}.{feed.catalog.table}",
        **columns.to_metadata(),
        "partition": "none: the files hold no rows" if partition is None else partition.location,
        "repaired after the crawl": repaired or "nothing",
        "crawl": crawl.crawl_id,
        "crawler": dg.MetadataValue.url(
            aws.console.crawler(feed.crawler_name(aws.settings.suffix))
        ),
        "crawl reused": crawl.reused,
        "crawl summary": crawl.summary,
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
