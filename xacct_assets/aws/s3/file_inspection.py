"""Decides from a file's bytes whether it can be loaded, and how many data records it has."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import datetime

from xacct_assets.aws.s3.file_signatures import SIGNATURE_BYTES, foreign_format
from xacct_assets.contract.csv_count import WORTH_SPLITTING_BYTES, RecordCounter
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.encodings import explain, to_utf8
from xacct_assets.contract.gzip_stream import gunzip
from xacct_assets.contract.headers import FileColumns
from xacct_assets.contract.malformed_csv import MalformedCsv, check_end

#: Bytes at each end of a file that are read if somebody else counts its rows. (The load job reads
#: as many to find the header.)
END_BYTES = 64 * 1024
#: The second to fourth bytes of a character in UTF-8.
_CONTINUATIONS = bytes(range(0x80, 0xC0))


@dataclass(frozen=True, slots=True)
class RawObject:
    """One object of a day, as a listing shows it.

    Attributes:
        size: in bytes.
        etag: without quotes.
        last_modified: UTC.
        archive: the storage class in which it is archived; None if the listing shows no reason why
            it cannot be read.
        is_being_restored: whether its restore is under way.
    """

    key: str
    size: int
    etag: str
    last_modified: datetime
    archive: str | None = None
    is_being_restored: bool = False


@dataclass(frozen=True)
class FileVerdict:
    """The result of reading one file.

    Attributes:
        object: the file.
        rows: data records (the header and empty lines are none); 0 if there is a problem; None if
            only the file's ends were read.
        header: its column names in the file's order; none if the feed's files have no header row.
        size: bytes after decompression; 0 if only the ends were read.
        problem: why no row of the file can be used, and the fix; None if there is no problem.
        note: what is unusual but harmless (there are no rows).
        is_archived: whether the problem is that it must be restored before it can be read.
        is_splittable: whether it is large and every line end in it ends a record (or an empty
            line), so that several readers can read parts of it.
    """

    object: RawObject
    rows: int | None
    header: tuple[str, ...]
    size: int
    problem: str | None = None
    note: str | None = None
    is_archived: bool = False
    is_splittable: bool = False


def inspect_content(
    item: RawObject, body: Iterable[bytes], dialect: CsvDialect, columns: FileColumns
) -> FileVerdict:
    """Read a file to its end, count its records and check its header.

    A file with a wrong header is not read further than that.

    Args:
        item: the file; its key says whether it is gzip.
        body: its bytes in chunks.
        dialect: of the feed.
        columns: of the feed.
    """
    counter = RecordCounter(dialect)
    is_gzip = _is_gzip(item)
    size = 0
    try:
        plain = _refuse_foreign(gunzip(body) if is_gzip else body, dialect)
        for chunk in to_utf8(plain, dialect.encoding):
            size += len(chunk)
            counter.feed(chunk)
            _check_header(counter, columns)
        counter.finish()
        _check_header(counter, columns)
    except MalformedCsv as problem:
        text = explain(problem, dialect.encoding)
        return FileVerdict(item, 0, _header(counter), size, problem=text)
    note = None
    if not counter.header:
        note = "zero bytes" if size == 0 else "only empty lines"
        if size and dialect.preamble_lines:
            note = "nothing behind the preamble"
    elif counter.rows == 0:
        note = "a header and no rows"
    is_splittable = (
        dialect.is_read_by_line
        and not (is_gzip or counter.has_inner_line_ends)
        and item.size >= WORTH_SPLITTING_BYTES
    )
    return FileVerdict(
        item, counter.rows, _header(counter), size, note=note, is_splittable=is_splittable
    )


def inspect_ends(
    item: RawObject, head: bytes, tail: bytes, dialect: CsvDialect, columns: FileColumns
) -> FileVerdict:
    """Check the header, the encoding and the last line of a file from its ends only.

    The end of a gzip file says nothing before all of it is decompressed. That of a file in another
    encoding than UTF-8 may begin within a character; who counts the file decodes all of it.

    Args:
        item: the file; its key says whether it is gzip.
        head: its first `END_BYTES`.
        tail: its last `END_BYTES`; not looked at if it is gzip.
        dialect: of the feed.
        columns: of the feed.
    """
    counter = RecordCounter(dialect)
    is_gzip = _is_gzip(item)
    try:
        plain = _refuse_foreign(gunzip([head], is_whole=False) if is_gzip else [head], dialect)
        for chunk in to_utf8(plain, dialect.encoding, is_whole=False):
            counter.feed(chunk)
            _check_header(counter, columns)
            if counter.header:
                break
        else:
            raise MalformedCsv(
                f"its header row does not end within its first {END_BYTES:,} bytes: this is not a "
                "CSV file with line ends, or it begins with many empty lines"
            )
        if not is_gzip and dialect.encoding == "utf-8":
            _check_tail(tail)
    except MalformedCsv as problem:
        text = explain(problem, dialect.encoding)
        return FileVerdict(item, 0, _header(counter), 0, problem=text)
    return FileVerdict(item, None, _header(counter), 0)


def _is_gzip(item: RawObject) -> bool:
    return item.key.endswith(".gz") and item.size > 0


def _check_tail(tail: bytes) -> None:
    """Check the last bytes of a file, which may begin within a character."""
    cut = len(tail[:3]) - len(tail[:3].lstrip(_CONTINUATIONS))
    try:
        tail[cut:].decode("utf-8")
    except UnicodeDecodeError as error:
        raise MalformedCsv(
            f"it is not UTF-8 near its end ({error.reason}); convert the file to UTF-8"
        ) from None
    check_end(tail.rpartition(b"\n")[2])


def _refuse_foreign(body: Iterable[bytes], dialect: CsvDialect) -> Iterator[bytes]:
    """The same bytes; raises MalformedCsv if the first of them are of another format."""
    chunks, head = iter(body), b""
    for chunk in chunks:
        head += chunk
        if len(head) >= SIGNATURE_BYTES:
            break
    if problem := foreign_format(head[:SIGNATURE_BYTES], dialect.encoding):
        raise MalformedCsv(problem)
    yield head
    yield from chunks


def _check_header(counter: RecordCounter, columns: FileColumns) -> None:
    if counter.header and (problem := columns.problem(counter.header, counter.dialect)):
        raise MalformedCsv(problem)


def _header(counter: RecordCounter) -> tuple[str, ...]:
    return counter.header if counter.dialect.header_row else ()
