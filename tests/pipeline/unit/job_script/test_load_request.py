"""What the job script refuses before it touches anything."""

from __future__ import annotations

from types import ModuleType
from typing import Any

import pytest


def test_a_missing_extra_is_named_with_the_fix(script: ModuleType, extras: dict[str, Any]) -> None:
    del extras["copy_role"]
    with pytest.raises(script.LoadError, match=r"copy_role.*xacct deploy"):
        script.Request.from_extras(extras)


@pytest.mark.parametrize(
    ("field", "value", "said"),
    [
        ("feed", "pro'ducts", "feed"),
        ("feed", "a;b", "feed"),
        ("load_id", "100%", "load_id"),
        ("load_id", "x" * 65, "load_id"),
        ("tmp_dir", "/local/folder", "tmp_dir"),
        ("days", [], "at least one day"),
        ("key", ["nope"], "must be a column of the feed"),
        ("key", ["price"], "not null"),
    ],
)
def test_what_could_reach_sql_or_lose_rows_is_refused(
    script: ModuleType, extras: dict[str, Any], field: str, value: Any, said: str
) -> None:
    extras[field] = value
    with pytest.raises(script.LoadError, match=said):
        script.Request.from_extras(extras)


@pytest.mark.parametrize(
    "table", ['public."x"', "a.b.c", "products; DROP TABLE x", "Products", "public.products "]
)
def test_a_table_name_that_is_no_plain_name_is_refused(
    script: ModuleType, extras: dict[str, Any], table: str
) -> None:
    extras["staging"]["table"] = table
    with pytest.raises(script.LoadError, match="staging table"):
        script.Request.from_extras(extras)


def test_a_repeated_day_is_refused(script: ModuleType, extras: dict[str, Any]) -> None:
    extras["days"].append(extras["days"][0])
    with pytest.raises(script.LoadError, match="must not repeat"):
        script.Request.from_extras(extras)


def test_an_encoding_other_than_utf_8_is_refused_by_name(
    script: ModuleType, extras: dict[str, Any]
) -> None:
    extras["source"]["encoding"] = "latin-1"
    with pytest.raises(script.LoadError, match=r"latin-1.*only UTF-8"):
        script.Request.from_extras(extras)


@pytest.mark.parametrize("column_type", ["super", "timestamptz", "decimal(39,2)", "varchar(70000)"])
def test_a_column_type_that_cannot_be_loaded_is_refused_by_name(
    script: ModuleType, extras: dict[str, Any], column_type: str
) -> None:
    extras["columns"][2]["type"] = column_type
    with pytest.raises(script.LoadError, match=column_type.partition("(")[0]):
        script.Request.from_extras(extras)


def test_a_feed_column_may_not_take_the_name_of_the_day(
    script: ModuleType, extras: dict[str, Any]
) -> None:
    extras["columns"].append({"name": "partition_date", "type": "date", "nullable": True})
    with pytest.raises(script.LoadError, match="partition_date"):
        script.Request.from_extras(extras)
