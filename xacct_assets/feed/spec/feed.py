"""FeedSpec: all settings of one feed."""

from __future__ import annotations

import re
from datetime import date
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from xacct_assets.contract.days import PARTITION_COLUMN, DayLayout
from xacct_assets.feed.spec.alerts import Alerts
from xacct_assets.feed.spec.arrival import Arrival, Schedule
from xacct_assets.feed.spec.columns import LOADED_AT_COLUMN, Column, check_columns
from xacct_assets.feed.spec.export import Export
from xacct_assets.feed.spec.names import FeedName, Identifier, IsoDate, feed_stack_name
from xacct_assets.feed.spec.source import Source
from xacct_assets.feed.spec.warehouse import Catalog, LoadJob, WarehouseTables


class FeedSpec(BaseModel):
    """All settings of one feed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: FeedName = Field(
        description="Name of the feed: prefix of its asset keys, group in the UI."
    )
    description: str = Field(description="What the feed holds; shown in the UI.")
    owners: list[str] = Field(
        default_factory=list, description="Owners: an email address, or team:<name>."
    )
    tags: dict[str, str] = Field(default_factory=dict, description="Dagster tags of its assets.")
    start_date: IsoDate = Field(description="First day of the feed, e.g. 2026-01-01 (UTC).")
    source: Source = Field(description="Where the raw files land in account A.")
    arrival: Arrival = Field(
        default_factory=Arrival,
        description="How the sensor finds new days, and when it considers a day complete.",
    )
    columns: list[Column] = Field(min_length=1, description="The columns, in warehouse order.")
    key: list[Identifier] = Field(
        description="Columns that identify a row within a day; further rows with the same key are "
        "rejected. [] if no columns do: then nothing proves that no row is there twice.",
    )
    mode: Literal["snapshot", "append"] = Field(
        default="snapshot",
        description="What a day's files hold: snapshot, the full set as of that day (a day without "
        "rows is a warning); append, new rows only (a day may have none). Either way a day that "
        "is loaded again is replaced, and no other day changes.",
    )
    catalog: Catalog = Field(
        description="The Glue table that describes the raw files, and its crawler."
    )
    warehouse: WarehouseTables = Field(description="Tables and procedure in Redshift.")
    load: LoadJob = Field(
        default_factory=LoadJob, description="The Glue job that loads the staging table."
    )
    export: Export = Field(description="How the fact rows are exported to account A.")
    schedule: Schedule = Field(
        default_factory=Schedule,
        description="When yesterday's day is run, unless the sensor has already run it.",
    )
    alerts: Alerts = Field(
        default_factory=Alerts, description="When the feed's owners are told of missing data."
    )
    max_days_per_run: int = Field(
        default=31,
        ge=1,
        le=366,
        description="Most days that one backfill run covers (with one crawl and one Glue job run).",
    )
    reject_threshold: float = Field(
        default=0.01,
        ge=0,
        le=1,
        strict=False,
        description="Largest share of a day's rows that may be rejected (0 to 1); a day with more "
        "is not loaded into the fact table.",
    )

    @model_validator(mode="after")
    def _columns_and_key_fit(self) -> FeedSpec:
        names = [column.name for column in self.columns]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(
                    f"columns: {name!r} is listed {names.count(name)} times; remove or rename it"
                )
        for reserved in self._reserved_columns():
            if reserved in names:
                raise ValueError(
                    f"columns: {reserved!r} is added by the pipeline; rename the feed's column"
                )
        by_name = {column.name: column for column in self.columns}
        for part in self.key:
            if part not in by_name:
                raise ValueError(f"key: {part!r} is not among the columns ({', '.join(names)})")
            if by_name[part].nullable:
                raise ValueError(f"key: column {part!r} is nullable; set nullable: false for it")
        if len(set(self.key)) != len(self.key):
            raise ValueError("key: a column is listed twice; remove one")
        check_columns(self.columns, self.source.csv, self.key)
        return self

    @model_validator(mode="after")
    def _latest_has_a_meaning(self) -> FeedSpec:
        if self.warehouse.latest and self.mode == "append" and not self.key:
            raise ValueError(
                "warehouse.latest: of a feed with mode: append it is the newest row of each key, "
                "and the feed has no key; give it a key, or remove latest"
            )
        return self

    @model_validator(mode="after")
    def _raw_files_are_kept_long_enough(self) -> FeedSpec:
        days, arrival = self.source.retention_days, self.arrival
        if days is None:
            return self
        kept = days - arrival.days_ahead
        if kept < 2:
            raise ValueError(
                f"source.retention_days: {days} is too short, since the schedule runs a day on the "
                f"day after, and files may land arrival.days_ahead ({arrival.days_ahead}) before "
                f"it; keep raw files for {arrival.days_ahead + 2} days or more"
            )
        for name in ("days_back", "sweep_days_back"):
            if name in arrival.model_fields_set and getattr(arrival, name) > kept:
                raise ValueError(
                    f"arrival.{name}: {getattr(arrival, name)} reaches back to days whose files "
                    f"have expired (source.retention_days is {days}); give at most {kept}"
                )
        return self

    @model_validator(mode="after")
    def _owners_and_tags_fit(self) -> FeedSpec:
        for owner in self.owners:
            if not re.fullmatch(r"team:[A-Za-z0-9_.\-/ ]+|[^@\s]+@[^@\s]+\.[^@\s]+", owner):
                raise ValueError(f"owners: {owner!r} is neither an email address nor team:<name>")
        for name, value in self.tags.items():
            if not re.fullmatch(r"[A-Za-z0-9_.-]{1,63}(/[A-Za-z0-9_.-]{1,63})?", name):
                raise ValueError(
                    f"tags: {name!r} is not a tag name: give up to 63 letters, digits, _ . and -, "
                    "after a prefix of such and a slash if wanted"
                )
            if not re.fullmatch(r"[A-Za-z0-9_.-]{0,63}", value):
                raise ValueError(
                    f"tags: {value!r} is not a tag value: give up to 63 letters, digits, _ . and -"
                )
        return self

    def _reserved_columns(self) -> tuple[str, ...]:
        reserved = (PARTITION_COLUMN, LOADED_AT_COLUMN)
        # The crawler derives partition columns from the folders: their names would clash.
        if self.source.layout is DayLayout.KEY_VALUE:
            return (*reserved, "year", "month", "day")
        return (*reserved, "partition_0", "partition_1", "partition_2")

    @property
    def start(self) -> date:
        """First day of the feed."""
        return date.fromisoformat(self.start_date)

    def crawler_name(self, suffix: str) -> str:
        """Name of the crawler in the installation with this suffix."""
        return self.catalog.crawler or f"xacct-{suffix}-{self.name}"

    def job_name(self, suffix: str) -> str:
        """Name of the Glue job in the installation with this suffix."""
        return self.load.name or f"xacct-{suffix}-{self.name}"

    def log_group(self, suffix: str) -> str:
        """Prefix of the log groups of the Glue job; feed.yaml makes them."""
        return f"/aws-glue/jobs/{self.job_name(suffix)}"

    def stack_name(self, suffix: str) -> str:
        """Name of the feed's CloudFormation stack in the installation with this suffix."""
        return feed_stack_name(self.name, suffix)

    def column_names(self) -> list[str]:
        """Names of the columns, in warehouse order."""
        return [column.name for column in self.columns]
