"""Records are read as the load job reads them."""

from __future__ import annotations

import csv
import io

from hypothesis import given
from hypothesis import strategies as st

from tests.support.samples.csv_text import csv_text
from xacct_assets.feed.proposal.records import Dialect, read_records

SEMICOLONS = Dialect(";")


def rows(text: str, dialect: Dialect = SEMICOLONS, **options: int) -> list[list[str | None]]:
    return read_records(text, dialect, **options).rows


def test_an_empty_field_is_null_and_a_quoted_one_is_the_empty_text() -> None:
    assert rows('a;;""\r\n;b;\n') == [["a", None, ""], [None, "b", None]]


def test_lines_end_in_lf_or_crlf_and_other_carriage_returns_are_content() -> None:
    assert rows('a;b\r\n"c\r\nd";e\rf\ng;h') == [["a", "b"], ["c\r\nd", "e\rf"], ["g", "h"]]


def test_a_quote_within_a_field_is_content_and_a_doubled_one_is_a_quote() -> None:
    assert rows('5" pipe;"5"" pipe; long"\n') == [['5" pipe', '5" pipe; long']]


def test_empty_lines_are_no_records_and_lines_before_each_are_known() -> None:
    read = read_records('a;b\n\n"c\nd";e\nf;g\n', SEMICOLONS)
    assert (read.rows, read.lines) == ([["a", "b"], ["c\nd", "e"], ["f", "g"]], [0, 2, 4])


def test_preamble_lines_are_skipped_though_a_quote_is_open_in_them() -> None:
    assert rows('an 8" title\n;;\na;b\n', skip=2) == [["a", "b"]]


def test_of_a_cut_sample_the_last_record_is_dropped() -> None:
    for cut in ("a;b\nc;d", 'a;b\nc;"d', 'a;b\n"c\n;d;e\nf'):
        assert read_records(cut, SEMICOLONS, is_whole=False).rows == [["a", "b"]]


def test_text_behind_a_quote_and_an_open_quote_are_counted() -> None:
    assert read_records('"a"b;c\n"d;e\n', SEMICOLONS).malformed == 2


@given(
    st.lists(
        st.lists(st.text("ab;,\"'\n\r \\", max_size=5), min_size=2, max_size=4),
        min_size=1,
        max_size=5,
    )
)
def test_what_pythons_csv_module_writes_is_read_as_it_reads_it(table: list[list[str]]) -> None:
    text = csv_text(table, ";", quoting=csv.QUOTE_ALL)
    assert rows(text) == list(csv.reader(io.StringIO(text, newline=""), delimiter=";"))
