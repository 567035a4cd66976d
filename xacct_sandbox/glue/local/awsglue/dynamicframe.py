"""`DynamicFrame`: a DataFrame with Glue's methods.

In Glue a column of a DynamicFrame can hold several types. These frames come from DataFrames or
from files that are read with a schema, so a column has one type and ResolveChoice is not needed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pyspark.sql import DataFrame
from pyspark.sql.types import StructType

from awsglue.errors import refuse


class DynamicFrame:
    """A named DataFrame."""

    def __init__(self, dataframe: DataFrame, glue_ctx: Any, name: str = "") -> None:
        self._dataframe = dataframe
        self.glue_ctx = glue_ctx
        self.name = name

    @classmethod
    def fromDF(cls, dataframe: DataFrame, glue_ctx: Any, name: str = "") -> DynamicFrame:
        return cls(dataframe, glue_ctx, name)

    def toDF(self, options: Sequence[Any] | None = None) -> DataFrame:
        if options:
            raise refuse("ResolveOption in DynamicFrame.toDF", "cast the columns of the DataFrame")
        return self._dataframe

    def schema(self) -> StructType:
        return self._dataframe.schema

    def printSchema(self) -> None:
        self._dataframe.printSchema()

    def show(self, num_rows: int = 20) -> None:
        self._dataframe.show(num_rows)

    def count(self) -> int:
        return self._dataframe.count()

    def getNumPartitions(self) -> int:
        return self._dataframe.rdd.getNumPartitions()

    def repartition(self, num_partitions: int) -> DynamicFrame:
        return DynamicFrame(self._dataframe.repartition(num_partitions), self.glue_ctx, self.name)

    def coalesce(self, num_partitions: int) -> DynamicFrame:
        return DynamicFrame(self._dataframe.coalesce(num_partitions), self.glue_ctx, self.name)

    def select_fields(self, paths: Sequence[str]) -> DynamicFrame:
        return DynamicFrame(self._dataframe.select(*paths), self.glue_ctx, self.name)

    def drop_fields(self, paths: Sequence[str]) -> DynamicFrame:
        return DynamicFrame(self._dataframe.drop(*paths), self.glue_ctx, self.name)

    def rename_field(self, old_name: str, new_name: str) -> DynamicFrame:
        renamed = self._dataframe.withColumnRenamed(old_name, new_name)
        return DynamicFrame(renamed, self.glue_ctx, self.name)

    def union(self, other_frame: DynamicFrame) -> DynamicFrame:
        both = self._dataframe.unionByName(other_frame.toDF())
        return DynamicFrame(both, self.glue_ctx, self.name)

    def write(self, connection_type: str, connection_options: Mapping[str, Any]) -> None:
        self.glue_ctx.write_dynamic_frame.from_options(self, connection_type, connection_options)

    def __getattr__(self, name: str) -> object:
        if name.startswith("_"):
            raise AttributeError(name)
        raise refuse(f"DynamicFrame.{name}", "use toDF() and DynamicFrame.fromDF()")
