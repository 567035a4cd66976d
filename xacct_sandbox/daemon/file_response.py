"""A response body that is read from a file while it is sent.

The file is opened at once: the client gets the object as it was when the request was served, even
if it is replaced or deleted meanwhile.
"""

from __future__ import annotations

import os

from xacct_sandbox.daemon.asgi import Send

CHUNK_BYTES = 256 * 1024


class FileBody:
    """``length`` bytes of an open file, from ``start``. Can be sliced like ``bytes``.

    Takes over the file descriptor ``file`` and closes it in the end.
    """

    def __init__(self, file: int, start: int, length: int) -> None:
        self._file = file
        self._start = start
        self._length = length

    @classmethod
    def open(cls, path: str) -> FileBody:
        """The whole file.

        Raises:
            OSError: the file cannot be opened.
        """
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        return cls(file, 0, os.fstat(file).st_size)

    def __len__(self) -> int:
        return self._length

    def __getitem__(self, piece: slice) -> FileBody:
        start, stop, step = piece.indices(self._length)
        if step != 1:
            raise ValueError("a file body can be sliced with step 1 only")
        return FileBody(os.dup(self._file), self._start + start, max(0, stop - start))

    def __del__(self) -> None:
        os.close(self._file)

    async def send(self, send: Send, _receive: object) -> None:
        """Sends the bytes as the body of an ASGI response.

        Raises:
            OSError: the file has become shorter. The response then ends early, and the client
                sees that it is incomplete.
        """
        position, remaining = self._start, self._length
        while remaining:
            chunk = os.pread(self._file, min(CHUNK_BYTES, remaining), position)
            if not chunk:
                raise OSError(f"the stored object ended {remaining} bytes early")
            position += len(chunk)
            remaining -= len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": bool(remaining)})
        if not self._length:
            await send({"type": "http.response.body", "body": b"", "more_body": False})
