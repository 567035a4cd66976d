"""Decides from a file's bytes whether it can be loaded, and how many data records it has."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime

from xacct_assets.aws.s3.csv_count import MalformedCsv, RecordCounter
from xacct_assets.aws.s3.file_signatures import SIGNATURE_BYTES, foreign_format
from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.headers import header_problem

#: Bytes read, decompressed and counted at a time.
CHUNK = 1024 * 1024


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
    """The result of reading one whole file.

    Attributes:
        object: the file.
        rows: data records (the header and empty lines are none); 0 if there is a problem.
        header: its column names in the file's order.
        size: bytes after decompression.
        problem: why no row of the file can be used, and the fix; None if there is no problem.
        note: what is unusual but harmless (there are no rows).
        is_archived: whether the problem is that it must be restored before it can be read.
    """

    object: RawObject
    rows: int
    header: tuple[str, ...]
    size: int
    problem: str | None = None
    note: str | None = None
    is_archived: bool = False


def inspect_content(
    item: RawObject, body: Iterable[bytes], dialect: CsvDialect, columns: Sequence[str]
) -> FileVerdict:
    """Read a file to its end, count its records and check its header.

    A file with a wrong header is not read further than that.

    Args:
        item: the file; its key says whether it is gzip.
        body: its bytes in chunks.
        dialect: of the feed.
        columns: the feed's column names.
    """
    counter = RecordCounter(dialect)
    is_gzip = item.key.endswith(".gz") and item.size > 0
    size = 0
    try:
        for chunk in _refuse_foreign(gunzip(body) if is_gzip else body):
            size += len(chunk)
            counter.feed(chunk)
            _check_header(counter, columns)
        counter.finish()
        _check_header(counter, columns)
    except MalformedCsv as problem:
        return FileVerdict(item, 0, counter.header, size, problem=str(problem))
    note = None
    if not counter.header:
        note = "zero bytes" if size == 0 else "only empty lines"
    elif counter.rows == 0:
        note = "a header and no rows"
    return FileVerdict(item, counter.rows, counter.header, size, note=note)


def _refuse_foreign(body: Iterable[bytes]) -> Iterator[bytes]:
    """The same bytes; raises MalformedCsv if the first of them are of another format."""
    chunks, head = iter(body), b""
    for chunk in chunks:
        head += chunk
        if len(head) >= SIGNATURE_BYTES:
            break
    if problem := foreign_format(head[:SIGNATURE_BYTES]):
        raise MalformedCsv(problem)
    yield head
    yield from chunks


def _check_header(counter: RecordCounter, columns: Sequence[str]) -> None:
    if counter.header:
        problem = header_problem(counter.header, columns, counter.dialect.delimiter)
        if problem:
            raise MalformedCsv(problem)


def gunzip(body: Iterable[bytes]) -> Iterator[bytes]:
    """Decompress gzip, of several members too, never holding more than a chunk in memory.

    Raises:
        MalformedCsv: not gzip, damaged, or cut off.
    """
    inflater = zlib.decompressobj(wbits=31)
    read = 0
    in_member = False
    for piece in body:
        data = piece
        while data:
            if inflater.eof:
                inflater = zlib.decompressobj(wbits=31)
                in_member = False
            try:
                out = inflater.decompress(data, CHUNK)
            except zlib.error as error:
                if read == 0 and not piece.startswith(b"\x1f\x8b"):
                    raise MalformedCsv(
                        "its name ends in .gz but its content is not gzip: compress it, or rename "
                        "it to *.csv"
                    ) from None
                raise MalformedCsv(
                    f"it is damaged gzip (near byte {read:,}: {error}): upload it again"
                ) from None
            in_member = True
            if out:
                yield out
            data = inflater.unused_data if inflater.eof else inflater.unconsumed_tail
        read += len(piece)
    if in_member and not inflater.eof:
        raise MalformedCsv(f"its gzip content is cut off after {read:,} bytes: upload it again")
