"""Decompresses gzip files in bounded memory."""

from __future__ import annotations

import zlib
from collections.abc import Iterable, Iterator

from xacct_assets.contract.malformed_csv import MalformedCsv

#: Bytes that are read, and that come out, at a time. (More leave the processor's caches.)
CHUNK = 256 * 1024


def gunzip(body: Iterable[bytes], *, is_whole: bool = True) -> Iterator[bytes]:
    """Decompress gzip, of several members too, never holding more than a chunk in memory.

    Args:
        body: the bytes of the file in pieces.
        is_whole: whether they are all of its bytes.

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
    if is_whole and in_member and not inflater.eof:
        raise MalformedCsv(f"its gzip content is cut off after {read:,} bytes: upload it again")
