"""A file with columns that the feed does not have stops its day with the command that admits it."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from xacct_assets.aws.s3.file_inspection import RawObject, inspect_content
from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.raw_files import csv_dialect, file_columns, how_to_admit

FEED = load_feed("products")
HEADER = ",".join(FEED.column_names())


def admission(header: str, key: str = "products/2026/01/02/a.csv") -> str | None:
    item = RawObject(key, 10, "etag", datetime(2026, 1, 2, tzinfo=UTC))
    body = f"{header}\n{'1,' * header.count(',')}1\n".encode()
    verdict = inspect_content(item, [body], csv_dialect(FEED), file_columns(FEED))
    return how_to_admit(FEED, "raw", [verdict])


@pytest.mark.parametrize(
    "header", [f"{HEADER},colour", HEADER.replace("brand", "maker"), HEADER.replace(",brand", "")]
)
def test_new_renamed_and_missing_columns_can_be_admitted(header: str) -> None:
    assert admission(header) == (
        "If the supplier changed the columns, this admits them: xacct feed evolve products "
        "--from s3://raw/products/2026/01/02/a.csv"
    )


def test_a_key_with_signs_is_quoted_for_the_shell() -> None:
    assert (admission(f"{HEADER},x", "products/2026/01/02/a b;.csv") or "").endswith(
        "--from 's3://raw/products/2026/01/02/a b;.csv'"
    )


@pytest.mark.parametrize(
    "header", [HEADER, HEADER.replace(",", ";"), f"{HEADER},", f"\ufeff{HEADER}"]
)
def test_files_that_are_written_wrongly_are_to_be_corrected(header: str) -> None:
    assert admission(header) is None
