"""The fingerprint of a day's raw files: 22 characters that change when a file changes.

It is a chain of BLAKE2b hashes over (key, size, ETag) in key order. The state of a chain is one
digest, so a listing can stop at any key and continue from a cursor. A sum of hashes could do that
too, but is not collision-resistant against somebody who chooses the keys. S3 lists general purpose
buckets in the byte order of the UTF-8 keys (ListObjectsV2), which is the order used here.

LastModified is left out on purpose: a file uploaded again with the same content is no change.
The storage class is left out too: a file that is archived or restored has the same content.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Protocol

#: Stands for the fingerprint of a day without files.
NO_FILES = "-"

_DIGEST_BYTES = 16
# Separates this use of BLAKE2b from any other over the same bytes.
_PERSON = b"xacct-raw-day"


class HashedObject(Protocol):
    """What of an object goes into a fingerprint."""

    @property
    def key(self) -> str: ...
    @property
    def size(self) -> int: ...
    @property
    def etag(self) -> str: ...


class ListedObject(HashedObject, Protocol):
    """An object as a listing shows it; `archive` is None unless it must be restored first."""

    @property
    def last_modified(self) -> datetime: ...
    @property
    def archive(self) -> str | None: ...


class RollingHash:
    """A fingerprint that is computed object by object.

    Args:
        digest: the digest to continue from; None to start.
    """

    # Bytes: the text is needed once per page, but there are up to 1,000 objects in a page.
    __slots__ = ("_state",)

    def __init__(self, digest: str | None = None) -> None:
        self._state = _bytes(digest) if digest else bytes(_DIGEST_BYTES)

    @property
    def digest(self) -> str:
        """The fingerprint of all objects added so far."""
        return _text(self._state)

    def add(self, item: HashedObject) -> None:
        """Add the next object. Its key must sort after all keys added before."""
        key = item.key.encode("utf-8", "surrogatepass")
        # The key's length separates key and ETag: ("ab", "c") differs from ("a", "bc"). Listings
        # quote ETags, other answers may not.
        record = b"%d:%b:%d:%b" % (len(key), key, item.size, item.etag.strip('"').encode())
        self._state = hashlib.blake2b(
            self._state + record, digest_size=_DIGEST_BYTES, person=_PERSON
        ).digest()


def fingerprint(objects: Iterable[HashedObject]) -> str:
    """Compute the fingerprint of a complete set of objects, given in any order.

    The caller selects the objects (`xacct_assets.contract.file_patterns`).

    Returns:
        22 URL-safe characters, the same ones that a `RollingHash` gives for the same set.
    """
    rolling_hash = RollingHash()
    for item in sorted(objects, key=lambda item: item.key.encode("utf-8", "surrogatepass")):
        rolling_hash.add(item)
    return rolling_hash.digest


def _text(digest: bytes) -> str:
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode("ascii")


def _bytes(text: str) -> bytes:
    return base64.urlsafe_b64decode(text + "=" * (-len(text) % 4))
