"""Numbers and dates: every reading of a column's texts, until one is left."""

from __future__ import annotations

from decimal import Decimal

import pytest

from xacct_assets.contract.column_types import ColumnType
from xacct_assets.contract.value_formats import NumberFormat
from xacct_assets.feed.proposal import moments, numbers


@pytest.mark.parametrize(
    ("texts", "values", "written"),
    [
        (["12", "-7"], ["12", "-7"], None),
        (["12.5", "7"], ["12.5", "7"], None),
        (["12,5", "7"], ["12.5", "7"], "1234,56"),
        (["1.234,5", "7"], ["1234.5", "7"], "1.234,56"),
        (["1,234.5", "7"], ["1234.5", "7"], "1,234.56"),
        (["1.234.567"], ["1234567"], "1.234"),
        (["1 234,50", "1\u00a0234", "1\u202f234"], ["1234.50", "1234", "1234"], "1 234,56"),
        (["1’234.50", "0.5"], ["1234.50", "0.5"], "1’234.56"),
        (["€ 5", "€7"], ["5", "7"], "€1234"),
        (["5,5 %", "-7,25%"], ["5.5", "-7.25"], "1234,56 %"),
        (["-$5.50", "$-7.00"], ["-5.50", "-7.00"], "$1234.56"),
        (["CHF 5.50"], ["5.50"], "CHF 1234.56"),
        ([".5"], ["0.5"], None),
    ],
)
def test_one_reading(texts: list[str], values: list[str], written: str | None) -> None:
    (reading,) = numbers.readings(texts)
    assert list(reading.values) == [Decimal(value) for value in values]
    assert reading.format() == written
    if written:
        NumberFormat.parse(written, ColumnType("decimal" if reading.has_decimals else "bigint"))


@pytest.mark.parametrize("texts", [["1,234"], ["1.234"], ["1,234", "5"], ["1.234 €", "7.890 €"]])
def test_thousands_or_three_decimals_are_two_readings(texts: list[str]) -> None:
    assert {reading.decimal for reading in numbers.readings(texts)} == {",", "."}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "abc",
        "1,23,456",
        "1.2.3",
        "12.345.6",
        "(5)",
        "5-",
        "1e5",
        "12 kg",
        "1/2",
        "٣",
        "5.",
        "--5",
    ],
)
def test_no_number(text: str) -> None:
    assert numbers.readings([text]) == []


def test_numbers_of_two_kinds_are_none() -> None:
    for texts in (["€5", "$5"], ["5%", "5"], ["1.234,5", "1,234.5"], ["5", "abc"]):
        assert numbers.readings(texts) == []


@pytest.mark.parametrize(
    ("texts", "kind", "written"),
    [
        (["2026-12-31"], "date", None),
        (["2026-1-5"], "date", "YYYY-MM-DD"),
        (["2026/12/31"], "date", "YYYY/MM/DD"),
        (["31/12/2026", "1/2/2026"], "date", "DD/MM/YYYY"),
        (["12/31/2026"], "date", "MM/DD/YYYY"),
        (["31.12.26", "31.12.99"], "date", "DD.MM.YY"),
        (["31-Dec-2026"], "date", "DD-MON-YYYY"),
        (["Dec 31, 2026"], "date", "MON DD, YYYY"),
        (["20261231"], "date", "YYYYMMDD"),
        (["31122026"], "date", "DDMMYYYY"),
        (["2026年12月31日"], "date", "YYYY年MM月DD日"),
        (["2026-12-31 10:00", "2026-12-31T10:00:01.5"], "timestamp", None),
        (["2026-12-31T10:00:00Z", "2026-12-31T10:00:00+02:00"], "timestamptz", None),
        (["31/12/2026 10:00:00"], "timestamp", "DD/MM/YYYY HH:MI:SS"),
        (["12/31/2026 1:05 pm"], "timestamp", "MM/DD/YYYY HH:MI AM"),
        (["31.12.2026, 13.05"], "timestamp", "DD.MM.YYYY, HH.MI"),
        (["10:30", "9:05"], "time", "HH:MI"),
        (["10:30:15"], "time", "HH:MI:SS"),
    ],
)
def test_one_format(texts: list[str], kind: str, written: str | None) -> None:
    assert [(one.type, one.format) for one in moments.readings(texts)] == [(kind, written)]


@pytest.mark.parametrize("texts", [["03/04/2026"], ["03-04-2026"], ["3.4.2026"], ["01/01/2026"]])
def test_a_day_or_a_month_first_are_two_readings(texts: list[str]) -> None:
    assert [one.order for one in moments.readings(texts)] == ["dmy", "mdy"]


@pytest.mark.parametrize(
    "text",
    [
        *(
            "2026-02-30",
            "31/13/2026",
            "2026-W05",
            "2026-01",
            "tomorrow",
            "25:00",
            "1.2.3",
            "0000-00-00",
        ),
        *("2026-01-31 24:00:00", "13/01/2026 13:05 PM", "2026-01-31 noon", "99999999", "12:5"),
    ],
)
def test_no_date(text: str) -> None:
    assert moments.readings([text]) == []


def test_dates_of_two_kinds_are_none() -> None:
    for texts in (
        ["31/12/2026", "12/31/2026"],
        ["2026-12-31", "31.12.2026"],
        ["2026-12-31 10:00:00", "2026-12-31T10:00:00Z"],
        ["2026-12-31", "2026-12-31 10:00"],
    ):
        assert moments.readings(texts) == []
