"""The Redshift types that a column of a feed may have."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import StrEnum

_SIMPLE_TYPES = frozenset(
    {
        *("bigint", "integer", "smallint", "double precision", "real", "boolean"),
        *("date", "time", "timestamp", "timestamptz", "super"),
    }
)
_HIVE_TYPES = {
    "integer": "int",
    "double precision": "double",
    "real": "float",
    "varchar": "string",
    "char": "string",
    "time": "string",
    "timestamp": "string",
    "timestamptz": "string",
    "super": "string",
}
#: Longest char(n) and varchar(n) (Redshift's guide, "Character types").
_LONGEST = {"char": 4096, "varchar": 65535}

#: Types that each hold the values of those before them.
_WIDER = (("smallint", "integer", "bigint"), ("real", "double precision"))


class TrailingBlanks(StrEnum):
    """What becomes of a text that fits its varchar(n) only without some of its trailing blanks."""

    REJECT = "reject"
    CUT = "cut"


@dataclass(frozen=True)
class ColumnType:
    """A Redshift type that a CSV field can be cast to.

    Attributes:
        name: without sizes, in lower case.
        precision, scale: of a decimal, else None.
        length: bytes of a varchar or char, else None.
    """

    name: str
    precision: int | None = None
    scale: int | None = None
    length: int | None = None

    @classmethod
    def parse(cls, text: str) -> ColumnType:
        """Read e.g. ``decimal(12,2)``.

        Raises:
            ValueError: naming the type and what is allowed.
        """
        folded = " ".join(text.lower().split())
        if folded in _SIMPLE_TYPES:
            return cls(name=folded)
        if match := re.fullmatch(r"(varchar|char) ?\( ?(\d{1,6}) ?\)", folded):
            name, length = match[1], int(match[2])
            if not 1 <= length <= _LONGEST[name]:
                raise ValueError(f"{text!r}: the length of a {name} is 1 to {_LONGEST[name]} bytes")
            return cls(name=name, length=length)
        if match := re.fullmatch(r"(?:decimal|numeric) ?\( ?(\d{1,3}) ?, ?(\d{1,3}) ?\)", folded):
            precision, scale = int(match[1]), int(match[2])
            if not (1 <= precision <= 38 and scale <= precision):
                raise ValueError(
                    f"{text!r}: a decimal has a precision of 1 to 38 and a scale up to it"
                )
            return cls(name="decimal", precision=precision, scale=scale)
        raise ValueError(
            f"{text!r} is not a supported type: use {', '.join(sorted(_SIMPLE_TYPES))}, "
            "decimal(p,s), varchar(n) or char(n) with their sizes"
        )

    def holds(self, other: ColumnType) -> bool:
        """Whether a column of this type holds every value of the other one, as it is."""
        if self.name != other.name:
            return any(
                self.name in group and other.name in group[: group.index(self.name)]
                for group in _WIDER
            )
        if self.name == "decimal":
            digits = [(type_.precision or 0) - (type_.scale or 0) for type_ in (self, other)]
            return self.scale == other.scale and digits[0] >= digits[1]
        return (self.length or 0) >= (other.length or 0)

    @property
    def hive(self) -> str:
        """The type that a reader of the CSV files through the Glue catalog can use for it."""
        if self.name == "decimal":
            return str(self)
        # Hive reads no ISO 8601 timestamp from text, and has no length in bytes.
        return _HIVE_TYPES.get(self.name, self.name)

    def __str__(self) -> str:
        if self.length is not None:
            return f"{self.name}({self.length})"
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        return self.name
