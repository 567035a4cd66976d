"""Decodes files by the encoding that the feed names. Nothing is guessed."""

from __future__ import annotations

import codecs
from collections.abc import Iterable, Iterator

from xacct_assets.contract.csv_dialect import ENCODINGS
from xacct_assets.contract.malformed_csv import OTHER_MARKS, UTF8_BOM, MalformedCsv


class NotDecodable(MalformedCsv):
    """The bytes of a file are not those of its encoding; positions are those of the file."""


def explain(problem: MalformedCsv, encoding: str) -> str:
    """A problem for the user, who may look for a position in a file of another encoding."""
    text = str(problem)
    if encoding == "utf-8" or isinstance(problem, NotDecodable) or " byte " not in text:
        return text
    return f"{text} (its bytes are counted as in UTF-8)"


def to_utf8(body: Iterable[bytes], encoding: str, *, is_whole: bool = True) -> Iterator[bytes]:
    """The text of a file in UTF-8, in pieces.

    Args:
        body: the bytes of the file.
        encoding: of `ENCODINGS`. UTF-8 is passed on as it is; who counts it checks it.
        is_whole: whether they are all of its bytes; otherwise it may end within a character.

    Raises:
        NotDecodable: a byte that the encoding does not have, with its position; or a byte order
            mark that says something else.
    """
    if encoding == "utf-8":
        yield from body
        return
    decoder = codecs.getincrementaldecoder(ENCODINGS[encoding])()
    offset, start = 0, b""
    for piece in body:
        if len(start) < len(UTF8_BOM):
            start += piece
            if len(start) < len(UTF8_BOM):
                continue
            _check_mark(start, encoding)
            piece = start
        yield _decode(decoder, piece, offset, encoding)
        offset += len(piece)
    if len(start) < len(UTF8_BOM):
        _check_mark(start, encoding)
        yield _decode(decoder, start, 0, encoding)
        offset = len(start)
    if is_whole:
        yield _decode(decoder, b"", offset, encoding, is_last=True)


def _decode(
    decoder: codecs.IncrementalDecoder,
    piece: bytes,
    offset: int,
    encoding: str,
    *,
    is_last: bool = False,
) -> bytes:
    begin = offset - len(decoder.getstate()[0])
    try:
        return decoder.decode(piece, is_last).encode()
    except UnicodeDecodeError as error:
        found = error.object[error.start : error.end].hex(" ")
        raise NotDecodable(
            f"it is not {encoding}: byte {begin + error.start:,} is 0x{found} ({error.reason}); "
            "set the feed's source.csv.encoding to that of the file, or upload the file again if "
            "it is damaged"
        ) from None


def _check_mark(start: bytes, encoding: str) -> None:
    """Check the first bytes of a file against the encoding that it must have."""
    if encoding == "utf-16":
        # Without it, programs take either byte for the first one.
        if start and not start.startswith(OTHER_MARKS):
            raise NotDecodable(
                "it is not utf-16 with a byte order mark (FF FE or FE FF), as the feed's "
                "source.csv.encoding says: set that to the encoding of the file, or write the mark"
            )
        return
    for mark, name in ((UTF8_BOM, "utf-8"), *((mark, "utf-16") for mark in OTHER_MARKS)):
        if start.startswith(mark):
            raise NotDecodable(
                f"it begins with the byte order mark of {name}, and the feed's "
                f"source.csv.encoding is {encoding}: set it to {name}"
            )
