"""The feed's columns as a crawler describes them in the catalog."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from xacct_assets.feed.catalog_repair import missing_columns, type_drift, unknown_columns
from xacct_assets.feed.loader import DEFS_FOLDER
from xacct_assets.feed.spec import FeedSpec

PRODUCTS = (DEFS_FOLDER / "products" / "defs.yaml").read_text(encoding="utf-8")


def feed_with(columns: list[dict[str, Any]], **csv: Any) -> FeedSpec:
    values = yaml.safe_load(PRODUCTS)["attributes"]
    id_column = {"name": "id", "type": "bigint", "nullable": False}
    values |= {"columns": [id_column, *columns], "key": ["id"]}
    values["source"]["csv"] = csv
    return FeedSpec.model_validate(values)


def differences(feed: FeedSpec, inferred: dict[str, str]) -> list[list[str]]:
    return [
        missing_columns(feed, inferred),
        unknown_columns(feed, inferred),
        type_drift(feed, inferred),
    ]


BODY = {"name": "body", "header": "Body (HTML)", "type": "varchar(100)"}


@pytest.mark.parametrize(
    ("columns", "csv", "inferred"),
    [
        ([BODY], {}, {"id": "bigint", "body (html)": "string"}),
        ([BODY | {"header": " SKU "}], {}, {"id": "bigint", "sku": "string"}),
        ([BODY | {"optional": True}], {}, {"id": "bigint"}),
        (
            [BODY],
            {"header_row": True, "extra_columns": "ignore"},
            {"id": "bigint", "x": "double", "body (html)": "string"},
        ),
        (
            [{"name": "body", "type": "varchar(9)"}],
            {"header_row": False},
            {"col0": "bigint", "col1": "string"},
        ),
        (
            [{"name": "p", "type": "decimal(9,2)", "format": "1.234,56"}],
            {},
            {"id": "bigint", "p": "string"},
        ),
        (
            [{"name": "p", "type": "decimal(9,2)"}],
            {"null_values": ["N/A"]},
            {"id": "bigint", "p": "string"},
        ),
        ([{"name": "p", "type": "time"}], {}, {"id": "bigint", "p": "string"}),
        ([{"name": "p", "type": "super"}], {}, {"id": "bigint", "p": "double"}),
    ],
)
def test_a_catalog_that_a_crawler_made_of_such_files_is_right(
    columns: list[dict[str, Any]], csv: dict[str, Any], inferred: dict[str, str]
) -> None:
    assert differences(feed_with(columns, **csv), inferred) == [[], [], []]


@pytest.mark.parametrize(
    ("columns", "csv", "inferred", "expected"),
    [
        ([BODY], {}, {"id": "bigint"}, [["body"], [], []]),
        ([BODY], {}, {"id": "bigint", "Body (HTML)": "string"}, [["body"], ["Body (HTML)"], []]),
        ([BODY], {}, {"col0": "bigint", "col1": "string"}, [["id", "body"], ["col0", "col1"], []]),
        (
            [BODY],
            {"header_row": True},
            {"body (html)": "string", "id": "string"},
            [[], [], ["id: bigint in the feed, string in the files"]],
        ),
        (
            [{"name": "b", "type": "bigint"}],
            {"header_row": False},
            {"col0": "bigint", "col1": "string"},
            [[], [], ["b: bigint in the feed, string in the files"]],
        ),
    ],
)
def test_a_catalog_of_other_files_is_not(
    columns: list[dict[str, Any]],
    csv: dict[str, Any],
    inferred: dict[str, str],
    expected: list[list[str]],
) -> None:
    assert differences(feed_with(columns, **csv), inferred) == expected


def test_headers_that_a_catalog_cannot_tell_apart_keep_the_names_of_the_feed() -> None:
    feed = feed_with(
        [
            {"name": "lower", "header": "sku", "type": "varchar(9)"},
            {"name": "upper", "header": "SKU", "type": "varchar(9)"},
        ]
    )
    inferred = {"id": "bigint", "lower": "string", "upper": "string"}
    assert differences(feed, inferred) == [[], [], []]
