"""Candidate keys tell all rows of a file apart, as Redshift compares them."""

from __future__ import annotations

from xacct_assets.feed.proposal import Sample, propose
from xacct_assets.feed.proposal.keys import KeyColumn, candidate_keys


def keys_of(names: str, *files: list[tuple[str, ...]]) -> list[tuple[str, ...]]:
    columns = [KeyColumn(name, "varchar(16)", at) for at, name in enumerate(names.split())]
    return candidate_keys(columns, [[list(row) for row in rows] for rows in files])


def test_one_that_is_named_like_an_identifier_goes_first() -> None:
    rows = [("red", "1"), ("blue", "2")]
    assert keys_of("color sku", rows) == [("sku",), ("color",)]


def test_two_columns_together_if_no_single_one() -> None:
    rows = [("o1", "1"), ("o1", "2"), ("o2", "1")]
    assert keys_of("order_id line_no", rows) == [("order_id", "line_no")]


def test_values_that_differ_in_trailing_blanks_only_are_one() -> None:
    assert keys_of("sku", [("A",), ("A ",)]) == []
    assert keys_of("sku", [("A",), (" A",)]) == [("sku",)]


def test_another_file_may_have_the_same_keys() -> None:
    assert keys_of("sku", [("A",), ("B",)], [("B",), ("A",)]) == [("sku",)]


def test_one_row_tells_nothing() -> None:
    assert keys_of("sku", [("A",)]) == []


def test_a_given_key_that_repeats_or_is_empty_is_said() -> None:
    data = b"sku,name\nA,x\nA,y\n,z\n"
    proposal = propose([Sample("a.csv", data)], {"key": "sku"})
    said = "\n".join(doubt.text for doubt in proposal.doubts)
    assert proposal.key == ["sku"]
    assert "1 of 3 rows have the key of an earlier row" in said
    assert "part of the key, and empty in 1 rows" in said
