"""The Glue and Redshift resources of a feed."""

from __future__ import annotations

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from xacct_assets.contract.column_types import TrailingBlanks
from xacct_assets.feed.spec.names import Identifier, QualifiedName, ResourceName
from xacct_assets.feed.spec.section import Section


class Catalog(Section):
    """The Glue table that describes the raw files, and its crawler."""

    database: Identifier = Field(
        description="Glue database; `xacct deploy` creates it with the feed's stack."
    )
    table: Identifier = Field(
        description="Glue table; the crawler names it after the last folder of source.prefix."
    )
    crawler: ResourceName | None = Field(
        default=None, description="Crawler; by default xacct-<suffix>-<feed>."
    )
    timeout_minutes: int = Field(
        default=30, ge=1, le=1440, description="Minutes to wait for a crawl before it is stopped."
    )


class WarehouseTables(Section):
    """The feed's objects in Redshift; sql/<feed>/ creates them."""

    left_out: ClassVar[frozenset[str]] = frozenset({"latest"})

    staging: QualifiedName = Field(
        description="Table that the Glue job loads, e.g. public.products."
    )
    fact: QualifiedName = Field(
        description="Table that the procedure fills from staging, e.g. public.products_f."
    )
    procedure: QualifiedName = Field(
        description="Procedure that is called with the first and the last day, e.g. "
        "public.sp_products."
    )
    load_audit: QualifiedName = Field(
        default="public.xacct_load_audit",
        description="Table of committed loads and whether they were transformed; all feeds share "
        "it.",
    )
    latest: QualifiedName | None = Field(
        default=None,
        description="View of the newest day of the fact table (of a feed with mode: append, of the "
        "newest row of each key), e.g. public.products_latest; by default there is none.",
    )

    @model_validator(mode="after")
    def _tables_differ(self) -> WarehouseTables:
        if len({self.staging, self.fact, self.load_audit}) != 3:
            raise ValueError(
                "staging, fact and load audit must be three tables, but two of them are the same"
            )
        if self.latest in (self.staging, self.fact, self.load_audit):
            raise ValueError(f"latest: {self.latest} is a table of the feed; choose another name")
        return self


class LoadJob(Section):
    """The Glue job that loads the staging table."""

    name: ResourceName | None = Field(
        default=None, description="Glue job; by default xacct-<suffix>-<feed>."
    )
    worker_type: Literal["G.1X", "G.2X", "G.4X", "G.8X", "R.1X", "R.2X", "R.4X", "R.8X"] = Field(
        default="G.1X", description="Glue worker type of a job run."
    )
    number_of_workers: int = Field(
        default=2,
        ge=2,
        le=299,
        description="Glue workers of a job run (one of them is the driver).",
    )
    timeout_minutes: int = Field(
        default=60, ge=1, le=10080, description="Minutes after which Glue stops a job run."
    )
    max_concurrent_runs: int = Field(
        default=4,
        ge=1,
        le=1000,
        description="Runs of this job that Glue allows at the same time.",
    )
    execution_class: Literal["STANDARD", "FLEX"] = Field(
        default="STANDARD",
        description="FLEX costs less, and a job run may wait for spare capacity.",
    )
    trailing_blanks: TrailingBlanks = Field(
        default=TrailingBlanks.REJECT,
        strict=False,
        description="A text that fits its varchar(n) only without some of its trailing blanks: "
        "reject the row, or cut these blanks, as Redshift's own COPY does.",
    )
