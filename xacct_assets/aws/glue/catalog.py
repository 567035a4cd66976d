"""The Glue Data Catalog: a table, whether a day's partition is in it, and mending both."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from xacct_assets.aws.botocore_errors import aws_call, error_code

#: (name, Hive type) of each column, in order.
Columns = Sequence[tuple[str, str]]

#: BatchGetPartition takes this many partitions in one call (Glue service model).
BATCH = 1000
_EXISTS = "AlreadyExistsException"
#: What a crawler writes on tables and partitions alike; the rest are counts of their own files.
_SHARED_PARAMETERS = (
    "classification",
    "compressionType",
    "typeOfData",
    "skip.header.line.count",
    "delimiter",
    "areColumnsQuoted",
    "columnsOrdered",
)


@dataclass(frozen=True)
class CatalogTable:
    """A table as the catalog has it. Columns and partition keys are (name, type) pairs."""

    database: str
    name: str
    columns: list[tuple[str, str]]
    partition_keys: list[tuple[str, str]]
    location: str
    classification: str | None
    parameters: dict[str, str] = field(default_factory=dict)
    updated: datetime | None = None


@dataclass(frozen=True)
class CatalogPartition:
    """A partition as the catalog has it."""

    values: tuple[str, ...]
    location: str
    columns: list[tuple[str, str]]
    parameters: dict[str, str] = field(default_factory=dict)
    created: datetime | None = None


class Catalog:
    """Reads the Data Catalog. `glue` is boto3's client."""

    def __init__(self, glue: Any) -> None:
        self._glue = glue

    def table(self, database: str, name: str) -> CatalogTable:
        """The table.

        Raises:
            NotFound: there is no such table or database.
        """
        with aws_call(
            "glue:GetTable",
            f"table {database}.{name}",
            fix=None,
        ):
            table = self._glue.get_table(DatabaseName=database, Name=name)["Table"]
        storage = table.get("StorageDescriptor", {})
        parameters = dict(table.get("Parameters", {}))
        return CatalogTable(
            database=database,
            name=name,
            columns=_columns(storage.get("Columns", [])),
            partition_keys=_columns(table.get("PartitionKeys", [])),
            location=storage.get("Location", ""),
            classification=parameters.get("classification"),
            parameters=parameters,
            updated=table.get("UpdateTime"),
        )

    def partitions(
        self, database: str, table: str, values: Sequence[Sequence[str]]
    ) -> dict[tuple[str, ...], CatalogPartition]:
        """Those of the asked-for partitions that exist, by their values.

        UnprocessedKeys names every partition that was not returned (Glue API reference), those that
        do not exist among them. So it is asked again only as long as that brings something.

        Raises:
            NotFound: there is no such table.
        """
        found: dict[tuple[str, ...], CatalogPartition] = {}
        resource = f"table {database}.{table}"
        for start in range(0, len(values), BATCH):
            todo = [{"Values": list(item)} for item in values[start : start + BATCH]]
            while todo:
                with aws_call("glue:BatchGetPartition", resource):
                    answer = self._glue.batch_get_partition(
                        DatabaseName=database, TableName=table, PartitionsToGet=todo
                    )
                partitions = [_partition(item) for item in answer.get("Partitions", [])]
                found |= {partition.values: partition for partition in partitions}
                todo = answer.get("UnprocessedKeys", []) if partitions else []
        return found

    def create_table(
        self,
        database: str,
        name: str,
        location: str,
        *,
        columns: Columns,
        partition_keys: Sequence[str],
        delimiter: str,
        crawler: str,
    ) -> None:
        """Describe CSV files with a header row as the crawler of that name would describe them.

        Args:
            location: ``s3://…/`` of the folder that holds the partitions.
            columns: (name, Hive type) in the order that readers are to see.
            partition_keys: names, all of type string as a crawler makes them.
            crawler: takes the table for its own work (UPDATED_BY_CRAWLER) and goes on with it.

        No error if a table of that name is there.
        """
        parameters = {
            "CrawlerSchemaDeserializerVersion": "1.0",
            "CrawlerSchemaSerializerVersion": "1.0",
            "UPDATED_BY_CRAWLER": crawler,
            "classification": "csv",
            "compressionType": "none",
            "typeOfData": "file",
            "areColumnsQuoted": "false",
            "columnsOrdered": "true",
            "delimiter": delimiter,
            "skip.header.line.count": "1",
        }
        table = {
            "Name": name,
            "Owner": "owner",
            "TableType": "EXTERNAL_TABLE",
            "PartitionKeys": [{"Name": key, "Type": "string"} for key in partition_keys],
            "Parameters": parameters,
            "StorageDescriptor": {
                "Columns": _described(columns),
                "Location": location,
                "InputFormat": "org.apache.hadoop.mapred.TextInputFormat",
                "OutputFormat": "org.apache.hadoop.hive.ql.io.HiveIgnoreKeyTextOutputFormat",
                "Compressed": False,
                "NumberOfBuckets": -1,
                "SerdeInfo": {
                    "SerializationLibrary": ("org.apache.hadoop.hive.serde2.lazy.LazySimpleSerDe"),
                    "Parameters": {"field.delim": delimiter},
                },
                "Parameters": parameters,
                "StoredAsSubDirectories": False,
            },
        }
        with aws_call("glue:CreateTable", f"table {database}.{name}", expected_codes=(_EXISTS,)):
            try:
                self._glue.create_table(DatabaseName=database, TableInput=table)
            except Exception as error:
                if error_code(error) != _EXISTS:
                    raise

    def add_partition(
        self,
        database: str,
        table: str,
        values: Sequence[str],
        location: str,
        columns: Columns,
    ) -> None:
        """Describe a folder as a partition, as the crawler describes its like: by its table.

        For folders that an incremental crawl passes over (CRAWL_NEW_FOLDERS_ONLY looks at a folder
        once, and what it made of its first files stays). No error if the partition is there.

        Raises:
            NotFound: there is no such table.
        """
        resource = f"table {database}.{table}"
        partition = self._partition_like_its_table(database, table, values, location, columns)
        with aws_call("glue:CreatePartition", resource, expected_codes=(_EXISTS,)):
            try:
                self._glue.create_partition(
                    DatabaseName=database, TableName=table, PartitionInput=partition
                )
            except Exception as error:
                if error_code(error) != _EXISTS:
                    raise

    def update_partition(
        self,
        database: str,
        table: str,
        values: Sequence[str],
        location: str,
        columns: Columns,
    ) -> None:
        """Describe a partition anew, as `add_partition` would: for files that were replaced.

        Raises:
            NotFound: there is no such table or partition.
        """
        partition = self._partition_like_its_table(database, table, values, location, columns)
        with aws_call("glue:UpdatePartition", f"table {database}.{table}"):
            self._glue.update_partition(
                DatabaseName=database,
                TableName=table,
                PartitionValueList=list(values),
                PartitionInput=partition,
            )

    def _partition_like_its_table(
        self, database: str, table: str, values: Sequence[str], location: str, columns: Columns
    ) -> dict[str, Any]:
        with aws_call("glue:GetTable", f"table {database}.{table}"):
            described = self._glue.get_table(DatabaseName=database, Name=table)["Table"]
        return {
            "Values": list(values),
            "StorageDescriptor": {
                **described["StorageDescriptor"],
                "Columns": _described(columns),
                "Location": location,
            },
            "Parameters": {
                name: value
                for name, value in described.get("Parameters", {}).items()
                if name in _SHARED_PARAMETERS
            },
        }


def _described(columns: Columns) -> list[dict[str, str]]:
    return [{"Name": name, "Type": type_} for name, type_ in columns]


def _partition(item: dict[str, Any]) -> CatalogPartition:
    storage = item.get("StorageDescriptor", {})
    return CatalogPartition(
        values=tuple(item["Values"]),
        location=storage.get("Location", ""),
        columns=_columns(storage.get("Columns", [])),
        parameters=dict(item.get("Parameters", {})),
        created=item.get("CreationTime"),
    )


def _columns(columns: Sequence[dict[str, str]]) -> list[tuple[str, str]]:
    return [(column["Name"], column.get("Type", "")) for column in columns]
