"""Metadata of events that code reads back, typed. Each class is written by one asset.

The keys are the names of the fields, in the namespace ``xacct/``. Every other entry of an event's
metadata is a label for people: no code reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from datetime import UTC, datetime
from typing import Any, Self

import dagster as dg

NAMESPACE = "xacct/"


class MetadataMissing(ValueError):
    """An event lacks metadata that this version of the code needs."""


def plain_values(metadata: Mapping[str, dg.MetadataValue[Any]]) -> dict[str, Any]:
    """The metadata of an event, without Dagster's types."""
    return {name: value.value for name, value in metadata.items()}


@dataclass(frozen=True)
class Facts:
    """Values that are written to an event's metadata and read back from it.

    A field is an int, a float, a str, a bool, a list of str, or a datetime with a time zone. Fields
    that are None are not written.
    """

    def to_metadata(self) -> dict[str, Any]:
        """The fields as metadata of an event."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {
            NAMESPACE + name: dg.MetadataValue.timestamp(value)
            if isinstance(value, datetime)
            else value
            for name, value in values.items()
            if value is not None
        }

    @classmethod
    def from_metadata(cls, metadata: Mapping[str, Any]) -> Self:
        """The fields of an event's plain metadata values.

        Raises:
            MetadataMissing: names the first field that is missing.
        """
        values: dict[str, Any] = {}
        for field in fields(cls):
            if NAMESPACE + field.name in metadata:
                value = metadata[NAMESPACE + field.name]
                is_time = field.type == "datetime"
                values[field.name] = datetime.fromtimestamp(value, UTC) if is_time else value
            elif field.default is MISSING:
                raise MetadataMissing(
                    f"the event has no metadata {NAMESPACE}{field.name}: another version of this "
                    "code wrote it. Materialize the day again from raw_partition on."
                )
        return cls(**values)


@dataclass(frozen=True)
class RawFiles(Facts):
    """raw_partition: the day's files.

    Attributes:
        newest_object: when the newest of the files was written.
        empty_files: keys of files without rows, each with the reason.
        rows: records, without headers; None if the load job counts them.
        splittable_files: keys of large files that several readers can read parts of.
        version: fingerprint of the listing; it is the event's data version too.
        header: of every file; None if they differ, or a file that is not empty has none.
    """

    files: int
    newest_object: datetime
    empty_files: Sequence[str]
    rows: int | None = None
    splittable_files: Sequence[str] | None = None
    version: str | None = None
    header: Sequence[str] | None = None


@dataclass(frozen=True)
class CrawledColumns(Facts):
    """catalog_table: how the catalog's columns differ from the feed's."""

    missing_columns: Sequence[str]
    unknown_columns: Sequence[str]
    type_drift: Sequence[str]


@dataclass(frozen=True)
class LoadedRows(Facts):
    """staging_table: what one job run did for the day.

    Attributes:
        job_run_days: days that the job run loaded.
        job_run_seconds: from its start to its end.
        raw_version: fingerprint of the raw files that it loaded.
    """

    rows_read: int
    rows_rejected: int
    load_id: str
    job_run_id: str
    job_run_days: int | None = None
    job_run_seconds: float | None = None
    raw_version: str | None = None


@dataclass(frozen=True)
class ExportedFiles(Facts):
    """s3_export: the day's files, by their manifest."""

    rows: int
    files: int
    bytes: int


@dataclass(frozen=True)
class Problem(Facts):
    """An observation: why the asset was not materialized for the day.

    Attributes:
        is_upstream: the upstream asset failed for the day and has reported the reason.
    """

    problem: str
    is_upstream: bool
