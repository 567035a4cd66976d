"""Counting a file's records as Spark's multi-line CSV reader does."""

import csv
import io

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from xacct_assets.contract.csv_count import RecordCounter, count_records
from xacct_assets.contract.csv_dialect import MAX_FIELDS, CsvDialect
from xacct_assets.contract.malformed_csv import MalformedCsv

HEADER = b"id,name\n"


def pieces(data: bytes, size: int) -> list[bytes]:
    return [data[i : i + size] for i in range(0, len(data), size)]


def slow_count(text: str, delimiter: str = ",") -> tuple[int, bool]:
    """One character at a time, straight from the rules: (records, is a quote left open)."""
    # Inside quotes this changes no count.
    text = text.replace("\r\n", "\n")
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
    elif data.endswith("\r"):
        with pytest.raises(MalformedCsv, match="cut off between"):
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
    if not left_open and not data.endswith("\r"):
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


def test_an_empty_line_is_no_record_whatever_ends_the_lines_before_it():
    assert count_records([HEADER, b"1,a\n\r\n2,b\r\n\n3,c\n\r\n"]).rows == 3


@pytest.mark.parametrize("end", [b"1,FR\r", b"1,FR\r\n\r", b'1,"FR"\r'])
@pytest.mark.parametrize("header", [b"id,name\r\n", HEADER])
@pytest.mark.parametrize("size", [1, 100])
def test_a_file_that_is_cut_within_its_last_line_end_is_refused(header, end, size):
    with pytest.raises(MalformedCsv, match=r"cut off between .*: upload it again"):
        count_records(pieces(header + end, size))


def test_a_carriage_return_inside_a_field_is_content():
    assert count_records([HEADER, b'1,a\rb\n2,"a\r"\n3,"a\r\n"\n']).rows == 3


def test_a_form_feed_without_a_line_end_is_refused_because_spark_would_drop_it():
    with pytest.raises(MalformedCsv, match="form feed without a line end: remove it"):
        count_records([HEADER, b"1,a\f"])
    assert count_records([HEADER, b"1,a\f\n\f\n"]).rows == 2


def test_a_quote_at_the_very_end_opens_a_field_or_is_content():
    with pytest.raises(MalformedCsv, match="never closed"):
        count_records([HEADER, b'1,"'])
    with pytest.raises(MalformedCsv, match="never closed"):
        count_records([HEADER, b'1,"a""'])
    assert count_records([HEADER, b'1,a"']).rows == 1


def test_rows_of_delimiters_and_of_blanks_are_records():
    assert count_records([HEADER, b",\n   \n,,,\n\x1a\n\x00\n"]).rows == 5


WIDE = b",".join([b"x"] * MAX_FIELDS)
QUOTED = b",".join([b'"a\nb"'] * MAX_FIELDS)
# A quote inside a field: read field by field.
ODD = b",".join([b'x"'] * MAX_FIELDS)


@pytest.mark.parametrize("record", [WIDE, QUOTED, ODD])
@pytest.mark.parametrize("size", [7, 1000, 100_000])
@pytest.mark.parametrize("before", [b"", b"1,a\n" * 1000, b'1,"a"\n' * 1000])
def test_a_record_may_have_as_many_fields_as_redshift_has_columns_and_no_more(record, size, before):
    assert count_records(pieces(HEADER + before + record + b"\n1,a\n", size)).rows == (
        before.count(b"\n") + 2
    )
    with pytest.raises(MalformedCsv, match=r"more than 1,600 fields"):
        count_records(pieces(HEADER + before + record + b",\n1,a\n", size))


def test_a_long_field_full_of_delimiters_is_one_field():
    assert count_records([HEADER, b'1,"%b"\n' % (b"," * 60_000)]).rows == 1


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


# Characters that mean something in regular expressions, or in their character classes.
MARKS = ",;|\t\"'^-]\\.*$([{ 0"


@settings(max_examples=300, deadline=None)
@given(
    marks=st.lists(st.sampled_from(MARKS), min_size=2, max_size=2, unique=True),
    body=st.text(alphabet="DDQQQx\n\n\ré", max_size=60),
    size=st.integers(1, 30),
)
def test_any_dialect_counts_as_pythons_csv_reader_counts_it(marks, body, size):
    delimiter, quote = marks
    body = f"idDname\n{body}".replace("D", delimiter).replace("Q", quote)
    dialect = CsvDialect(delimiter, quote, quote)
    plain = body.replace(delimiter, "\0").replace(quote, '"').replace("\0", ",")
    expected, left_open = slow_count(plain)
    chunks = pieces(body.encode(), size)
    if left_open or body.endswith("\r"):
        with pytest.raises(MalformedCsv, match="never closed" if left_open else "cut off between"):
            count_records(chunks, dialect)
        return
    counter = count_records(chunks, dialect)
    assert counter.rows == expected - 1
    if "\r" not in body:
        rows = list(dialect.reader(io.StringIO(body, newline="")))
        assert counter.rows == sum(1 for row in rows if row) - 1
        assert counter.has_inner_line_ends == any("\n" in field for row in rows for field in row)


@settings(max_examples=200, deadline=None)
@given(body=st.text(alphabet='a,"\n', max_size=60), size=st.integers(1, 30))
def test_two_halves_of_a_file_count_as_the_whole_wherever_a_line_begins(body, size):
    data = f"id,name\n{body}\n".encode()
    expected, left_open = slow_count(data.decode())
    if left_open:
        return
    whole = count_records([data])
    for at in range(len(HEADER), len(data)):
        if data[at - 1 : at] != b"\n":
            continue
        first = RecordCounter()
        first.feed(data[:at])
        second = RecordCounter.from_line(CsvDialect(), at, in_quotes=first.in_quotes)
        for piece in pieces(data[at:], size):
            second.feed(piece)
        second.finish()
        assert first.rows + second.rows == whole.rows == expected - 1
        assert whole.has_inner_line_ends == (
            first.has_inner_line_ends or second.has_inner_line_ends
        )


def test_a_part_of_a_file_names_places_in_the_file():
    part = RecordCounter.from_line(CsvDialect(), 1000, in_quotes=False)
    with pytest.raises(MalformedCsv, match=r"byte 1,002 is 0xe9"):
        part.feed(b"1,\xe9\n")
    part = RecordCounter.from_line(CsvDialect(), 1000, in_quotes=False)
    part.feed(b'1,a\n2,"b\n')
    with pytest.raises(MalformedCsv, match=r"open at byte 1,006 is never closed"):
        part.finish()


@pytest.mark.parametrize(
    ("body", "has_inner_line_ends"),
    [
        (b'1,"a"\n2,b\n\n', False),
        (b'1,"a\nb"\n', True),
        (b'1,"a\r\nb"\n', True),
        (b'1,"a\rb"\n', False),
        (b'1,5" pipe\n2,"a"\n', False),
        (b'1,5" pipe\n2,"a\n"\n', True),
        (b'1,"""\n"""\n', True),
        (b'1,""""\n2,""""\n', False),
    ],
)
@pytest.mark.parametrize("size", [1, 3, 100])
def test_a_line_end_inside_quotes_is_told_from_others(body, has_inner_line_ends, size):
    assert count_records(pieces(HEADER + body, size)).has_inner_line_ends == has_inner_line_ends
    assert count_records([b'"i\nd",name\n' + body]).has_inner_line_ends


def test_a_quote_in_the_header_that_is_never_closed_does_not_fill_the_memory():
    with pytest.raises(MalformedCsv, match="header row has a quoted field that does not end"):
        count_records([b'id,"name\n', *[b"1,a\n" * 250_000] * 20])
