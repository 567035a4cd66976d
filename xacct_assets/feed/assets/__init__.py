"""The five assets of a feed, in the order in which a day passes through them."""

import dagster as dg

from xacct_assets.feed.assets.catalog_table import catalog_table
from xacct_assets.feed.assets.fact_table import fact_table
from xacct_assets.feed.assets.raw_partition import raw_partition
from xacct_assets.feed.assets.s3_export import s3_export
from xacct_assets.feed.assets.staging_table import staging_table
from xacct_assets.feed.spec import FeedSpec

CHAIN = (raw_partition, catalog_table, staging_table, fact_table, s3_export)


def feed_assets(feed: FeedSpec) -> list[dg.AssetsDefinition]:
    """The feed's five assets, each depending on the one before."""
    return [build(feed) for build in CHAIN]
