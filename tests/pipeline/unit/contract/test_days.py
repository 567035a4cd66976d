"""From a day to its prefix, and from a key to its day."""

from __future__ import annotations

from datetime import date

import pytest

from xacct_assets.contract.days import DayFolders, DayLayout


@pytest.mark.parametrize("layout", list(DayLayout))
def test_a_key_is_mapped_to_its_day(layout: DayLayout) -> None:
    folders = DayFolders("in/1234/11/22.x", layout)
    day = date(2026, 1, 2)
    assert folders.day_of(folders.prefix(day) + "a/b.csv") == day
    assert folders.day_of(folders.prefix(day)) == day


@pytest.mark.parametrize(
    "key",
    [
        "products/2026/02/30/a.csv",
        "products/2026/2/3/a.csv",
        "products/2026/02/03",
        "productsX2026/02/03/a.csv",
        "x/products/2026/02/03/a.csv",
        "products/year=2026/month=02/day=03/a.csv",
        "products/0000/01/01/a.csv",
    ],
)
def test_a_key_that_is_in_no_days_folder_has_no_day(key: str) -> None:
    assert DayFolders("products", DayLayout.PLAIN).day_of(key) is None
