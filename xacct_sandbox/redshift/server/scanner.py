"""Watching what PostgreSQL sends to a client without touching it: message boundaries only.

Whole buffers are forwarded. Rows are stepped over by their length; once a result is long, even
that stops: with one answer outstanding, only the six bytes of its ReadyForQuery at the end of a
buffer matter. Bytes of a row that happen to look so at the end of a buffer do no harm: the client
still waits for the real one, and whatever arrives later is forwarded all the same.
"""

from __future__ import annotations

from collections.abc import Callable

from xacct_sandbox.redshift.server.protocol import unpack_int32

# Message types that are looked at: CommandComplete, ErrorResponse, BackendKeyData,
# ParameterStatus, RowDescription, ReadyForQuery.
_WATCHED = frozenset(b"CEKSTZ")
_DATA_ROW = ord("D")
_READY = b"Z\x00\x00\x00\x05"
LONG_RESULT_ROWS = 512

Watcher = Callable[[int, bytes], "bytes | None"]


class Scanner:
    """Cuts a byte stream at the messages that ``watch`` is to see.

    ``watch(type, body)`` returns None to leave a message as it is, or what to send instead.
    """

    def __init__(self, watch: Watcher) -> None:
        self._watch = watch
        self._held = b""  # the beginning of a message that is not complete yet
        self._skip = 0  # bytes of the current message's body that are still to come
        self._rows = 0
        self._long = False
        self._tail = b""

    @property
    def in_long_result(self) -> bool:
        """Boundaries are unknown until the current answer ends: send nothing more till then."""
        return self._long

    def feed(self, data: bytes, *, single_answer: bool) -> list[bytes]:
        """What to forward. ``single_answer``: one ReadyForQuery is awaited, not several."""
        if self._long:
            return self._feed_long(data)
        if self._held:
            data = self._held + data
            self._held = b""
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
                self._held = data[position:]
                out.append(data[start:position])
                return out
            kind = data[position]
            end = position + 1 + unpack_int32(data, position + 1)[0]
            if kind in _WATCHED:
                if end > size:
                    self._held = data[position:]
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
