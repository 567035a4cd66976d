"""Cutting files into whole records, and fields that PostgreSQL reads otherwise."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from xacct_sandbox.redshift.copy_options import CSV, CopyStatement
from xacct_sandbox.redshift.options import S3Location
from xacct_sandbox.redshift.records import (
    Column,
    FieldCountError,
    Rules,
    pieces,
    plain_line_feeds,
    valid_utf8,
    whole_records,
)

COLUMNS = (
    Column("id", 1, "bigint", None, True, ""),
    Column("name", 2, "character varying", 5, False, ""),
    Column("n", 3, "integer", None, False, ""),
)


def rules(columns: tuple[Column, ...] = COLUMNS, **options: object) -> Rules:
    values = {"format": CSV, "delimiter": ",", **options}
    return Rules(CopyStatement(None, "t", None, S3Location("b", "k"), ("r",), **values), columns)  # type: ignore[arg-type]


def loaded(data: bytes, chosen: Rules) -> list[list[str | None]]:
    """The rows PostgreSQL would read from what is sent to it (quoted fields are never NULL)."""
    text = b"".join(piece.data for piece in pieces([data], chosen)).decode()
    rows: list[list[str | None]] = []
    for line in text.splitlines():
        row: list[str | None] = []
        for field in line.split(chosen.delimiter):
            if field.startswith('"'):
                row.append(field[1:-1].replace('""', '"'))
            else:
                row.append(None if field == chosen.null else field)
        rows.append(row)
    return rows


def test_clean_records_pass_as_they_are() -> None:
    data = b'1,"a, b",2\n2,@N@,@N@\n'
    sent = list(pieces([data], rules(null_as="@N@")))
    assert [piece.data for piece in sent] == [data]


def test_an_empty_field_is_null_for_numbers_and_an_empty_string_for_text() -> None:
    assert loaded(b"1,,\n2,x,3\n", rules()) == [["1", "", None], ["2", "x", "3"]]


def test_the_null_marker_is_null_everywhere_beside_empty_fields() -> None:
    assert loaded(b"1,\\N,\n2,,\\N\n", rules()) == [["1", None, None], ["2", "", None]]


def test_emptyasnull_makes_empty_text_null_but_not_a_quoted_empty_string() -> None:
    sent = b"".join(piece.data for piece in pieces([b'1,,\n2,"",3\n'], rules(empty_as_null=True)))
    assert sent == b'1,,\n2,"",3\n'
    assert rules(empty_as_null=True).null == ""


def test_blanksasnull_and_trimblanks() -> None:
    assert loaded(b"1,   ,2\n", rules(blanks_as_null=True)) == [["1", None, "2"]]
    assert loaded(b"1,a  ,2\n", rules(trim_blanks=True)) == [["1", "a", "2"]]


def test_truncatecolumns_cuts_bytes_and_never_half_a_character() -> None:
    data = "1,aaaaaaa,2\n2,aaéé,3\n".encode()
    assert loaded(data, rules(truncate_columns=True)) == [["1", "aaaaa", "2"], ["2", "aaé", "3"]]


def test_a_record_with_too_few_fields_is_named_when_its_chunk_is_taken_apart() -> None:
    with pytest.raises(FieldCountError) as caught:
        list(pieces([b"1,,2\n3,x\n"], rules()))
    assert (caught.value.expected, caught.value.found, caught.value.line) == (3, 2, 1)


def test_line_ends_outside_quotes_become_line_feeds() -> None:
    assert plain_line_feeds(b'1,"a\r\nb"\r\n2,c\r\n', '"') == b'1,"a\r\nb"\n2,c\n'


def test_invalid_bytes_are_replaced_one_by_one() -> None:
    assert valid_utf8(b"a\xff\xfeb", "?") == b"a??b"
    assert valid_utf8("é".encode(), "?") == "é".encode()


def test_headers_a_mark_and_a_missing_last_line_feed() -> None:
    chunks = [b"\xef\xbb", b"\xbfid,na", b"me\n1,a\n2", b",b"]
    assert b"".join(whole_records(chunks, '"', 1)) == b"1,a\n2,b\n"


def test_an_empty_file_has_no_records() -> None:
    assert list(whole_records([], '"', 0)) == []
    assert list(whole_records([b"id,name\n"], '"', 1)) == []
    assert list(whole_records([b"id"], '"', 1)) == []


_FIELDS = st.text(alphabet='ab,"\n é', max_size=6)


@given(
    st.lists(st.lists(_FIELDS, min_size=2, max_size=3), max_size=12),
    st.integers(1, 7),
)
def test_records_are_never_cut_however_the_bytes_arrive(rows: list[list[str]], size: int) -> None:
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_ALL).writerows(rows)
    data = text.getvalue().encode()
    chunks = [data[i : i + size] for i in range(0, len(data), size)]
    out = list(whole_records(chunks, '"', 0))
    assert b"".join(out) == data
    assert all(chunk.endswith(b"\n") and chunk.count(b'"') % 2 == 0 for chunk in out)


@given(st.lists(st.tuples(st.integers(0, 99), _FIELDS, st.none() | st.integers(0, 9)), max_size=9))
def test_taking_a_chunk_apart_keeps_every_value(
    rows: list[tuple[int, str, int | None]],
) -> None:
    import pyarrow as pa
    from pyarrow import csv as arrow_csv

    wide = (COLUMNS[0], Column("name", 2, "character varying", 99, False, ""), COLUMNS[2])
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_MINIMAL).writerows(
        [[a, b, "" if c is None else c] for a, b, c in rows]
    )
    data = text.getvalue().encode()
    sent = b"".join(piece.data for piece in pieces([data], rules(wide)))
    if not sent:
        assert not rows
        return
    table = arrow_csv.read_csv(
        pa.BufferReader(sent),
        read_options=arrow_csv.ReadOptions(column_names=["a", "b", "c"]),
        parse_options=arrow_csv.ParseOptions(newlines_in_values=True),
        convert_options=arrow_csv.ConvertOptions(
            column_types=dict.fromkeys("abc", pa.string()),
            null_values=["\\N"],
            strings_can_be_null=True,
            quoted_strings_can_be_null=False,
        ),
    )
    expected = [(str(a), b, None if c is None else str(c)) for a, b, c in rows]
    assert [tuple(row.values()) for row in table.to_pylist()] == expected
