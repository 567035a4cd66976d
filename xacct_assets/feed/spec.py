"""What is particular to one feed, as typed and strictly validated settings.

A feed is a folder under ``xacct_assets/defs/`` with a ``defs.yaml`` (the fields below) and its SQL.
Nothing here needs Dagster, so that the command line can read the feeds quickly.

Names end up in SQL, S3 keys, CloudFormation stacks and Dagster keys: each is checked against what
all of these accept, and everything else is refused by name rather than quoted and hoped for.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import date
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, model_validator

from xacct_assets.contract.column_types import ColumnType
from xacct_assets.contract.days import PARTITION_COLUMN, DayLayout

# Column that the pipeline adds itself, beside PARTITION_COLUMN.
LOADED_AT_COLUMN = "loaded_at"


def _matching(pattern: str, what: str) -> Callable[[str], str]:
    compiled = re.compile(pattern)

    def validate(value: str) -> str:
        if not compiled.fullmatch(value):
            raise ValueError(f"{value!r} is not {what}")
        return value

    return validate


def _prefix(value: str) -> str:
    # A dot or two as a whole part would walk out of the prefix in tools that normalise paths.
    parts = value.split("/")
    if any(part in ("", ".", "..") for part in parts) or not all(
        re.fullmatch(r"[A-Za-z0-9_.=-]+", part) for part in parts
    ):
        raise ValueError(
            f"{value!r} is not a prefix: give folder names of letters, digits and _ . = - joined "
            "by single slashes, with no slash at either end"
        )
    return value


def _file_pattern(value: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9_.*?\[\]!-]+", value) or "**" in value:
        raise ValueError(
            f"{value!r} is not a file pattern: it is matched against the file's name alone, so "
            "give something like *.csv, without a slash or **"
        )
    return value


def _delimiter(value: str) -> str:
    # One ASCII character is what Spark, UNLOAD and the counting of rows all understand.
    if len(value) != 1 or not value.isascii() or value.isalnum() or value in '\n\r\0"\\':
        raise ValueError(f"{value!r} is not a delimiter: give one ASCII character, e.g. ',' or ';'")
    return value


def _quote(value: str) -> str:
    if value not in ('"', "'"):
        raise ValueError(f"{value!r} is not a quote: give '\"' or \"'\"")
    return value


def _day(value: Any) -> Any:
    # YAML turns an unquoted 2026-01-01 into a date; quoted it stays text. Both mean the same.
    return value.isoformat() if isinstance(value, date) else value


def _iso_day(value: str) -> str:
    if not re.fullmatch(r"\d{4}-\d{2}-\d{2}", value):
        raise ValueError(f"{value!r} is not a day: write it as 2026-01-31")
    try:
        date.fromisoformat(value)
    except ValueError as error:
        raise ValueError(f"{value!r} is not a day of the calendar: {error}") from None
    return value


def _timezone(value: str) -> str:
    if value not in available_timezones():
        raise ValueError(f"{value!r} is not a time zone: use a name such as UTC or Europe/Berlin")
    ZoneInfo(value)
    return value


def _column_type(value: str) -> str:
    return str(ColumnType.parse(value))


Identifier = Annotated[
    str,
    AfterValidator(
        _matching(
            r"[a-z_][a-z0-9_]{0,126}",
            "an identifier: give lower-case letters, digits and _ (Redshift folds names to lower "
            "case; at most 127 characters)",
        )
    ),
]
QualifiedName = Annotated[
    str,
    AfterValidator(
        _matching(
            r"[a-z_][a-z0-9_]{0,126}\.[a-z_][a-z0-9_]{0,126}",
            "a qualified name: give schema.name in lower case, e.g. public.products",
        )
    ),
]
FeedName = Annotated[
    str,
    AfterValidator(
        _matching(
            r"(?=.{1,40}$)[a-z][a-z0-9]*(_[a-z0-9]+)*",
            "a feed name: give up to 40 lower-case letters, digits and single _, starting with a "
            "letter (it names assets, stacks, crawlers and jobs)",
        )
    ),
]
BucketName = Annotated[
    str,
    AfterValidator(
        _matching(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]", "a bucket name as S3 allows them")
    ),
]
ResourceName = Annotated[
    str,
    AfterValidator(
        _matching(
            r"[A-Za-z0-9][A-Za-z0-9_-]{0,127}",
            "a Glue resource name: give letters, digits, _ and - only",
        )
    ),
]
Prefix = Annotated[str, AfterValidator(_prefix)]
FilePattern = Annotated[str, AfterValidator(_file_pattern)]
IsoDay = Annotated[str, BeforeValidator(_day), AfterValidator(_iso_day)]


class _Strict(BaseModel):
    """A field that is not known is a mistake in the file, not something to ignore."""

    model_config = ConfigDict(extra="forbid", strict=True)


class Column(_Strict):
    """One column of the feed, in the raw files and in the warehouse alike."""

    name: Identifier = Field(description="Name in the CSV header and in Redshift, lower case.")
    type: Annotated[str, AfterValidator(_column_type)] = Field(
        description="Redshift type: bigint, integer, smallint, decimal(p,s), double precision, "
        "real, boolean, date, timestamp or varchar(n) (n counts bytes)."
    )
    nullable: bool = Field(
        default=True, description="Whether an empty unquoted field is allowed (it means NULL)."
    )
    description: str = Field(default="", description="What the column means; shown in the UI.")


class Csv(_Strict):
    """The dialect of the raw files (RFC 4180 with these characters; quotes are doubled)."""

    delimiter: Annotated[str, AfterValidator(_delimiter)] = Field(
        default=",", description="One character between fields."
    )
    quote: Annotated[str, AfterValidator(_quote)] = Field(
        default='"', description="One character around fields; doubled to stand for itself."
    )
    encoding: Literal["utf-8"] = Field(
        default="utf-8", description="Encoding of the files; only utf-8 is supported."
    )


class Source(_Strict):
    """Where the raw files land in account A."""

    bucket: BucketName | None = Field(
        default=None, description="Raw bucket; by default the one from XACCT_INPUT_BUCKET."
    )
    prefix: Prefix = Field(description="Folder of the feed in the bucket, e.g. products.")
    layout: DayLayout = Field(
        default=DayLayout.PLAIN,
        strict=False,
        description="How days are spelled below the prefix: YYYY/MM/DD or "
        "year=YYYY/month=MM/day=DD.",
    )
    patterns: list[FilePattern] = Field(
        default=["*.csv", "*.csv.gz"],
        min_length=1,
        description="Which files of a day belong to the feed; matched against the file's name. "
        "Names starting with _ or . never do.",
    )
    csv: Csv = Field(default_factory=Csv, description="Dialect of the files.")


class Arrival(_Strict):
    """When the sensor takes a day for complete, where it looks, and how often."""

    mode: Literal["poll", "events"] = Field(
        default="poll",
        description="poll: the sensor lists the days of its window at every tick. events: it waits "
        "for S3's notifications, which `xacct deploy` sets up, and lists the window now and then "
        "only.",
    )
    queue: str | None = Field(
        default=None,
        description="events only: SQS queue in account B that S3 notifies; by default "
        "xacct-arrivals-<suffix>.",
    )
    days_back: int = Field(
        default=7, ge=0, le=366, description="Days before today that the sensor looks at."
    )
    days_ahead: int = Field(
        default=1, ge=0, le=7, description="Days after today that the sensor looks at (time zones)."
    )
    interval_seconds: int | None = Field(
        default=None,
        ge=5,
        le=3600,
        description="Seconds between two ticks of the sensor; by default 30, with events 5.",
    )
    window_every_seconds: int | None = Field(
        default=None,
        ge=30,
        le=86400,
        description="events only: seconds between two looks at the whole window, in case a "
        "notification got lost; by default 300.",
    )
    sweep_days_back: int = Field(
        default=90,
        ge=0,
        le=3660,
        description="Late files behind the window are looked for up to this many days back, a few "
        "days a minute; 0 looks for none. Keep it below the age at which raw files are deleted.",
    )
    range_from_days: int = Field(
        default=4,
        ge=2,
        le=367,
        description="So many days in a row that are complete at the same time become one run (of "
        "up to max_days_per_run days); fewer become a run each.",
    )
    settle_seconds: int = Field(
        default=60,
        ge=0,
        le=86400,
        description="A day is requested once its newest object is this old (seconds).",
    )
    min_files: int = Field(
        default=1, ge=1, le=100000, description="Files a day must have before it is requested."
    )
    marker: str | None = Field(
        default=None,
        description="Name of a file that says the day is complete, e.g. _SUCCESS; then "
        "settle_seconds is not waited for.",
    )
    start_running: bool = Field(
        default=False, description="Whether sensor and schedule run without being switched on."
    )

    @property
    def tick_seconds(self) -> int:
        """Seconds between two ticks of the sensor."""
        return self.interval_seconds or (5 if self.mode == "events" else 30)

    @model_validator(mode="after")
    def _options_fit_the_mode(self) -> Arrival:
        if self.mode == "poll":
            for option in ("queue", "window_every_seconds"):
                if getattr(self, option) is not None:
                    raise ValueError(
                        f"arrival.{option} is for mode: events; remove it, or choose events"
                    )
        if self.queue is not None and not re.fullmatch(r"[A-Za-z0-9_-]{1,80}", self.queue):
            raise ValueError(
                f"queue {self.queue!r} is not the name of a standard SQS queue: give letters, "
                "digits, _ and - (S3 notifies no FIFO queue)"
            )
        if "sweep_days_back" in self.model_fields_set and 0 < self.sweep_days_back < self.days_back:
            raise ValueError(
                f"sweep_days_back {self.sweep_days_back} lies within the window (days_back "
                f"{self.days_back}): give more, or 0 for no sweep"
            )
        return self

    @model_validator(mode="after")
    def _marker_is_a_name(self) -> Arrival:
        if self.marker is not None and not re.fullmatch(r"[A-Za-z0-9_.-]{1,128}", self.marker):
            raise ValueError(
                f"marker {self.marker!r} is not a file name: give letters, digits, _ . and -"
            )
        return self


class Catalog(_Strict):
    """Where the crawler describes the raw files."""

    database: Identifier = Field(description="Glue database, made with the feed's stack.")
    table: Identifier = Field(
        description="Glue table; a crawler names it after the last folder of the prefix."
    )
    crawler: ResourceName | None = Field(
        default=None, description="Crawler; by default xacct-<suffix>-<feed>."
    )
    timeout_minutes: int = Field(
        default=30, ge=1, le=1440, description="Minutes to wait for a crawl before it is stopped."
    )


class WarehouseTables(_Strict):
    """Where the rows live in Redshift; the objects are in sql/<feed>/."""

    staging: QualifiedName = Field(description="Table the Glue job loads, e.g. public.products.")
    fact: QualifiedName = Field(description="Table the procedure fills, e.g. public.products_f.")
    procedure: QualifiedName = Field(
        description="Procedure called with the first and last day, e.g. public.sp_products."
    )
    load_audit: QualifiedName = Field(
        default="public.xacct_load_audit",
        description="Table of committed loads and whether they were transformed; shared by feeds.",
    )

    @model_validator(mode="after")
    def _tables_differ(self) -> WarehouseTables:
        if len({self.staging, self.fact, self.load_audit}) != 3:
            raise ValueError(
                "staging, fact and load audit must be three tables, but two of them are the same"
            )
        return self


class LoadJob(_Strict):
    """The Glue job that loads staging."""

    name: ResourceName | None = Field(
        default=None, description="Glue job; by default xacct-<suffix>-<feed>."
    )
    worker_type: Literal["G.1X", "G.2X", "G.4X", "G.8X", "R.1X", "R.2X", "R.4X", "R.8X"] = Field(
        default="G.1X", description="Glue worker type of a run."
    )
    number_of_workers: int = Field(
        default=2, ge=2, le=299, description="Glue workers of a run (one of them is the driver)."
    )
    timeout_minutes: int = Field(
        default=60, ge=1, le=10080, description="Minutes after which Glue ends a run."
    )
    max_concurrent_runs: int = Field(
        default=4, ge=1, le=1000, description="Runs of this job that Glue allows at the same time."
    )
    execution_class: Literal["STANDARD", "FLEX"] = Field(
        default="STANDARD", description="FLEX is cheaper and may wait for spare capacity."
    )


class Export(_Strict):
    """How UNLOAD writes the fact rows to account A's export bucket."""

    bucket: BucketName | None = Field(
        default=None, description="Export bucket; by default the one from XACCT_EXPORT_BUCKET."
    )
    prefix: Prefix = Field(description="Folder of the feed in the export bucket.")
    layout: DayLayout = Field(
        default=DayLayout.PLAIN, strict=False, description="How days are spelled below the prefix."
    )
    format: Literal["parquet", "csv"] = Field(
        default="parquet", description="File format: parquet or csv."
    )
    parallel: bool = Field(
        default=True, description="One file or more per slice (true), or files in sequence (false)."
    )
    max_file_size_mb: int | None = Field(
        default=None,
        ge=5,
        le=6200,
        description="Largest file in MB (5 to 6200); Redshift's own default is 6200.",
    )
    header: bool | None = Field(
        default=None, description="csv only: first line with the column names; default true."
    )
    delimiter: Annotated[str, AfterValidator(_delimiter)] | None = Field(
        default=None, description="csv only: one character between fields; default a comma."
    )
    compression: Literal["none", "gzip", "bzip2", "zstd"] | None = Field(
        default=None,
        description="csv only: compression of the files; default gzip. Parquet compresses itself.",
    )

    @model_validator(mode="after")
    def _options_fit_the_format(self) -> Export:
        if self.format == "parquet":
            for option in ("header", "delimiter", "compression"):
                if getattr(self, option) is not None:
                    raise ValueError(
                        f"export.{option} is for format: csv; remove it, or choose csv"
                    )
        return self


class Schedule(_Strict):
    """When yesterday's day is run if the sensor has not done it."""

    hour: int = Field(default=6, ge=0, le=23, description="Hour of the daily run.")
    minute: int = Field(default=0, ge=0, le=59, description="Minute of the daily run.")
    timezone: Annotated[str, AfterValidator(_timezone)] = Field(
        default="UTC", description="Time zone of hour and minute; days themselves are UTC."
    )


class FeedSpec(BaseModel):
    """Everything particular to one feed."""

    model_config = ConfigDict(extra="forbid", strict=True)

    name: FeedName = Field(description="Name of the feed: prefix of its assets, group in the UI.")
    description: str = Field(description="What the feed holds, for people who meet it in the UI.")
    owners: list[str] = Field(
        default_factory=list, description="Owners: an email address, or team:<name>."
    )
    tags: dict[str, str] = Field(default_factory=dict, description="Dagster tags of its assets.")
    start_date: IsoDay = Field(description="First day of the feed, e.g. 2026-01-01 (UTC).")
    source: Source = Field(description="Where the raw files land.")
    arrival: Arrival = Field(
        default_factory=Arrival, description="How the sensor decides that a day is complete."
    )
    columns: list[Column] = Field(min_length=1, description="The columns, in warehouse order.")
    key: list[Identifier] = Field(
        min_length=1,
        description="Columns that identify a row within a day; a second row with the same key is "
        "rejected.",
    )
    catalog: Catalog = Field(description="Where the crawler describes the raw files.")
    warehouse: WarehouseTables = Field(description="Tables and procedure in Redshift.")
    load: LoadJob = Field(
        default_factory=LoadJob, description="The Glue job that loads the staging table."
    )
    export: Export = Field(description="How the fact rows are written back to account A.")
    schedule: Schedule = Field(
        default_factory=Schedule, description="When yesterday is run if the sensor has not."
    )
    max_days_per_run: int = Field(
        default=31,
        ge=1,
        le=366,
        description="Days that one backfill run covers at most (one crawl, one Glue job run).",
    )
    reject_threshold: float = Field(
        default=0.01,
        ge=0,
        le=1,
        strict=False,
        description="Share of a day's rows that may be rejected; above it the day does not go on.",
    )

    @model_validator(mode="after")
    def _columns_and_key_fit(self) -> FeedSpec:
        names = [column.name for column in self.columns]
        for name in names:
            if names.count(name) > 1:
                raise ValueError(f"columns: {name!r} is there {names.count(name)} times")
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
            raise ValueError("key: a column is named twice")
        return self

    @model_validator(mode="after")
    def _owners_and_tags_fit(self) -> FeedSpec:
        for owner in self.owners:
            if not re.fullmatch(r"team:[A-Za-z0-9_.\-/ ]+|[^@\s]+@[^@\s]+\.[^@\s]+", owner):
                raise ValueError(f"owners: {owner!r} is neither an email address nor team:<name>")
        for name, value in self.tags.items():
            if not re.fullmatch(r"[A-Za-z0-9_.-]{1,63}(/[A-Za-z0-9_.-]{1,63})?", name):
                raise ValueError(f"tags: {name!r} is not a tag name")
            if not re.fullmatch(r"[A-Za-z0-9_.-]{0,63}", value):
                raise ValueError(f"tags: {value!r} is not a tag value")
        return self

    def _reserved_columns(self) -> tuple[str, ...]:
        reserved = (PARTITION_COLUMN, LOADED_AT_COLUMN)
        if self.source.layout is DayLayout.KEY_VALUE:
            # They would clash with the partition columns that the crawler reads from the folders.
            return (*reserved, "year", "month", "day")
        return (*reserved, "partition_0", "partition_1", "partition_2")

    @property
    def start(self) -> date:
        """First day of the feed."""
        return date.fromisoformat(self.start_date)

    def crawler_name(self, suffix: str) -> str:
        """Name of the crawler in an installation with this suffix."""
        return self.catalog.crawler or f"xacct-{suffix}-{self.name}"

    def job_name(self, suffix: str) -> str:
        """Name of the Glue job in an installation with this suffix."""
        return self.load.name or f"xacct-{suffix}-{self.name}"

    def stack_name(self, suffix: str) -> str:
        """Name of the feed's CloudFormation stack (those know no underscore)."""
        return f"xacct-feed-{self.name.replace('_', '-')}-{suffix}"

    def column_names(self) -> list[str]:
        """Names of the columns, in warehouse order."""
        return [column.name for column in self.columns]
