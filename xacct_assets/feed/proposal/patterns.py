"""File name patterns, and the day and prefix, from the names of samples."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from pathlib import PurePosixPath

from xacct_assets.contract.days import DayLayout

_USUAL = ("*.csv", "*.csv.gz")
_LAYOUTS = (
    (DayLayout.PLAIN, re.compile(r"s3://[^/]+/(.+)/(\d{4})/(\d{2})/(\d{2})/[^/]+")),
    (
        DayLayout.KEY_VALUE,
        re.compile(r"s3://[^/]+/(.+)/year=(\d{4})/month=(\d{2})/day=(\d{2})/[^/]+"),
    ),
)


@dataclass(frozen=True)
class Place:
    """Where a sample lies in S3.

    Attributes:
        prefix: folder of the feed.
        layout: of the day's folders below it.
        day: of the sample.
    """

    prefix: str
    layout: DayLayout
    day: date


def file_patterns(names: Sequence[str]) -> list[str]:
    """Patterns that match the samples' names: ``*.csv`` and ``*.csv.gz``, and other suffixes."""
    found = set()
    for name in names:
        suffixes = [s for s in PurePosixPath(name).suffixes if re.fullmatch(r"\.[A-Za-z]\w*", s)]
        is_gzip = bool(suffixes) and suffixes[-1] == ".gz"
        suffix = "".join(suffixes[-2:] if is_gzip else suffixes[-1:])
        found.add(f"*{suffix}")
    return list(_USUAL) if found <= set(_USUAL) else sorted(found)


def place_of(name: str) -> Place | None:
    """The place of a sample such as ``s3://bucket/shop/orders/2026/01/31/part-1.csv``."""
    for layout, pattern in _LAYOUTS:
        if match := pattern.fullmatch(name):
            try:
                day = date(int(match[2]), int(match[3]), int(match[4]))
            except ValueError:
                continue
            return Place(match[1], layout, day)
    return None


def folder_columns(names: Sequence[str]) -> frozenset[str]:
    """Columns that the crawler makes of the samples' folders, as ``year=2026`` is one."""
    places = [place for place in map(place_of, names) if place]
    if any(place.layout is DayLayout.KEY_VALUE for place in places):
        return frozenset({"year", "month", "day"})
    return frozenset()
