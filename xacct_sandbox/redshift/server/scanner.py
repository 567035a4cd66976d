"""Finds the messages to look at in the byte stream that PostgreSQL sends to a client.

Whole buffers are forwarded, and rows are skipped by their length. In a long result with one answer
outstanding, rows are not even skipped: only the six bytes of ReadyForQuery at the end of a buffer
are looked for. Bytes of a row that look the same do no harm. The client waits for the real message,
and everything that arrives later is forwarded as well.
"""

from __future__ import annotations

from collections.abc import Callable

from xacct_sandbox.redshift.server.protocol import unpack_int32

# Message types to look at: CommandComplete, ErrorResponse, BackendKeyData, Authentication…,
# ParameterStatus, RowDescription, ReadyForQuery.
_WATCHED = frozenset(b"CEKRSTZ")
_DATA_ROW = ord("D")
_READY = b"Z\x00\x00\x00\x05"
LONG_RESULT_ROWS = 512
"""A result with more rows in one buffer is long."""

Watcher = Callable[[int, bytes], bytes | None]
"""Gets the type and body of a message. Returns what to send instead, None: the message as it is."""


class Scanner:
    """Calls ``watch`` for the messages to look at."""

    def __init__(self, watch: Watcher) -> None:
        self._watch = watch
        self._incomplete = b""  # the beginning of a message to look at
        self._skip = 0  # bytes of the current message that are still to come
        self._rows = 0
        self._long = False
        self._tail = b""

    @property
    def in_long_result(self) -> bool:
        """The message boundaries are unknown: send nothing before the current answer ends."""
        return self._long

    def feed(self, data: bytes, *, single_answer: bool) -> list[bytes]:
        """The bytes to forward.

        Args:
            data: What PostgreSQL sent.
            single_answer: One ReadyForQuery is outstanding, not several.
        """
        if self._long:
            return self._feed_long(data)
        if self._incomplete:
            data = self._incomplete + data
            self._incomplete = b""
        size = len(data)
        if self._skip >= size:
            self._skip -= size
            return [data]
        out: list[bytes] = []
        start = 0
        position = self._skip
        self._skip = 0
        while True:
            if size - position < 5:
                self._incomplete = data[position:]
                out.append(data[start:position])
                return out
            kind = data[position]
            end = position + 1 + unpack_int32(data, position + 1)[0]
            if kind in _WATCHED:
                if end > size:
                    self._incomplete = data[position:]
                    out.append(data[start:position])
                    return out
                replacement = self._watch(kind, data[position + 5 : end])
                if replacement is not None:
                    out.append(data[start:position])
                    out.append(replacement)
                    start = end
                self._rows = 0
            elif kind == _DATA_ROW:
                self._rows += 1
                if self._rows > LONG_RESULT_ROWS and single_answer and start == 0:
                    self._rows = 0
                    self._long = True
                    self._tail = b""
                    return self._feed_long(data)
            if end >= size:
                self._skip = end - size
                out.append(data[start:])
                return out
            position = end

    def _feed_long(self, data: bytes) -> list[bytes]:
        tail = self._tail + data[-6:] if len(data) < 6 else data[-6:]
        self._tail = tail[-6:]
        if len(self._tail) == 6 and self._tail.startswith(_READY) and self._tail[5] in b"ITE":
            self._long = False
            self._watch(ord("Z"), self._tail[5:])
        return [data]
