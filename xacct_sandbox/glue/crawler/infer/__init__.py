"""Infers the schema of a file from its first bytes, as Glue's built-in classifiers do.

The order is Glue's: Avro, ORC, Parquet, JSON, XML, then CSV. Avro, ORC, XML, bzip2, zip, Snappy
and LZ4 are recognized and refused by name: a table without such files would differ from the table
that Glue creates.
"""

from __future__ import annotations

import codecs
import zlib

from xacct_sandbox.glue.crawler.infer.csv_files import infer_csv
from xacct_sandbox.glue.crawler.infer.json_files import infer_json, looks_like_json
from xacct_sandbox.glue.crawler.infer.parquet_files import ReadRange, infer_parquet
from xacct_sandbox.glue.crawler.infer.schema import Layout, Schema, Unclassified, UnsupportedFormat

SAMPLE_BYTES = 64 * 1024
"""Enough for hundreds of records; small enough to sample a year of folders in a second."""

_UNSUPPORTED = {
    b"Obj\x01": "Avro",
    b"ORC": "ORC",
    b"BZh": "bzip2",
    b"PK\x03\x04": "zip",
    b"\x04\x22\x4d\x18": "LZ4",
    b"\xff\x06\x00\x00sNaPpY": "Snappy",
    b"<?xml": "XML",
}

__all__ = ["SAMPLE_BYTES", "Layout", "Schema", "Unclassified", "UnsupportedFormat", "infer_schema"]


def infer_schema(head: bytes, size: int, read_range: ReadRange) -> Schema:
    """The schema of one file.

    Args:
        head: its first SAMPLE_BYTES bytes, or all of them.
        size: bytes of the whole file.
        read_range: (start, length) -> bytes, for formats whose schema is not at the start.

    Raises:
        Unclassified: no classifier recognizes it.
        UnsupportedFormat: Glue reads the format, the sandbox does not.
    """
    if not head:
        raise Unclassified("it is empty")
    if head.startswith(b"PAR1"):
        parquet = infer_parquet(size, read_range)
        return Schema(
            layout=Layout("parquet"),
            columns=parquet.columns,
            records=parquet.rows,
            record_bytes=parquet.record_bytes,
            size=size,
        )
    return _infer_text(head, size)


def _infer_text(head: bytes, size: int) -> Schema:
    complete = len(head) >= size
    compression = "none"
    body = head
    if head.startswith(b"\x1f\x8b"):
        compression = "gzip"
        body, complete = _gunzip(head, complete=complete)
        if not body:
            raise Unclassified("the file inside its gzip is empty")
    for magic, name in _UNSUPPORTED.items():
        if body.startswith(magic):
            raise UnsupportedFormat(f"{name} files are not read by the sandbox's crawler")
    text = _decode(body, complete=complete)
    if looks_like_json(text):
        found = infer_json(text, complete=complete)
        layout = Layout("json", compression)
        columns, rows, quoted = found.columns, found.rows, False
    else:
        table = infer_csv(text, complete=complete)
        layout = Layout("csv", compression, table.delimiter, table.header)
        columns, rows, quoted = table.columns, table.rows, table.quoted
    # The number of records is estimated from the sample's share of the stored bytes.
    scale = 1.0 if complete else size / len(head)
    return Schema(
        layout=layout,
        columns=columns,
        quoted=quoted,
        records=max(rows, round(rows * scale)),
        record_bytes=round(len(body) * scale),
        size=size,
    )


def _gunzip(data: bytes, *, complete: bool) -> tuple[bytes, bool]:
    """(uncompressed content of the sample, whether that is the whole file)."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        body = inflater.decompress(data, 4 * SAMPLE_BYTES)
    except zlib.error as problem:
        raise Unclassified(f"its gzip is broken: {problem}") from problem
    whole = complete and inflater.eof and not inflater.unconsumed_tail
    if complete and not inflater.eof and not inflater.unconsumed_tail:
        raise Unclassified("its gzip ends too early")
    return body, whole


def _decode(body: bytes, *, complete: bool) -> str:
    decoder = codecs.getincrementaldecoder("utf-8-sig")()
    try:
        text = decoder.decode(body, final=complete)
    except UnicodeDecodeError as problem:
        raise Unclassified(f"it is not UTF-8 at byte {problem.start}") from problem
    if "\x00" in text:
        raise Unclassified("it holds NUL bytes, so it is not text")
    return text
