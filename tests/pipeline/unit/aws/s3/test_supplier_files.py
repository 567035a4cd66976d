"""What suppliers really send, as raw_partition judges it: by name, with a fix that works."""

from __future__ import annotations

import gzip
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from xacct_assets.aws.s3.file_inspection import (
    END_BYTES,
    FileVerdict,
    RawObject,
    inspect_content,
    inspect_ends,
)
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.headers import FileColumns

COLUMNS = FileColumns(("id", "name", "Body (HTML)"))
GOOD = "id,name,Body (HTML)\n1,Zoë,<p>a</p>\n2,b,\n"


def judge(
    body: bytes | str,
    dialect: CsvDialect | None = None,
    columns: FileColumns = COLUMNS,
    *,
    key: str = "a.csv",
    piece: int = 7,
) -> FileVerdict:
    content = body.encode() if isinstance(body, str) else body
    item = RawObject(key, len(content), "e", datetime(2026, 1, 1, tzinfo=UTC))
    pieces: Iterable[bytes] = (content[at : at + piece] for at in range(0, len(content), piece))
    return inspect_content(item, pieces, dialect or CsvDialect(), columns)


def is_good(verdict: FileVerdict, rows: int = 2) -> bool:
    assert verdict.problem is None
    return verdict.rows == rows


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("sep=,\n" + GOOD, "its first line is 'sep=,', by which Excel tells the delimiter"),
        ("sep=;\r\nid;name;Body (HTML)\r\n1;a;b\r\n", "preamble_lines: 1, and its delimiter: ';'"),
        ("SEP=\t\nid\tname\n", "preamble_lines: 1, and its delimiter: '\\t'"),
        ("\ufeff\ufeff" + GOOD, "it begins with two byte order marks (U+FEFF): remove one"),
        (GOOD.replace(",", ";"), "separated by a semicolon (';'), while the feed says ','"),
        (GOOD.replace(",", "\t"), "separated by a tab"),
        ("id,name,Body (HTML),\n1,a,b,\n", "its header ends with a delimiter"),
        ("id,name,Body (HTML),,,\n1,a,b,,,\n", "its header ends with a delimiter"),
        ("," * 1500 + "\n", "missing 'id'"),
        ("id,name,Body\u00a0(HTML)\n", "not of the feed 'BodyU+00A0(HTML)'"),
        ("id,name\u200b,Body (HTML)\n", "not of the feed 'nameU+200B'"),
        (GOOD.encode("utf-16"), "it is UTF-16, not UTF-8: convert it to UTF-8, or set"),
        (GOOD.encode("utf-16-le"), "it is UTF-16 without a byte order mark"),
        (GOOD.encode("windows-1252"), "byte 24 is 0xeb"),
        (GOOD.encode("windows-1252"), "set the feed's source.csv.encoding to that of the file"),
        (b"PAR1\x15\x04\x15\x00rest of it" * 9, "it is Parquet, not CSV"),
        (b"PK\x03\x04\x14\x00\x00\x00 data.csv" * 9, "it is a zip archive, not CSV"),
        ("id,name,Body (HTML),new\n1,a,b,c\n", "source.csv.extra_columns: ignore leaves"),
        ("ID,name,Body (HTML)\n1,a,b\n", "unless source.csv.header_match is relaxed"),
        ("id,name,Body (HTML),id\n1,a,b,c\n", "repeated 'id'"),
    ],
)
def test_a_file_that_cannot_be_loaded_is_named(body: bytes | str, problem: str) -> None:
    found = judge(body)
    assert problem in (found.problem or "")
    assert found.rows == 0


@pytest.mark.parametrize(
    ("body", "dialect", "columns"),
    [
        ("sep=,\n" + GOOD, CsvDialect(preamble_lines=1), COLUMNS),
        ("sep=;\r\n" + GOOD.replace(",", ";"), CsvDialect(";", preamble_lines=1), COLUMNS),
        ("Report\n\n" + GOOD, CsvDialect(preamble_lines=1), COLUMNS),
        ("\r\nReport\r\n\r\n" + GOOD, CsvDialect(preamble_lines=1), COLUMNS),
        ("a\n\n\nb\n" + GOOD, CsvDialect(preamble_lines=2), COLUMNS),
        ('"Report, of 2026",x\r\n' + GOOD, CsvDialect(preamble_lines=1), COLUMNS),
        (GOOD.replace(",", ";"), CsvDialect(";"), COLUMNS),
        (GOOD.replace(")\n", "),\n"), None, replace(COLUMNS, ignores_others=True)),
        ("new," + GOOD, None, replace(COLUMNS, ignores_others=True)),
        ("a,a," + GOOD, None, replace(COLUMNS, ignores_others=True)),
        (GOOD.replace("id", " ID\u00a0"), None, replace(COLUMNS, is_relaxed=True)),
        (GOOD.replace("Body (HTML)", "body (html)"), None, replace(COLUMNS, is_relaxed=True)),
        (GOOD.replace(",Body (HTML)", ""), None, replace(COLUMNS, optional=("Body (HTML)",))),
        (GOOD, None, replace(COLUMNS, optional=("Body (HTML)",))),
        (GOOD.encode("utf-16"), CsvDialect(encoding="utf-16"), COLUMNS),
        (b"\xfe\xff" + GOOD.encode("utf-16-be"), CsvDialect(encoding="utf-16"), COLUMNS),
        (GOOD.encode("windows-1252"), CsvDialect(encoding="windows-1252"), COLUMNS),
        (GOOD.encode("latin-1"), CsvDialect(encoding="iso-8859-1"), COLUMNS),
        (GOOD.partition("\n")[2], CsvDialect(header_row=False), COLUMNS),
        (
            "x\n" + GOOD.partition("\n")[2],
            CsvDialect(",", header_row=False, preamble_lines=1),
            COLUMNS,
        ),
    ],
)
@pytest.mark.parametrize("piece", [1, 5, 4096])
def test_the_feed_may_say_that_files_are_so(
    body: bytes | str, dialect: CsvDialect | None, columns: FileColumns, piece: int
) -> None:
    assert is_good(judge(body, dialect, columns, piece=piece))


def test_a_compressed_file_is_decoded_too() -> None:
    body = gzip.compress(GOOD.encode("utf-16"))
    assert is_good(judge(body, CsvDialect(encoding="utf-16"), key="a.csv.gz"))


@pytest.mark.parametrize(
    ("encoding", "body", "problem"),
    [
        ("utf-16", GOOD.encode(), "it is not utf-16 with a byte order mark"),
        ("utf-16", GOOD.encode("utf-16-le"), "it is not utf-16 with a byte order mark"),
        ("utf-16", GOOD.encode("utf-16")[:-1], "it is not utf-16: byte 80 is 0x0a"),
        ("utf-16", "id,name\ud800,\n".encode("utf-16", "surrogatepass"), "byte 16 is 0x00 d8"),
        ("windows-1252", GOOD.encode("latin-1") + b"3,\x9d,\n", "byte 42 is 0x9d"),
        ("windows-1252", b"\xef\xbb\xbf" + GOOD.encode(), "byte order mark of utf-8"),
        ("iso-8859-1", GOOD.encode("utf-16"), "byte order mark of utf-16"),
    ],
)
@pytest.mark.parametrize("piece", [1, 7, 4096])
def test_what_cannot_be_decoded_is_told_with_its_place(
    encoding: str, body: bytes, problem: str, piece: int
) -> None:
    found = judge(body, CsvDialect(encoding=encoding), piece=piece)
    assert problem in (found.problem or "")


def test_other_places_are_told_as_those_of_the_text_in_utf_8() -> None:
    found = judge((GOOD + '3,"open').encode("utf-16"), CsvDialect(encoding="utf-16"))
    assert "is never closed" in (found.problem or "")
    assert "(its bytes are counted as in UTF-8)" in (found.problem or "")


@pytest.mark.parametrize(
    ("body", "problem"),
    [
        ("id,name,Body (HTML)\n1,a,b\n", "its first row is a header row"),
        ("name,id,Body (HTML)\n1,a,b\n", "its first row is a header row"),
        ("1,a\n", "its first row has 2 fields, and the feed has 3 columns"),
        ("1,a,b,c\n", "its first row has 4 fields"),
        ("sep=,\n1,a,b\n", "by which Excel tells the delimiter"),
    ],
)
def test_a_file_without_header_row_has_the_columns_in_their_places(body: str, problem: str) -> None:
    assert problem in (judge(body, CsvDialect(header_row=False)).problem or "")


def test_a_file_without_header_row_has_no_header() -> None:
    found = judge("1,a,b\n", CsvDialect(header_row=False))
    assert (found.rows, found.header) == (1, ())


def test_a_preamble_that_is_no_whole_line_is_refused() -> None:
    found = judge('a "report\n' + GOOD, CsvDialect(preamble_lines=1))
    assert "the line at byte 0 is one of the preamble" in (found.problem or "")


def test_a_file_of_a_preamble_only_has_no_rows() -> None:
    found = judge("sep=;\n", CsvDialect(preamble_lines=1))
    assert (found.problem, found.rows, found.note) == (None, 0, "nothing behind the preamble")


def test_a_missing_optional_column_is_no_reason_to_miss_another() -> None:
    columns = replace(COLUMNS, optional=("Body (HTML)",))
    assert "missing 'name')" in (judge("id\n1\n", None, columns).problem or "")


@pytest.mark.parametrize("encoding", ["utf-16", "windows-1252"])
def test_the_ends_of_a_large_file_are_decoded_as_far_as_they_go(encoding: str) -> None:
    body = (GOOD + "3,é,ü\n" * END_BYTES).encode(encoding)
    item = RawObject("a.csv", len(body), "e", datetime(2026, 1, 1, tzinfo=UTC))
    for head in (body[:END_BYTES], body[: END_BYTES - 1]):
        found = inspect_ends(item, head, body[-END_BYTES:], CsvDialect(encoding=encoding), COLUMNS)
        assert (found.problem, found.rows) == (None, None)
    found = inspect_ends(item, GOOD.encode(), b"", CsvDialect(encoding="utf-16"), COLUMNS)
    assert "utf-16" in (found.problem or "")
