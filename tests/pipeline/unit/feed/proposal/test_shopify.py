"""Product exports of Shopify's shape: 46 columns, HTML, image rows with most fields empty."""

from __future__ import annotations

import csv
import io

import pytest

from tests.support.samples import shopify
from tests.support.samples.written_tables import read_back
from xacct_assets.feed.proposal import Sample, propose


@pytest.mark.parametrize("shop", shopify.SHOPS)
def test_only_the_key_is_asked_for_and_none_is_likely(shop: str) -> None:
    proposal = propose([Sample(f"{shop}.csv", shopify.export(shop))])
    assert [(one.about, one.likely) for one in proposal.questions] == [("key", "none")]


@pytest.mark.parametrize("shop", shopify.SHOPS)
def test_the_columns_are_named_and_typed(shop: str) -> None:
    proposal = propose([Sample(f"{shop}.csv", shopify.export(shop))], take_likely=True)
    assert len(proposal.columns) == 46
    columns = {column.name: column for column in proposal.columns}
    label = columns["google_shopping_custom_label_0"]
    assert label.settings["header"] == "Google Shopping / Custom Label 0"
    types = {name: column.type for name, column in columns.items()}
    assert types["body_html"].startswith("varchar(")
    assert columns["body_html"].settings["header"] == "Body (HTML)"
    assert types["published"] == types["gift_card"] == types["variant_taxable"] == "boolean"
    assert types["variant_grams"] == types["image_position"] == "integer"
    assert types["variant_price"] == types["variant_compare_at_price"] == "decimal(12,2)"
    assert types["variant_barcode"] == "varchar(32)"  # with leading zeros
    assert proposal.key == []


@pytest.mark.parametrize("shop", shopify.SHOPS)
def test_every_row_is_read_back(shop: str) -> None:
    data = shopify.export(shop)
    read = read_back(data, propose([Sample(f"{shop}.csv", data)], take_likely=True))
    rows = list(csv.DictReader(io.StringIO(data.decode(), newline="")))
    assert len(read) == len(rows)
    names = [column.header for column in propose([Sample("a.csv", data)]).columns]
    body, handle = names.index("Body (HTML)"), names.index("Handle")
    assert [row[body] or "" for row in read] == [row["Body (HTML)"] for row in rows]
    assert [row[handle] for row in read] == [row["Handle"] for row in rows]
    assert sum(row[body] is None for row in read) > len(rows) / 2
