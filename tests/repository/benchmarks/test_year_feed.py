"""The feed that is measured is the products feed under other names."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks import year_feed
from xacct_assets.feed.loader import load_feed


def test_it_is_a_feed_with_tables_of_its_own(tmp_path: Path) -> None:
    feed = load_feed("yearly", extra_feeds_dir=year_feed.write(tmp_path))
    products = load_feed("products")
    assert feed.columns == products.columns
    assert feed.load == products.load
    assert str(feed.start) == "2025-01-01"
    assert feed.warehouse.procedure == "public.sp_yearly"
    assert (feed.source.prefix, feed.export.prefix) == ("yearly", "yearly")
    sql = "".join(path.read_text() for path in tmp_path.rglob("*.sql"))
    assert "public.products" not in sql
    assert "'products'" not in sql
    assert "public.yearly_f" in sql


def test_a_products_feed_that_changed_is_noticed() -> None:
    with pytest.raises(ValueError, match="mend benchmarks/year_feed"):
        year_feed.renamed_feed("name: catalogue\n")
