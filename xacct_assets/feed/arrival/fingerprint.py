"""What a day's raw objects are, in 22 characters.

The fingerprint is a chain of BLAKE2b over (key, size, ETag) in key order. A chain, not a sum: its
state is one digest as well, so a listing of any length can stop at any key and be taken up again
from a cursor, but it stays collision-resistant against whoever chooses the keys. S3 lists general
purpose buckets in the byte order of the UTF-8 keys, which is the order used here.

LastModified is left out on purpose: a file uploaded again with the same content is no change.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

_DIGEST_BYTES = 16
# Set apart from any other use of BLAKE2b over the same bytes.
_PERSON = b"xacct-raw-day"


class ListedObject(Protocol):
    """An object as a listing shows it."""

    @property
    def key(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def etag(self) -> str: ...
    @property
    def last_modified(self) -> datetime: ...


class RollingHash:
    """A fingerprint in the making: objects go in by rising key, the digest is always ready."""

    # Bytes, as text is wanted once a page and objects come by the thousand.
    __slots__ = ("_state",)

    def __init__(self, digest: str | None = None) -> None:
        self._state = _bytes(digest) if digest else bytes(_DIGEST_BYTES)

    @property
    def digest(self) -> str:
        """The fingerprint of all objects so far."""
        return _text(self._state)

    def add(self, item: ListedObject) -> None:
        """Take up the next object (its key sorts after all before it)."""
        key = item.key.encode("utf-8", "surrogatepass")
        # The length keeps ("ab", "c") apart from ("a", "bc"); listings quote ETags, heads may not.
        record = b"%d:%b:%d:%b" % (len(key), key, item.size, item.etag.strip('"').encode())
        self._state = hashlib.blake2b(
            self._state + record, digest_size=_DIGEST_BYTES, person=_PERSON
        ).digest()


def fingerprint(objects: Iterable[ListedObject]) -> str:
    """Fingerprint of a whole set of objects, in any order.

    The caller has chosen the objects (``aws/patterns.py``). The same set gives the same 22 URL-safe
    characters whether it was listed at once or in pages.
    """
    fold = RollingHash()
    for item in sorted(objects, key=lambda item: item.key.encode("utf-8", "surrogatepass")):
        fold.add(item)
    return fold.digest


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
