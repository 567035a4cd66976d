"""The Glue Data Catalog: a table, and whether a day's partition is in it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from xacct_assets.aws.errors import Throttled, aws_call

#: BatchGetPartition takes this many partitions in one call (Glue service model).
BATCH = 1000
MAX_ROUNDS = 10


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

        Raises:
            NotFound: there is no such table.
            Throttled: Glue kept leaving keys unprocessed.
        """
        found: dict[tuple[str, ...], CatalogPartition] = {}
        wanted = [{"Values": list(item)} for item in values]
        resource = f"table {database}.{table}"
        for start in range(0, len(wanted), BATCH):
            todo = wanted[start : start + BATCH]
            for _ in range(MAX_ROUNDS):
                with aws_call("glue:BatchGetPartition", resource):
                    answer = self._glue.batch_get_partition(
                        DatabaseName=database, TableName=table, PartitionsToGet=todo
                    )
                for partition in answer.get("Partitions", []):
                    storage = partition.get("StorageDescriptor", {})
                    key = tuple(partition["Values"])
                    found[key] = CatalogPartition(
                        values=key,
                        location=storage.get("Location", ""),
                        columns=_columns(storage.get("Columns", [])),
                        parameters=dict(partition.get("Parameters", {})),
                        created=partition.get("CreationTime"),
                    )
                todo = answer.get("UnprocessedKeys", [])
                if not todo:
                    break
            else:
                raise Throttled(
                    f"glue:BatchGetPartition on {resource} left {len(todo)} partitions unread",
                    action="glue:BatchGetPartition",
                    resource=resource,
                )
        return found


def _columns(columns: Sequence[dict[str, str]]) -> list[tuple[str, str]]:
    return [(column["Name"], column.get("Type", "")) for column in columns]
