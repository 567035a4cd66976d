"""The schema of one file, or of many files together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from xacct_sandbox.glue.crawler.infer.types import (
    Array,
    HiveType,
    Map,
    Struct,
    merge_fields,
    render,
)

SIMILARITY_THRESHOLD = 0.7
"""Schemas with at least this share of columns in common belong to one table.

The figure is AWS support's; the Glue developer guide says only "similar".
"""


class Unclassified(Exception):
    """No built-in classifier recognizes the file; the text says why."""


class UnsupportedFormat(Exception):
    """Glue would read this file and the sandbox's crawler cannot; the text names the format."""


@dataclass(frozen=True)
class Layout:
    """What two files of one table have in common (Glue developer guide, "data compatibility")."""

    classification: str  # csv, json, parquet
    compression: str = "none"  # none, gzip
    delimiter: str | None = None  # csv only
    header: bool = False  # csv only: the first record holds the names

    def __str__(self) -> str:
        details = [self.classification, f"compression {self.compression}"]
        if self.delimiter:
            details.append(f"delimiter {self.delimiter!r}")
            details.append("with header" if self.header else "without header")
        return ", ".join(details)


@dataclass(frozen=True)
class Schema:
    """Columns of the data, and estimates of its size."""

    layout: Layout
    columns: Mapping[str, HiveType]
    quoted: bool = False
    objects: int = 1
    records: int = 0
    record_bytes: int = 0
    """Bytes of all records, uncompressed."""
    size: int = 0
    """Bytes of the objects as stored."""

    @property
    def average_record_size(self) -> int:
        """Bytes of a record, uncompressed."""
        return round(self.record_bytes / self.records) if self.records else 0

    def similarity(self, other: Schema) -> float:
        """Share of the columns that both have, 0 to 1."""
        names, others = set(self.columns), set(other.columns)
        longest = max(len(names), len(others))
        return len(names & others) / longest if longest else 1.0

    def fits(self, other: Schema, *, ignore_similarity: bool = False) -> bool:
        """Whether both can be data of one table."""
        if self.layout != other.layout:
            return False
        return ignore_similarity or self.similarity(other) >= SIMILARITY_THRESHOLD

    def merged(self, other: Schema) -> Schema:
        """One schema for the data of both."""
        return replace(
            self,
            columns=merge_fields(self.columns, other.columns),
            quoted=self.quoted or other.quoted,
            objects=self.objects + other.objects,
            records=self.records + other.records,
            record_bytes=self.record_bytes + other.record_bytes,
            size=self.size + other.size,
        )

    def scaled(self, objects: int, size: int) -> Schema:
        """The schema of more data like this.

        Args:
            objects: how many there are.
            size: bytes of the objects as stored.
        """
        factor = size / self.size if self.size else 1.0
        return replace(
            self,
            objects=objects,
            records=round(self.records * factor),
            record_bytes=round(self.record_bytes * factor),
            size=size,
        )

    def __str__(self) -> str:
        columns = ", ".join(f"{name} {render(kind)}" for name, kind in self.columns.items())
        return f"[{self.layout}: {columns}]"

    # -- stored between crawls -------------------------------------------------------------

    def to_json(self) -> dict[str, Any]:
        """The schema as a JSON document."""
        return {
            "layout": [
                self.layout.classification,
                self.layout.compression,
                self.layout.delimiter,
                self.layout.header,
            ],
            "columns": [[name, _type_to_json(kind)] for name, kind in self.columns.items()],
            "quoted": self.quoted,
            "counts": [self.objects, self.records, self.record_bytes, self.size],
        }

    @classmethod
    def from_json(cls, document: Mapping[str, Any]) -> Schema:
        """The schema in a document of `to_json`."""
        objects, records, record_bytes, size = document["counts"]
        return cls(
            layout=Layout(*document["layout"]),
            columns={name: _type_from_json(kind) for name, kind in document["columns"]},
            quoted=document["quoted"],
            objects=objects,
            records=records,
            record_bytes=record_bytes,
            size=size,
        )


def _type_to_json(kind: HiveType) -> Any:
    if isinstance(kind, Struct):
        return {"struct": [[name, _type_to_json(inner)] for name, inner in kind.fields]}
    if isinstance(kind, Array):
        return {"array": _type_to_json(kind.element)}
    if isinstance(kind, Map):
        return {"map": [_type_to_json(kind.key), _type_to_json(kind.value)]}
    return kind


def _type_from_json(document: Any) -> HiveType:
    if document is None or isinstance(document, str):
        return document
    if "struct" in document:
        return Struct(tuple((name, _type_from_json(kind)) for name, kind in document["struct"]))
    if "array" in document:
        return Array(_type_from_json(document["array"]))
    key, value = document["map"]
    return Map(_type_from_json(key), _type_from_json(value))
