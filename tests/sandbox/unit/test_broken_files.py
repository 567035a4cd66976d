"""Each kind of broken file is one that the pipeline refuses, by the reason that the kind names."""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime

import pytest

from xacct_assets.aws.s3.file_inspection import FileVerdict, RawObject, inspect_content
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.headers import FileColumns
from xacct_sandbox.broken_files import KINDS
from xacct_sandbox.sample_data import COLUMNS, ProductFile

FILE = ProductFile(seed=1, day=date(2026, 1, 31), rows=1000)


def content(kind: str | None) -> bytes:
    with FILE.open(kind) as stream:
        return stream.read()


def verdict(kind: str | None) -> FileVerdict:
    """What raw_partition says of the file."""
    item = RawObject("a.csv", 1, "e", datetime(2026, 1, 31, tzinfo=UTC))
    return inspect_content(item, [content(kind)], CsvDialect(), FileColumns(tuple(COLUMNS)))


@pytest.mark.parametrize(
    ("kind", "reason"), [("delimiter", "delimiter"), ("header", "price"), ("encoding", "UTF-8")]
)
def test_a_file_that_is_broken_as_a_whole_is_refused_by_its_reason(kind: str, reason: str) -> None:
    assert verdict(None).problem is None
    assert reason in (verdict(kind).problem or "")


def test_a_currency_that_does_not_fit_is_in_more_rows_than_may_be_rejected() -> None:
    assert verdict("currency").problem is None
    rows = list(csv.DictReader(io.StringIO(content("currency").decode())))
    too_long = [row for row in rows if len(row["currency"] or "") > 3]
    assert len(too_long) / len(rows) > 0.05


def test_every_kind_changes_the_file_and_none_its_size_much() -> None:
    whole = content(None)
    for kind in KINDS:
        assert content(kind) != whole
        assert 0.9 < len(content(kind)) / len(whole) < 1.1


def test_a_break_is_made_while_the_file_is_read() -> None:
    endless: Iterator[bytes] = iter(lambda: b"a,EUR,b\n", b"")
    kinds: list[Callable[[Iterator[bytes]], Iterator[bytes]]] = list(KINDS.values())
    assert all(next(kind(endless)) for kind in kinds)
