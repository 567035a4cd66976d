"""The rows of a COPY TO, taken out of their messages in large blocks.

PostgreSQL sends a message a row, in writes of 8 kB. Looking at each would cost more than making
them does, so blocks are gathered first, then cut at once, in C code.
"""

from __future__ import annotations

import os
import re
import select

from xacct_sandbox.redshift.server import protocol

BLOCK_BYTES = 1 << 20
ENOUGH_BYTES = 1 << 18  # to stop gathering when nothing more is there yet
PIECE_BYTES = 64 << 10  # about as much is given on at once
_ROW = ord("d")
# Text of PostgreSQL never holds a NUL byte, so a line feed, "d" and the first (zero) byte of a
# length below 16 MB are the seam between two rows and nothing else.
_SEAM = re.compile(rb"\nd\x00[\x00-\xff]{3}")
_LONG_ROW = 1 << 24
_HEADER = 5
_READY = b"Z\x00\x00\x00\x05"


class Rows:
    """A buffer of CopyData messages, and what follows them."""

    def __init__(self, begun: bytes = b"") -> None:
        self._buffer = bytearray(max(BLOCK_BYTES, len(begun)))
        self._filled = len(begun)
        self._buffer[: self._filled] = begun

    @property
    def ended(self) -> bool:
        """The next message is no row."""
        return self._filled >= 5 and self._buffer[0] != _ROW

    def rest(self) -> bytes:
        """What was read and not taken."""
        return bytes(memoryview(self._buffer)[: self._filled])

    def fill(self, file: int) -> bool:
        """Read from a non-blocking descriptor until there is enough; False at its end.

        Enough is also whatever ends with the answer's end: nothing comes after that.
        """
        if self._filled == len(self._buffer):  # a row longer than the buffer
            self._buffer += bytes(len(self._buffer))
        waiting = select.poll()
        waiting.register(file, select.POLLIN)
        with memoryview(self._buffer) as view:
            while self._filled < len(view):
                try:
                    size = os.readv(file, [view[self._filled :]])
                except BlockingIOError:
                    if self._filled >= ENOUGH_BYTES or self._at_end():
                        return True
                    waiting.poll()
                    continue
                except ConnectionResetError:
                    return False
                if not size:
                    return False
                self._filled += size
        return True

    def take(self) -> list[tuple[bytes, int]]:
        """(whole rows, how many) from the buffer, in pieces; what is left there stays."""
        data = self.rest()
        if data[:1] != b"d":
            return []
        if len(data) >= _LONG_ROW:
            rows, left = _one_by_one(data)
        else:
            rows, left = _at_seams(data)
        self._filled = len(left)
        self._buffer[: len(left)] = left
        most = max(1, len(rows) * PIECE_BYTES // len(data))
        pieces = (rows[start : start + most] for start in range(0, len(rows), most))
        return [(b"\n".join(piece) + b"\n", len(piece)) for piece in pieces]

    def _at_end(self) -> bool:
        """ReadyForQuery is the last thing there; no row holds such bytes."""
        with memoryview(self._buffer) as view:
            tail = bytes(view[max(self._filled - 6, 0) : self._filled])
        return tail.startswith(_READY)


def _at_seams(data: bytes) -> tuple[list[bytes], bytes]:
    rows = _SEAM.split(data)
    last = rows.pop()
    if rows:
        rows[0] = rows[0][_HEADER:]
        data = data[len(data) - len(last) - _HEADER :]
    # The last may be cut, or be followed by part of a header, or by the end of the COPY.
    more, left = _one_by_one(data)
    return rows + more, left


def _one_by_one(data: bytes) -> tuple[list[bytes], bytes]:
    rows, position = [], 0
    while len(data) - position >= _HEADER and data[position] == _ROW:
        end = position + 1 + protocol.unpack_int32(data, position + 1)[0]
        if end > len(data):
            break
        rows.append(data[position + _HEADER : end - 1])  # without its line feed
        position = end
    return rows, data[position:]
