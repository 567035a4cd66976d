"""Verifies exports: the files in the export bucket against the manifest that UNLOAD wrote.

The verbose manifest (UNLOAD reference: ``entries[].meta.{content_length,record_count}``,
``schema.elements``, ``meta``) is written last; without it an export is not complete.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import unquote

from xacct_assets.aws.errors import ManifestInvalid, ObjectArchived
from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.aws.s3.keys import KeySample

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client

MANIFEST = "manifest"
_SHOWN = 5
#: Manifests read at once.
_READERS = 8


@dataclass(frozen=True)
class ManifestEntry:
    """One exported file: its s3:// URL, its size in bytes, its records."""

    url: str
    content_length: int
    record_count: int


@dataclass(frozen=True)
class ExportManifest:
    """A verbose UNLOAD manifest. Columns are (name, type) pairs."""

    entries: list[ManifestEntry]
    columns: list[tuple[str, str]]
    total_rows: int


@dataclass(frozen=True)
class ExportVerdict:
    """How the files under a day's prefix compare with the manifest.

    Attributes:
        manifest: None if there is none, or it cannot be read.
        files, rows, bytes: totals of the manifest; without one 0, None and 0. The rows of CSV
            files with a header include one for each file's header (UNLOAD reference).
        missing: keys in the manifest that are not in the bucket.
        stray: keys in the bucket that are not in the manifest.
        wrong_size: keys whose sizes differ.
        problems: messages; empty if the export is complete.
    """

    manifest: ExportManifest | None = None
    files: int = 0
    rows: int | None = None
    bytes: int = 0
    missing: list[str] = field(default_factory=list)
    stray: list[str] = field(default_factory=list)
    wrong_size: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)

    @property
    def ok(self) -> bool:
        """True if the export is complete."""
        return not self.problems


class Exports:
    """Reads the export bucket.

    Args:
        s3: boto3's ``s3`` client.
        bucket: the export bucket.
        owner_account: the account id that must own it.
    """

    def __init__(self, s3: S3Client, bucket: str, owner_account: str) -> None:
        self._bucket = Bucket(s3, bucket, owner_account)
        self.bucket = bucket

    def read_manifest(self, prefix: str) -> ExportManifest | None:
        """The manifest of the export under the prefix (which ends in a slash); None if none.

        Raises:
            ManifestInvalid: it is not a verbose UNLOAD manifest.
        """
        body = self._bucket.read_if_there(prefix + MANIFEST)
        if body is None:
            return None
        try:
            return _parse(json.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ManifestInvalid(
                f"{self._bucket.url(prefix + MANIFEST)} is not a verbose UNLOAD manifest",
                reason=f"{type(error).__name__}: {error}",
                fix="materialize s3_export of this day again",
            ) from error

    def folders(self, prefix: str) -> list[str]:
        """The names of the folders directly under the prefix (which ends in a slash)."""
        return self._bucket.folders(prefix)

    def verify(self, prefix: str) -> ExportVerdict:
        """Compare the files under the prefix with the manifest."""
        return self.verify_all([prefix])[prefix]

    def verify_all(self, prefixes: Sequence[str]) -> dict[str, ExportVerdict]:
        """`verify` for several prefixes, which end in a slash, with as few requests as possible."""
        listed = self._bucket.list_folders(prefixes)

        def verify_one(prefix: str) -> ExportVerdict:
            return self._verify(prefix, {item["Key"]: int(item["Size"]) for item in listed[prefix]})

        with ThreadPoolExecutor(min(_READERS, max(1, len(prefixes))), "manifests") as threads:
            return dict(zip(prefixes, threads.map(verify_one, prefixes), strict=True))

    def _verify(self, prefix: str, sizes: Mapping[str, int]) -> ExportVerdict:
        try:
            manifest = self.read_manifest(prefix) if prefix + MANIFEST in sizes else None
        except (ManifestInvalid, ObjectArchived) as unusable:
            return ExportVerdict(stray=sorted(sizes), problems=[str(unusable)])
        present = {key: size for key, size in sizes.items() if key != prefix + MANIFEST}
        if manifest is None:
            problem = f"s3://{self.bucket}/{prefix} has no manifest, so nothing says it is whole"
            if present:
                problem += f"; {len(present)} files lie there: {_some(sorted(present))}"
            return ExportVerdict(stray=sorted(present), problems=[problem])
        return _compare(manifest, present, root=self._bucket.url(""))


def _compare(manifest: ExportManifest, present: Mapping[str, int], root: str) -> ExportVerdict:
    """Compare a manifest with the sizes of the objects that are there, by key."""
    problems: list[str] = []
    expected: dict[str, int] = {}
    for entry in manifest.entries:
        key = _key_of(entry.url, root, present)
        if key is None:
            problems.append(f"the manifest names {entry.url}, which is not in this bucket")
        elif key in expected:
            problems.append(f"the manifest names {entry.url} twice")
        else:
            expected[key] = entry.content_length
    missing = sorted(set(expected) - set(present))
    stray = sorted(set(present) - set(expected))
    wrong_size = sorted(k for k in expected if k in present and present[k] != expected[k])
    total = sum(entry.record_count for entry in manifest.entries)
    if missing:
        problems.append(f"files of the manifest are missing: {_some(missing)}")
    if stray:
        problems.append(f"files are there that the manifest does not name: {_some(stray)}")
    if wrong_size:
        problems.append(f"files have other sizes than the manifest says: {_some(wrong_size)}")
    if total != manifest.total_rows:
        problems.append(
            f"the manifest's files add up to {total} rows, its total says {manifest.total_rows}"
        )
    return ExportVerdict(
        manifest=manifest,
        files=len(manifest.entries),
        rows=total,
        bytes=sum(entry.content_length for entry in manifest.entries),
        missing=missing,
        stray=stray,
        wrong_size=wrong_size,
        problems=problems,
    )


def _parse(data: dict[str, Any]) -> ExportManifest:
    entries = [
        ManifestEntry(
            url=str(entry["url"]),
            content_length=int(entry["meta"]["content_length"]),
            record_count=int(entry["meta"]["record_count"]),
        )
        for entry in data["entries"]
    ]
    columns = [
        (str(element["name"]), str((element.get("type") or {}).get("base", "")))
        for element in data["schema"]["elements"]
    ]
    return ExportManifest(entries, columns, int(data["meta"]["record_count"]))


def _key_of(url: str, root: str, present: Mapping[str, int]) -> str | None:
    """The key in a manifest URL; None if it is of another bucket.

    Keys with special characters may be percent-encoded.
    """
    if not url.startswith(root):
        return None
    key = url[len(root) :]
    return unquote(key) if key not in present and unquote(key) in present else key


def _some(keys: list[str]) -> str:
    return str(KeySample.of(keys, _SHOWN))
