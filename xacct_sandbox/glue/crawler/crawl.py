"""One crawl: list the targets, infer schemas, find tables, write them to the catalog.

S3 and the catalog are used through the clients that the caller passes, so with the permissions of
the crawler's role. How crawls are started and recorded is in `runs.py` and `history.py`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from xacct_sandbox.glue.crawler.catalog_client import (
    CatalogClient,
    CatalogPartition,
    CatalogRefused,
    CatalogTable,
)
from xacct_sandbox.glue.crawler.changes import Changes
from xacct_sandbox.glue.crawler.classification import FolderClassifier, Memory, remember
from xacct_sandbox.glue.crawler.descriptors import columns_of, layout_of
from xacct_sandbox.glue.crawler.grouping import (
    Leaf,
    Path,
    Table,
    find_tables,
    partition_keys,
    partition_value,
)
from xacct_sandbox.glue.crawler.infer.schema import Schema
from xacct_sandbox.glue.crawler.partition_writer import Log, PartitionWriter
from xacct_sandbox.glue.crawler.s3_listing import S3Reader
from xacct_sandbox.glue.crawler.settings import CrawlerSettings, S3Target
from xacct_sandbox.glue.crawler.table_writer import TableWriter, TargetTables, location_of


class CrawlFailed(Exception):
    """The crawl cannot go on; the text becomes LastCrawl.ErrorMessage."""


class CrawlStopped(Exception):
    """StopCrawler was called."""


@dataclass
class Crawl:
    """One run of a crawler over all its targets.

    Attributes:
        settings: of the crawler.
        reader: reads S3 with the role's credentials.
        glue: a boto3 client of Glue with the role's credentials.
        log: writes a line to the crawler's log.
        stopped: whether the crawl must end.
        memory: what the previous crawl found; afterwards what this one found.
        changes: what the crawl changed in the catalog.
    """

    settings: CrawlerSettings
    reader: S3Reader
    glue: Any
    log: Log
    stopped: Callable[[], bool]
    memory: Memory = field(default_factory=dict)
    changes: Changes = field(default_factory=Changes)

    def __post_init__(self) -> None:
        self._catalog = CatalogClient(self.glue, self.settings.database)
        self._classifier = FolderClassifier(
            self.settings, self.reader, self.log, self._check_stopped
        )
        self._partitions = PartitionWriter(
            self.settings, self._catalog, self.log, self._check_stopped, self.changes
        )
        self._tables = TableWriter(
            self.settings, self._catalog, self._partitions, self.log, self.changes
        )

    def run(self) -> None:
        """Crawl all targets.

        Raises:
            CrawlFailed: all files have unsupported formats, or the catalog refused a call.
            CrawlStopped: ``stopped`` became true.
            S3Denied, S3Failed: S3 refused a call.
        """
        try:
            self._catalog.require_database()
            existing = self._catalog.tables()
            for target in self.settings.targets:
                self._crawl_target(target, existing)
        except CatalogRefused as refusal:
            raise CrawlFailed(str(refusal)) from refusal

    def _crawl_target(self, target: S3Target, existing: dict[str, CatalogTable]) -> None:
        tables = TargetTables.of_crawler(self.settings.name, target, existing)
        folders = self.reader.folders(target)
        known = self.memory.get(target.location, {}) if tables.own else {}
        self.log(
            f"INFO : {target.location} holds {len(folders)} folders with "
            f"{sum(len(folder.files) for folder in folders)} files"
        )
        if self.settings.new_folders_only and known:
            new = [folder for folder in folders if folder.name not in known]
            leaves = self._classifier.classify(target, new, {})
            self._add_new(leaves, tables)
            self.memory[target.location] = {**known, **remember(new, leaves)}
        else:
            leaves = self._classifier.classify(target, folders, known)
            if self._classifier.unsupported and not leaves:
                raise CrawlFailed(self._classifier.unsupported[0])
            self._write_all(leaves, tables)
            self.memory[target.location] = remember(folders, leaves)

    def _find_tables(self, leaves: Sequence[Leaf]) -> list[Table]:
        return find_tables(leaves, ignore_similarity=self.settings.combine_compatible_schemas)

    # -- a full crawl ----------------------------------------------------------------------

    def _write_all(self, leaves: Sequence[Leaf], tables: TargetTables) -> None:
        for found in self._find_tables(leaves):
            self._check_stopped()
            self._tables.write(found, tables)
        for name, table in tables.own.items():
            if name not in tables.taken:
                self._tables.retire(name, table)

    # -- a crawl of new folders only -------------------------------------------------------

    def _add_new(self, leaves: Sequence[Leaf], tables: TargetTables) -> None:
        """Add new folders to the tables above them; folders below no table become new tables."""
        added: dict[str, list[CatalogPartition]] = {}
        below_no_table: list[Leaf] = []
        for leaf in leaves:
            candidates = _tables_above(leaf, tables)
            if not candidates:
                below_no_table.append(leaf)
            elif chosen := self._choose(leaf, candidates, tables):
                name, partition = chosen
                added.setdefault(name, []).append(partition)
            else:
                self.log(
                    f"WARN : {tables.target.location_of(leaf.path)} is ignored: its schema "
                    f"{leaf.schema} is too different from that of {', '.join(candidates)}, and "
                    "the crawler crawls new folders only"
                )
        for name, partitions in added.items():
            self._partitions.add(name, partitions)
        self._add_tables(below_no_table, tables)

    def _choose(
        self, leaf: Leaf, candidates: dict[str, Path], tables: TargetTables
    ) -> tuple[str, CatalogPartition] | None:
        """The first candidate that the folder fits, and the folder's partition in it."""
        for name, root in candidates.items():
            table = tables.own[name]
            keys = [key["Name"] for key in table.get("PartitionKeys") or []]
            folders = leaf.path[len(root) :]
            if len(folders) == len(keys) and self._fits(table, leaf.schema):
                values = tuple(
                    partition_value(folder, key) for folder, key in zip(folders, keys, strict=True)
                )
                return name, self._partitions.partition_input(
                    tables.target, leaf.path, values, leaf.schema, table
                )
        return None

    def _add_tables(self, leaves: Sequence[Leaf], tables: TargetTables) -> None:
        # Grouped by their top folder, so that a new table never includes the existing ones.
        by_top: dict[str, list[Leaf]] = {}
        for leaf in leaves:
            by_top.setdefault(leaf.path[0] if leaf.path else "", []).append(leaf)
        tables.taken.update(tables.own)
        for group in by_top.values():
            for found in self._find_tables(group):
                self._tables.write(_lowered(found), tables)

    def _fits(self, table: CatalogTable, schema: Schema) -> bool:
        of_table = Schema(layout=layout_of(table), columns=dict(columns_of(table)))
        return of_table.fits(schema, ignore_similarity=self.settings.combine_compatible_schemas)

    def _check_stopped(self) -> None:
        if self.stopped():
            raise CrawlStopped


def _tables_above(leaf: Leaf, tables: TargetTables) -> dict[str, Path]:
    """Name and root (relative to the include path) of the tables that a folder lies below."""
    target = tables.target
    roots = {
        name: tuple(part for part in location[len(target.location) :].split("/") if part)
        for name, table in tables.own.items()
        if (location := location_of(table)).startswith(target.location)
    }
    return {name: root for name, root in roots.items() if leaf.path[: len(root)] == root}


def _lowered(table: Table) -> Table:
    """The table, rooted no higher than the first folder it lies in."""
    if table.root or not table.keys:
        return table
    top = table.leaves[0].path[:1]
    return replace(table, root=top, keys=partition_keys([leaf.path[1:] for leaf in table.leaves]))
