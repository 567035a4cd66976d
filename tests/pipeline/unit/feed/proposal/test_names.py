"""Headers become SQL names."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from xacct_assets.feed.proposal.names import clean_name, column_names
from xacct_assets.feed.spec.names import Identifier


@pytest.mark.parametrize(
    ("header", "name"),
    [
        ("Variant SKU", "variant_sku"),
        ("Body (HTML)", "body_html"),
        ("Google Shopping / Custom Label 0", "google_shopping_custom_label_0"),
        ("Größe", "grosse"),
        ("Straße", "strasse"),
        ("Prix\u00a0TTC", "prix_ttc"),
        ("Åre, Øst & Łódź", "are_ost_and_lodz"),
        ("orderDate", "order_date"),
        ("SKU", "sku"),
        ("2026", "col_2026"),
        ("% off", "percent_off"),
        ("Kunde's Nr.", "kundes_nr"),
        ("商品", ""),
    ],
)
def test_a_name_says_what_the_header_says(header: str, name: str) -> None:
    assert clean_name(header) == name


def test_names_differ_and_are_none_that_the_pipeline_adds() -> None:
    headers = ["Price", "price ", "PRICE", "商品", "loaded_at", "partition_date"]
    assert column_names(headers) == [
        *("price", "price_2", "price_3", "column_4"),
        *("loaded_at_in_file", "partition_date_in_file"),
    ]


@given(st.lists(st.text(max_size=200), min_size=1, max_size=6))
def test_any_headers_become_different_identifiers(headers: list[str]) -> None:
    names = column_names(headers)
    assert len(set(names)) == len(headers)
    for name in names:
        TypeAdapter(Identifier).validate_python(name)
