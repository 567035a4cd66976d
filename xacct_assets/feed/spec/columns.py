"""The columns of a feed and the Redshift types they may have."""

from __future__ import annotations

import re
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from xacct_assets.feed.spec.names import Identifier
from xacct_assets.feed.spec.section import Section

# Columns that the pipeline adds to the staging and fact tables.
PARTITION_COLUMN = "partition_date"
LOADED_AT_COLUMN = "loaded_at"

_SIMPLE_TYPES = frozenset(
    {"bigint", "integer", "smallint", "double precision", "real", "boolean", "date", "timestamp"}
)
# Hive does not parse ISO 8601 timestamps in text, and has no length in bytes.
_HIVE_TYPES = {
    "integer": "int",
    "double precision": "double",
    "real": "float",
    "varchar": "string",
    "timestamp": "string",
}


class ColumnType(BaseModel):
    """A Redshift type that a CSV field can be cast to.

    Attributes:
        precision: of a decimal: all digits.
        scale: of a decimal: digits after the point.
        length: of a varchar: bytes.
    """

    model_config = ConfigDict(frozen=True)

    name: str
    precision: int | None = None
    scale: int | None = None
    length: int | None = None

    @classmethod
    def parse(cls, text: str) -> ColumnType:
        """Parse a type such as ``decimal(12,2)``.

        Raises:
            ValueError: the type is not supported; names it and the supported types.
        """
        folded = " ".join(text.lower().split())
        if folded in _SIMPLE_TYPES:
            return cls(name=folded)
        if match := re.fullmatch(r"varchar ?\( ?(\d{1,6}) ?\)", folded):
            length = int(match[1])
            if not 1 <= length <= 65535:
                raise ValueError(f"{text!r}: the length of a varchar is 1 to 65535 bytes")
            return cls(name="varchar", length=length)
        if match := re.fullmatch(r"(?:decimal|numeric) ?\( ?(\d{1,3}) ?, ?(\d{1,3}) ?\)", folded):
            precision, scale = int(match[1]), int(match[2])
            if not (1 <= precision <= 38 and scale <= precision):
                raise ValueError(
                    f"{text!r}: a decimal has a precision of 1 to 38 and a scale up to it"
                )
            return cls(name="decimal", precision=precision, scale=scale)
        raise ValueError(
            f"{text!r} is not a supported type: use {', '.join(sorted(_SIMPLE_TYPES))}, "
            "decimal(p,s) or varchar(n) with their sizes"
        )

    @property
    def hive(self) -> str:
        """The Hive type with which the Glue catalog describes the column in the CSV files."""
        if self.name == "decimal":
            return str(self)
        return _HIVE_TYPES.get(self.name, self.name)

    def __str__(self) -> str:
        if self.name == "varchar":
            return f"varchar({self.length})"
        if self.name == "decimal":
            return f"decimal({self.precision},{self.scale})"
        return self.name


def _normalize_type(value: str) -> str:
    return str(ColumnType.parse(value))


class Column(Section):
    """One column of the feed, in the raw files and in the warehouse alike."""

    name: Identifier = Field(
        description="Name in the CSV header and in Redshift, in lower case (at most 127 "
        "characters)."
    )
    type: Annotated[str, AfterValidator(_normalize_type)] = Field(
        description="Redshift type: bigint, integer, smallint, decimal(p,s), double precision, "
        "real, boolean, date, timestamp or varchar(n) (n counts bytes)."
    )
    nullable: bool = Field(
        default=True,
        description="Whether a field may be NULL, that is empty and unquoted. A row with a NULL in "
        "a column that is not nullable is rejected.",
    )
    description: str = Field(default="", description="What the column holds; shown in the UI.")
