"""The check that keeps a day with too many rejected rows out of the fact table."""

import dagster as dg

from xacct_assets.feed.assets import staging_table
from xacct_assets.feed.checks.per_partition import (
    BlockingMode,
    Verdict,
    per_materialization,
    per_partition_check,
)
from xacct_assets.feed.event_log import Materialization
from xacct_assets.feed.metadata import LoadedRows
from xacct_assets.feed.spec import FeedSpec


def rejected_share_within_limit(feed: FeedSpec) -> dg.AssetChecksDefinition:
    """Fail days whose share of rejected rows is above the feed's ``reject_threshold``.

    fact_table leaves such days out; the run goes on as long as another day is left.
    """

    def judge(event: Materialization) -> Verdict:
        load = LoadedRows.from_metadata(event.metadata)
        read, rejected = load.rows_read, load.rows_rejected
        problem = staging_table.too_many_rejects(feed, load)
        return Verdict(
            problem is None,
            problem or f"{rejected} of {read} rows rejected",
            {"rows rejected": rejected, "rows read": read, "allowed": feed.reject_threshold},
        )

    return per_partition_check(
        feed,
        staging_table.NAME,
        "rejected_share_within_limit",
        f"At most {feed.reject_threshold:.1%} of the day's rows were rejected. A day with more is "
        "not loaded into the fact table.",
        per_materialization(judge),
        blocking=BlockingMode.IF_NO_DAY_IS_LEFT,
    )
