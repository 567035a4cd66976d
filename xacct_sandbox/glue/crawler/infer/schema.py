"""What the crawler knows of one file, and of many files together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from xacct_sandbox.glue.crawler.infer.types import Array, HiveType, Map, Struct, merge_fields

# Schemas with at least this share of columns in common belong to one table (i: the figure that
# AWS support gives; the documentation says only "similar").
SIMILARITY_THRESHOLD = 0.7


class Unclassified(Exception):
    """No built-in classifier recognizes the file; the text says why."""


class UnsupportedFormat(Exception):
    """Glue would read this file and the sandbox's crawler cannot; the text names the format."""


@dataclass(frozen=True)
class Layout:
    """What must be equal for two files to be data of one table ("data compatibility")."""

    classification: str  # csv, json, parquet
    compression: str = "none"  # none, gzip
    delimiter: str | None = None  # csv only
    header: bool = False  # csv only: the first record holds the names


@dataclass(frozen=True)
class Schema:
    """Columns, and how many records of what size stand behind them (estimates)."""

    layout: Layout
    columns: Mapping[str, HiveType]
    quoted: bool = False
    objects: int = 1
    records: int = 0
    record_bytes: int = 0
    """Size of all the records, uncompressed, for the average record size."""
    size: int = 0
    """Size of the objects, in bytes as stored."""

    @property
    def average_record_size(self) -> int:
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

    # -- what the crawler remembers between crawls ------------------------------------------

    def to_json(self) -> dict[str, Any]:
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
    if not isinstance(document, dict):
        return document
    if "struct" in document:
        return Struct(tuple((name, _type_from_json(kind)) for name, kind in document["struct"]))
    if "array" in document:
        return Array(_type_from_json(document["array"]))
    key, value = document["map"]
    return Map(_type_from_json(key), _type_from_json(value))
