"""Files are cut into whole records, and fields that PostgreSQL reads otherwise are converted."""

from __future__ import annotations

import csv
import io

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.support.postgres_csv import rows_read
from xacct_sandbox.redshift.copy.conversion import FieldCountError, transformed
from xacct_sandbox.redshift.copy.options import CopyStatement
from xacct_sandbox.redshift.copy.record_cutting import plain_line_feeds, valid_utf8, whole_records
from xacct_sandbox.redshift.copy.records import pieces
from xacct_sandbox.redshift.copy.rules import Column, Form, Piece, Rules
from xacct_sandbox.redshift.sql.option_lists import CSV, S3Location

COLUMNS = (
    Column("id", 1, "bigint", None, True, ""),
    Column("name", 2, "character varying", 5, False, ""),
    Column("n", 3, "integer", None, False, ""),
)


def rules(columns: tuple[Column, ...] = COLUMNS, **options: object) -> Rules:
    values = {"format": CSV, "delimiter": ",", **options}
    return Rules(CopyStatement(None, "t", None, S3Location("b", "k"), ("r",), **values), columns)  # type: ignore[arg-type]


def loaded(data: bytes, chosen: Rules) -> list[list[str | None]]:
    """The rows that PostgreSQL reads from the pieces."""
    return [row for piece in pieces([data], chosen) for row in rows_read(piece, chosen)]


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


def test_a_record_with_too_few_fields_of_a_converted_chunk_is_named() -> None:
    with pytest.raises(FieldCountError) as caught:
        list(pieces([b"1,,2\n3,x\n"], rules(trim_blanks=True)))
    assert (caught.value.expected, caught.value.found, caught.value.line) == (3, 2, 1)


def test_line_ends_outside_quotes_become_line_feeds() -> None:
    assert plain_line_feeds(b'1,"a\r\nb"\r\n2,c\r\n', '"') == b'1,"a\r\nb"\n2,c\n'


def test_invalid_bytes_are_replaced_one_by_one() -> None:
    assert valid_utf8(b"a\xff\xfeb", "?") == b"a??b"
    assert valid_utf8("é".encode(), "?") == "é".encode()


def test_headers_a_mark_and_a_missing_last_line_feed() -> None:
    chunks = [b"\xef\xbb", b"\xbfid,na", b"me\n1,a\n2", b",b"]
    assert b"".join(whole_records(chunks, '"', 1)) == b"1,a\n2,b\n"


@pytest.mark.parametrize("chunks", [[b"1\n"], [b"1"], [b"1", b"\n"], [b"\xef\xbb\xbf1"]])
def test_a_file_that_is_shorter_than_a_byte_order_mark_has_one_record(chunks: list[bytes]) -> None:
    assert b"".join(whole_records(chunks, '"', 0)) == b"1\n"


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
def test_converting_a_chunk_keeps_every_value(
    rows: list[tuple[int, str, int | None]],
) -> None:
    wide = rules((COLUMNS[0], Column("name", 2, "character varying", 99, False, ""), COLUMNS[2]))
    text = io.StringIO()
    csv.writer(text, lineterminator="\n", quoting=csv.QUOTE_MINIMAL).writerows(
        [[a, b, "" if c is None else c] for a, b, c in rows]
    )
    data = text.getvalue().encode()
    expected = [[str(a), b, None if c is None else str(c)] for a, b, c in rows]
    assert loaded(data, wide) == expected
    if rows:
        apart = Piece(transformed(data, wide), 0, 0, 0, Form.MARKED)
        assert rows_read(apart, wide) == expected


# -- chunks that PostgreSQL reads as they are, compared with converted ones ----------------------

NULLS = st.sampled_from([None, "@N@", "", "a"])
_TEXT = st.text(alphabet='ab,"\n @N', max_size=4)


def _written(value: str | None, how: int, null: str) -> str:
    """A field as a writer may write it: quoted, without quotes if that means the same, or NULL."""
    if value is None:
        return null if how else ""
    if how == 0 or any(sign in value for sign in ',"\n'):
        return '"' + value.replace('"', '""') + '"'
    return value


@st.composite
def _files(draw: st.DrawFn) -> tuple[bytes, str | None, bool]:
    null_as, empty_as_null = draw(NULLS), draw(st.booleans())
    null = "\\N" if null_as is None else null_as
    how = st.integers(0, 1)
    rows = draw(
        st.lists(
            st.tuples(
                st.tuples(st.integers(0, 99).map(str), how),
                st.tuples(st.none() | _TEXT, how),
                st.tuples(st.none() | st.integers(0, 9).map(str), how),
            ),
            min_size=1,
            max_size=8,
        )
    )
    text = "".join(
        ",".join(_written(value, written, null) for value, written in row) + "\n" for row in rows
    )
    return text.encode(), null_as, empty_as_null


@given(_files())
def test_an_unchanged_chunk_has_the_same_rows_as_a_converted_one(
    file: tuple[bytes, str | None, bool],
) -> None:
    data, null_as, empty_as_null = file
    wide = (COLUMNS[0], Column("name", 2, "character varying", 99, False, ""), COLUMNS[2])
    chosen = rules(wide, null_as=null_as, empty_as_null=empty_as_null)
    apart = Piece(transformed(data, chosen), 0, 0, 0, Form.MARKED)
    assert loaded(data, chosen) == rows_read(apart, chosen)


@pytest.mark.parametrize(
    ("data", "form"),
    [
        (b'1,a,2\n2,"x,,y",\n', Form.EMPTY),
        (b'1,@N@,2\n2,"x,,\n\ny",3\n', Form.MARKED),
        (b"1,@N@,2\n2,,3\n", None),
        (b"1,@N@,2\n,a,3\n", None),
        (b',"",@N@\n', None),
        (b'1,"a"",,""b",@N@\n', Form.MARKED),
        (b'1,"a",@N@\n2,b,\n', None),
    ],
)
def test_only_a_chunk_with_markers_and_empty_fields_is_converted(
    data: bytes, form: Form | None
) -> None:
    assert rules(null_as="@N@").form_of(data) is form


def test_a_text_column_keeps_its_empty_fields_in_the_copy_that_takes_them_as_null() -> None:
    chosen = rules()
    assert "NULL '' " not in chosen.copy_sql(Form.MARKED)
    assert chosen.copy_sql(Form.EMPTY).endswith(
        """NULL '', ENCODING 'UTF8', FORCE_NOT_NULL ("name"))"""
    )
    numbers = rules((COLUMNS[0], COLUMNS[2]))
    assert "FORCE_NOT_NULL" not in numbers.copy_sql(Form.EMPTY)
