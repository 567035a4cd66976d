"""The first days of a feed, with files from which a crawler creates no table.

The feed's table in the catalog is deleted first, so that these days are the first ones.
"""

from __future__ import annotations

import contextlib
import gzip
from collections.abc import Mapping

import pytest

from tests.support.pipeline import Pipeline, Run
from tests.support.project import EXTRA_FEEDS_DIR
from tests.support.sandbox import RunningSandbox
from xacct_assets.feed.component import feed_definitions
from xacct_assets.feed.loader import load_feed

HEADER = b"order_id,line_no,sku,quantity,amount,gift,note,ordered_at\n"
EMPTY, MIXED, NEXT = "2026-04-01", "2026-04-02", "2026-04-03"


def line(number: int) -> bytes:
    return b"%d,1,A-1,2,19.98,true,,2026-04-01 08:00:00\n" % number


@pytest.fixture(scope="module")
def orders(feeds_sandbox: RunningSandbox) -> Pipeline:
    """The orders feed, with plain and compressed files."""
    feed = load_feed("orders", extra_feeds_dir=EXTRA_FEEDS_DIR)
    source = feed.source.model_copy(update={"patterns": ["*.csv", "*.csv.gz"]})
    feed = feed.model_copy(update={"source": source})
    glue = feeds_sandbox.client("account-b-admin", "glue")
    with contextlib.suppress(glue.exceptions.EntityNotFoundException):
        glue.delete_table(DatabaseName="shop_db", Name="orders")
    return Pipeline(feeds_sandbox, feed=(feed, feed_definitions(feed)))


@pytest.fixture(scope="module")
def runs(orders: Pipeline) -> Mapping[str, Run]:
    """Runs of three days in sequence; the empty day is run again once it has rows."""
    runs = {}
    orders.put(EMPTY, HEADER, "a.csv")
    runs["empty"] = orders.run(EMPTY)
    orders.put(MIXED, HEADER + line(1) + line(2), "a.csv")
    orders.put(MIXED, gzip.compress(HEADER + line(3)), "b.csv.gz")
    runs["mixed"] = orders.run(MIXED)
    orders.put(EMPTY, HEADER + line(4), "a.csv")
    runs["no longer empty"] = orders.run(EMPTY)
    orders.put(NEXT, HEADER + line(5), "a.csv")
    runs["next"] = orders.run(NEXT)
    return runs


@pytest.mark.parametrize(
    ("name", "rows"), [("empty", 0), ("mixed", 3), ("no longer empty", 1), ("next", 1)]
)
def test_a_first_day_is_exported_though_the_crawler_creates_no_table(
    name: str, rows: int, runs: Mapping[str, Run]
) -> None:
    day = {"mixed": MIXED, "next": NEXT}.get(name, EMPTY)
    run = runs[name]
    assert run.success, run.why
    assert run.metadata("s3_export", day)["dagster/partition_row_count"] == rows
    assert run.check_results() == {day: True}
    assert run.check_results("schema_matches_feed") == {day: True}


def test_later_crawls_add_partitions_to_the_repaired_table(
    runs: Mapping[str, Run], orders: Pipeline
) -> None:
    assert runs["next"].metadata("catalog_table", NEXT)["repaired after the crawl"] == "nothing"
    glue = orders.sandbox.client("account-b-admin", "glue")
    partitions = glue.get_partitions(DatabaseName="shop_db", TableName="orders")["Partitions"]
    days = {"-".join(partition["Values"]) for partition in partitions}
    assert days >= {EMPTY, MIXED, NEXT}
