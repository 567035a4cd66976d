"""Frames from tables of the Glue Data Catalog whose files are in S3."""

from __future__ import annotations

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

    ``push_down_predicate`` chooses partitions in the catalog, before files are listed.
    """
    check_options("create_dynamic_frame.from_catalog", additional_options, ())
    glue = boto3.client("glue")
    catalog = {"CatalogId": catalog_id} if catalog_id else {}
    table = glue.get_table(DatabaseName=database, Name=table_name, **catalog)["Table"]
    keys = table.get("PartitionKeys", [])
    if not keys:
        return _read_location(spark, table["StorageDescriptor"], table)
    pages = glue.get_paginator("get_partitions").paginate(
        DatabaseName=database,
        TableName=table_name,
        **({"Expression": push_down_predicate} if push_down_predicate else {}),
        **catalog,
    )
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
    spark: SparkSession, storage: dict[str, Any], table: dict[str, Any]
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


def _schema(columns: list[dict[str, Any]]) -> str:
    return ", ".join(f"`{column['Name']}` {column['Type']}" for column in columns)
