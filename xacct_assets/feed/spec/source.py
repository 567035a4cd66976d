"""Where a feed's raw files land and how they are written."""

from typing import ClassVar, Literal

from pydantic import Field, model_validator

from xacct_assets.contract.days import DayLayout
from xacct_assets.contract.headers import fold_header
from xacct_assets.feed.spec.names import (
    BucketName,
    Delimiter,
    FilePattern,
    Prefix,
    Quote,
    QuotedText,
)
from xacct_assets.feed.spec.section import Section


class Csv(Section):
    """The dialect of the raw files (RFC 4180 with these characters; quotes are doubled)."""

    left_out: ClassVar[frozenset[str]] = frozenset(
        {
            "header_row",
            "preamble_lines",
            "header_match",
            "extra_columns",
            "former_columns",
            "null_values",
        }
    )

    delimiter: Delimiter = Field(default=",", description="One character between fields.")
    quote: Quote = Field(
        default='"',
        description="One character around fields; two of them inside a field mean one.",
    )
    encoding: Literal["utf-8", "utf-16", "windows-1252", "iso-8859-1"] = Field(
        default="utf-8",
        description="Encoding of the files. Each is decoded by it and never guessed: a byte that "
        "it does not have stops the day. Large files are read in parallel only if they are utf-8.",
    )
    header_row: bool = Field(
        default=True,
        description="Whether the first row names the columns. Without it, the fields are the "
        "feed's columns in their order.",
    )
    preamble_lines: int = Field(
        default=0,
        ge=0,
        le=100,
        description="Lines before the header row (or the first row) that are skipped, e.g. 1 for "
        "Excel's sep=; line. Empty lines are no lines here, and need not be counted.",
    )
    header_match: Literal["exact", "relaxed"] = Field(
        default="exact",
        description="How names in the header row are compared; relaxed ignores case and outer "
        "blanks.",
    )
    extra_columns: Literal["fail", "ignore"] = Field(
        default="fail",
        description="What becomes of columns in the files that the feed does not have: fail stops "
        "the day, ignore leaves them out.",
    )
    former_columns: list[QuotedText] = Field(
        default_factory=list,
        description="Headers of columns that the feed had: older files, which have them, can be "
        "loaded again.",
    )
    null_values: list[QuotedText] = Field(
        default_factory=list,
        description="Texts that mean NULL in every column, besides an empty unquoted field, e.g. "
        "'N/A'. They are compared to the letter.",
    )

    def folded(self, name: str) -> str:
        """A name of a header row as it is compared."""
        return fold_header(name, is_relaxed=self.header_match == "relaxed")

    @model_validator(mode="after")
    def _options_fit_the_header_row(self) -> "Csv":
        if not self.header_row and self.former_columns:
            raise ValueError(
                "former_columns needs the names of a header row, and header_row is false: remove "
                "one of both"
            )
        for option, value in (("header_match", "relaxed"), ("extra_columns", "ignore")):
            if not self.header_row and getattr(self, option) == value:
                raise ValueError(
                    f"{option}: {value} needs the names of a header row, and header_row is false: "
                    "remove one of both"
                )
        return self


class Source(Section):
    """Where the raw files land in account A."""

    bucket: BucketName | None = Field(
        default=None, description="Raw bucket; by default the one of XACCT_INPUT_BUCKET."
    )
    prefix: Prefix = Field(description="Folder of the feed in the bucket, e.g. products.")
    layout: DayLayout = Field(
        default=DayLayout.PLAIN,
        strict=False,
        description="How day folders are named below the prefix: YYYY/MM/DD or "
        "year=YYYY/month=MM/day=DD.",
    )
    patterns: list[FilePattern] = Field(
        default=["*.csv", "*.csv.gz"],
        min_length=1,
        description="Which files in a day folder belong to the feed; matched against the file's "
        "name. Names starting with _ or . are always ignored.",
    )
    retention_days: int | None = Field(
        default=None,
        ge=1,
        le=36500,
        description="Days after which a lifecycle rule of the bucket deletes raw files (its "
        "Expiration, Days); by default they are kept. Older days are expected without files: the "
        "sensor does not look at them, and reconciling them compares what was loaded.",
    )
    count_until_mb: int = Field(
        default=2000,
        ge=0,
        description="Megabytes (10^6 bytes, as stored) of a day's files up to which raw_partition "
        "reads them whole and counts their rows. Of the large files of a larger day it reads both "
        "ends, and the Glue job counts, in parallel. Either way a day whose counts differ is not "
        "loaded.",
    )
    csv: Csv = Field(default_factory=Csv, description="Dialect of the files.")
