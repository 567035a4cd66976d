"""What the generator says about a file is what an independent reader finds in it."""

from __future__ import annotations

import csv
import io
from collections import Counter
from datetime import date
from decimal import Decimal, InvalidOperation

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xacct_sandbox.sample_data import COLUMNS, NAME_BYTES, ProductFile, Reject
from xacct_sandbox.sample_values import DESCRIPTION_BYTES, quoted

DAY = date(2026, 1, 31)


def read(product_file: ProductFile) -> list[list[str]]:
    """The file as Python's own RFC 4180 reader sees it, without the header."""
    text = io.TextIOWrapper(product_file.open(), encoding="utf-8", newline="")
    rows = list(csv.reader(text))
    assert tuple(rows[0]) == COLUMNS
    return rows[1:]


def verdict(row: list[str], seen: set[str]) -> Reject | None:
    """Why a row must be rejected, by an independent implementation of the rules."""
    if len(row) != len(COLUMNS):
        return Reject.TOO_MANY_FIELDS
    key, name, category, brand, price, currency, stock, description, updated_at = row
    try:
        Decimal(price)
        int(stock or 0)
    except (InvalidOperation, ValueError):
        return Reject.BAD_NUMBER
    if not all((key, name, category, price, currency, updated_at)):
        return Reject.MISSING_REQUIRED
    for value, limit in ((name, NAME_BYTES), (category, 64), (brand, 128), (description, 4096)):
        if len(value.encode()) > limit:
            return Reject.TOO_LONG
    if key in seen:
        return Reject.DUPLICATE_KEY
    seen.add(key)
    return None


def test_the_same_arguments_give_the_same_bytes() -> None:
    first, again = (b"".join(ProductFile(7, DAY, 500).chunks()) for _ in range(2))
    assert first == again


@pytest.mark.parametrize(
    "other",
    [
        ProductFile(8, DAY, 500),
        ProductFile(7, date(2026, 2, 1), 500),
        ProductFile(7, DAY, 500, number=1),
    ],
    ids=["seed", "day", "number"],
)
def test_another_seed_day_or_number_gives_another_file(other: ProductFile) -> None:
    assert b"".join(ProductFile(7, DAY, 500).chunks()) != b"".join(other.chunks())


@given(
    seed=st.integers(0, 1000),
    rows=st.integers(0, 700),
    number=st.integers(0, 5),
    day=st.dates(date(2020, 1, 1), date(2030, 1, 1)),
)
def test_the_rejects_of_a_file_are_those_of_the_rules(
    seed: int, rows: int, number: int, day: date
) -> None:
    product_file = ProductFile(seed, day, rows, number)
    seen: set[str] = set()
    verdicts = [verdict(row, seen) for row in read(product_file)]
    found = Counter(kind for kind in verdicts if kind is not None)
    assert len(verdicts) == rows
    assert found == product_file.rejected
    assert product_file.rejected_rows == sum(found.values())
    assert product_file.good_rows == rows - sum(found.values())
    assert [record.reject for record in product_file.records()] == verdicts


def test_the_records_of_a_file_are_those_of_a_csv_reader() -> None:
    product_file = ProductFile(3, DAY, 2500)
    for row, record in zip(read(product_file), product_file.records(), strict=True):
        assert row == [value or "" for value in record.values]


@pytest.mark.parametrize("rows", [100, 101, 250, 399, 400, 1000, 20_000])
def test_about_half_a_percent_is_rejected_and_never_fewer_than_three(rows: int) -> None:
    rejected = ProductFile(1, DAY, rows).rejected_rows
    assert rejected >= 3
    assert rejected <= max(4, rows * 0.006)


def test_small_files_have_no_rejects() -> None:
    assert ProductFile(1, DAY, 99).rejected == {}


def test_every_reason_occurs_in_a_thousand_rows() -> None:
    assert set(ProductFile(1, DAY, 1000).rejected) == set(Reject)


def test_files_of_a_day_share_no_key() -> None:
    keys = [
        {record.values[0] for record in ProductFile(1, DAY, 500, number).records()}
        for number in range(3)
    ]
    assert not keys[0] & keys[1]
    assert not keys[1] & keys[2]


def test_the_text_has_what_csv_readers_get_wrong() -> None:
    text = b"".join(ProductFile(1, DAY, 3000).chunks()).decode()
    good = [record.values for record in ProductFile(1, DAY, 3000).records() if not record.reject]
    brands = {values[3] for values in good}
    descriptions = {values[7] for values in good}
    names = {str(values[1]) for values in good}
    assert {None, ""} <= brands
    assert {None, ""} <= descriptions
    assert any("\n" in (value or "") for value in descriptions)
    assert max(len((value or "").encode()) for value in descriptions) == DESCRIPTION_BYTES
    for character in (",", '"', "ü", "🚀", "抹"):
        assert any(character in value for value in {*names, *(brand or "" for brand in brands)})
    assert '""' in text


@pytest.mark.parametrize(
    ("value", "written"),
    [
        (None, ""),
        ("", '""'),
        ("plain", "plain"),
        ("a,b", '"a,b"'),
        ('say "x"', '"say ""x"""'),
        ("two\nlines", '"two\nlines"'),
        (" blank", '" blank"'),
    ],
)
def test_values_are_quoted_by_rfc_4180(value: str | None, written: str) -> None:
    assert quoted(value) == written


def test_the_stream_has_the_same_bytes_as_the_chunks() -> None:
    product_file = ProductFile(1, DAY, 300)
    whole = b"".join(product_file.chunks())
    with product_file.open() as stream:
        pieces = list(iter(lambda: stream.read(997), b""))
    assert b"".join(pieces) == whole
