"""The fields of catalog tables and partitions that a crawler writes and reads."""

from __future__ import annotations

import json
import time
from collections.abc import Mapping, Sequence
from typing import Any

from xacct_sandbox.glue.crawler.infer.schema import Layout, Schema
from xacct_sandbox.glue.crawler.infer.types import render
from xacct_sandbox.glue.crawler.settings import S3Target

_TEXT_INPUT = "org.apache.hadoop.mapred.TextInputFormat"
_TEXT_OUTPUT = "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat"

OWNER_PARAMETER = "UPDATED_BY_CRAWLER"
DEPRECATED_PARAMETER = "DEPRECATED_BY_CRAWLER"


def parameters(schema: Schema, crawler: str, target: S3Target) -> dict[str, str]:
    """The parameters of a table or a partition."""
    layout = schema.layout
    written = {
        "CrawlerSchemaDeserializerVersion": "1.0",
        "CrawlerSchemaSerializerVersion": "1.0",
        OWNER_PARAMETER: crawler,
        "averageRecordSize": str(schema.average_record_size),
        "classification": layout.classification,
        "compressionType": layout.compression,
        "objectCount": str(schema.objects),
        "recordCount": str(schema.records),
        "sizeKey": str(schema.size),
        "typeOfData": "file",
    }
    if layout.classification == "csv":
        written |= {
            "areColumnsQuoted": "true" if schema.quoted else "false",
            "columnsOrdered": "true",
            "delimiter": layout.delimiter or ",",
        }
        if layout.header:
            written["skip.header.line.count"] = "1"
    if target.exclusions:
        # Readers of the table (create_dynamic_frame.from_catalog) skip these objects too.
        written["exclusions"] = json.dumps(
            [f"{target.location}{pattern}" for pattern in target.exclusions]
        )
    return written


def storage_descriptor(
    schema: Schema, location: str, parameters: Mapping[str, str]
) -> dict[str, Any]:
    """Columns, location and SerDe of a table or a partition."""
    layout = schema.layout
    columns = list(schema.columns)
    if layout.classification == "parquet":
        formats = {
            "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "OutputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
        }
        serde = {
            "SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe",
            "Parameters": {"serialization.format": "1"},
        }
    elif layout.classification == "json":
        formats = {"InputFormat": _TEXT_INPUT, "OutputFormat": _TEXT_OUTPUT}
        serde = {
            "SerializationLibrary": "org.openx.data.jsonserde.JsonSerDe",
            "Parameters": {"paths": ",".join(sorted(columns))},
        }
    else:
        formats = {"InputFormat": _TEXT_INPUT, "OutputFormat": _TEXT_OUTPUT}
        serde = {
            "SerializationLibrary": "org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe",
            "Parameters": {"field.delim": layout.delimiter or ","},
        }
    return {
        "Columns": [{"Name": name, "Type": render(kind)} for name, kind in schema.columns.items()],
        "Location": location,
        **formats,
        "Compressed": layout.compression != "none",
        "NumberOfBuckets": -1,
        "SerdeInfo": serde,
        "BucketColumns": [],
        "SortColumns": [],
        "Parameters": dict(parameters),
        "StoredAsSubDirectories": False,
    }


def layout_of(table: Mapping[str, Any]) -> Layout:
    """The layout in a catalog table's parameters."""
    stored = _parameters_of(table)
    classification = stored.get("classification", "")
    return Layout(
        classification=classification,
        compression=stored.get("compressionType", "none"),
        delimiter=stored.get("delimiter") if classification == "csv" else None,
        header=stored.get("skip.header.line.count") == "1",
    )


def columns_of(table: Mapping[str, Any]) -> dict[str, str]:
    """Name and type of a catalog table's data columns."""
    descriptor = table.get("StorageDescriptor") or {}
    return {column["Name"]: column.get("Type", "") for column in descriptor.get("Columns") or []}


def partition_key_columns(keys: Sequence[str]) -> list[dict[str, str]]:
    """Partition columns; a crawler makes all of them strings."""
    return [{"Name": key, "Type": "string"} for key in keys]


def owner_of(entry: Mapping[str, Any]) -> str | None:
    """The crawler that wrote a table or a partition."""
    return _parameters_of(entry).get(OWNER_PARAMETER)


def is_deprecated(entry: Mapping[str, Any]) -> bool:
    """Whether a crawler marked a table or a partition as deprecated."""
    return DEPRECATED_PARAMETER in _parameters_of(entry)


def deprecated(entry: Mapping[str, Any]) -> dict[str, str]:
    """The parameters of a table or a partition that becomes deprecated now (epoch milliseconds)."""
    return {**_parameters_of(entry), DEPRECATED_PARAMETER: str(int(time.time() * 1000))}


def _parameters_of(entry: Mapping[str, Any]) -> dict[str, str]:
    return entry.get("Parameters") or {}
