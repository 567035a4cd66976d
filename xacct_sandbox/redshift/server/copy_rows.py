"""The rows of a COPY TO, taken out of their messages in large blocks.

PostgreSQL sends one message per row, in writes of 8 kB. Handling each message in Python would take
longer than PostgreSQL needs to produce it, so a block is gathered and then split in C code.
"""

from __future__ import annotations

import os
import re
import select

from xacct_sandbox.redshift.server import protocol

BLOCK_BYTES = 1 << 20
ENOUGH_BYTES = 1 << 18  # a block may be this small if no more data has arrived
PIECE_BYTES = 64 << 10  # approximate size of what ``take`` returns at once
_ROW = ord("d")
# PostgreSQL's text holds no NUL byte. A line feed, "d" and the zero byte that begins a length below
# 16 MB can therefore only stand between two rows.
_SEAM = re.compile(rb"\nd\x00[\x00-\xff]{3}")
_LONG_ROW = 1 << 24
_HEADER = 5
_READY = b"Z\x00\x00\x00\x05"


class Rows:
    """A buffer of CopyData messages and of what follows them."""

    def __init__(self, begun: bytes = b"") -> None:
        """``begun``: bytes that have been read already."""
        self._buffer = bytearray(max(BLOCK_BYTES, len(begun)))
        self._filled = len(begun)
        self._buffer[: self._filled] = begun

    @property
    def ended(self) -> bool:
        """Whether the next message is not a row."""
        return self._filled >= 5 and self._buffer[0] != _ROW

    def rest(self) -> bytes:
        """The bytes that were read and not taken."""
        return bytes(memoryview(self._buffer)[: self._filled])

    def fill(self, file: int) -> bool:
        """Read from a non-blocking descriptor until a block is complete, or the answer.

        Returns:
            False if the connection ended.
        """
        if self._filled == len(self._buffer):  # a row longer than the buffer
            self._buffer += bytes(len(self._buffer))
        poll = select.poll()
        poll.register(file, select.POLLIN)
        with memoryview(self._buffer) as view:
            while self._filled < len(view):
                try:
                    size = os.readv(file, [view[self._filled :]])
                except BlockingIOError:
                    if self._filled >= ENOUGH_BYTES or self._at_end():
                        return True
                    poll.poll()
                    continue
                except ConnectionResetError:
                    return False
                if not size:
                    return False
                self._filled += size
        return True

    def take(self) -> list[tuple[bytes, int]]:
        """Take the whole rows out of the buffer.

        Returns:
            Pieces of rows, each with the number of its rows.
        """
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
        """Whether the buffer ends with ReadyForQuery. No row holds these bytes."""
        with memoryview(self._buffer) as view:
            tail = bytes(view[max(self._filled - 6, 0) : self._filled])
        return tail.startswith(_READY)


def _at_seams(data: bytes) -> tuple[list[bytes], bytes]:
    rows = _SEAM.split(data)
    last = rows.pop()
    if rows:
        rows[0] = rows[0][_HEADER:]
        data = data[len(data) - len(last) - _HEADER :]
    # The last row may be incomplete, or be followed by part of a header or the end of the COPY.
    last_rows, left = _one_by_one(data)
    return rows + last_rows, left


def _one_by_one(data: bytes) -> tuple[list[bytes], bytes]:
    rows, position = [], 0
    while len(data) - position >= _HEADER and data[position] == _ROW:
        end = position + 1 + protocol.unpack_int32(data, position + 1)[0]
        if end > len(data):
            break
        rows.append(data[position + _HEADER : end - 1])  # without its line feed
        position = end
    return rows, data[position:]
