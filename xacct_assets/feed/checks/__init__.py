"""The asset checks of a feed, one module each."""

import dagster as dg

from xacct_assets.feed.assets import CHAIN
from xacct_assets.feed.checks.every_partition_materialized import every_partition_materialized
from xacct_assets.feed.checks.files_have_rows import files_have_rows
from xacct_assets.feed.checks.rejected_share_within_limit import rejected_share_within_limit
from xacct_assets.feed.checks.row_counts_reconcile import row_counts_reconcile
from xacct_assets.feed.checks.schema_matches_feed import schema_matches_feed
from xacct_assets.feed.spec import FeedSpec


def feed_checks(feed: FeedSpec) -> list[dg.AssetChecksDefinition]:
    """All checks of a feed's assets."""
    return [
        *(every_partition_materialized(feed, module.NAME) for module in CHAIN),
        files_have_rows(feed),
        schema_matches_feed(feed),
        rejected_share_within_limit(feed),
        row_counts_reconcile(feed),
    ]
