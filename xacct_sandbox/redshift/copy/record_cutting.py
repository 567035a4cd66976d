"""Load files as text: cut into whole records, line ends and bytes put right."""

from __future__ import annotations

import codecs
import functools
import re
from collections.abc import Iterable, Iterator

from xacct_sandbox.redshift.sql.errors import RedshiftError

LONGEST_RECORD = 64 << 20
_BOM = codecs.BOM_UTF8
_BLANK_LINES = re.compile(rb"\n\n+")


def whole_records(chunks: Iterable[bytes], quote: str | None, skip_lines: int) -> Iterator[bytes]:
    """Chunks that end where a record ends. The last record of the file gets a line feed.

    Args:
        quote: The quote character: line feeds between two of them belong to a field. None: the
            format has no quotes.
        skip_lines: Lines to leave out at the beginning of the file.

    Raises:
        RedshiftError: A record is longer than ``LONGEST_RECORD``.
    """
    rest = b""
    first = True
    mark = None if quote is None else quote.encode()
    for chunk in chunks:
        data = rest + chunk
        if first:
            if len(data) < len(_BOM):
                rest = data
                continue
            data = data.removeprefix(_BOM)
            first = False
        while skip_lines:
            end = data.find(b"\n")
            if end < 0:
                break
            data = data[end + 1 :]
            skip_lines -= 1
        if skip_lines:
            rest = data
            continue
        cut = _last_record_end(data, mark)
        rest = data[cut:]
        if len(rest) > LONGEST_RECORD:
            raise RedshiftError(
                f"COPY: a record is longer than {LONGEST_RECORD >> 20} MB",
                hint="A closing quote may be missing, or the record ends are not line feeds.",
            )
        if cut:
            yield data[:cut]
    if skip_lines:
        return
    if first and rest.endswith(b"\n"):  # a file that is too short for a byte order mark
        yield rest
    elif rest := rest.removeprefix(_BOM):
        yield rest + (b"\r\n" if rest.endswith(b"\r") else b"\n")


def _last_record_end(data: bytes, mark: bytes | None) -> int:
    end = data.rfind(b"\n")
    if mark is None or end < 0:
        return end + 1
    open_quote = data.count(mark, 0, end) & 1
    while open_quote and end > 0:
        before = data.rfind(b"\n", 0, end)
        open_quote ^= data.count(mark, before + 1, end) & 1
        end = before
    return end + 1 if not open_quote else 0


def plain_line_feeds(chunk: bytes, quote: str) -> bytes:
    """CR LF outside quotes becomes LF: PostgreSQL takes one kind of line end in a COPY."""
    if b"\r" not in chunk:
        return chunk
    mark = quote.encode()
    if mark not in chunk:
        return chunk.replace(b"\r\n", b"\n")
    parts = chunk.split(mark)
    parts[::2] = [part.replace(b"\r\n", b"\n") for part in parts[::2]]
    return mark.join(parts)


def without_blank_lines(chunk: bytes, quote: str) -> bytes:
    """The chunk without empty lines outside quotes."""
    mark = quote.encode()
    parts = chunk.split(mark)
    parts[::2] = [_BLANK_LINES.sub(b"\n", part) for part in parts[::2]]
    return mark.join(parts).lstrip(b"\n")


def valid_utf8(chunk: bytes, replacement: str) -> bytes:
    """ACCEPTINVCHARS: every byte of an invalid sequence becomes ``replacement``."""
    try:
        chunk.decode()
    except UnicodeDecodeError:
        name = f"sandbox-replace-{ord(replacement)}"
        try:
            codecs.lookup_error(name)
        except LookupError:
            codecs.register_error(name, functools.partial(_replace_bytes, replacement))
        return chunk.decode("utf-8", name).encode()
    return chunk


def _replace_bytes(replacement: str, error: UnicodeError) -> tuple[str, int]:
    assert isinstance(error, UnicodeDecodeError)
    return replacement * (error.end - error.start), error.end
