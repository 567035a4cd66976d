"""The Glue Data Catalog: a table, and whether a day's partition is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from xacct_assets.aws.errors import aws_call, error_code

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

    def add_partition(
        self, database: str, table: str, values: Sequence[str], location: str
    ) -> None:
        """Describe a folder as a partition, as the crawler describes its like: by its table.

        For folders that an incremental crawl passes over (CRAWL_NEW_FOLDERS_ONLY looks at a folder
        once, and what it made of its first files stays). No error if the partition is there.

        Raises:
            NotFound: there is no such table.
        """
        resource = f"table {database}.{table}"
        with aws_call("glue:GetTable", resource):
            described = self._glue.get_table(DatabaseName=database, Name=table)["Table"]
        with aws_call("glue:CreatePartition", resource, passing=(_EXISTS,)):
            try:
                self._glue.create_partition(
                    DatabaseName=database,
                    TableName=table,
                    PartitionInput={
                        "Values": list(values),
                        "StorageDescriptor": {
                            **described["StorageDescriptor"],
                            "Location": location,
                        },
                        "Parameters": {
                            name: value
                            for name, value in described.get("Parameters", {}).items()
                            if name in _SHARED_PARAMETERS
                        },
                    },
                )
            except Exception as error:
                if error_code(error) != _EXISTS:
                    raise


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
