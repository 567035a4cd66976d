"""Object keys in messages: on one line, and a bounded number of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

#: Keys named in a message; the others are counted.
KEYS_SHOWN = 3
_CONTROL_CHARACTERS = frozenset(map(chr, (*range(32), 127)))


def key_problem(key: str) -> str | None:
    """Why an object with this key cannot be loaded; None if it can.

    S3 allows control characters in keys. Hadoop's globs and line-based lists of keys do not.
    """
    if _CONTROL_CHARACTERS.isdisjoint(key):
        return None
    return (
        "its key holds a control character (escaped here), with which it cannot be loaded: copy it "
        "to a key without"
    )


def printable(key: str) -> str:
    """The key with its control characters escaped, so that it fits on one line of a message."""
    return "".join(repr(c)[1:-1] if c in _CONTROL_CHARACTERS else c for c in key)


@dataclass(slots=True)
class KeySample:
    """A number of keys, of which the first few are named: ``a.CSV, b.CSV, c.CSV and 4 more``.

    Attributes:
        count: of all keys.
        first: those that are named.
    """

    count: int = 0
    first: list[str] = field(default_factory=list)

    @classmethod
    def of(cls, keys: Sequence[str], shown: int = KEYS_SHOWN) -> KeySample:
        """The sample of these keys."""
        return cls(len(keys), list(keys[:shown]))

    def add(self, key: str) -> None:
        """Count a key, and keep it if few were added before."""
        self.count += 1
        if len(self.first) < KEYS_SHOWN:
            self.first.append(key)

    def __bool__(self) -> bool:
        return self.count > 0

    def __str__(self) -> str:
        names = ", ".join(map(printable, self.first))
        more = self.count - len(self.first)
        return f"{names} and {more:,} more" if more > 0 else names
