"""How a feed's fact rows are exported to account A."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, model_validator

from xacct_assets.contract.days import DayLayout
from xacct_assets.feed.spec.names import BucketName, Delimiter, Prefix
from xacct_assets.feed.spec.section import Section, refuse_options


class Export(Section):
    """How UNLOAD writes the fact rows to account A's export bucket."""

    bucket: BucketName | None = Field(
        default=None, description="Export bucket; by default the one of XACCT_EXPORT_BUCKET."
    )
    prefix: Prefix = Field(description="Folder of the feed in the export bucket.")
    layout: DayLayout = Field(
        default=DayLayout.PLAIN,
        strict=False,
        description="How day folders are named below the prefix: YYYY/MM/DD or "
        "year=YYYY/month=MM/day=DD.",
    )
    format: Literal["parquet", "csv"] = Field(
        default="parquet", description="File format: parquet or csv."
    )
    parallel: bool = Field(
        default=True,
        description="Whether the slices of Redshift write files in parallel; otherwise files are "
        "written one after the other.",
    )
    max_file_size_mb: int | None = Field(
        default=None,
        ge=5,
        le=6200,
        description="Largest file in MB (5 to 6200); Redshift's own default is 6200.",
    )
    header: bool | None = Field(
        default=None,
        description="csv only: whether the first line has the column names; default true.",
    )
    delimiter: Delimiter | None = Field(
        default=None, description="csv only: one character between fields; default a comma."
    )
    compression: Literal["none", "gzip", "bzip2", "zstd"] | None = Field(
        default=None,
        description="csv only: compression of the files; default gzip. Parquet compresses itself.",
    )

    kms_key: str | None = Field(
        default=None,
        pattern=r"^arn:aws[a-z-]*:kms:[a-z0-9-]+:\d{12}:key/[\w-]+$",
        description="ARN of the KMS key that UNLOAD encrypts the files with; by default that of "
        "XACCT_EXPORT_KEY, and without one S3's own keys. RoleA must be allowed to use it.",
    )

    @model_validator(mode="after")
    def _options_fit_the_format(self) -> Export:
        if self.format == "parquet":
            refuse_options(
                self,
                ("header", "delimiter", "compression"),
                name="export",
                setting="format",
                value="csv",
            )
        return self
