"""The columns of a feed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar

from pydantic import AfterValidator, Field, model_validator

from xacct_assets.contract.column_types import ColumnType
from xacct_assets.contract.default_values import default_problem
from xacct_assets.contract.value_formats import MOMENTS, NUMBERS, MomentFormat, NumberFormat
from xacct_assets.feed.spec.names import Identifier, OptionalText, QuotedText
from xacct_assets.feed.spec.section import Section
from xacct_assets.feed.spec.source import Csv

# Column that the pipeline adds to the fact table, besides PARTITION_COLUMN.
LOADED_AT_COLUMN = "loaded_at"
#: Columns that every table has: CREATE TABLE refuses their names ("System Columns", PostgreSQL
#: documentation, from which Redshift has them).
SYSTEM_COLUMNS = frozenset({"oid", "tableoid", "xmin", "cmin", "xmax", "cmax", "ctid"})
#: Most columns of a feed. A table in Redshift has 1,600 ("CREATE TABLE", Amazon Redshift Database
#: Developer Guide); the fact table has two more than the feed.
MOST_COLUMNS = 1598


def _normalize_type(value: str) -> str:
    return str(ColumnType.parse(value))


class Column(Section):
    """One column of the feed, in the raw files and in the warehouse alike."""

    left_out: ClassVar[frozenset[str]] = frozenset(
        {
            "header",
            "former_headers",
            "format",
            "null_values",
            "trim",
            "default",
            "sensitive",
            "optional",
        }
    )

    name: Identifier = Field(
        description="Name in Redshift and in the CSV header, in lower case (at most 127 "
        "characters)."
    )
    header: OptionalText = Field(
        default=None,
        min_length=1,
        description="Name in the CSV header, any text, e.g. 'Body (HTML)'; by default the name.",
    )
    former_headers: list[QuotedText] = Field(
        default_factory=list,
        description="Names that the column has in the header of older files, which can so be "
        "loaded again.",
    )
    type: Annotated[str, AfterValidator(_normalize_type)] = Field(
        description="Redshift type: bigint, integer, smallint, decimal(p,s), double precision, "
        "real, boolean, date, time, timestamp, timestamptz, varchar(n) (n counts bytes), char(n) "
        "(ASCII) or super (JSON)."
    )
    format: OptionalText = Field(
        default=None,
        description="How the files write it. A number: 1234.56 (or 1234) as they write it, e.g. "
        "'1.234,56', '1 234,56 €' or '1234,56 %' (12,5 % is loaded as 12.5). A date, time or "
        "timestamp: of YYYY YY MM MON DD HH MI SS FF AM TZ, e.g. DD/MM/YYYY. By default as SQL "
        "writes it: 1234.56, 2026-01-31, 2026-01-31 12:00:00.",
    )
    nullable: bool = Field(
        default=True,
        description="Whether a field may be NULL, that is empty and unquoted. A row with a NULL in "
        "a column that is not nullable is rejected.",
    )
    null_values: list[QuotedText] = Field(
        default_factory=list,
        description="Texts that mean NULL in this column, besides those of source.csv.",
    )
    trim: bool = Field(
        default=False,
        description="Whether blanks at both ends of a field are dropped (no-break spaces and tabs, "
        "too); a field of blanks only is then NULL.",
    )
    default: OptionalText = Field(
        default=None,
        description="Value that is loaded for a NULL, as SQL writes it, e.g. '0' or '2026-01-31'.",
    )
    sensitive: bool = Field(
        default=False,
        description="Whether its values are masked wherever rows are shown: reasons of rejects, "
        "samples, logs. The files of rejects keep the raw record, from which it can be repaired.",
    )
    optional: bool = Field(
        default=False,
        description="Whether a file may lack the column; its value is then the default, or NULL.",
    )
    description: str = Field(default="", description="What the column holds; shown in the UI.")

    @property
    def header_name(self) -> str:
        """The column's name in the header of a file."""
        return self.header or self.name

    @model_validator(mode="after")
    def _format_fits_the_type(self) -> Column:
        column_type = ColumnType.parse(self.type)
        if self.format is None:
            return self
        if column_type.name in NUMBERS:
            NumberFormat.parse(self.format, column_type)
        elif column_type.name in MOMENTS:
            MomentFormat.parse(self.format, column_type)
        else:
            raise ValueError(
                f"format is for numbers, dates and times, not for {self.type}: remove it, or give "
                "the column another type"
            )
        return self

    @model_validator(mode="after")
    def _default_and_optional_fit(self) -> Column:
        if self.default is not None and (
            problem := default_problem(ColumnType.parse(self.type), self.default)
        ):
            raise ValueError(f"default {self.default!r} {problem}")
        if self.optional and not self.nullable and self.default is None:
            raise ValueError(
                "an optional column is NULL in a file that lacks it: give a default, or set "
                "nullable: true"
            )
        return self


def check_columns(columns: Sequence[Column], csv: Csv, key: Sequence[str]) -> None:
    """Check the settings of columns and files against each other.

    Raises:
        ValueError: naming the column, the reason and the fix.
    """
    if len(columns) > MOST_COLUMNS:
        raise ValueError(
            f"columns: {len(columns):,} are more than {MOST_COLUMNS:,}, the most of a feed (a "
            "table in Redshift has 1,600); leave some out, with source.csv.extra_columns: ignore"
        )
    headers: dict[str, str] = {}
    for column in columns:
        if column.name in SYSTEM_COLUMNS:
            raise ValueError(
                f"columns: {column.name!r} is a system column of every table in Redshift; give it "
                f"another name, and header: {column.header_name}"
            )
        if not csv.header_row:
            _refuse_without_header_row(column)
        folded = csv.folded(column.header_name)
        if folded in headers:
            raise ValueError(
                f"columns: {headers[folded]!r} and {column.name!r} have the same header "
                f"{column.header_name!r}{_RELAXED if csv.header_match == 'relaxed' else ''}; "
                "change one"
            )
        headers[folded] = column.name
        if column.name in key and (column.optional or column.default is not None):
            raise ValueError(
                f"key: column {column.name!r} is optional or has a default, so that rows would "
                "have the same key; remove that setting, or the column from the key"
            )
        if column.name in key and column.type == "super":
            raise ValueError(f"key: Redshift does not compare super ({column.name!r}); remove it")
    _check_former_names(columns, csv, headers)
    if all(column.optional for column in columns):
        raise ValueError("columns: all are optional; a file has one at least")


def _check_former_names(columns: Sequence[Column], csv: Csv, headers: dict[str, str]) -> None:
    for column in columns:
        for former in column.former_headers:
            if csv.folded(former) in headers:
                raise ValueError(
                    f"columns: former_headers of {column.name!r} has {former!r}, which is the "
                    f"header of {headers[csv.folded(former)]!r}; change one"
                )
            headers[csv.folded(former)] = column.name
    for former in csv.former_columns:
        if csv.folded(former) in headers:
            raise ValueError(
                f"source.csv.former_columns: {former!r} is a header of column "
                f"{headers[csv.folded(former)]!r}; remove it from the list"
            )


_RELAXED = " (header_match: relaxed ignores case and outer blanks)"


def _refuse_without_header_row(column: Column) -> None:
    for option in ("header", "former_headers", "optional"):
        if getattr(column, option):
            raise ValueError(
                f"columns: {column.name!r} has {option}, and the files have no header row "
                "(source.csv.header_row: false): remove one of both"
            )
