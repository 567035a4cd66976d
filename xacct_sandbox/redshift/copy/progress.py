"""What a COPY has sent to PostgreSQL, so that the line of an error leads back to file and line."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field

from xacct_sandbox.redshift.copy.rules import Piece

KEPT_PIECES = 8
"""The newest pieces are kept, to show the record that PostgreSQL complains about."""


@dataclass
class SentPiece:
    """A piece and its place in the data.

    Attributes:
        object_number: Which object it is from.
        first_line: Line feeds sent before it in the same COPY of PostgreSQL.
        file_line: Line feeds before it in its file.
    """

    object_number: int
    first_line: int
    file_line: int
    piece: Piece


@dataclass
class Progress:
    """What has been sent.

    Attributes:
        lines: Line feeds sent in the current COPY of PostgreSQL.
        file_lines: By object number, the line feeds of the file that have been sent.
        uncounted: Line feeds that PostgreSQL does not count, see ``uncounted_lines``.
    """

    rows: int = 0
    bytes: int = 0
    lines: int = 0
    file_lines: dict[int, int] = field(default_factory=dict)
    uncounted: int = 0
    recent: deque[SentPiece] = field(default_factory=lambda: deque(maxlen=KEPT_PIECES))

    def add(self, object_number: int, piece: Piece, header: int, quote: str) -> SentPiece:
        """Note a piece that is being sent; ``header``: lines skipped at the start of its file."""
        if self.lines == 0:
            self.uncounted = uncounted_lines(piece.data, quote)
        before = self.file_lines.setdefault(object_number, header)
        sent = SentPiece(object_number, self.lines, before, piece)
        self.recent.append(sent)
        self.lines += piece.lines
        self.file_lines[object_number] = before + piece.raw_lines
        self.bytes += piece.size
        return sent

    def begin_copy(self) -> None:
        """PostgreSQL counts the lines of each of its COPYs from one."""
        self.lines = 0
        self.recent.clear()


def uncounted_lines(data: bytes, quote: str) -> int:
    """Line feeds inside the first record: PostgreSQL counts such from the second record on."""
    start, end = record_at(data, 1, quote)
    return max(data.count(b"\n", start, end) - 1, 0)


def find_piece(recent: Iterable[SentPiece], line: int | None) -> SentPiece | None:
    """The piece that holds a line of the stream; the newest if the line is not known."""
    newest_first = reversed(list(recent))
    return next((sent for sent in newest_first if line is None or sent.first_line < line), None)


def record_at(data: bytes, line: int, quote: str) -> tuple[int, int]:
    """The record that holds a line (from 1) of a piece: the start and end of its bytes.

    PostgreSQL names the last line of a record whose quoted field spans several.
    """
    position = 0
    for _ in range(line - 1):
        following = data.find(b"\n", position)
        if following < 0:
            break
        position = following + 1
    end = data.find(b"\n", position)
    end = len(data) if end < 0 else end + 1
    mark = quote.encode()
    start = position
    while data.count(mark, 0, start) & 1:
        start = data.rfind(b"\n", 0, start - 1) + 1
    while data.count(mark, start, end) & 1 and end < len(data):
        following = data.find(b"\n", end)
        end = len(data) if following < 0 else following + 1
    return start, end
