"""catalog_table: the day as a partition of the feed's table in the Glue Data Catalog."""

from collections.abc import Mapping
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from xacct_assets.aws.catalog import CatalogPartition
from xacct_assets.aws.crawler import CrawlResult, Needed
from xacct_assets.aws.errors import NotFound
from xacct_assets.feed.assets.common import (
    asset_key,
    column_schema,
    common,
    no_vain_retries,
    pool,
)
from xacct_assets.feed.assets.raw_partition import NAME as RAW_PARTITION
from xacct_assets.feed.assets.raw_partition import NEWEST, ROWS
from xacct_assets.feed.history import family_began
from xacct_assets.feed.partitions import day_values
from xacct_assets.feed.ranges import DayEvents, DayReport, StepDays
from xacct_assets.feed.raw import raw_prefix
from xacct_assets.feed.spec import ColumnType, FeedSpec
from xacct_assets.services import Services

NAME = "catalog_table"
DRIFT, MISSING_COLUMNS, UNKNOWN_COLUMNS = "type drift", "columns missing", "columns unknown"

# What a crawler may infer for a column whose values fit the feed's type. Digits in a text column
# are inferred as numbers, so text accepts everything.
_INFERRED = {
    "bigint": {"bigint", "int", "smallint", "tinyint"},
    "integer": {"bigint", "int", "smallint", "tinyint"},
    "smallint": {"bigint", "int", "smallint", "tinyint"},
    "decimal": {"double", "float", "bigint", "int", "decimal"},
    "double precision": {"double", "float", "bigint", "int", "decimal"},
    "real": {"double", "float", "bigint", "int", "decimal"},
    "boolean": {"boolean", "string", "bigint", "int"},
    "date": {"date", "string"},
    "timestamp": {"timestamp", "date", "string"},
}


def build(feed: FeedSpec) -> dg.AssetsDefinition:
    """The asset of the feed's catalog partitions."""

    @dg.asset(
        **common(feed, NAME, "1", feed.catalog, feed.source.prefix, feed.source.layout),
        deps=[asset_key(feed, RAW_PARTITION)],
        kinds={"glue"},
        pool=pool(feed, "crawl"),
        description=(
            f"The day as a partition of {feed.catalog.database}.{feed.catalog.table}: crawled, "
            "then proven to be in the catalog with the right location."
        ),
        metadata={"dagster/column_schema": column_schema(feed)},
    )
    def catalog_table(
        context: dg.AssetExecutionContext, services: dg.ResourceParam[Services]
    ) -> DayEvents:
        with no_vain_retries():
            step = StepDays.of(context, upstream=asset_key(feed, RAW_PARTITION))
            values = [day_values(day) for day in step.ready]

            def in_catalog() -> dict[tuple[str, ...], CatalogPartition]:
                try:
                    return services.catalog.partitions(
                        feed.catalog.database, feed.catalog.table, values
                    )
                except NotFound:
                    # Before the first crawl there is no table; each day is judged by that below.
                    return {}

            crawl = services.crawler.crawl(
                feed.crawler_name(services.settings.suffix),
                feed.catalog.timeout_minutes * 60,
                # Another run's crawl that found our days spares us one of our own.
                needed=Needed(
                    landed=_newest(step),
                    since=family_began(context.instance, context.run),
                    is_there=lambda: len(in_catalog()) == len(values),
                ),
            )
            whose = "An earlier crawl covers the days:" if crawl.joined else "Crawl"
            context.log.info(f"{whose} {crawl.crawl_id} ended as {crawl.state}: {crawl.summary}")
            found = in_catalog()
            added = _add_passed_over(context, feed, services, step, found)
            if added:
                found = in_catalog()
            reports = {}
            for day in list(step.ready):
                partition = found.get(tuple(day_values(day)))
                has_rows = step.inputs[day].metadata[ROWS] > 0
                problem = _problem(feed, services, day, partition, crawl, has_rows=has_rows)
                if problem:
                    step.fail(day, problem)
                else:
                    reports[day] = _report(feed, partition, crawl, added=day in added)
            yield from step.report(reports)

    return catalog_table


def _newest(step: StepDays) -> datetime:
    """When the last of the days' files landed."""
    stamps = [step.inputs[day].metadata[NEWEST] for day in step.ready]
    return datetime.fromtimestamp(max(stamps), UTC)


def _add_passed_over(
    context: dg.AssetExecutionContext,
    feed: FeedSpec,
    services: Services,
    step: StepDays,
    found: Mapping[tuple[str, ...], CatalogPartition],
) -> set[date]:
    """Add the partitions that an incremental crawl will never make; the days they are of.

    It looks at a folder once. If the day's first files could not be described (malformed, or
    empty), the folder has no partition and gets none when they are replaced by good ones.
    """
    passed_over = [
        day
        for day in step.ready
        if tuple(day_values(day)) not in found and step.inputs[day].metadata[ROWS] > 0
    ]
    if not passed_over or not _is_table_of_feed(feed, services):
        # Without a table, or with one of other files, something is wrong with the crawler.
        return set()
    for day in passed_over:
        location = f"s3://{services.input_bucket(feed)}/{raw_prefix(feed, day)}"
        services.catalog.add_partition(
            feed.catalog.database, feed.catalog.table, day_values(day), location
        )
        context.log.warning(
            f"The crawl passed over {location}, which an earlier one had seen with files that it "
            "could not describe. Its partition was added like those of the other days."
        )
    return set(passed_over)


def _is_table_of_feed(feed: FeedSpec, services: Services) -> bool:
    try:
        table = services.catalog.table(feed.catalog.database, feed.catalog.table)
    except NotFound:
        return False
    root = f"s3://{services.input_bucket(feed)}/{feed.source.prefix}"
    return table.location.rstrip("/") == root


def _problem(
    feed: FeedSpec,
    services: Services,
    day: date,
    partition: CatalogPartition | None,
    crawl: CrawlResult,
    *,
    has_rows: bool,
) -> str | None:
    name = f"{feed.catalog.database}.{feed.catalog.table}"
    location = f"s3://{services.input_bucket(feed)}/{raw_prefix(feed, day)}"
    if partition is None:
        # Crawlers make no partition of files without rows; there is nothing to describe then.
        if not has_rows:
            return None
        return (
            f"crawl {crawl.crawl_id} of {feed.crawler_name(services.settings.suffix)} made no "
            f"partition {'/'.join(day_values(day))} of {name} for {location}. Check that the "
            f"crawler's target is the folder {feed.source.prefix}/ of that bucket, and that the "
            "files are so alike that it made one table of them."
        )
    if partition.location.rstrip("/") != location.rstrip("/"):
        return (
            f"partition {'/'.join(day_values(day))} of {name} is located at {partition.location}, "
            f"not at {location}. Delete it from the catalog and materialize the day again."
        )
    return None


def _report(
    feed: FeedSpec, partition: CatalogPartition | None, crawl: CrawlResult, *, added: bool
) -> DayReport:
    inferred = {} if partition is None else dict(partition.columns)
    metadata: dict[str, Any] = {
        "dagster/table_name": f"{feed.catalog.database}.{feed.catalog.table}",
        "partition": "none: the files hold no rows" if partition is None else partition.location,
        "partition passed over by the crawl": added,
        "crawl": crawl.crawl_id,
        "crawl was another run's": crawl.joined,
        "crawl summary": crawl.summary,
        MISSING_COLUMNS: _missing(feed, inferred),
        UNKNOWN_COLUMNS: [name for name in inferred if name not in feed.column_names()],
        DRIFT: _drift(feed, inferred),
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
    return DayReport(metadata)


def _missing(feed: FeedSpec, inferred: dict[str, str]) -> list[str]:
    return [name for name in feed.column_names() if inferred and name not in inferred]


def _drift(feed: FeedSpec, inferred: dict[str, str]) -> list[str]:
    """Columns whose values, to the crawler, do not look like the feed's type."""
    drift = []
    for column in feed.columns:
        accepted = _INFERRED.get(ColumnType.parse(column.type).name)
        seen = inferred.get(column.name)
        if seen is not None and accepted is not None and seen.split("(")[0] not in accepted:
            drift.append(f"{column.name}: {column.type} in the feed, {seen} in the files")
    return drift
