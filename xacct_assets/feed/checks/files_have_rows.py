"""The check that warns of raw files without rows."""

from functools import partial

import dagster as dg

from xacct_assets.feed.assets import raw_partition
from xacct_assets.feed.checks.per_partition import Verdict, per_materialization, per_partition_check
from xacct_assets.feed.event_log import Materialization
from xacct_assets.feed.metadata import RawFiles
from xacct_assets.feed.spec import FeedSpec


def files_have_rows(feed: FeedSpec) -> dg.AssetChecksDefinition:
    """Warn of files that are empty or hold a header only: allowed, but often a mistake.

    Files of new rows only (``mode: append``) may have none.
    """
    return per_partition_check(
        feed,
        raw_partition.NAME,
        "files_have_rows",
        "No file of the day is empty or has a header only (a warning: such a day is loaded)."
        if feed.mode == "snapshot"
        else "Tells which files of the day hold no new rows.",
        per_materialization(partial(_judge, feed)),
    )


def _judge(feed: FeedSpec, event: Materialization) -> Verdict:
    raw = RawFiles.from_metadata(event.metadata)
    empty = raw.empty_files
    rows = "not counted yet: the Glue job counts them" if raw.rows is None else raw.rows
    return Verdict(
        not empty or feed.mode == "append",
        f"{len(empty)} of {raw.files} files hold no rows" if empty else f"rows: {rows}",
        {"files without rows": empty, "rows": rows},
        dg.AssetCheckSeverity.WARN,
    )
