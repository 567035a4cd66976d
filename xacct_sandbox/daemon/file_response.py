"""A piece of a file that is read when it is sent, not when it is asked for.

The file is opened at once, so what is sent is what was there when the request was served, also
when the object is replaced or deleted meanwhile.
"""

from __future__ import annotations

import os
from collections.abc import Awaitable, Callable
from typing import Any

CHUNK_BYTES = 256 * 1024

Send = Callable[[dict[str, Any]], Awaitable[None]]


class StoredBody:
    """``length`` bytes of an open file from ``start``: sliced like bytes, sent in chunks."""

    def __init__(self, file: int, start: int, length: int) -> None:
        """Owns the file descriptor ``file`` from now on."""
        self._file = file
        self._start = start
        self._length = length

    @classmethod
    def open(cls, path: str) -> StoredBody:
        """The whole of a file. Raises OSError if it cannot be opened."""
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return cls(file, 0, os.fstat(file).st_size)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, piece: slice) -> StoredBody:
        start, stop, step = piece.indices(self._length)
        if step != 1:
            raise ValueError("a stored body is cut into whole ranges only")
        return StoredBody(os.dup(self._file), self._start + start, max(0, stop - start))

    def __del__(self) -> None:
        os.close(self._file)

    async def send(self, send: Send, _receive: object) -> None:
        """Send the bytes as the body of an ASGI response.

        Raises:
            OSError: the file became shorter; the response then ends early, which clients notice.
        """
        at, left = self._start, self._length
        while left:
            chunk = os.pread(self._file, min(CHUNK_BYTES, left), at)
            if not chunk:
                raise OSError(f"the stored object ended {left} bytes early")
            at += len(chunk)
            left -= len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": bool(left)})
        if not self._length:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
