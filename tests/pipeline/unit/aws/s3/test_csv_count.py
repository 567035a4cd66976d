"""Counting a file's records as Spark's multi-line CSV reader does."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xacct_assets.aws.s3.csv_count import MalformedCsv, count_records
from xacct_assets.contract.csv_dialect import CsvDialect

HEADER = b"id,name\n"


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def slow_count(text: str, delimiter: str = ",") -> tuple[int, bool]:
    """One character at a time, straight from the rules: (records, is a quote left open)."""
    first = min((i for i in (text.find("\n"), text.find("\r")) if i >= 0), default=-1)
    crlf = first >= 0 and text[first] == "\r"
    if crlf:
        text = text.replace("\r\n", "\n")
        # Half a line end at the very end is an empty line as well.
        rest, _, last = text.rpartition("\n")
        text = f"{rest}\n" if last == "\r" else text
    records, state, empty = 0, "start", True
    i = 0
    while i < len(text):
        c = text[i]
        if state == "quoted":
            if c == '"' and text[i + 1 : i + 2] == '"':
                i += 1
            elif c == '"':
                state = "tail"
        elif c == "\n":
            records += not empty
            state, empty = "start", True
            i += 1
            continue
        elif c == delimiter:
            state = "start"
        elif c == '"' and state == "start":
            state = "quoted"
        else:
            state = "tail"
        empty = False
        i += 1
    return records + (not empty), state == "quoted"


@settings(max_examples=150, deadline=None)
@given(
    rows=st.lists(
        st.lists(st.text(alphabet='ab,"\n\r é\u2028;', max_size=6), min_size=2, max_size=3),
        max_size=8,
    ),
    terminator=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_ALL, csv.QUOTE_MINIMAL]),
    size=st.integers(1, 40),
)
def test_every_file_that_pythons_csv_writes_counts_as_many_rows_as_were_written(
    rows, terminator, quoting, size
):
    out = io.StringIO(newline="")
    writer = csv.writer(out, lineterminator=terminator, quoting=quoting)
    writer.writerow(["id", "name"])
    writer.writerows(rows)
    counter = count_records(pieces(out.getvalue().encode(), size))
    assert counter.rows == len(rows)
    assert counter.header == ("id", "name")


@settings(max_examples=150, deadline=None)
@given(
    body=st.text(alphabet='a,"\n é\r', max_size=60),
    size=st.integers(1, 30),
    delimiter=st.sampled_from([",", ";", "|", "\t"]),
)
def test_any_text_counts_as_the_rules_read_one_character_at_a_time(body, size, delimiter):
    body = body.replace(",", delimiter)
    data = f"id{delimiter}name\n{body}"
    expected, left_open = slow_count(data, delimiter)
    chunks = pieces(data.encode(), size)
    if left_open:
        with pytest.raises(MalformedCsv, match="never closed"):
            count_records(chunks, CsvDialect(delimiter=delimiter))
    else:
        assert count_records(chunks, CsvDialect(delimiter=delimiter)).rows == expected - 1


@settings(max_examples=150, deadline=None)
@given(body=st.text(alphabet='a,"\n', max_size=60), size=st.integers(1, 30))
def test_any_closed_text_counts_as_pythons_csv_reader_counts_it(body, size):
    data = "id,name\n" + body
    if slow_count(data)[1]:
        return
    expected = sum(1 for row in csv.reader(io.StringIO(data, newline="")) if row) - 1
    assert count_records(pieces(data.encode(), size)).rows == expected


@settings(max_examples=150, deadline=None)
@given(
    body=st.text(alphabet='a,"\r\n', max_size=50).map(lambda text: text.replace("\n", "\r\n")),
    size=st.integers(1, 30),
)
def test_a_file_with_windows_line_ends_counts_as_the_rules_say(body, size):
    data = "id,name\r\n" + body
    expected, left_open = slow_count(data)
    if not left_open:
        assert count_records(pieces(data.encode(), size)).rows == expected - 1


def test_an_embedded_line_end_in_a_quoted_field_is_no_record_end():
    assert count_records([HEADER, b'1,"a\nb\n\nc"\n2,x\n']).rows == 2


def test_the_last_record_needs_no_line_end():
    assert count_records([HEADER + b"1,a\n2,b"]).rows == 2


def test_empty_lines_are_no_records_but_a_lone_quoted_empty_field_is_one():
    assert count_records([HEADER + b'\n\n1,a\n\n""\n\n']).rows == 2


def test_a_header_without_a_line_end_has_no_rows():
    counter = count_records([b"id,name"])
    assert (counter.header, counter.rows) == (("id", "name"), 0)


def test_an_empty_file_has_neither_header_nor_rows():
    counter = count_records([b""])
    assert (counter.header, counter.rows) == ((), 0)


def test_a_byte_order_mark_is_not_part_of_the_first_column_name():
    assert count_records([b"\xef\xbb", b"\xbfid,name\n1,a\n"]).header == ("id", "name")


def test_a_header_with_a_line_end_inside_quotes_is_read_whole():
    counter = count_records(pieces(b'id,"na\nme"\n1,a\n', 3))
    assert (counter.header, counter.rows) == (("id", "na\nme"), 1)


def test_a_quote_inside_an_unquoted_field_is_content():
    assert count_records([HEADER + b'1,5" pipe\n2,7" pipe\n3,odd"\n']).rows == 3


def test_what_follows_a_closing_quote_is_content():
    assert count_records([HEADER + b'1,"a"b\n2,"c" "d\n3,"e"\n']).rows == 3


@pytest.mark.parametrize("header", [b'id,"name\n1,a\n', b'id,"name'])
def test_an_open_quote_in_the_header_is_named(header):
    with pytest.raises(MalformedCsv, match="never closed"):
        count_records([header])


def test_an_open_quote_is_named_with_its_place():
    with pytest.raises(MalformedCsv, match=r"open at byte 10 is never closed"):
        count_records([HEADER, b'1,"a\n2,b\n'])


def test_text_that_is_not_utf8_is_named_with_its_place_in_the_file():
    with pytest.raises(MalformedCsv, match=r"not UTF-8: byte 14 is 0xe9"):
        count_records([HEADER, b"1,a\n2,\xe9t\xe9\n"])


def test_utf16_is_named():
    with pytest.raises(MalformedCsv, match="UTF-16"):
        count_records(["id,name\n".encode("utf-16")])


def test_gzip_under_a_plain_name_is_named():
    with pytest.raises(MalformedCsv, match=r"gzip.*rename it to \*\.csv\.gz"):
        count_records([b"\x1f\x8b\x08\x00rest"])


def test_bare_carriage_returns_as_line_ends_are_refused():
    with pytest.raises(MalformedCsv, match="carriage return alone"):
        count_records([b"id,name\r1,a\r2,b\r"])


def test_an_empty_windows_line_before_the_header_is_refused():
    with pytest.raises(MalformedCsv, match="begins with an empty line"):
        count_records([b"\r\nid,name\r\n1,a\r\n"])


def test_a_line_without_end_is_refused_before_it_fills_the_memory():
    with pytest.raises(MalformedCsv, match="longer than 16 MiB"):
        count_records([HEADER, *[b"x" * 1_000_000] * 20])


@pytest.mark.parametrize(
    ("settings_", "named"),
    [
        ({"escape": "\\"}, "escape"),
        ({"delimiter": ";;"}, "delimiter"),
        ({"delimiter": "¦"}, "delimiter"),
        ({"quote": ",", "escape": ","}, "delimiter and quote"),
        ({"encoding": "latin-1"}, "latin-1"),
    ],
)
def test_a_format_that_cannot_be_counted_is_refused_by_name(settings_, named):
    with pytest.raises(ValueError, match=named):
        CsvDialect(**settings_)
