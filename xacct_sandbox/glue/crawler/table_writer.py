"""Tables of a crawl, written to the Data Catalog."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from xacct_sandbox.glue.crawler.catalog_client import CatalogClient, CatalogTable
from xacct_sandbox.glue.crawler.changes import Changes
from xacct_sandbox.glue.crawler.descriptors import (
    columns_of,
    deprecated,
    is_deprecated,
    layout_of,
    owner_of,
    parameters,
    partition_key_columns,
    storage_descriptor,
)
from xacct_sandbox.glue.crawler.grouping import Table, table_name, with_hash
from xacct_sandbox.glue.crawler.partition_writer import Log, PartitionWriter
from xacct_sandbox.glue.crawler.settings import (
    DELETE_FROM_DATABASE,
    DEPRECATE_IN_DATABASE,
    LOG,
    CrawlerSettings,
    S3Target,
)


@dataclass
class TargetTables:
    """The tables of the database while one target is crawled.

    Attributes:
        target: the include path.
        existing: all tables of the database, by name; tables that are created are added.
        own: those that this crawler created for the target.
        taken: names of tables that another table of the crawl must not be written to.
    """

    target: S3Target
    existing: dict[str, CatalogTable]
    own: dict[str, CatalogTable]
    taken: set[str] = field(default_factory=set)

    @classmethod
    def of_crawler(
        cls, crawler: str, target: S3Target, existing: dict[str, CatalogTable]
    ) -> TargetTables:
        """The tables for a target of this crawler."""
        own = {
            name: table
            for name, table in existing.items()
            if owner_of(table) == crawler and location_of(table).startswith(target.location)
        }
        return cls(target, existing, own)


def location_of(table: CatalogTable) -> str:
    """The S3 location of a catalog table; empty if it has none."""
    location: str = (table.get("StorageDescriptor") or {}).get("Location") or ""
    return location


@dataclass
class TableWriter:
    """Creates, updates and removes tables as the crawler's settings say.

    Attributes:
        settings: of the crawler.
        catalog: of the crawler's database.
        partitions: writes the partitions of a table.
        log: writes a line to the crawler's log.
        changes: counts the changes.
    """

    settings: CrawlerSettings
    catalog: CatalogClient
    partitions: PartitionWriter
    log: Log
    changes: Changes

    def write(self, table: Table, tables: TargetTables) -> None:
        """Create or update one table and its partitions."""
        target, existing = tables.target, tables.existing
        location = target.location_of(table.root)
        name = self._name(table, location, tables)
        table_parameters = parameters(table.schema, self.settings.name, target)
        table_input = {
            "Name": name,
            "Owner": "owner",
            "StorageDescriptor": storage_descriptor(table.schema, location, table_parameters),
            "PartitionKeys": partition_key_columns(table.keys),
            "TableType": "EXTERNAL_TABLE",
            "Parameters": table_parameters,
        }
        if name not in existing:
            self.catalog.call("create_table", TableInput=table_input)
            existing[name] = table_input
            self.changes.note("TABLE", "ADD", [name])
            self.log(f"INFO : Created table {name} in database {self.catalog.database}")
        else:
            self._update(existing[name], table_input)
        if table.keys:
            self.partitions.write(target, table, existing[name])
            if self.settings.partition_index:
                self._index(name, table.keys)
        tables.taken.add(name)

    def retire(self, name: str, table: CatalogTable) -> None:
        """Apply DeleteBehavior to a table that has no folder in S3 any more."""
        if self.settings.delete_behavior == DELETE_FROM_DATABASE:
            self.catalog.call("delete_table", Name=name)
            self.changes.note("TABLE", "DELETE", [name])
            self.log(f"INFO : Deleted table {name}: nothing of it is left in S3")
        elif self.settings.delete_behavior == DEPRECATE_IN_DATABASE:
            if is_deprecated(table):
                return
            self.catalog.call(
                "update_table",
                TableInput={**_table_input(table), "Parameters": deprecated(table)},
            )
            self.changes.note("TABLE", "UPDATE", [name])
            self.log(f"INFO : Deprecated table {name}: nothing of it is left in S3")
        else:
            self.log(f"WARN : Nothing of table {name} is left in S3; DeleteBehavior is LOG")

    def _index(self, name: str, keys: Sequence[str]) -> None:
        """Create the table's partition index, if it has none (at most one is needed)."""
        found = self.catalog.call("get_partition_indexes", TableName=name)
        if not found["PartitionIndexDescriptorList"]:
            index = {"IndexName": "crawler_partition_index", "Keys": list(keys)}
            self.catalog.call("create_partition_index", TableName=name, PartitionIndex=index)
            self.log(f"INFO : Created a partition index on table {name}")

    def _name(self, table: Table, location: str, tables: TargetTables) -> str:
        """The crawler's own table of the same location and keys, or a new name."""
        for name, other in tables.own.items():
            keys = [key["Name"] for key in other.get("PartitionKeys") or []]
            if (
                name not in tables.taken
                and location_of(other) == location
                and keys == list(table.keys)
            ):
                return name
        name = table_name(table.root, tables.target.parts, self.settings.table_prefix)
        if name in tables.existing:
            return with_hash(name, f"{location}{table.keys}")
        return name

    def _update(self, current: CatalogTable, table_input: CatalogTable) -> None:
        name = table_input["Name"]
        before, after = columns_of(current), columns_of(table_input)
        if self.settings.merge_new_columns:
            after = {**before, **{k: v for k, v in after.items() if k not in before}}
            table_input["StorageDescriptor"]["Columns"] = [
                {"Name": column, "Type": kind} for column, kind in after.items()
            ]
        same_schema = before == after and layout_of(current) == layout_of(table_input)
        if same_schema and current.get("Parameters") == table_input["Parameters"]:
            return
        if self.settings.update_behavior == LOG and not self.settings.merge_new_columns:
            if not same_schema:
                self.log(
                    f"WARN : Schema of table {name} changed from {before} to {after}; "
                    "UpdateBehavior is LOG, the table is left as it is"
                )
            return
        self.catalog.call("update_table", TableInput=table_input)
        current.update(table_input)
        if not same_schema:
            self.changes.note("TABLE", "UPDATE", [name])
            self.log(f"INFO : Updated table {name} in database {self.catalog.database}")


def _table_input(table: CatalogTable) -> CatalogTable:
    """The fields of a stored table that UpdateTable accepts."""
    accepted = ("Name", "Owner", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters")
    return {key: table[key] for key in accepted if key in table}
