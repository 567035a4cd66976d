"""Reads tables of the Glue Data Catalog whose files are in S3."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import boto3
from pyspark.sql import DataFrame, SparkSession
from pyspark.sql import functions as F

from awsglue.errors import check_options, refuse


def read_catalog_table(
    spark: SparkSession,
    database: str,
    table_name: str,
    push_down_predicate: str,
    additional_options: dict[str, Any],
    catalog_id: str | None,
) -> DataFrame:
    """The table's rows, its partition columns last.

    Args:
        spark: the session.
        database: of the catalog.
        table_name: in the database.
        push_down_predicate: selects partitions in the catalog, before files are listed.
        additional_options: none is supported.
        catalog_id: the account of the catalog; None for the job's own.

    Raises:
        UnsupportedByLocalGlueError: an option or the table's format is not supported.
    """
    check_options("create_dynamic_frame.from_catalog", additional_options, ())
    glue = boto3.client("glue")
    request: dict[str, Any] = {"DatabaseName": database}
    if catalog_id:
        request["CatalogId"] = catalog_id
    table: Mapping[str, Any] = glue.get_table(Name=table_name, **request)["Table"]
    keys = table.get("PartitionKeys", [])
    if not keys:
        return _read_location(spark, table["StorageDescriptor"], table)
    if push_down_predicate:
        request["Expression"] = push_down_predicate
    pages = glue.get_paginator("get_partitions").paginate(TableName=table_name, **request)
    frame: DataFrame | None = None
    for partition in (item for page in pages for item in page["Partitions"]):
        part = _read_location(spark, partition["StorageDescriptor"], table)
        for key, value in zip(keys, partition["Values"], strict=True):
            part = part.withColumn(key["Name"], F.lit(value).cast(key["Type"]))
        frame = part if frame is None else frame.union(part)
    if frame is None:
        columns = [*table["StorageDescriptor"]["Columns"], *keys]
        return spark.createDataFrame([], _schema(columns))
    return frame


def _read_location(
    spark: SparkSession, storage: Mapping[str, Any], table: Mapping[str, Any]
) -> DataFrame:
    columns = storage.get("Columns") or table["StorageDescriptor"]["Columns"]
    parameters = table.get("Parameters", {})
    classification = parameters.get("classification")
    reader = spark.read.schema(_schema(columns))
    if classification == "csv":
        serde = storage.get("SerdeInfo", {}).get("Parameters", {})
        reader = reader.options(
            sep=serde.get("separatorChar") or serde.get("field.delim") or ",",
            quote=serde.get("quoteChar", '"'),
            escape=serde.get("escapeChar", '"'),
            header=parameters.get("skip.header.line.count", "0") != "0",
        )
    elif classification not in ("json", "parquet"):
        raise refuse(
            f"tables classified {classification!r} ({table['Name']})", "use csv, json or parquet"
        )
    return reader.format(classification).load(storage["Location"])


def _schema(columns: Iterable[Mapping[str, Any]]) -> str:
    return ", ".join(f"`{column['Name']}` {column['Type']}" for column in columns)
