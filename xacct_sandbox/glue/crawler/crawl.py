"""One crawl: list the targets, infer schemas, find tables, write them to the catalog.

S3 and the catalog are reached through the clients that are handed in, so with the crawler role's
own permissions. Nothing here knows how crawls are started or remembered (`crawler.py` does).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from typing import Any

from xacct_sandbox.glue.crawler.catalog_writer import (
    CatalogRefused,
    CatalogWriter,
    Log,
    location_of,
)
from xacct_sandbox.glue.crawler.changes import Changes
from xacct_sandbox.glue.crawler.descriptors import columns_of, layout_of
from xacct_sandbox.glue.crawler.grouping import (
    Leaf,
    Table,
    find_tables,
    partition_keys,
    partition_value,
)
from xacct_sandbox.glue.crawler.infer import SAMPLE_BYTES, infer_schema
from xacct_sandbox.glue.crawler.infer.schema import Schema, Unclassified, UnsupportedFormat
from xacct_sandbox.glue.crawler.infer.types import render
from xacct_sandbox.glue.crawler.s3_listing import File, Folder, S3Reader
from xacct_sandbox.glue.crawler.settings import CrawlerSettings, S3Target

# Files looked into per folder when the target sets no SampleSize.
DEFAULT_SAMPLE_FILES = 10
READERS = 8

# {target location: {folder: {"fingerprint": ..., "schemas": [...]}}}
Memory = dict[str, dict[str, dict[str, Any]]]


class CrawlFailed(Exception):
    """The crawl cannot go on; the text becomes LastCrawl.ErrorMessage."""


class CrawlStopped(Exception):
    """StopCrawler was called."""


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

    def __post_init__(self) -> None:
        self._catalog = CatalogWriter(
            self.settings, self.glue, self.log, self._check_stopped, self.changes
        )

    def run(self) -> None:
        """Do the crawl; ``memory`` and ``changes`` hold its outcome.

        Raises:
            CrawlFailed, CrawlStopped, S3Denied, S3Failed
        """
        try:
            self._run()
        except CatalogRefused as refusal:
            raise CrawlFailed(str(refusal)) from refusal

    def _run(self) -> None:
        self._catalog.require_database()
        existing = self._catalog.tables()
        for target in self.settings.targets:
            own = {
                name: table
                for name, table in existing.items()
                if self._catalog.is_ours(table, target)
            }
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
            name = self._catalog.write_table(target, table, own, existing, seen)
            seen.add(name)
        for name, table in own.items():
            if name not in seen:
                self._catalog.table_gone(name, table)

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
                        self._catalog.partition_input(target, leaf.path, values, leaf.schema, table)
                    )
                    break
            else:
                self.log(
                    f"WARN : {location_of(target, leaf.path)} is ignored: its schema "
                    f"{_described(leaf.schema)} is too different from that of "
                    f"{', '.join(name for name, _, _ in below)}, and the crawler crawls new "
                    "folders only"
                )
        for name, wanted in added.items():
            current = self._catalog.partitions(name)
            self._catalog.create_partitions(
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
                taken.add(self._catalog.write_table(target, _lowered(table), own, existing, taken))

    def _fits(self, table: Mapping[str, Any], schema: Schema) -> bool:
        of_table = Schema(layout=layout_of(table), columns=dict(columns_of(table)))
        return of_table.fits(schema, ignore_similarity=self.settings.combine_compatible_schemas)

    def _check_stopped(self) -> None:
        if self.stopped():
            raise CrawlStopped


def _text(path: Sequence[str]) -> str:
    return "/".join(path)


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
    top = table.leaves[0].path[:1]
    return replace(table, root=top, keys=partition_keys([leaf.path[1:] for leaf in table.leaves]))


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
