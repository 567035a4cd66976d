"""One S3 bucket: every call names the account that must own it.

S3 refuses a call whose ExpectedBucketOwner is not the owner (S3 user guide, "Verifying bucket
ownership"): a bucket that was created again under the same name in another account is never read
or written.
"""

from __future__ import annotations

import hashlib
import os.path
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import NotFound

if TYPE_CHECKING:
    from botocore.paginate import PageIterator
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import (
        ListObjectsV2OutputTypeDef,
        ListObjectsV2RequestTypeDef,
        ListObjectVersionsOutputTypeDef,
        ObjectTypeDef,
    )

#: Metadata of an object that `Bucket.put_if_changed` wrote: the digest of its content.
DIGEST = "sha256"
_DELETE_BATCH = 1000
#: Listings at the same time, of folders with more than a page of objects.
_LISTINGS = 8


@dataclass(frozen=True)
class BucketContents:
    """How much is in a bucket.

    Attributes:
        objects: number of versions and delete markers of all objects.
        size: their bytes.
    """

    objects: int
    size: int

    def __str__(self) -> str:
        return f"{self.objects:,} object versions, {self.size:,} bytes"


@dataclass(frozen=True)
class ObjectVersion:
    """A version of an object, or the marker that it was deleted."""

    key: str
    id: str
    is_marker: bool = False


@dataclass(frozen=True)
class Bucket:
    """A bucket and the account that must own it.

    Attributes:
        s3: boto3's ``s3`` client.
        name: of the bucket.
        owner: id of the account that must own it.
    """

    s3: S3Client
    name: str
    owner: str

    def arn(self, key: str | None = None) -> str:
        """ARN of the bucket, or of an object in it."""
        arn = f"arn:aws:s3:::{self.name}"
        return arn if key is None else f"{arn}/{key}"

    def url(self, key: str) -> str:
        """``s3://`` URL of an object."""
        return f"s3://{self.name}/{key}"

    def call(self, action: str, resource: str | None = None) -> AbstractContextManager[None]:
        """`aws_call` for this bucket, or for the resource in it."""
        return aws_call(action, resource or self.arn(), account=self.owner)

    def read(self, key: str) -> bytes:
        """The content of an object.

        Raises:
            NotFound: there is no such object (or no such bucket: see its code).
        """
        with self.call("s3:GetObject", self.arn(key)):
            answer = self.s3.get_object(Bucket=self.name, Key=key, ExpectedBucketOwner=self.owner)
            return answer["Body"].read()

    def read_start(self, key: str, size: int) -> tuple[bytes, bool]:
        """The first bytes of an object, and whether they are all it has.

        Raises:
            NotFound: there is no such object (or no such bucket: see its code).
        """
        with self.call("s3:GetObject", self.arn(key)):
            answer = self.s3.get_object(Bucket=self.name, Key=key, ExpectedBucketOwner=self.owner)
            with closing(answer["Body"]) as body:
                return body.read(size), answer["ContentLength"] <= size

    def read_if_there(self, key: str) -> bytes | None:
        """The content of an object; None if there is no such object.

        Raises:
            NotFound: there is no such bucket.
        """
        try:
            return self.read(key)
        except NotFound as absent:
            if absent.code == "NoSuchBucket":
                raise
            return None

    def kms_key(self, key: str) -> str | None:
        """The ARN of the KMS key that an object is under; None if it is under none.

        Needs no right on that key.
        """
        with self.call("s3:GetObject", self.arn(key)):
            head = self.s3.head_object(Bucket=self.name, Key=key, ExpectedBucketOwner=self.owner)
        return head.get("SSEKMSKeyId")

    def put(self, key: str, body: bytes) -> None:
        """Write an object."""
        with self.call("s3:PutObject", self.arn(key)):
            self.s3.put_object(Bucket=self.name, Key=key, Body=body, ExpectedBucketOwner=self.owner)

    def metadata(self, key: str, version: str | None = None) -> dict[str, str]:
        """The metadata of an object, or of one version of it.

        Raises:
            NotFound: there is no such object (or no such bucket).
        """
        of_version: Any = {} if version is None else {"VersionId": version}
        with self.call("s3:GetObject", self.arn(key)):
            head = self.s3.head_object(
                Bucket=self.name, Key=key, ExpectedBucketOwner=self.owner, **of_version
            )
        return dict(head.get("Metadata", {}))

    def put_if_changed(
        self, key: str, body: bytes, metadata: Mapping[str, str] | None = None
    ) -> bool:
        """Write an object unless it has this content already; True if it was written.

        The content's SHA-256 is kept in the object's metadata (an ETag is no digest in general).

        Args:
            key: of the object.
            body: its content.
            metadata: more metadata that it has.
        """
        wanted = {DIGEST: hashlib.sha256(body).hexdigest(), **(metadata or {})}
        with suppress(NotFound):
            if self.metadata(key) == wanted:
                return False
        with self.call("s3:PutObject", self.arn(key)):
            self.s3.put_object(
                Bucket=self.name,
                Key=key,
                Body=body,
                Metadata=wanted,
                ExpectedBucketOwner=self.owner,
            )
        return True

    def folders(self, prefix: str) -> list[str]:
        """The names of the folders directly under the prefix (which ends in a slash)."""
        with self.call("s3:ListBucket", f"{self.arn()} (prefix {prefix!r})"):
            pages = self.s3.get_paginator("list_objects_v2").paginate(
                Bucket=self.name, Prefix=prefix, Delimiter="/", ExpectedBucketOwner=self.owner
            )
            return [
                item["Prefix"][len(prefix) :].rstrip("/")
                for page in pages
                for item in page.get("CommonPrefixes", [])
            ]

    def list_page(
        self,
        prefix: str,
        *,
        after: str | None = None,
        limit: int | None = None,
    ) -> tuple[list[ObjectTypeDef], bool]:
        """One page of the objects under a prefix, by key, and whether there are more.

        Args:
            prefix: of the keys.
            after: only keys after this one.
            limit: objects in the page (up to 1,000, which is S3's default).
        """
        request: ListObjectsV2RequestTypeDef = {
            "Bucket": self.name,
            "Prefix": prefix,
            "ExpectedBucketOwner": self.owner,
            # Tells archived objects that can be read now from those that cannot.
            "OptionalObjectAttributes": ["RestoreStatus"],
        }
        if limit is not None:
            request["MaxKeys"] = limit
        if after:
            request["StartAfter"] = after
        while True:
            with self.call("s3:ListBucket", f"{self.arn()} (prefix {prefix!r})"):
                page: ListObjectsV2OutputTypeDef = self.s3.list_objects_v2(**request)
            token = page.get("NextContinuationToken")
            # S3 may send an empty page that only leads to the next one.
            if page.get("Contents") or not token:
                return page.get("Contents", []), bool(token)
            request.pop("StartAfter", None)
            request["ContinuationToken"] = token

    def list_folders(self, prefixes: Sequence[str]) -> dict[str, list[ObjectTypeDef]]:
        """The objects under each of the prefixes (which end in a slash).

        A page has up to 1,000 objects of any folders, so neighbouring folders are listed together,
        which takes fewer requests than a listing of each; objects between them are skipped. If
        there is more than a page, the rest is listed in several parts at once.
        """
        wanted = sorted(set(prefixes))
        found: dict[str, list[ObjectTypeDef]] = {folder: [] for folder in wanted}
        if not wanted:
            return found
        rest, after = self._list_some(wanted, None, found)
        size = max(1, -(-len(rest) // _LISTINGS))
        parts = [rest[start : start + size] for start in range(0, len(rest), size)]

        def list_part(part: Sequence[str], after: str | None) -> None:
            while part:
                part, after = self._list_some(part, after, found)

        if parts:
            with ThreadPoolExecutor(len(parts), "list") as threads:
                list(threads.map(list_part, parts, [after] + [None] * (len(parts) - 1)))
        return found

    def _list_some(
        self,
        folders: Sequence[str],
        after: str | None,
        found: dict[str, list[ObjectTypeDef]],
    ) -> tuple[Sequence[str], str | None]:
        """List a page of sorted folders into `found`.

        Returns:
            The folders that are left, and the key after which to go on in the first of them.
        """
        single = len(folders) == 1
        common = folders[0] if single else os.path.commonprefix(list(folders))  # noqa: RUF071
        # StartAfter is exclusive, and an object may have the folder's own key.
        start = after or (None if single else folders[0][:-1])
        items, more = self.list_page(common, after=start)

        def folder_of(key: str) -> int | None:
            at = bisect_right(folders, key) - 1
            return at if at >= 0 and key.startswith(folders[at]) else None

        for item in items:
            at = folder_of(item["Key"])
            if at is not None:
                found[folders[at]].append(item)
        if not more:
            return [], None
        last = items[-1]["Key"]
        at = folder_of(last)
        if at is not None:
            return folders[at:], last
        return folders[bisect_right(folders, last) :], None

    def exists(self) -> bool:
        """True if the bucket exists and is the owner's."""
        try:
            with self.call("s3:ListBucket"):
                self.s3.head_bucket(Bucket=self.name, ExpectedBucketOwner=self.owner)
        except NotFound:
            return False
        return True

    def contents(self) -> BucketContents:
        """How much is in the bucket: every version and delete marker of every object."""
        objects = size = 0
        with self.call("s3:ListBucketVersions"):
            for page in self._version_pages():
                versions = page.get("Versions", [])
                objects += len(versions) + len(page.get("DeleteMarkers", []))
                size += sum(version["Size"] for version in versions)
        return BucketContents(objects, size)

    def _version_pages(self, prefix: str = "") -> PageIterator[ListObjectVersionsOutputTypeDef]:
        return self.s3.get_paginator("list_object_versions").paginate(
            Bucket=self.name, Prefix=prefix, ExpectedBucketOwner=self.owner
        )

    def versions(self, prefix: str = "") -> Iterator[ObjectVersion]:
        """Every version and delete marker of the objects under a prefix."""
        with self.call("s3:ListBucketVersions"):
            for page in self._version_pages(prefix):
                for item in page.get("Versions", []):
                    yield ObjectVersion(item["Key"], item["VersionId"])
                for marker in page.get("DeleteMarkers", []):
                    yield ObjectVersion(marker["Key"], marker["VersionId"], is_marker=True)

    def empty(self) -> int:
        """Delete every version and delete marker of every object; how many there were."""
        deleted = self.delete_versions(self.versions())
        self._abort_uploads()
        return deleted

    def delete_versions(self, versions: Iterable[ObjectVersion]) -> int:
        """Delete these versions and delete markers; how many there were."""
        deleted = 0
        left = iter(versions)
        while batch := list(islice(left, _DELETE_BATCH)):
            with self.call("s3:DeleteObjectVersion", self.arn("*")):
                answer = self.s3.delete_objects(
                    Bucket=self.name,
                    Delete={
                        "Objects": [
                            {"Key": version.key, "VersionId": version.id} for version in batch
                        ],
                        "Quiet": True,
                    },
                    ExpectedBucketOwner=self.owner,
                )
                for error in answer.get("Errors", []):
                    from botocore.exceptions import ClientError

                    raise ClientError({"Error": error}, "DeleteObjects")
            deleted += len(batch)
        return deleted

    def _abort_uploads(self) -> None:
        with self.call("s3:AbortMultipartUpload", self.arn("*")):
            pages = self.s3.get_paginator("list_multipart_uploads").paginate(
                Bucket=self.name, ExpectedBucketOwner=self.owner
            )
            for page in pages:
                for upload in page.get("Uploads", []):
                    self.s3.abort_multipart_upload(
                        Bucket=self.name,
                        Key=upload["Key"],
                        UploadId=upload["UploadId"],
                        ExpectedBucketOwner=self.owner,
                    )

    def delete(self) -> None:
        """Delete the empty bucket."""
        with self.call("s3:DeleteBucket"):
            self.s3.delete_bucket(Bucket=self.name, ExpectedBucketOwner=self.owner)
