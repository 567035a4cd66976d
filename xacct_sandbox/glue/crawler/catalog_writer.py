"""Tables and partitions of a crawl, written to the Data Catalog under the crawler role's keys."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from xacct_sandbox.glue.crawler.changes import Changes
from xacct_sandbox.glue.crawler.descriptors import (
    DEPRECATED_PARAMETER,
    OWNER_PARAMETER,
    columns_of,
    layout_of,
    parameters,
    partition_key_columns,
    storage_descriptor,
)
from xacct_sandbox.glue.crawler.grouping import Table, table_name, with_hash
from xacct_sandbox.glue.crawler.infer.schema import Schema
from xacct_sandbox.glue.crawler.settings import (
    DELETE_FROM_DATABASE,
    DEPRECATE_IN_DATABASE,
    LOG,
    CrawlerSettings,
    S3Target,
)

# Most partitions in one call (BatchCreatePartition, BatchUpdatePartition, BatchDeletePartition).
CREATE_BATCH, UPDATE_BATCH, DELETE_BATCH = 100, 100, 25

Log = Callable[[str], None]
Tables = dict[str, dict[str, Any]]


class CatalogRefused(Exception):
    """The catalog refused the crawler's role; the text names the operation and the reason."""


@dataclass
class CatalogWriter:
    """Writes by the crawler's policies; ``changes`` counts what it did.

    ``before_each_step`` may raise, to end a crawl that was stopped.
    """

    settings: CrawlerSettings
    glue: Any
    log: Log
    before_each_step: Callable[[], None]
    changes: Changes = field(default_factory=Changes)

    # -- catalog ---------------------------------------------------------------------------

    def require_database(self) -> None:
        self._glue("get_database", Name=self.settings.database)

    def tables(self) -> dict[str, dict[str, Any]]:
        tables: dict[str, dict[str, Any]] = {}
        request: dict[str, Any] = {"DatabaseName": self.settings.database}
        while True:
            answer = self._glue("get_tables", **request)
            tables.update({table["Name"]: table for table in answer["TableList"]})
            if not answer.get("NextToken"):
                return tables
            request["NextToken"] = answer["NextToken"]

    def is_ours(self, table: Mapping[str, Any], target: S3Target) -> bool:
        location = (table.get("StorageDescriptor") or {}).get("Location") or ""
        owner = (table.get("Parameters") or {}).get(OWNER_PARAMETER)
        return owner == self.settings.name and location.startswith(target.location)

    def partitions(self, table: str) -> dict[tuple[str, ...], dict[str, Any]]:
        found: dict[tuple[str, ...], dict[str, Any]] = {}
        request: dict[str, Any] = {"DatabaseName": self.settings.database, "TableName": table}
        while True:
            answer = self._glue("get_partitions", **request)
            found.update({tuple(entry["Values"]): entry for entry in answer["Partitions"]})
            if not answer.get("NextToken"):
                return found
            request["NextToken"] = answer["NextToken"]

    def _glue(self, operation: str, **request: Any) -> dict[str, Any]:
        try:
            return getattr(self.glue, operation)(**request)
        except ClientError as problem:
            error = problem.response["Error"]
            raise CatalogRefused(
                f"{problem.operation_name} failed for the crawler's role: {error['Code']}: "
                f"{error.get('Message', '')}"
            ) from problem

    def write_table(
        self,
        target: S3Target,
        table: Table,
        own: Mapping[str, dict[str, Any]],
        existing: dict[str, dict[str, Any]],
        taken: set[str],
    ) -> str:
        """Create or update one table and its partitions; its name in the catalog."""
        location = location_of(target, table.root)
        name = next(
            (
                name
                for name, other in own.items()
                if name not in taken
                and other["StorageDescriptor"].get("Location") == location
                and [key["Name"] for key in other.get("PartitionKeys") or []] == list(table.keys)
            ),
            None,
        )
        if name is None:
            name = table_name(table.root, target.parts, self.settings.table_prefix)
            if name in existing:
                name = with_hash(name, f"{location}{table.keys}")
        found = parameters(table.schema, self.settings.name, target)
        descriptor = storage_descriptor(table.schema, location, found)
        wanted = {
            "Name": name,
            "Owner": "owner",
            "StorageDescriptor": descriptor,
            "PartitionKeys": partition_key_columns(table.keys),
            "TableType": "EXTERNAL_TABLE",
            "Parameters": found,
        }
        if name not in existing:
            self._glue("create_table", DatabaseName=self.settings.database, TableInput=wanted)
            existing[name] = wanted
            self.changes.note("TABLE", "ADD", [name])
            self.log(f"INFO : Created table {name} in database {self.settings.database}")
        else:
            self._update_table(existing[name], wanted)
        if table.keys:
            self._write_partitions(target, table, existing[name])
        return name

    def _update_table(self, current: dict[str, Any], wanted: dict[str, Any]) -> None:
        name = wanted["Name"]
        before, after = columns_of(current), columns_of(wanted)
        if self.settings.merge_new_columns:
            columns = {**before, **{k: v for k, v in after.items() if k not in before}}
            wanted["StorageDescriptor"]["Columns"] = [
                {"Name": column, "Type": kind} for column, kind in columns.items()
            ]
            after = columns
        same_schema = before == after and layout_of(current) == layout_of(wanted)
        if same_schema and current.get("Parameters") == wanted["Parameters"]:
            return
        if self.settings.update_behavior == LOG and not self.settings.merge_new_columns:
            if not same_schema:
                self.log(
                    f"WARN : Schema of table {name} changed from {before} to {after}; "
                    "UpdateBehavior is LOG, the table is left as it is"
                )
            return
        self._glue("update_table", DatabaseName=self.settings.database, TableInput=wanted)
        current.update(wanted)
        if not same_schema:
            self.changes.note("TABLE", "UPDATE", [name])
            self.log(f"INFO : Updated table {name} in database {self.settings.database}")

    def table_gone(self, name: str, table: dict[str, Any]) -> None:
        """No folder of the target belongs to the table any more."""
        database = self.settings.database
        if self.settings.delete_behavior == DELETE_FROM_DATABASE:
            self._glue("delete_table", DatabaseName=database, Name=name)
            self.changes.note("TABLE", "DELETE", [name])
            self.log(f"INFO : Deleted table {name}: nothing of it is left in S3")
        elif self.settings.delete_behavior == DEPRECATE_IN_DATABASE:
            if DEPRECATED_PARAMETER in (table.get("Parameters") or {}):
                return
            self._glue(
                "update_table",
                DatabaseName=database,
                TableInput={
                    **_table_input(table),
                    "Parameters": {**table.get("Parameters", {}), DEPRECATED_PARAMETER: _now_ms()},
                },
            )
            self.changes.note("TABLE", "UPDATE", [name])
            self.log(f"INFO : Deprecated table {name}: nothing of it is left in S3")
        else:
            self.log(f"WARN : Nothing of table {name} is left in S3; DeleteBehavior is LOG")

    # -- partitions ------------------------------------------------------------------------

    def _write_partitions(
        self, target: S3Target, table: Table, catalog_table: Mapping[str, Any]
    ) -> None:
        name = catalog_table["Name"]
        current = self.partitions(name)
        created: list[dict[str, Any]] = []
        updated: list[dict[str, Any]] = []
        found: set[tuple[str, ...]] = set()
        for values, schema, path in _by_values(table):
            found.add(values)
            wanted = self.partition_input(target, path, values, schema, catalog_table)
            if values not in current:
                created.append(wanted)
            elif not _same_partition(current[values], wanted):
                updated.append(wanted)
        self.create_partitions(name, created)
        self._update_partitions(name, updated)
        self._partitions_gone(name, {v: p for v, p in current.items() if v not in found})

    def partition_input(
        self,
        target: S3Target,
        path: tuple[str, ...],
        values: tuple[str, ...],
        schema: Schema,
        catalog_table: Mapping[str, Any],
    ) -> dict[str, Any]:
        found = parameters(schema, self.settings.name, target)
        descriptor = storage_descriptor(schema, location_of(target, path), found)
        if self.settings.inherit_from_table:
            of_table = catalog_table["StorageDescriptor"]
            for key in ("Columns", "InputFormat", "OutputFormat", "SerdeInfo", "Compressed"):
                descriptor[key] = of_table[key]
        return {"Values": list(values), "StorageDescriptor": descriptor, "Parameters": found}

    def create_partitions(self, table: str, wanted: Sequence[dict[str, Any]]) -> None:
        for batch in _batches(wanted, CREATE_BATCH):
            self.before_each_step()
            answer = self._glue(
                "batch_create_partition",
                DatabaseName=self.settings.database,
                TableName=table,
                PartitionInputList=batch,
            )
            # Another writer may have added a partition since it was looked for.
            refused = [
                error
                for error in answer.get("Errors") or []
                if error["ErrorDetail"]["ErrorCode"] != "AlreadyExistsException"
            ]
            if refused:
                raise CatalogRefused(f"partitions of table {table} were not created: {refused[:3]}")
            self._note_partitions(table, "ADD", "Created", [entry["Values"] for entry in batch])

    def _update_partitions(self, table: str, wanted: Sequence[dict[str, Any]]) -> None:
        for batch in _batches(wanted, UPDATE_BATCH):
            self.before_each_step()
            answer = self._glue(
                "batch_update_partition",
                DatabaseName=self.settings.database,
                TableName=table,
                Entries=[
                    {"PartitionValueList": entry["Values"], "PartitionInput": entry}
                    for entry in batch
                ],
            )
            if answer.get("Errors"):
                raise CatalogRefused(
                    f"partitions of table {table} were not updated: {answer['Errors'][:3]}"
                )
            self._note_partitions(table, "UPDATE", "Updated", [entry["Values"] for entry in batch])

    def _partitions_gone(self, table: str, gone: Mapping[tuple[str, ...], dict[str, Any]]) -> None:
        ours = {
            values: partition
            for values, partition in gone.items()
            if (partition.get("Parameters") or {}).get(OWNER_PARAMETER) == self.settings.name
        }
        if not ours:
            return
        if self.settings.delete_behavior == DELETE_FROM_DATABASE:
            for batch in _batches(list(ours), DELETE_BATCH):
                self._glue(
                    "batch_delete_partition",
                    DatabaseName=self.settings.database,
                    TableName=table,
                    PartitionsToDelete=[{"Values": list(values)} for values in batch],
                )
                self._note_partitions(table, "DELETE", "Deleted", [list(v) for v in batch])
        elif self.settings.delete_behavior == DEPRECATE_IN_DATABASE:
            self._update_partitions(
                table,
                [
                    {
                        "Values": list(values),
                        "StorageDescriptor": partition["StorageDescriptor"],
                        "Parameters": {**partition["Parameters"], DEPRECATED_PARAMETER: _now_ms()},
                    }
                    for values, partition in ours.items()
                    if DEPRECATED_PARAMETER not in partition["Parameters"]
                ],
            )
        else:
            self.log(
                f"WARN : {len(ours)} partitions of table {table} have no folder any more; "
                "DeleteBehavior is LOG"
            )

    def _note_partitions(
        self, table: str, action: str, verb: str, values: Sequence[Sequence[str]]
    ) -> None:
        self.changes.note("PARTITION", action, [f"{table}/{'/'.join(v)}" for v in values])
        self.log(
            f"INFO : {verb} {len(values)} partitions with values "
            f"{[list(v) for v in values]} for table {table} in database {self.settings.database}"
        )


def location_of(target: S3Target, path: Sequence[str]) -> str:
    return target.location + "".join(f"{folder}/" for folder in path)


def _by_values(table: Table) -> list[tuple[tuple[str, ...], Schema, tuple[str, ...]]]:
    """(values, schema, path) per partition; several schemas of one folder are one partition."""
    found: dict[tuple[str, ...], tuple[Schema, tuple[str, ...]]] = {}
    for leaf in table.leaves:
        values = table.values_of(leaf)
        if values in found:
            schema, path = found[values]
            found[values] = (schema.merged(leaf.schema), path)
        else:
            found[values] = (leaf.schema, leaf.path)
    return [(values, schema, path) for values, (schema, path) in found.items()]


def _same_partition(current: Mapping[str, Any], wanted: Mapping[str, Any]) -> bool:
    return (
        current.get("Parameters") == wanted["Parameters"]
        and columns_of(current) == columns_of(wanted)
        and current["StorageDescriptor"].get("Location") == wanted["StorageDescriptor"]["Location"]
        and current["StorageDescriptor"].get("SerdeInfo")
        == wanted["StorageDescriptor"]["SerdeInfo"]
    )


def _table_input(table: Mapping[str, Any]) -> dict[str, Any]:
    """The part of a stored table that UpdateTable takes."""
    taken = ("Name", "Owner", "StorageDescriptor", "PartitionKeys", "TableType", "Parameters")
    return {key: table[key] for key in taken if key in table}


def _batches(items: Sequence[Any], size: int) -> Iterable[list[Any]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _now_ms() -> str:
    return str(int(datetime.now(UTC).timestamp() * 1000))
