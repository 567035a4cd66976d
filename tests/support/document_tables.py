"""Tables in a document that a test writes and compares."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class WrittenTable:
    """What stands between two comments of a document.

    Attributes:
        begin: the line before it.
        end: the line after it.
    """

    document: Path
    begin: str
    end: str

    def read(self) -> str:
        """What the document has."""
        _, _, rest = self.document.read_text(encoding="utf-8").partition(self.begin)
        return rest.partition(self.end)[0]

    def write(self, text: str) -> None:
        """Replace it."""
        before, begin, rest = self.document.read_text(encoding="utf-8").partition(self.begin)
        _, end, after = rest.partition(self.end)
        assert begin
        assert end
        self.document.write_text(before + begin + text + end + after, encoding="utf-8")
