"""The load request: read as it was sent, and refused before anything is touched."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.load_requests import request_json
from xacct_assets.contract import CONTRACT_VERSION
from xacct_assets.contract.load_request import InvalidLoadRequest, LoadRequest


@pytest.fixture
def data() -> dict[str, Any]:
    return request_json()


def test_a_request_is_read_as_it_was_sent(data: dict[str, Any]) -> None:
    sent = LoadRequest.from_json(data)
    assert LoadRequest.from_json(sent.to_json()) == sent
    assert sent.to_json() == data


def test_without_splittable_files_every_file_is_read_whole(data: dict[str, Any]) -> None:
    del data["splittable_files"]
    assert LoadRequest.from_json(data).splittable_files == ()


@pytest.mark.parametrize("version", [None, 0, CONTRACT_VERSION + 1])
def test_a_request_of_another_contract_version_is_refused_with_the_fix(
    data: dict[str, Any], version: int | None
) -> None:
    data["contract_version"] = version
    with pytest.raises(InvalidLoadRequest, match=rf"version {version}.*xacct deploy"):
        LoadRequest.from_json(data)


def test_a_missing_field_is_named_with_the_fix(data: dict[str, Any]) -> None:
    del data["copy_role"]
    with pytest.raises(InvalidLoadRequest, match=r"copy_role.*xacct deploy"):
        LoadRequest.from_json(data)


@pytest.mark.parametrize(
    ("field", "value", "message"),
    [
        ("feed", "pro'ducts", "feed"),
        ("feed", "a;b", "feed"),
        ("load_id", "100%", "load_id"),
        ("load_id", "x" * 65, "load_id"),
        ("tmp_dir", "/local/folder", "tmp_dir"),
        ("days", [], "at least one day"),
        ("key", ["nope"], "must be a column of the feed"),
        ("key", ["price"], "not null"),
        ("header", ["id", "name"], "the feed's columns in any order"),
        ("header", ["id", "name", "name"], "the feed's columns in any order"),
        ("splittable_files", ["s3://b/a.csv.gz"], "must not be compressed"),
        ("splittable_files", ["s3://b/a/"], "must be s3://bucket/key of a file"),
        ("splittable_files", ["/local/a.csv"], "must be s3://bucket/key of a file"),
        ("splittable_files", ["s3://b/a.csv", "s3://b/a.csv"], "must not repeat"),
    ],
)
def test_what_could_reach_sql_or_lose_rows_is_refused(
    data: dict[str, Any], field: str, value: Any, message: str
) -> None:
    data[field] = value
    with pytest.raises(InvalidLoadRequest, match=message):
        LoadRequest.from_json(data)


@pytest.mark.parametrize(
    "table", ['public."x"', "a.b.c", "products; DROP TABLE x", "Products", "public.products "]
)
def test_a_table_name_that_is_no_plain_name_is_refused(data: dict[str, Any], table: str) -> None:
    data["staging"]["table"] = table
    with pytest.raises(InvalidLoadRequest, match="staging table"):
        LoadRequest.from_json(data)


def test_a_repeated_day_is_refused(data: dict[str, Any]) -> None:
    data["days"].append(data["days"][0])
    with pytest.raises(InvalidLoadRequest, match="must not repeat"):
        LoadRequest.from_json(data)


def test_an_encoding_that_is_not_supported_is_refused_by_name(data: dict[str, Any]) -> None:
    data["source"]["encoding"] = "latin-9"
    with pytest.raises(InvalidLoadRequest, match=r"latin-9.*utf-8, utf-16, windows-1252"):
        LoadRequest.from_json(data)


def test_what_a_feed_says_of_columns_and_files_travels_along(data: dict[str, Any]) -> None:
    data["columns"][2] |= {
        "header": "Price (EUR)",
        "format": "1.234,56",
        "null_values": ["N/A"],
        "trim": True,
        "default": "",
        "sensitive": True,
        "optional": True,
    }
    data["source"] |= {
        "encoding": "utf-16",
        "header_row": False,
        "preamble_lines": 2,
        "relaxed_header": True,
        "ignores_other_columns": True,
    }
    sent = LoadRequest.from_json(data)
    assert LoadRequest.from_json(sent.to_json()) == sent
    assert sent.to_json() == data
    assert sent.columns[2].null_values == ("N/A",)
    assert sent.file_columns.names == ("id", "name", "Price (EUR)")
    assert sent.file_columns.optional == ("Price (EUR)",)


@pytest.mark.parametrize("column_type", ["geometry", "timetz", "decimal(39,2)", "varchar(70000)"])
def test_a_column_type_that_cannot_be_loaded_is_refused_by_name(
    data: dict[str, Any], column_type: str
) -> None:
    data["columns"][2]["type"] = column_type
    with pytest.raises(InvalidLoadRequest, match=column_type.partition("(")[0]):
        LoadRequest.from_json(data)


def test_a_feed_column_may_not_take_the_name_of_the_day(data: dict[str, Any]) -> None:
    data["columns"].append({"name": "partition_date", "type": "date", "nullable": True})
    with pytest.raises(InvalidLoadRequest, match="partition_date"):
        LoadRequest.from_json(data)
