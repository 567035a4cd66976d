"""Which texts the script's SQL accepts as a value of a type.

The SQL itself runs in Spark (tests/sandbox/integration); here its patterns are tried in Python,
which reads them alike.
"""

from __future__ import annotations

import re

import pytest

from xacct_assets.contract.column_types import ColumnType
from xacct_load.column_sql import value_sql
from xacct_load.sql_texts import sql_text


def accepts(column_type: str, text: str) -> bool:
    """Whether the first pattern in the type's SQL matches."""
    sql = value_sql(ColumnType.parse(column_type), "x").loaded
    literal = re.search(r"x RLIKE '((?:[^'\\]|\\.)*)'", sql)
    assert literal is not None, sql
    pattern = re.sub(r"\\(.)", r"\1", literal[1]).replace(r"\z", r"\Z")
    return re.search(pattern, text) is not None


@pytest.mark.parametrize("text", ["0", "-1", "+7", "00012", "9223372036854775807"])
def test_digits_with_a_sign_are_an_integer(text: str) -> None:
    assert accepts("bigint", text)


@pytest.mark.parametrize("text", ["", " 1", "1 ", "1\n", "1.0", "1e3", "0x1", "１", "--1", "1L"])
def test_anything_else_is_no_integer(text: str) -> None:
    assert not accepts("integer", text)


@pytest.mark.parametrize("text", ["12", "12.", "12.3", "-12.34", "+.5", "12.3400", "0.00"])
def test_a_decimal_may_have_as_many_decimals_as_its_scale(text: str) -> None:
    assert accepts("decimal(12,2)", text)


@pytest.mark.parametrize(
    "text", ["12.345", "12.3401", "1e2", "1,5", ".", "", "-", "12.34\n", "NaN"]
)
def test_a_decimal_that_would_be_rounded_is_rejected(text: str) -> None:
    assert not accepts("decimal(12,2)", text)


def test_a_decimal_without_scale_takes_no_decimals() -> None:
    assert accepts("decimal(5,0)", "12.0")
    assert not accepts("numeric(5,0)", "12.5")


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01T10:00:00",
        "2026-01-01 10:00",
        "2026-01-01T10:00:00.123456",
        "2026-01-01T10:00:00.120000000",
        "2026-01-01T10:00:00Z",
        "2026-01-01T10:00:00+05:30",
    ],
)
def test_iso_8601_is_a_timestamp(text: str) -> None:
    assert accepts("timestamp", text)


@pytest.mark.parametrize(
    "text",
    [
        "2026-01-01",
        "01/02/2026 10:00:00",
        "2026-1-1T10:00:00",
        "2026-01-01T10:00:00.1234567",
        "2026-01-01T10:00:00 UTC",
        "0000-01-01T10:00:00",
        " 2026-01-01T10:00:00",
        "2026-01-01T10:00:00\n",
        "now",
    ],
)
def test_other_timestamp_formats_are_rejected(text: str) -> None:
    assert not accepts("timestamp", text)


@pytest.mark.parametrize("text", ["2026-01-01T00:00:00", "20260101", "0000-01-01", "today"])
def test_a_date_is_year_month_day_only(text: str) -> None:
    assert not accepts("date", text)


@pytest.mark.parametrize("text", ["NaN", "Infinity", "1d", "0x1p3", "1e", "."])
def test_java_number_syntax_is_no_float(text: str) -> None:
    assert not accepts("double precision", text)


def test_the_length_of_a_varchar_is_counted_in_bytes() -> None:
    assert "OCTET_LENGTH(x) <= 3" in value_sql(ColumnType.parse("varchar(3)"), "x").loaded
    assert value_sql(ColumnType.parse("varchar(3)"), "x").fault == "longer than 3 bytes"


@pytest.mark.parametrize(
    ("value", "literal"), [("a'b", r"'a\'b'"), ("a\\z", r"'a\\z'"), ("", "''")]
)
def test_a_text_becomes_one_sql_literal(value: str, literal: str) -> None:
    assert sql_text(value) == literal
