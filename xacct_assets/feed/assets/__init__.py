"""The five assets of a feed, in the order in which a day passes through them."""

import dagster as dg

from xacct_assets.feed.assets import (
    catalog_table,
    fact_table,
    raw_partition,
    s3_export,
    staging_table,
)
from xacct_assets.feed.spec import FeedSpec

# Each module has NAME and build(feed).
CHAIN = (raw_partition, catalog_table, staging_table, fact_table, s3_export)


def feed_assets(feed: FeedSpec) -> list[dg.AssetsDefinition]:
    """The feed's five assets, each depending on the one before."""
    return [module.build(feed) for module in CHAIN]
