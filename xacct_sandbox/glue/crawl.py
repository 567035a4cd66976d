"""One crawl: list the targets, infer schemas, find tables, write them to the catalog.

S3 and the catalog are reached through the clients that are handed in, so with the crawler role's
own permissions. Nothing here knows how crawls are started or remembered (`crawler.py` does).
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from botocore.exceptions import ClientError

from xacct_sandbox.glue.crawler_settings import (
    DELETE_FROM_DATABASE,
    DEPRECATE_IN_DATABASE,
    LOG,
    CrawlerSettings,
    S3Target,
)
from xacct_sandbox.glue.descriptors import (
    DEPRECATED_PARAMETER,
    OWNER_PARAMETER,
    columns_of,
    layout_of,
    parameters,
    partition_key_columns,
    storage_descriptor,
)
from xacct_sandbox.glue.grouping import (
    Leaf,
    Table,
    find_tables,
    partition_value,
    table_name,
    with_hash,
)
from xacct_sandbox.glue.infer import SAMPLE_BYTES, infer_schema
from xacct_sandbox.glue.infer.schema import Schema, Unclassified, UnsupportedFormat
from xacct_sandbox.glue.infer.types import render
from xacct_sandbox.glue.s3_listing import File, Folder, S3Reader

# Files looked into per folder when the target sets no SampleSize.
DEFAULT_SAMPLE_FILES = 10
READERS = 8
# Most partitions in one call (BatchCreatePartition, BatchUpdatePartition, BatchDeletePartition).
CREATE_BATCH, UPDATE_BATCH, DELETE_BATCH = 100, 100, 25
SUMMARY_LIMIT = 255

Log = Callable[[str], None]
# {target location: {folder: {"fingerprint": ..., "schemas": [...]}}}
Memory = dict[str, dict[str, dict[str, Any]]]


class CrawlFailed(Exception):
    """The crawl cannot go on; the text becomes LastCrawl.ErrorMessage."""


class CrawlStopped(Exception):
    """StopCrawler was called."""


@dataclass
class Changes:
    """What a crawl did to the catalog, for the Summary of ListCrawls."""

    counts: dict[tuple[str, str], list[str]] = field(default_factory=dict)

    def note(self, kind: str, action: str, names: Iterable[str]) -> None:
        self.counts.setdefault((kind, action), []).extend(names)

    def count(self, kind: str, action: str) -> int:
        return len(self.counts.get((kind, action), ()))

    def summary(self) -> str:
        """JSON in JSON text, as Glue gives it; names are left out beyond 255 characters.

        ``{"TABLE": "{\\"ADD\\": \\"{\\\\\\"Details\\\\\\":{...},\\\\\\"Count\\\\\\":1}\\"}"}``
        """
        full = self._text(with_names=True)
        return full if len(full) <= SUMMARY_LIMIT else self._text(with_names=False)

    def _text(self, *, with_names: bool) -> str:
        kinds: dict[str, dict[str, str]] = {}
        for (kind, action), names in sorted(self.counts.items()):
            if not names:
                continue
            entry: dict[str, Any] = {"Details": {"names": names}} if with_names else {}
            entry["Count"] = len(names)
            kinds.setdefault(kind, {})[action] = _compact(entry)
        return _compact({kind: _compact(actions) for kind, actions in kinds.items()})


@dataclass
class Crawl:
    """One run of a crawler over all its targets."""

    settings: CrawlerSettings
    reader: S3Reader
    glue: Any
    log: Log
    stopped: Callable[[], bool]
    memory: Memory = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)

    def run(self) -> None:
        """Do the crawl; ``memory`` and ``changes`` hold its outcome.

        Raises:
            CrawlFailed, CrawlStopped, S3Denied, S3Failed
        """
        self._require_database()
        existing = self._catalog_tables()
        for target in self.settings.targets:
            own = {name: table for name, table in existing.items() if self._is_ours(table, target)}
            folders = self.reader.folders(target)
            known = self.memory.get(target.location, {}) if own else {}
            self.log(
                f"INFO : {target.location} holds {len(folders)} folders with "
                f"{sum(len(folder.files) for folder in folders)} files"
            )
            if self.settings.new_folders_only and known:
                fresh = [folder for folder in folders if "/".join(folder.path) not in known]
                leaves = self._classify(target, fresh, {})
                self._add_new(target, leaves, own, existing)
                remembered = {**known, **self._remembered(fresh, leaves)}
            else:
                leaves = self._classify(target, folders, known)
                self._write_all(target, leaves, own, existing)
                remembered = self._remembered(folders, leaves)
            self.memory[target.location] = remembered

    # -- classification --------------------------------------------------------------------

    def _classify(
        self, target: S3Target, folders: Sequence[Folder], known: Mapping[str, dict[str, Any]]
    ) -> list[Leaf]:
        leaves: list[Leaf] = []
        with ThreadPoolExecutor(READERS, thread_name_prefix="crawl") as pool:
            found = pool.map(
                lambda folder: self._classify_folder(target, folder, known.get(_text(folder.path))),
                folders,
            )
            for folder, schemas in zip(folders, found, strict=True):
                leaves.extend(Leaf(folder.path, schema) for schema in schemas)
        self._check_stopped()
        return leaves

    def _classify_folder(
        self, target: S3Target, folder: Folder, remembered: Mapping[str, Any] | None
    ) -> list[Schema]:
        if remembered is not None and remembered["fingerprint"] == folder.fingerprint:
            return [Schema.from_json(document) for document in remembered["schemas"]]
        self._check_stopped()
        files = [file for file in folder.files if file.size > 0]
        sample = files[: target.sample_size or DEFAULT_SAMPLE_FILES]
        schemas: list[Schema] = []
        for file in sample:
            schema = self._classify_file(target, file)
            if schema is None:
                continue
            for index, other in enumerate(schemas):
                if other.fits(schema, ignore_similarity=self.settings.combine_compatible_schemas):
                    schemas[index] = other.merged(schema)
                    break
            else:
                schemas.append(schema)
        if len(schemas) == 1 and len(files) > len(sample):
            # The files that were not looked into count with the others' averages.
            schemas = [_scaled(schemas[0], files)]
        return schemas

    def _classify_file(self, target: S3Target, file: File) -> Schema | None:
        name = f"s3://{target.bucket}/{file.key}"
        head = self.reader.read(target.bucket, file, 0, SAMPLE_BYTES)
        if head is None:
            self.log(f"WARN : {name} was deleted or rewritten while it was crawled; left out")
            return None

        def read_range(start: int, length: int) -> bytes:
            data = self.reader.read(target.bucket, file, start, length)
            if data is None:
                raise Unclassified("it was deleted while it was crawled")
            return data

        try:
            return infer_schema(head, file.size, read_range)
        except Unclassified as problem:
            self.log(f"WARN : {name} is not classified: {problem}; it is left out")
            return None
        except UnsupportedFormat as problem:
            raise CrawlFailed(f"{name}: {problem}") from problem

    def _remembered(
        self, folders: Sequence[Folder], leaves: Sequence[Leaf]
    ) -> dict[str, dict[str, Any]]:
        """Folders that gave a schema; the others are looked into again next time."""
        schemas: dict[tuple[str, ...], list[Any]] = {}
        for leaf in leaves:
            schemas.setdefault(leaf.path, []).append(leaf.schema.to_json())
        return {
            _text(folder.path): {
                "fingerprint": folder.fingerprint,
                "schemas": schemas[folder.path],
            }
            for folder in folders
            if folder.path in schemas
        }

    # -- a full crawl ----------------------------------------------------------------------

    def _write_all(
        self,
        target: S3Target,
        leaves: Sequence[Leaf],
        own: Mapping[str, dict[str, Any]],
        existing: dict[str, dict[str, Any]],
    ) -> None:
        seen: set[str] = set()
        for table in find_tables(
            leaves, ignore_similarity=self.settings.combine_compatible_schemas
        ):
            self._check_stopped()
            name = self._write_table(target, table, own, existing, seen)
            seen.add(name)
        for name, table in own.items():
            if name not in seen:
                self._table_gone(name, table)

    def _write_table(
        self,
        target: S3Target,
        table: Table,
        own: Mapping[str, dict[str, Any]],
        existing: dict[str, dict[str, Any]],
        taken: set[str],
    ) -> str:
        """Create or update one table and its partitions; its name in the catalog."""
        location = _location(target, table.root)
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

    def _table_gone(self, name: str, table: dict[str, Any]) -> None:
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
        current = self._partitions(name)
        created: list[dict[str, Any]] = []
        updated: list[dict[str, Any]] = []
        found: set[tuple[str, ...]] = set()
        for values, schema, path in _by_values(table):
            found.add(values)
            wanted = self._partition_input(target, path, values, schema, catalog_table)
            if values not in current:
                created.append(wanted)
            elif not _same_partition(current[values], wanted):
                updated.append(wanted)
        self._create_partitions(name, created)
        self._update_partitions(name, updated)
        self._partitions_gone(name, {v: p for v, p in current.items() if v not in found})

    def _partition_input(
        self,
        target: S3Target,
        path: tuple[str, ...],
        values: tuple[str, ...],
        schema: Schema,
        catalog_table: Mapping[str, Any],
    ) -> dict[str, Any]:
        found = parameters(schema, self.settings.name, target)
        descriptor = storage_descriptor(schema, _location(target, path), found)
        if self.settings.inherit_from_table:
            of_table = catalog_table["StorageDescriptor"]
            for key in ("Columns", "InputFormat", "OutputFormat", "SerdeInfo", "Compressed"):
                descriptor[key] = of_table[key]
        return {"Values": list(values), "StorageDescriptor": descriptor, "Parameters": found}

    def _create_partitions(self, table: str, wanted: Sequence[dict[str, Any]]) -> None:
        for batch in _batches(wanted, CREATE_BATCH):
            self._check_stopped()
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
                raise CrawlFailed(f"partitions of table {table} were not created: {refused[:3]}")
            self._note_partitions(table, "ADD", "Created", [entry["Values"] for entry in batch])

    def _update_partitions(self, table: str, wanted: Sequence[dict[str, Any]]) -> None:
        for batch in _batches(wanted, UPDATE_BATCH):
            self._check_stopped()
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
                raise CrawlFailed(
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

    # -- an incremental crawl --------------------------------------------------------------

    def _add_new(
        self,
        target: S3Target,
        leaves: Sequence[Leaf],
        own: Mapping[str, dict[str, Any]],
        existing: dict[str, dict[str, Any]],
    ) -> None:
        """Add new folders to the tables they lie under; folders under none become new tables."""
        added: dict[str, list[dict[str, Any]]] = {}
        homeless: list[Leaf] = []
        for leaf in leaves:
            below = [
                (name, table, root)
                for name, table in own.items()
                if (root := _root_of(target, table)) is not None and leaf.path[: len(root)] == root
            ]
            if not below:
                homeless.append(leaf)
                continue
            for name, table, root in below:
                keys = [key["Name"] for key in table.get("PartitionKeys") or []]
                folders = leaf.path[len(root) :]
                if len(folders) == len(keys) and self._fits(table, leaf.schema):
                    values = tuple(
                        partition_value(folder, key)
                        for folder, key in zip(folders, keys, strict=True)
                    )
                    added.setdefault(name, []).append(
                        self._partition_input(target, leaf.path, values, leaf.schema, table)
                    )
                    break
            else:
                self.log(
                    f"WARN : {_location(target, leaf.path)} is ignored: its schema "
                    f"{_described(leaf.schema)} is too different from that of "
                    f"{', '.join(name for name, _, _ in below)}, and the crawler crawls new "
                    "folders only"
                )
        for name, wanted in added.items():
            current = self._partitions(name)
            self._create_partitions(
                name, [entry for entry in wanted if tuple(entry["Values"]) not in current]
            )
        by_top: dict[str, list[Leaf]] = {}
        for leaf in homeless:
            by_top.setdefault(leaf.path[0] if leaf.path else "", []).append(leaf)
        taken: set[str] = set(own)
        for group in by_top.values():
            for table in find_tables(
                group, ignore_similarity=self.settings.combine_compatible_schemas
            ):
                # Grouped by its own top folder, so that no new table swallows the old ones.
                taken.add(self._write_table(target, _lowered(table), own, existing, taken))

    def _fits(self, table: Mapping[str, Any], schema: Schema) -> bool:
        of_table = Schema(layout=layout_of(table), columns=dict(columns_of(table)))
        return of_table.fits(schema, ignore_similarity=self.settings.combine_compatible_schemas)

    # -- catalog ---------------------------------------------------------------------------

    def _require_database(self) -> None:
        self._glue("get_database", Name=self.settings.database)

    def _catalog_tables(self) -> dict[str, dict[str, Any]]:
        tables: dict[str, dict[str, Any]] = {}
        request: dict[str, Any] = {"DatabaseName": self.settings.database}
        while True:
            answer = self._glue("get_tables", **request)
            tables.update({table["Name"]: table for table in answer["TableList"]})
            if not answer.get("NextToken"):
                return tables
            request["NextToken"] = answer["NextToken"]

    def _is_ours(self, table: Mapping[str, Any], target: S3Target) -> bool:
        location = (table.get("StorageDescriptor") or {}).get("Location") or ""
        owner = (table.get("Parameters") or {}).get(OWNER_PARAMETER)
        return owner == self.settings.name and location.startswith(target.location)

    def _partitions(self, table: str) -> dict[tuple[str, ...], dict[str, Any]]:
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
            raise CrawlFailed(
                f"{problem.operation_name} failed for the crawler's role: {error['Code']}: "
                f"{error.get('Message', '')}"
            ) from problem

    def _check_stopped(self) -> None:
        if self.stopped():
            raise CrawlStopped


def _text(path: Sequence[str]) -> str:
    return "/".join(path)


def _location(target: S3Target, path: Sequence[str]) -> str:
    return target.location + "".join(f"{folder}/" for folder in path)


def _root_of(target: S3Target, table: Mapping[str, Any]) -> tuple[str, ...] | None:
    """The table's root relative to the include path, None if it lies elsewhere."""
    location = table["StorageDescriptor"].get("Location") or ""
    if not location.startswith(target.location):
        return None
    return tuple(part for part in location[len(target.location) :].split("/") if part)


def _lowered(table: Table) -> Table:
    """The table, rooted no higher than the first folder it lies in."""
    if table.root or not table.keys:
        return table
    return replace(table, root=table.leaves[0].path[:1], keys=table.keys[1:])


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


def _scaled(schema: Schema, files: Sequence[File]) -> Schema:
    size = sum(file.size for file in files)
    factor = size / schema.size if schema.size else 1.0
    return replace(
        schema,
        objects=len(files),
        records=round(schema.records * factor),
        record_bytes=round(schema.record_bytes * factor),
        size=size,
    )


def _described(schema: Schema) -> str:
    columns = ", ".join(f"{name} {render(kind)}" for name, kind in schema.columns.items())
    layout = schema.layout
    details = [layout.classification, f"compression {layout.compression}"]
    if layout.delimiter:
        details.append(f"delimiter {layout.delimiter!r}")
        details.append("with header" if layout.header else "without header")
    return f"[{', '.join(details)}: {columns}]"


def _batches(items: Sequence[Any], size: int) -> Iterable[list[Any]]:
    for start in range(0, len(items), size):
        yield list(items[start : start + size])


def _compact(document: Any) -> str:
    return json.dumps(document, separators=(",", ":"))


def _now_ms() -> str:
    return str(int(datetime.now(UTC).timestamp() * 1000))
