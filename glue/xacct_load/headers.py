"""Reads the header row of each file, which says what its fields are."""

from __future__ import annotations

import csv
import io
import re
import zlib
from collections import defaultdict
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import date
from typing import TYPE_CHECKING

from botocore.exceptions import BotoCoreError, ClientError

from xacct_assets.contract.csv_dialect import CsvDialect
from xacct_assets.contract.encodings import to_utf8
from xacct_assets.contract.fingerprint import fingerprint
from xacct_assets.contract.load_request import LoadRequest
from xacct_assets.contract.malformed_csv import MalformedCsv
from xacct_load.bad_files import BadFiles
from xacct_load.errors import LoadError
from xacct_load.s3 import denial
from xacct_load.source_files import THREADS, SourceFile

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

#: Bytes of a file that are read; the header row must end within them.
HEAD_BYTES = 64 * 1024


#: The column names of a file in its own order; without a header row, those of the feed.
Header = tuple[str, ...]


def read_headers(
    s3: S3Client, request: LoadRequest, files: Sequence[SourceFile]
) -> tuple[dict[SourceFile, Header], BadFiles]:
    """The header of each file that has a row, and what is wrong with those of other files.

    Files in which raw_partition has found the request's header, and which have not been replaced
    since, are not read again.

    Raises:
        LoadError: a file cannot be read.
    """
    known = _days_with_known_header(request, files)

    def header_of(file: SourceFile) -> Header | ValueError | None:
        if file.day in known:
            return request.header if file.size else None
        try:
            return _header_of(s3, request, file)
        except ValueError as problem:
            return problem

    with ThreadPoolExecutor(THREADS) as pool:
        found = dict(zip(files, pool.map(header_of, files), strict=True))
    return (
        {file: header for file, header in found.items() if isinstance(header, tuple)},
        {file: str(problem) for file, problem in found.items() if isinstance(problem, ValueError)},
    )


def _days_with_known_header(request: LoadRequest, files: Sequence[SourceFile]) -> set[date]:
    """The days whose files are still those in which raw_partition found the request's header."""
    if not request.header:
        return set()
    by_day: dict[date, list[SourceFile]] = defaultdict(list)
    for file in files:
        by_day[file.day].append(file)
    return {
        item.day
        for item in request.days
        if item.day in by_day and item.version == fingerprint(by_day[item.day])
    }


def _header_of(s3: S3Client, request: LoadRequest, file: SourceFile) -> Header | None:
    """The header of a file; None if it has no row.

    Raises:
        ValueError: the file cannot be loaded.
        LoadError: it cannot be read.
    """
    if file.size == 0:
        return None
    try:
        answer = s3.get_object(Bucket=file.bucket, Key=file.key, Range=f"bytes=0-{HEAD_BYTES - 1}")
        head = answer["Body"].read()
    except (ClientError, BotoCoreError) as problem:
        arn = f"arn:aws:s3:::{file.bucket}/{file.key}"
        why = denial(s3, problem, "s3:GetObject", arn) or problem
        raise LoadError(f"cannot read {file.uri}: {why}") from problem
    header = parse_head(head, file.key, file.size <= HEAD_BYTES, request.dialect)
    if header is None:
        return None
    if problem_text := request.file_columns.problem(header, request.dialect):
        raise ValueError(problem_text)
    return header if request.dialect.header_row else request.file_columns.names


def parse_head(head: bytes, key: str, is_whole: bool, dialect: CsvDialect) -> Header | None:
    """The first row in the first bytes of a file; None if the file has no row at all.

    Args:
        head: the first bytes of the object.
        key: the object's key; its suffix says whether it is gzip.
        is_whole: True if these are all bytes of the object.
        dialect: of the feed.

    Raises:
        ValueError: the content does not match the key or the dialect.
    """
    text, is_whole = _decode_head(head, key, is_whole, dialect.encoding)
    # Of the whole file, as raw_partition looks for it.
    first_line_end = re.search("\r?\n|\r", text)
    text = _behind_preamble(text, dialect)
    rows = dialect.reader(io.StringIO(text, newline=""))
    try:
        header = next((row for row in rows if row), None)
        complete = is_whole or next(rows, None) is not None
    except csv.Error as problem:
        raise ValueError(f"has no readable header row ({problem})") from problem
    if header is None:
        return None
    if not complete:
        raise ValueError(f"has a header row longer than {HEAD_BYTES} bytes")
    if first_line_end and first_line_end[0] == "\r":
        raise ValueError("ends its lines with a lone carriage return; use LF or CRLF")
    # Spark skips empty lines that end in LF; it would take this one for the header.
    if text.lstrip("\n").startswith("\r\n") and not dialect.preamble_lines:
        raise ValueError("begins with an empty line; remove it")
    return tuple(header)


def _behind_preamble(text: str, dialect: CsvDialect) -> str:
    left = dialect.preamble_lines
    while left and text:
        line, _, text = text.partition("\n")
        left -= line not in ("", "\r")
    return text


def _decode_head(head: bytes, key: str, is_whole: bool, encoding: str) -> tuple[str, bool]:
    """The text at the beginning of a file, and whether it is all of it.

    Raises:
        ValueError: it is not of the encoding, or its name and its content disagree on gzip.
    """
    is_gzip = head[:2] == b"\x1f\x8b"
    if key.endswith(".gz"):
        if not is_gzip:
            raise ValueError("is named .gz but is not gzip; rename it or compress it")
        try:
            head, is_whole = inflate_head(head, is_whole)
        except zlib.error as problem:
            raise ValueError(f"is a broken gzip file ({problem}); deliver it again") from problem
    elif is_gzip:
        raise ValueError("is gzip without a name ending in .gz; rename it")
    if encoding != "utf-8":
        try:
            head = b"".join(to_utf8([head], encoding, is_whole=is_whole))
        except MalformedCsv as problem:
            raise ValueError(str(problem)) from problem
    try:
        # The cut may be within a character.
        text = head.decode("utf-8-sig", errors="strict" if is_whole else "ignore")
    except UnicodeDecodeError as problem:
        raise ValueError(f"is not UTF-8 ({problem}); deliver it in UTF-8") from problem
    return text, is_whole


def inflate_head(packed: bytes, is_whole: bool) -> tuple[bytes, bool]:
    """Decompress the beginning of a gzip file, of several members too.

    Args:
        packed: the first bytes of the file.
        is_whole: True if these are all its bytes.

    Returns:
        The first bytes of the content, and whether they are all of it.

    Raises:
        ValueError: the file ends too early.
        zlib.error: it is damaged.
    """
    head = b""
    while True:
        inflater = zlib.decompressobj(wbits=31)
        head += inflater.decompress(packed, HEAD_BYTES - len(head))
        packed = inflater.unused_data
        if not inflater.eof:
            if is_whole and len(head) < HEAD_BYTES:
                raise ValueError("is a gzip file that ends too early; deliver it again")
            return head, False
        if not packed:
            return head, is_whole
        if len(head) >= HEAD_BYTES:
            return head, False
