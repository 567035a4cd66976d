"""Files of other formats are named as what they are."""

import bz2
import gzip
import io
import lzma
import tarfile
import zipfile
from collections.abc import Iterable
from datetime import UTC, datetime

import pytest

from xacct_assets.aws.s3.file_inspection import FileVerdict, RawObject, inspect_content
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.headers import FileColumns

CSV = b"id,name\n" + b"".join(b"%d,n\n" % n for n in range(2000))


def zipped(*names: str) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_DEFLATED) as archive:
        for name in names:
            archive.writestr(name, CSV)
    return buffer.getvalue()


def tarred() -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        member = tarfile.TarInfo("a.csv")
        member.size = len(CSV)
        archive.addfile(member, io.BytesIO(CSV))
    return buffer.getvalue()


def inspect(content: bytes, key: str = "p/a.csv", piece: int = 1 << 20) -> FileVerdict:
    pieces: Iterable[bytes] = (
        content[start : start + piece] for start in range(0, len(content), piece)
    )
    item = RawObject(key, len(content), "e", datetime(2026, 1, 1, tzinfo=UTC))
    return inspect_content(item, pieces, CsvDialect(), FileColumns(("id", "name")))


UNPACK = "upload the file inside it, as it is or compressed with gzip and named *.csv.gz"
FOREIGN = {
    "zip": (zipped("a.csv"), f"it is a zip archive, not CSV: {UNPACK}"),
    "zip of nothing": (zipped(), "it is an empty zip archive, not CSV"),
    "xlsx": (zipped("[Content_Types].xml", "xl/workbook.xml"), "it is an Excel workbook, not CSV"),
    "xls": (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + b"\0" * 504, "it is an Excel workbook"),
    "Parquet": (b"PAR1\x15\x04\x15\x10\x15" + CSV, "it is Parquet, not CSV: export it as CSV"),
    "ORC": (b"ORC\x08\x03\x10" + CSV, "it is ORC, not CSV"),
    "Avro": (b"Obj\x01\x04\x14avro.codec" + CSV, "it is Avro, not CSV"),
    "bzip2": (bz2.compress(CSV), "it is compressed with bzip2, not CSV"),
    "xz": (lzma.compress(CSV), "it is compressed with xz, not CSV"),
    "Zstandard": (b"\x28\xb5\x2f\xfd\x24" + CSV, "it is compressed with Zstandard"),
    "tar": (tarred(), f"it is a tar archive, not CSV: {UNPACK}"),
    "HTML": (b"<!DOCTYPE HTML><html>403 Forbidden</html>", "it is an HTML page, not CSV"),
    "XML": (b'<?xml version="1.0"?><Error/>', "it is XML, not CSV"),
    "UTF-16": (CSV.decode().encode("utf-16"), "it is UTF-16, not UTF-8"),
    "UTF-16 without its mark": (
        CSV.decode().encode("utf-16-le"),
        "it is UTF-16 without a byte order mark, not UTF-8: convert it to UTF-8",
    ),
    "UTF-16 of the other order": (CSV.decode().encode("utf-16-be"), "it is UTF-16 without"),
    "UTF-32": (CSV.decode().encode("utf-32"), "it is UTF-32, not UTF-8"),
    "gzip": (gzip.compress(CSV), "its content is gzip but its name does not end in .gz"),
}


@pytest.mark.parametrize("name", FOREIGN)
@pytest.mark.parametrize("piece", [1, 1000, 1 << 20])
def test_a_file_of_another_format_is_named_with_the_fix(name: str, piece: int) -> None:
    content, message = FOREIGN[name]
    found = inspect(content, piece=piece)
    assert found.rows == 0
    assert found.problem is not None
    assert message in found.problem


@pytest.mark.parametrize("name", ["zip", "xlsx", "Parquet", "tar", "UTF-16 without its mark"])
def test_a_file_of_another_format_inside_gzip_is_named_too(name: str) -> None:
    content, message = FOREIGN[name]
    assert message in (inspect(gzip.compress(content), "p/a.csv.gz").problem or "")


@pytest.mark.parametrize("column", ["PAR1", "ORC", "BZh9", "PK", "Obj", "ustar"])
def test_a_column_named_like_a_format_is_no_reason_to_refuse_a_file(column: str) -> None:
    item = RawObject("p/a.csv", 10, "e", datetime(2026, 1, 1, tzinfo=UTC))
    found = inspect_content(
        item, [f"{column},name\n1,a\n".encode()], CsvDialect(), FileColumns((column, "name"))
    )
    assert (found.rows, found.problem) == (1, None)


@pytest.mark.parametrize("content", [b"", b"id,name", CSV, b"\xef\xbb\xbf" + CSV])
@pytest.mark.parametrize("piece", [1, 4096, 1 << 20])
def test_a_csv_file_is_counted_whatever_pieces_it_comes_in(content: bytes, piece: int) -> None:
    found = inspect(content, piece=piece)
    assert found.problem is None
    assert (found.rows, found.size) == (content.count(b",n\n"), len(content))
