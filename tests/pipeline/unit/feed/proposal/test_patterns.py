"""File patterns, prefix and day from the names of samples."""

from __future__ import annotations

from datetime import date

import pytest

from xacct_assets.contract.days import DayLayout
from xacct_assets.contract.file_patterns import FilePatterns
from xacct_assets.feed.proposal.patterns import file_patterns, place_of


@pytest.mark.parametrize(
    ("names", "patterns"),
    [
        (["a.csv"], ["*.csv", "*.csv.gz"]),
        (["a.csv.gz"], ["*.csv", "*.csv.gz"]),
        (["folder/EXPORT.CSV"], ["*.CSV"]),
        (["s3://b/x/2026/01/02/a.2026-01-02.txt"], ["*.txt"]),
        (["a.csv", "b.tsv.gz"], ["*.csv", "*.tsv.gz"]),
        (["EXPORT"], ["*"]),
    ],
)
def test_the_patterns_match_the_samples(names: list[str], patterns: list[str]) -> None:
    assert file_patterns(names) == patterns
    matching = FilePatterns(patterns)
    assert all(matching.is_data_file(name.rsplit("/", 1)[-1]) for name in names)


def test_an_object_in_a_days_folder_tells_prefix_layout_and_day() -> None:
    plain = place_of("s3://bucket/shop/orders/2026/01/31/part-1.csv")
    keyed = place_of("s3://bucket/orders/year=2026/month=01/day=31/part-1.csv")
    assert plain is not None
    assert keyed is not None
    assert (plain.prefix, plain.layout, plain.day) == (
        "shop/orders",
        DayLayout.PLAIN,
        date(2026, 1, 31),
    )
    assert (keyed.prefix, keyed.layout) == ("orders", DayLayout.KEY_VALUE)


@pytest.mark.parametrize("name", ["a.csv", "s3://bucket/a.csv", "s3://bucket/x/2026/13/31/a.csv"])
def test_elsewhere_nothing_is_told(name: str) -> None:
    assert place_of(name) is None
