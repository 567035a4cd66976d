"""Breaks a file of products in the ways in which suppliers break theirs."""

from __future__ import annotations

from collections.abc import Callable, Iterator

Chunks = Iterator[bytes]


def _delimiter(chunks: Chunks) -> Chunks:
    return (chunk.replace(b",", b";") for chunk in chunks)


def _header(chunks: Chunks) -> Chunks:
    # The first chunk is the header.
    yield next(chunks).replace(b",price,", b",amount,")
    yield from chunks


def _encoding(chunks: Chunks) -> Chunks:
    return (chunk.decode().encode("latin-1", errors="replace") for chunk in chunks)


def _currency(chunks: Chunks) -> Chunks:
    return (chunk.replace(b",EUR,", b",Euro,") for chunk in chunks)


KINDS: dict[str, Callable[[Chunks], Chunks]] = {
    "delimiter": _delimiter,
    "header": _header,
    "encoding": _encoding,
    "currency": _currency,
}
"""delimiter: semicolons, as some spreadsheets write them. header: a column with another name than
agreed. encoding: Latin-1. currency: a spelling that does not fit its column, in more rows than may
be rejected; every other kind makes the file as a whole unusable."""
