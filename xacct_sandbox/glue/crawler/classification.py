"""From the folders of a target to their schemas, without reading unchanged folders again."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import Any

from xacct_sandbox.glue.crawler.grouping import Leaf, Path
from xacct_sandbox.glue.crawler.infer import SAMPLE_BYTES, infer_schema
from xacct_sandbox.glue.crawler.infer.schema import Schema, Unclassified, UnsupportedFormat
from xacct_sandbox.glue.crawler.s3_listing import File, Folder, S3Archived, S3Reader
from xacct_sandbox.glue.crawler.settings import CrawlerSettings, S3Target

DEFAULT_SAMPLE_FILES = 10
"""Files read per folder when the target sets no SampleSize."""
READERS = 8
"""Threads that read from S3."""

TargetMemory = dict[str, dict[str, Any]]
"""``{folder: {"fingerprint": ..., "schemas": [...]}}``"""

Memory = dict[str, TargetMemory]
"""What a crawl found, by target location; the next crawl starts from it."""


@dataclass(frozen=True)
class FolderClassifier:
    """Infers the schemas of folders from samples of their files.

    Attributes:
        settings: of the crawler.
        reader: of the target's S3 objects.
        log: writes a line to the crawler's log.
        before_each_step: is called before each folder is read; it may raise to end the crawl.
        unsupported: files that Glue reads and the sandbox does not, with the format; they are left
            out.
    """

    settings: CrawlerSettings
    reader: S3Reader
    log: Callable[[str], None]
    before_each_step: Callable[[], None]
    unsupported: list[str] = field(default_factory=list)

    def classify(
        self, target: S3Target, folders: Sequence[Folder], known: TargetMemory
    ) -> list[Leaf]:
        """The schemas of the folders; a folder with several of them occurs several times.

        Args:
            target: the include path.
            folders: below it.
            known: from the previous crawl; folders that did not change are not read again.

        Raises:
            S3Denied, S3Failed: S3 refused a read.
        """
        leaves: list[Leaf] = []
        with ThreadPoolExecutor(READERS, thread_name_prefix="crawl") as pool:
            found = pool.map(
                lambda folder: self._classify_folder(target, folder, known.get(folder.name)),
                folders,
            )
            for folder, schemas in zip(folders, found, strict=True):
                leaves.extend(Leaf(folder.path, schema) for schema in schemas)
        self.before_each_step()
        return leaves

    def _classify_folder(
        self, target: S3Target, folder: Folder, known: Mapping[str, Any] | None
    ) -> list[Schema]:
        if known is not None and known["fingerprint"] == folder.fingerprint:
            return [Schema.from_json(document) for document in known["schemas"]]
        self.before_each_step()
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
            # Files outside the sample are assumed to be like the average file of the sample.
            schemas = [schemas[0].scaled(len(files), sum(file.size for file in files))]
        return schemas

    def _classify_file(self, target: S3Target, file: File) -> Schema | None:
        name = f"s3://{target.bucket}/{file.key}"
        try:
            head = self.reader.read(target.bucket, file, 0, SAMPLE_BYTES)
        except S3Archived as archived:
            # A crawler logs a file that it cannot retrieve and goes on.
            self.log(f"ERROR : {archived}")
            return None
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
            # Glue would describe it by a table of its own, and the other files as here.
            self.unsupported.append(f"{name}: {problem}")
            self.log(f"WARN : {name}: {problem}; it is left out")
            return None


def remember(folders: Sequence[Folder], leaves: Sequence[Leaf]) -> TargetMemory:
    """What to store of the folders; one without a schema is read again by the next crawl."""
    schemas: dict[Path, list[Any]] = {}
    for leaf in leaves:
        schemas.setdefault(leaf.path, []).append(leaf.schema.to_json())
    return {
        folder.name: {"fingerprint": folder.fingerprint, "schemas": schemas[folder.path]}
        for folder in folders
        if folder.path in schemas
    }
