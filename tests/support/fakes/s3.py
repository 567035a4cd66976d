"""One S3 bucket in memory."""

from __future__ import annotations

import io
import zlib
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from tests.support.fakes.modelled_client import ModelledClient, client_error

LAST_MODIFIED = datetime(2026, 1, 1, tzinfo=UTC)


class Body(io.BytesIO):
    """A response body; it may raise an error after some bytes, as a lost connection does."""

    def __init__(
        self, data: bytes, breaks_at: int | None = None, error: Exception | None = None
    ) -> None:
        super().__init__(data)
        self._breaks_at = breaks_at
        self._error = error

    def read(self, amount: int | None = -1) -> bytes:
        if self._breaks_at is None:
            return super().read(amount)
        if self.tell() >= self._breaks_at:
            assert self._error is not None
            raise self._error
        remaining = self._breaks_at - self.tell()
        return super().read(remaining if amount is None or amount < 0 else min(amount, remaining))


class FakeBucket:
    """The objects of one bucket, listed, read, written and deleted as S3 does.

    Args:
        objects: the content by key.
        owner: account id that each request must name as ExpectedBucketOwner; None accepts any.
        page_size: keys per page. Two, so that every test covers paging.

    Attributes:
        client: the boto3 client of the bucket.
        reads: keys that were read, in order.
        denied: methods of the client that are denied.
        breaks: bytes and error for each of the next reads, whose connection is lost.
        empty_page_after: an extra empty page follows this key, as S3 sends it where many delete
            markers lie between two keys.
        delete_errors: errors in the answer to each DeleteObjects.
        storage_classes: storage class by key; STANDARD by default.
        restores: RestoreStatus by key, of archived objects that are being or have been restored.
        archive_tiers: archive tier by key, of objects in INTELLIGENT_TIERING; no listing shows it.
    """

    def __init__(
        self,
        objects: Mapping[str, bytes] | None = None,
        *,
        owner: str | None = None,
        page_size: int = 2,
    ) -> None:
        self.objects = dict(objects or {})
        self.owner = owner
        self.page_size = page_size
        self.reads: list[str] = []
        self.denied: set[str] = set()
        self.breaks: list[tuple[int, Exception]] = []
        self.empty_page_after: str | None = None
        self.delete_errors: list[dict[str, str]] = []
        self.storage_classes: dict[str, str] = {}
        self.restores: dict[str, dict[str, Any]] = {}
        self.archive_tiers: dict[str, str] = {}
        self.client = ModelledClient(
            "s3",
            list_objects_v2=self._list,
            get_object=self._get,
            put_object=self._put,
            delete_objects=self._delete,
        )

    @staticmethod
    def etag(content: bytes) -> str:
        """ETag of an object with this content."""
        return f'"{zlib.crc32(content):x}"'

    def _check(self, method: str, owner: str | None) -> None:
        if self.owner is not None:
            assert owner == self.owner
        if method in self.denied:
            raise client_error("AccessDenied", "Access Denied", 403, method)

    def _list(
        self,
        Bucket: str,
        Prefix: str = "",
        MaxKeys: int = 1000,
        StartAfter: str = "",
        ContinuationToken: str = "",
        ExpectedBucketOwner: str | None = None,
        OptionalObjectAttributes: Sequence[str] = (),
        **_: Any,
    ) -> dict[str, Any]:
        self._check("list_objects_v2", ExpectedBucketOwner)
        if self.empty_page_after and not ContinuationToken and StartAfter == self.empty_page_after:
            return {"IsTruncated": True, "NextContinuationToken": StartAfter}
        after = (ContinuationToken or StartAfter).encode()
        # S3 lists in the byte order of the keys.
        keys = sorted(
            (key for key in self.objects if key.startswith(Prefix) and key.encode() > after),
            key=str.encode,
        )
        shown = keys[: min(MaxKeys, self.page_size)]
        page: dict[str, Any] = {"IsTruncated": len(keys) > len(shown), "Contents": []}
        for key in shown:
            content = self.objects[key]
            entry = {
                "Key": key,
                "Size": len(content),
                "ETag": self.etag(content),
                "LastModified": LAST_MODIFIED,
                "StorageClass": self.storage_classes.get(key, "STANDARD"),
            }
            if key in self.restores and "RestoreStatus" in OptionalObjectAttributes:
                entry["RestoreStatus"] = self.restores[key]
            page["Contents"].append(entry)
        if page["IsTruncated"]:
            page["NextContinuationToken"] = shown[-1]
        return page

    def _get(
        self,
        Bucket: str,
        Key: str,
        IfMatch: str | None = None,
        Range: str = "bytes=0-",
        ExpectedBucketOwner: str | None = None,
    ) -> dict[str, Any]:
        self._check("get_object", ExpectedBucketOwner)
        if Key not in self.objects:
            raise client_error("NoSuchKey", status=404, operation="GetObject")
        content = self.objects[Key]
        if IfMatch is not None and IfMatch != self.etag(content):
            raise client_error("PreconditionFailed", status=412, operation="GetObject")
        self._check_archive(Key)
        self.reads.append(Key)
        start, _, end = Range.removeprefix("bytes=").partition("-")
        content = content[int(start) : int(end) + 1 if end else None]
        return {"Body": Body(content, *(self.breaks.pop(0) if self.breaks else ()))}

    def _check_archive(self, key: str) -> None:
        storage_class, tier = self.storage_classes.get(key), self.archive_tiers.get(key)
        is_restored = "RestoreExpiryDate" in self.restores.get(key, {})
        if tier is None and (storage_class not in ("GLACIER", "DEEP_ARCHIVE") or is_restored):
            return
        refusal = client_error(
            "InvalidObjectState",
            "The operation is not valid for the object's storage class",
            403,
            "GetObject",
        )
        names = {"StorageClass": storage_class, "AccessTier": tier}
        refusal.response["Error"] |= {name: text for name, text in names.items() if text}
        raise refusal

    def _put(
        self, Bucket: str, Key: str, Body: bytes, ExpectedBucketOwner: str | None = None, **_: Any
    ) -> dict[str, Any]:
        self._check("put_object", ExpectedBucketOwner)
        self.objects[Key] = Body
        return {}

    def _delete(
        self, Bucket: str, Delete: dict[str, Any], ExpectedBucketOwner: str | None = None, **_: Any
    ) -> dict[str, Any]:
        self._check("delete_objects", ExpectedBucketOwner)
        for item in Delete["Objects"]:
            self.objects.pop(item["Key"], None)
        return {"Errors": self.delete_errors}
