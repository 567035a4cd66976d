"""Partitions of a crawl, written to the Data Catalog."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from xacct_sandbox.glue.crawler.catalog_client import (
    CatalogClient,
    CatalogPartition,
    CatalogRefused,
    CatalogTable,
)
from xacct_sandbox.glue.crawler.changes import Changes
from xacct_sandbox.glue.crawler.descriptors import (
    columns_of,
    deprecated,
    is_deprecated,
    owner_of,
    parameters,
    storage_descriptor,
)
from xacct_sandbox.glue.crawler.grouping import Path, Table
from xacct_sandbox.glue.crawler.infer.schema import Schema
from xacct_sandbox.glue.crawler.settings import (
    DELETE_FROM_DATABASE,
    DEPRECATE_IN_DATABASE,
    CrawlerSettings,
    S3Target,
)

# Most partitions in one call (BatchCreatePartition, BatchUpdatePartition, BatchDeletePartition).
CREATE_BATCH, UPDATE_BATCH, DELETE_BATCH = 100, 100, 25

Log = Callable[[str], None]
Values = tuple[str, ...]


@dataclass
class PartitionWriter:
    """Creates, updates and removes partitions as the crawler's settings say.

    Attributes:
        settings: of the crawler.
        catalog: of the crawler's database.
        log: writes a line to the crawler's log.
        before_each_step: is called before each batch; it may raise to end the crawl.
        changes: counts the changes.
    """

    settings: CrawlerSettings
    catalog: CatalogClient
    log: Log
    before_each_step: Callable[[], None]
    changes: Changes = field(default_factory=Changes)

    def partition_input(
        self,
        target: S3Target,
        path: Path,
        values: Values,
        schema: Schema,
        catalog_table: CatalogTable,
    ) -> CatalogPartition:
        """A PartitionInput for one folder.

        Args:
            target: the include path.
            path: the folder, relative to it.
            values: of the partition.
            schema: of the folder's files.
            catalog_table: the table, whose columns a partition may inherit.
        """
        partition_parameters = parameters(schema, self.settings.name, target)
        descriptor = storage_descriptor(schema, target.location_of(path), partition_parameters)
        if self.settings.inherit_from_table:
            of_table = catalog_table["StorageDescriptor"]
            for key in ("Columns", "InputFormat", "OutputFormat", "SerdeInfo", "Compressed"):
                descriptor[key] = of_table[key]
        return {
            "Values": list(values),
            "StorageDescriptor": descriptor,
            "Parameters": partition_parameters,
        }

    def write(self, target: S3Target, table: Table, catalog_table: CatalogTable) -> None:
        """Make the partitions of a catalog table those of a table that was found in S3."""
        name = catalog_table["Name"]
        current = self.catalog.partitions(name)
        created: list[CatalogPartition] = []
        updated: list[CatalogPartition] = []
        found: set[Values] = set()
        for values, schema, path in _by_values(table):
            found.add(values)
            partition = self.partition_input(target, path, values, schema, catalog_table)
            if values not in current:
                created.append(partition)
            elif not _same_partition(current[values], partition):
                updated.append(partition)
        self._create(name, created)
        self._update(name, updated)
        self._retire(name, {v: p for v, p in current.items() if v not in found})

    def add(self, table: str, partitions: Sequence[CatalogPartition]) -> None:
        """Create those of the partitions that the table does not have yet."""
        current = self.catalog.partitions(table)
        self._create(
            table, [entry for entry in partitions if tuple(entry["Values"]) not in current]
        )

    def _create(self, table: str, partitions: Sequence[CatalogPartition]) -> None:
        for batch in _batches(partitions, CREATE_BATCH):
            self.before_each_step()
            response = self.catalog.call(
                "batch_create_partition", TableName=table, PartitionInputList=batch
            )
            # Another writer may have added a partition since the table's partitions were read.
            refused = [
                error
                for error in response.get("Errors") or []
                if error["ErrorDetail"]["ErrorCode"] != "AlreadyExistsException"
            ]
            if refused:
                raise CatalogRefused(f"partitions of table {table} were not created: {refused[:3]}")
            self._note(table, "ADD", "Created", [entry["Values"] for entry in batch])

    def _update(self, table: str, partitions: Sequence[CatalogPartition]) -> None:
        for batch in _batches(partitions, UPDATE_BATCH):
            self.before_each_step()
            response = self.catalog.call(
                "batch_update_partition",
                TableName=table,
                Entries=[
                    {"PartitionValueList": entry["Values"], "PartitionInput": entry}
                    for entry in batch
                ],
            )
            if response.get("Errors"):
                raise CatalogRefused(
                    f"partitions of table {table} were not updated: {response['Errors'][:3]}"
                )
            self._note(table, "UPDATE", "Updated", [entry["Values"] for entry in batch])

    def _retire(self, table: str, gone: Mapping[Values, CatalogPartition]) -> None:
        """Apply DeleteBehavior to this crawler's partitions whose folder is gone."""
        own = {
            values: partition
            for values, partition in gone.items()
            if owner_of(partition) == self.settings.name
        }
        if not own:
            return
        if self.settings.delete_behavior == DELETE_FROM_DATABASE:
            for batch in _batches(list(own), DELETE_BATCH):
                self.catalog.call(
                    "batch_delete_partition",
                    TableName=table,
                    PartitionsToDelete=[{"Values": list(values)} for values in batch],
                )
                self._note(table, "DELETE", "Deleted", batch)
        elif self.settings.delete_behavior == DEPRECATE_IN_DATABASE:
            self._update(
                table,
                [
                    {
                        "Values": list(values),
                        "StorageDescriptor": partition["StorageDescriptor"],
                        "Parameters": deprecated(partition),
                    }
                    for values, partition in own.items()
                    if not is_deprecated(partition)
                ],
            )
        else:
            self.log(
                f"WARN : {len(own)} partitions of table {table} have no folder any more; "
                "DeleteBehavior is LOG"
            )

    def _note(self, table: str, action: str, verb: str, values: Sequence[Sequence[str]]) -> None:
        self.changes.note("PARTITION", action, [f"{table}/{'/'.join(v)}" for v in values])
        self.log(
            f"INFO : {verb} {len(values)} partitions with values "
            f"{[list(v) for v in values]} for table {table} in database {self.catalog.database}"
        )


def _by_values(table: Table) -> list[tuple[Values, Schema, Path]]:
    """(values, schema, path) per partition; several schemas of one folder are one partition."""
    found: dict[Values, tuple[Schema, Path]] = {}
    for leaf in table.leaves:
        values = table.values_of(leaf)
        if values in found:
            schema, path = found[values]
            found[values] = (schema.merged(leaf.schema), path)
        else:
            found[values] = (leaf.schema, leaf.path)
    return [(values, schema, path) for values, (schema, path) in found.items()]


def _same_partition(current: CatalogPartition, found: CatalogPartition) -> bool:
    stored, descriptor = current["StorageDescriptor"], found["StorageDescriptor"]
    return (
        current.get("Parameters") == found["Parameters"]
        and columns_of(current) == columns_of(found)
        and stored.get("Location") == descriptor["Location"]
        and stored.get("SerdeInfo") == descriptor["SerdeInfo"]
    )


def _batches(items: Sequence[Any], size: int) -> Iterable[list[Any]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])
