"""Where a feed's raw files land and how they are written."""

from typing import Literal

from pydantic import Field

from xacct_assets.contract.days import DayLayout
from xacct_assets.feed.spec.names import BucketName, Delimiter, FilePattern, Prefix, Quote
from xacct_assets.feed.spec.section import Section


class Csv(Section):
    """The dialect of the raw files (RFC 4180 with these characters; quotes are doubled)."""

    delimiter: Delimiter = Field(default=",", description="One character between fields.")
    quote: Quote = Field(
        default='"',
        description="One character around fields; two of them inside a field mean one.",
    )
    encoding: Literal["utf-8"] = Field(
        default="utf-8", description="Encoding of the files; only utf-8 is supported."
    )


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
