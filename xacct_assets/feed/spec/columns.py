"""The columns of a feed."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from xacct_assets.contract.column_types import ColumnType
from xacct_assets.feed.spec.names import Identifier
from xacct_assets.feed.spec.section import Section

# Column that the pipeline adds to the fact table, besides PARTITION_COLUMN.
LOADED_AT_COLUMN = "loaded_at"


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
