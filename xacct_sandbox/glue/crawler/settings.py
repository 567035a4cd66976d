"""The settings of a crawler, read from its API definition and checked.

An option that the sandbox's crawler does not support is refused by name when the crawler is
created, never ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from xacct_sandbox.glue.crawler.globs import InvalidGlob, compile_glob

CRAWL_EVERYTHING = "CRAWL_EVERYTHING"
CRAWL_NEW_FOLDERS_ONLY = "CRAWL_NEW_FOLDERS_ONLY"
LOG = "LOG"
UPDATE_IN_DATABASE = "UPDATE_IN_DATABASE"
DEPRECATE_IN_DATABASE = "DEPRECATE_IN_DATABASE"
DELETE_FROM_DATABASE = "DELETE_FROM_DATABASE"

MAX_SAMPLE_SIZE = 249
MAX_TABLE_PREFIX = 64


_OPTIONS = {
    ("CrawlerOutput", "Tables", "AddOrUpdateBehavior"): ("merge_new_columns", "MergeNewColumns"),
    ("CrawlerOutput", "Partitions", "AddOrUpdateBehavior"): (
        "inherit_from_table",
        "InheritFromTable",
    ),
    ("Grouping", "TableGroupingPolicy"): (
        "combine_compatible_schemas",
        "CombineCompatibleSchemas",
    ),
}
"""Paths in the Configuration JSON: the setting, and the only value that the sandbox supports."""


class InvalidCrawler(ValueError):
    """The definition is wrong, or uses an option that the sandbox does not support."""


@dataclass(frozen=True)
class S3Target:
    """One include path, ``s3://bucket/prefix``.

    Attributes:
        bucket: its name.
        prefix: without a slash at either end; empty for the whole bucket.
        exclusions: glob patterns, relative to the include path.
        sample_size: most files to read per folder; None for the default.
    """

    bucket: str
    prefix: str
    exclusions: tuple[str, ...] = ()
    sample_size: int | None = None

    @property
    def location(self) -> str:
        """The include path with a slash at its end."""
        return f"s3://{self.bucket}/{self.prefix}/" if self.prefix else f"s3://{self.bucket}/"

    def location_of(self, path: Sequence[str]) -> str:
        """The location of a folder below the include path, with a slash at its end."""
        return self.location + "".join(f"{folder}/" for folder in path)

    @property
    def parts(self) -> tuple[str, ...]:
        """Bucket and folders of the include path."""
        return (self.bucket, *(part for part in self.prefix.split("/") if part))


@dataclass(frozen=True)
class CrawlerSettings:
    """What a crawl does.

    Attributes:
        name: of the crawler.
        database: of the catalog, in the crawler's account.
        targets: the include paths.
        table_prefix: before the names of new tables.
        recrawl: RecrawlBehavior.
        update_behavior: what happens to a table whose schema changed.
        delete_behavior: what happens to tables and partitions without data.
        merge_new_columns: columns of a table are added, never changed.
        inherit_from_table: partitions have the columns and the format of their table.
        combine_compatible_schemas: similarity of schemas does not matter for a table.
        partition_index: a partitioned table gets a partition index.
    """

    name: str
    database: str
    targets: tuple[S3Target, ...]
    table_prefix: str = ""
    recrawl: str = CRAWL_EVERYTHING
    update_behavior: str = UPDATE_IN_DATABASE
    delete_behavior: str = DEPRECATE_IN_DATABASE
    merge_new_columns: bool = False
    inherit_from_table: bool = False
    combine_compatible_schemas: bool = False
    partition_index: bool = True

    @property
    def new_folders_only(self) -> bool:
        """Whether crawls after the first read new folders only."""
        return self.recrawl == CRAWL_NEW_FOLDERS_ONLY

    @classmethod
    def from_definition(cls, crawler: Mapping[str, Any]) -> CrawlerSettings:
        """The settings in a request of CreateCrawler.

        Raises:
            InvalidCrawler: naming the field, the reason and the fix.
        """
        for option in ("Classifiers", "CrawlerSecurityConfiguration"):
            if crawler.get(option):
                raise InvalidCrawler(
                    f"{option} is not supported by the sandbox's crawler; leave it out"
                )
        if crawler.get("Schedule"):
            raise InvalidCrawler(
                "Schedule is not supported by the sandbox's crawler; start it with StartCrawler"
            )
        lineage = (crawler.get("LineageConfiguration") or {}).get("CrawlerLineageSettings")
        if lineage == "ENABLE":
            raise InvalidCrawler("LineageConfiguration ENABLE is not supported by the sandbox")
        lake_formation = crawler.get("LakeFormationConfiguration") or {}
        if lake_formation.get("UseLakeFormationCredentials"):
            raise InvalidCrawler("LakeFormationConfiguration is not supported by the sandbox")
        prefix = crawler.get("TablePrefix") or ""
        if len(prefix) > MAX_TABLE_PREFIX:
            raise InvalidCrawler(f"TablePrefix is longer than {MAX_TABLE_PREFIX} characters")
        update, delete, recrawl = _policies(crawler)
        return cls(
            name=crawler["Name"],
            database=crawler.get("DatabaseName") or "default",
            targets=_targets(crawler.get("Targets") or {}),
            table_prefix=prefix,
            recrawl=recrawl,
            update_behavior=update,
            delete_behavior=delete,
            **_configuration(crawler.get("Configuration") or ""),
        )


def parse_location(path: str) -> tuple[str, str]:
    """Bucket and prefix (without slashes at its ends) of an ``s3://`` path.

    Raises:
        InvalidCrawler: it is not an S3 path.
    """
    scheme, separator, rest = path.partition("://")
    if not separator:
        rest = path
    elif scheme not in {"s3", "s3a", "s3n"}:
        raise InvalidCrawler(f"{path!r} is not an S3 path such as s3://bucket/folder/")
    bucket, _, prefix = rest.partition("/")
    if not bucket:
        raise InvalidCrawler(f"{path!r} names no bucket")
    return bucket, prefix.strip("/")


def _targets(targets: Mapping[str, Any]) -> tuple[S3Target, ...]:
    for kind, members in targets.items():
        if kind != "S3Targets" and members:
            raise InvalidCrawler(
                f"Targets.{kind} is not supported by the sandbox's crawler, only S3Targets"
            )
    found = []
    for target in targets.get("S3Targets") or []:
        for option in ("ConnectionName", "EventQueueArn", "DlqEventQueueArn"):
            if target.get(option):
                raise InvalidCrawler(
                    f"S3Targets.{option} is not supported by the sandbox's crawler; leave it out"
                )
        bucket, prefix = parse_location(target.get("Path") or "")
        exclusions = tuple(target.get("Exclusions") or ())
        try:
            for pattern in exclusions:
                compile_glob(pattern)
        except InvalidGlob as problem:
            raise InvalidCrawler(str(problem)) from problem
        sample_size = target.get("SampleSize")
        if sample_size is not None and not 1 <= sample_size <= MAX_SAMPLE_SIZE:
            raise InvalidCrawler(f"SampleSize {sample_size} is not in 1..{MAX_SAMPLE_SIZE}")
        found.append(S3Target(bucket, prefix, exclusions, sample_size))
    if not found:
        raise InvalidCrawler("At least one crawl target must be specified: Targets.S3Targets")
    return tuple(found)


def _policies(crawler: Mapping[str, Any]) -> tuple[str, str, str]:
    policy = crawler.get("SchemaChangePolicy") or {}
    recrawl = (crawler.get("RecrawlPolicy") or {}).get("RecrawlBehavior") or CRAWL_EVERYTHING
    if recrawl == "CRAWL_EVENT_MODE":
        raise InvalidCrawler("RecrawlBehavior CRAWL_EVENT_MODE is not supported by the sandbox")
    if recrawl not in {CRAWL_EVERYTHING, CRAWL_NEW_FOLDERS_ONLY}:
        raise InvalidCrawler(f"RecrawlBehavior {recrawl!r} does not exist")
    update = policy.get("UpdateBehavior")
    delete = policy.get("DeleteBehavior")
    if recrawl == CRAWL_NEW_FOLDERS_ONLY and (update or LOG, delete or LOG) != (LOG, LOG):
        raise InvalidCrawler(
            'The SchemaChangePolicy for "Crawl new folders only" Amazon S3 target can have only '
            "LOG DeleteBehavior value and LOG UpdateBehavior value."
        )
    if recrawl == CRAWL_NEW_FOLDERS_ONLY:
        return LOG, LOG, recrawl
    update = update or UPDATE_IN_DATABASE
    delete = delete or DEPRECATE_IN_DATABASE
    if update not in {LOG, UPDATE_IN_DATABASE}:
        raise InvalidCrawler(f"UpdateBehavior {update!r} does not exist")
    if delete not in {LOG, DEPRECATE_IN_DATABASE, DELETE_FROM_DATABASE}:
        raise InvalidCrawler(f"DeleteBehavior {delete!r} does not exist")
    return update, delete, recrawl


def _configuration(text: str) -> dict[str, bool]:
    """Options in the Configuration JSON.

    Sources: Glue developer guide, "Setting crawler configuration options"; "Generating partition
    indexes" (CreatePartitionIndex: "The default value is true").
    """
    if not text:
        return {}
    try:
        document = json.loads(text)
    except json.JSONDecodeError as problem:
        raise InvalidCrawler(f"Configuration is not JSON: {problem}") from problem
    if not isinstance(document, dict) or document.get("Version") != 1.0:
        raise InvalidCrawler('Configuration must be a JSON object with "Version": 1.0')
    options: dict[str, bool] = {}
    for path, value in _leaves(document):
        if path == ("Version",):
            continue
        if path == ("CreatePartitionIndex",):
            if not isinstance(value, bool):
                raise InvalidCrawler("Configuration CreatePartitionIndex is true or false")
            options["partition_index"] = value
            continue
        if path not in _OPTIONS:
            raise InvalidCrawler(
                f"Configuration option {'.'.join(path)} is not supported by the sandbox's crawler"
            )
        field, supported = _OPTIONS[path]
        if value != supported:
            raise InvalidCrawler(f"Configuration {'.'.join(path)} can only be {supported!r}")
        options[field] = True
    return options


def _leaves(
    document: Mapping[str, Any], path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Path and value of everything in a JSON document that is not an object with members."""
    for key, value in document.items():
        if isinstance(value, dict) and value:
            yield from _leaves(value, (*path, key))
        else:
            yield (*path, key), value
