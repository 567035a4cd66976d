"""`GlueContext`, with its readers and writers of frames."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any

from pyspark.context import SparkContext
from pyspark.sql import DataFrame, SparkSession

from awsglue.catalog_source import read_catalog_table
from awsglue.dynamicframe import DynamicFrame
from awsglue.errors import refuse
from awsglue.redshift_sink import write_redshift
from awsglue.s3_frames import read_s3, write_s3


class GlueContext:
    """Glue's context over the running Spark session."""

    def __init__(self, sparkContext: SparkContext | None = None, **options: Any) -> None:
        if options:
            raise refuse(f"options of GlueContext ({', '.join(options)})", "leave them out")
        self._context = sparkContext or SparkContext.getOrCreate()
        self.spark_session = SparkSession(self._context)
        self.create_dynamic_frame = DynamicFrameReader(self)
        self.create_data_frame = DataFrameReader(self)
        self.write_dynamic_frame = DynamicFrameWriter(self)

    @property
    def sparkSession(self) -> SparkSession:
        return self.spark_session

    def get_logger(self) -> logging.Logger:
        """A logger with debug, info, warn and error; it writes to the run's error stream."""
        return logging.getLogger("glue")

    def __getattr__(self, name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(name)
        raise refuse(
            f"GlueContext.{name}",
            "use spark_session, create_dynamic_frame, create_data_frame or write_dynamic_frame",
        )


class DataFrameReader:
    """``glueContext.create_data_frame``."""

    def __init__(self, glue_context: GlueContext) -> None:
        self._glue_context = glue_context

    def from_catalog(
        self,
        database: str,
        table_name: str,
        redshift_tmp_dir: str = "",
        transformation_ctx: str = "",
        push_down_predicate: str = "",
        additional_options: Mapping[str, Any] | None = None,
        catalog_id: str | None = None,
    ) -> DataFrame:
        """A catalog table in S3; ``transformation_ctx``, used by bookmarks, has no effect."""
        if redshift_tmp_dir:
            raise refuse("catalog tables of Redshift", "read a table in S3")
        return read_catalog_table(
            self._glue_context.spark_session,
            database,
            table_name,
            push_down_predicate,
            dict(additional_options or {}),
            catalog_id,
        )

    def from_options(
        self,
        connection_type: str,
        connection_options: Mapping[str, Any] | None = None,
        format: str | None = None,
        format_options: Mapping[str, Any] | None = None,
        transformation_ctx: str = "",
        push_down_predicate: str = "",
    ) -> DataFrame:
        """Files in S3; other connection types are refused."""
        if connection_type != "s3":
            raise refuse(f"reading connection_type {connection_type!r}", "read from s3")
        if push_down_predicate:
            raise refuse("push_down_predicate with from_options", "Glue has it in from_catalog")
        return read_s3(
            self._glue_context.spark_session,
            dict(connection_options or {}),
            format,
            dict(format_options or {}),
        )


class DynamicFrameReader:
    """``glueContext.create_dynamic_frame``."""

    def __init__(self, glue_context: GlueContext) -> None:
        self._glue_context = glue_context

    def from_catalog(self, database: str, table_name: str, **options: Any) -> DynamicFrame:
        """A catalog table in S3, with the options of `DataFrameReader.from_catalog`."""
        frame = self._glue_context.create_data_frame.from_catalog(database, table_name, **options)
        return DynamicFrame(frame, self._glue_context, table_name)

    def from_options(self, connection_type: str, **options: Any) -> DynamicFrame:
        """Files in S3, with the options of `DataFrameReader.from_options`."""
        frame = self._glue_context.create_data_frame.from_options(connection_type, **options)
        return DynamicFrame(frame, self._glue_context)


class DynamicFrameWriter:
    """``glueContext.write_dynamic_frame``."""

    def __init__(self, glue_context: GlueContext) -> None:
        self._glue_context = glue_context

    def from_options(
        self,
        frame: DynamicFrame,
        connection_type: str,
        connection_options: Mapping[str, Any] | None = None,
        format: str | None = None,
        format_options: Mapping[str, Any] | None = None,
        transformation_ctx: str = "",
    ) -> DynamicFrame:
        """Append a frame to Redshift or S3."""
        options = dict(connection_options or {})
        if connection_type == "redshift":
            if format or format_options:
                raise refuse("format with connection_type redshift", "set tempformat")
            write_redshift(frame.toDF(), options)
        elif connection_type == "s3":
            write_s3(frame.toDF(), options, format, dict(format_options or {}))
        else:
            raise refuse(f"writing connection_type {connection_type!r}", "write to redshift or s3")
        return frame

    def from_jdbc_conf(
        self,
        frame: DynamicFrame,
        catalog_connection: str,
        connection_options: Mapping[str, Any] | None = None,
        redshift_tmp_dir: str = "",
        transformation_ctx: str = "",
    ) -> DynamicFrame:
        """Append a frame to Redshift through a Glue connection."""
        options = dict(connection_options or {})
        options.update(
            useConnectionProperties="true",
            connectionName=catalog_connection,
            redshiftTmpDir=redshift_tmp_dir,
        )
        write_redshift(frame.toDF(), options)
        return frame

    def from_catalog(self, *_arguments: Any, **_options: Any) -> DynamicFrame:
        """Refused: use from_options."""
        raise refuse("write_dynamic_frame.from_catalog", "use from_options")
