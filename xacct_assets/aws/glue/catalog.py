"""The Glue Data Catalog: reads a table and its partitions, and creates or updates them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call, ignore_codes

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient

#: (name, Hive type) of each column, in order.
Columns = Sequence[tuple[str, str]]

#: BatchGetPartition takes this many partitions in one call (Glue service model).
BATCH = 1000
_EXISTS = "AlreadyExistsException"
#: Parameters that a crawler writes on tables and partitions alike; the rest count their own files.
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
    """A table in the catalog. Columns and partition keys are (name, type) pairs."""

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
    """A partition in the catalog. Columns are (name, type) pairs."""

    values: tuple[str, ...]
    location: str
    columns: list[tuple[str, str]]
    parameters: dict[str, str] = field(default_factory=dict)
    created: datetime | None = None


class Catalog:
    """Reads and repairs the Data Catalog. `glue` is boto3's client."""

    def __init__(self, glue: GlueClient) -> None:
        self._glue = glue

    def table(self, database: str, name: str) -> CatalogTable:
        """The table.

        Raises:
            NotFound: there is no such table or database.
        """
        table = self._describe_table(database, name)
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
        """Those of the requested partitions that exist, by their values.

        UnprocessedKeys names every partition that was not returned (Glue API reference), also those
        that do not exist. So the request is repeated only as long as it returns something.

        Raises:
            NotFound: there is no such table.
        """
        found: dict[tuple[str, ...], CatalogPartition] = {}
        resource = f"table {database}.{table}"
        for start in range(0, len(values), BATCH):
            todo: Any = [{"Values": list(item)} for item in values[start : start + BATCH]]
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
        header_lines: int = 1,
    ) -> None:
        """Create a table for CSV files, as the crawler would create it.

        No error if a table of that name exists.

        Args:
            database, name: of the table.
            location: ``s3://…/`` of the folder that holds the partitions.
            columns: (name, Hive type) in the order that readers see.
            partition_keys: names, all of type string as a crawler makes them.
            delimiter: of the files.
            crawler: becomes the table's owner (UPDATED_BY_CRAWLER) and goes on updating it.
            header_lines: lines of a file before its first row.
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
            **({"skip.header.line.count": str(header_lines)} if header_lines else {}),
        }
        table: Any = {
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
        with (
            ignore_codes(_EXISTS),
            aws_call("glue:CreateTable", f"table {database}.{name}"),
        ):
            self._glue.create_table(DatabaseName=database, TableInput=table)

    def add_partition(
        self, database: str, table: str, values: Sequence[str], location: str, columns: Columns
    ) -> None:
        """Create a partition with the properties of its table, as the crawler does.

        For folders that an incremental crawl skips: CRAWL_NEW_FOLDERS_ONLY looks at a folder once,
        and keeps what it made of its first files. No error if the partition exists.

        Raises:
            NotFound: there is no such table.
        """
        partition = self._partition(database, table, values, location, columns)
        with (
            ignore_codes(_EXISTS),
            aws_call("glue:CreatePartition", f"table {database}.{table}"),
        ):
            self._glue.create_partition(
                DatabaseName=database, TableName=table, PartitionInput=partition
            )

    def update_partition(
        self, database: str, table: str, values: Sequence[str], location: str, columns: Columns
    ) -> None:
        """Replace a partition's description, for files that were replaced. See `add_partition`.

        Raises:
            NotFound: there is no such table or partition.
        """
        partition = self._partition(database, table, values, location, columns)
        with aws_call("glue:UpdatePartition", f"table {database}.{table}"):
            self._glue.update_partition(
                DatabaseName=database,
                TableName=table,
                PartitionValueList=list(values),
                PartitionInput=partition,
            )

    def _partition(
        self, database: str, table: str, values: Sequence[str], location: str, columns: Columns
    ) -> Any:
        """PartitionInput with the properties of the table."""
        described = self._describe_table(database, table)
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

    def _describe_table(self, database: str, name: str) -> Mapping[str, Any]:
        with aws_call("glue:GetTable", f"table {database}.{name}"):
            table: Mapping[str, Any] = self._glue.get_table(DatabaseName=database, Name=name)[
                "Table"
            ]
        return table


def _described(columns: Columns) -> list[dict[str, str]]:
    return [{"Name": name, "Type": type_} for name, type_ in columns]


def _partition(item: Mapping[str, Any]) -> CatalogPartition:
    storage = item.get("StorageDescriptor", {})
    return CatalogPartition(
        values=tuple(item["Values"]),
        location=storage.get("Location", ""),
        columns=_columns(storage.get("Columns", [])),
        parameters=dict(item.get("Parameters", {})),
        created=item.get("CreationTime"),
    )


def _columns(columns: Sequence[Mapping[str, str]]) -> list[tuple[str, str]]:
    return [(column["Name"], column.get("Type", "")) for column in columns]
