"""The check that compares the schema in the Glue catalog with the feed's columns."""

import dagster as dg

from xacct_assets.feed.assets import catalog_table
from xacct_assets.feed.checks.per_partition import Verdict, per_materialization, per_partition_check
from xacct_assets.feed.event_log import Materialization
from xacct_assets.feed.metadata import CrawledColumns
from xacct_assets.feed.spec import FeedSpec


def schema_matches_feed(feed: FeedSpec) -> dg.AssetChecksDefinition:
    """Compare what the crawler inferred with the feed's columns.

    The check does not block. The load reads columns by the header of each file, which
    raw_partition has verified, and rejects values that do not fit their type. Where the catalog
    was repaired, the check evaluates it after the repair.
    """
    return per_partition_check(
        feed,
        catalog_table.NAME,
        "schema_matches_feed",
        "The columns that the crawler found are the feed's, with types that fit.",
        per_materialization(_judge),
    )


def _judge(event: Materialization) -> Verdict:
    columns = CrawledColumns.from_metadata(event.metadata)
    missing, unknown = columns.missing_columns, columns.unknown_columns
    differences = [
        *(f"{name} is missing" for name in missing),
        *(f"{name} is not a column of the feed" for name in unknown),
        *columns.type_drift,
    ]
    return Verdict(
        not differences,
        "; ".join(differences) or "the catalog has the feed's columns",
        {"columns missing": missing, "columns unknown": unknown, "type drift": columns.type_drift},
        dg.AssetCheckSeverity.ERROR if missing or unknown else dg.AssetCheckSeverity.WARN,
    )
