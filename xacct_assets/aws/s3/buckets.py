"""Whole-bucket work: folders, putting files only if they changed, emptying of every version."""

from __future__ import annotations

import hashlib
import os.path
from bisect import bisect_right
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import NotFound

_SHA = "sha256"
_DELETE_BATCH = 1000
#: Listings under way at once, of folders with more than a page of objects.
_LISTINGS = 8


def put_if_changed(s3: Any, bucket: str, owner: str, key: str, body: bytes) -> bool:
    """Upload unless the object already has this content; True if it was uploaded.

    The content's SHA-256 is kept in the object's metadata (an ETag is no digest in general).
    """
    digest = hashlib.sha256(body).hexdigest()
    resource = f"arn:aws:s3:::{bucket}/{key}"
    try:
        with aws_call("s3:GetObject", resource, account=owner):
            head = s3.head_object(Bucket=bucket, Key=key, ExpectedBucketOwner=owner)
        if head.get("Metadata", {}).get(_SHA) == digest:
            return False
    except NotFound:
        pass
    with aws_call("s3:PutObject", resource, account=owner):
        s3.put_object(
            Bucket=bucket,
            Key=key,
            Body=body,
            Metadata={_SHA: digest},
            ExpectedBucketOwner=owner,
        )
    return True


def folders(s3: Any, bucket: str, owner: str, prefix: str) -> list[str]:
    """The names of the folders directly under the prefix (which ends in a slash)."""
    with aws_call("s3:ListBucket", f"arn:aws:s3:::{bucket} (prefix {prefix!r})", account=owner):
        pages = s3.get_paginator("list_objects_v2").paginate(
            Bucket=bucket, Prefix=prefix, Delimiter="/", ExpectedBucketOwner=owner
        )
        return [
            item["Prefix"][len(prefix) :].rstrip("/")
            for page in pages
            for item in page.get("CommonPrefixes", [])
        ]


def in_folders(
    s3: Any, bucket: str, owner: str, wanted: Sequence[str]
) -> dict[str, list[dict[str, Any]]]:
    """The objects under each of the prefixes (which end in a slash), as ListObjectsV2 gives them.

    A page has up to 1,000 objects, of whichever folders. So neighbours are listed together, which
    takes a request where a listing of each would take one a folder; what lies between them is
    skipped. If there is more than a page, the rest is listed in several parts at once.
    """
    rest = sorted(set(wanted))
    found: dict[str, list[dict[str, Any]]] = {folder: [] for folder in rest}

    def page(part: Sequence[str], after: str | None) -> tuple[Sequence[str], str | None]:
        """List a page; the folders that are left, and the key to go on after in the first one."""
        common = part[0] if len(part) == 1 else os.path.commonprefix(list(part))  # noqa: RUF071
        # StartAfter is exclusive, and the folder's own key, if it was made, is an object as well.
        start = after or (part[0][:-1] if len(part) > 1 else None)
        request = {"StartAfter": start} if start else {}
        answer: dict[str, Any] = {}
        while not answer.get("Contents"):
            with aws_call(
                "s3:ListBucket", f"arn:aws:s3:::{bucket} (prefix {common!r})", account=owner
            ):
                answer = s3.list_objects_v2(
                    Bucket=bucket, Prefix=common, ExpectedBucketOwner=owner, **request
                )
            if not answer.get("NextContinuationToken"):
                break
            # A page may hold nothing but the way to the next one.
            request = {"ContinuationToken": answer["NextContinuationToken"]}
        items = answer.get("Contents", [])
        for item in items:
            at = bisect_right(part, item["Key"]) - 1
            if at >= 0 and item["Key"].startswith(part[at]):
                found[part[at]].append(item)
        if not answer.get("NextContinuationToken"):
            return [], None
        last = items[-1]["Key"]
        at = bisect_right(part, last) - 1
        inside = at >= 0 and last.startswith(part[at])
        return (part[at:], last) if inside else (part[at + 1 :], None)

    def list_part(part: Sequence[str], after: str | None) -> None:
        while part:
            part, after = page(part, after)

    if not rest:
        return found
    more, after = page(rest, None)
    size = max(1, -(-len(more) // _LISTINGS))
    parts = [more[start : start + size] for start in range(0, len(more), size)]
    if parts:
        with ThreadPoolExecutor(len(parts), "list") as threads:
            list(threads.map(list_part, parts, [after] + [None] * (len(parts) - 1)))
    return found


def exists(s3: Any, bucket: str, owner: str) -> bool:
    """True if the bucket exists and is the owner's."""
    try:
        with aws_call("s3:ListBucket", f"arn:aws:s3:::{bucket}", account=owner):
            s3.head_bucket(Bucket=bucket, ExpectedBucketOwner=owner)
    except NotFound:
        return False
    return True


def empty(s3: Any, bucket: str, owner: str) -> int:
    """Delete every version and delete marker of every object; how many there were."""
    resource = f"arn:aws:s3:::{bucket}"
    deleted = 0
    with aws_call("s3:ListBucketVersions", resource, account=owner):
        pages = s3.get_paginator("list_object_versions").paginate(
            Bucket=bucket, ExpectedBucketOwner=owner
        )
        for page in pages:
            items = [
                {"Key": item["Key"], "VersionId": item["VersionId"]}
                for item in [*page.get("Versions", []), *page.get("DeleteMarkers", [])]
            ]
            for start in range(0, len(items), _DELETE_BATCH):
                deleted += _delete(s3, bucket, owner, items[start : start + _DELETE_BATCH])
    _abort_uploads(s3, bucket, owner)
    return deleted


def _delete(s3: Any, bucket: str, owner: str, items: list[dict[str, str]]) -> int:
    with aws_call("s3:DeleteObjectVersion", f"arn:aws:s3:::{bucket}/*", account=owner):
        answer = s3.delete_objects(
            Bucket=bucket,
            Delete={"Objects": items, "Quiet": True},
            ExpectedBucketOwner=owner,
        )
        for error in answer.get("Errors", []):
            from botocore.exceptions import ClientError

            raise ClientError({"Error": error}, "DeleteObjects")
    return len(items)


def _abort_uploads(s3: Any, bucket: str, owner: str) -> None:
    with aws_call("s3:AbortMultipartUpload", f"arn:aws:s3:::{bucket}/*", account=owner):
        pages = s3.get_paginator("list_multipart_uploads").paginate(
            Bucket=bucket, ExpectedBucketOwner=owner
        )
        for page in pages:
            for upload in page.get("Uploads", []):
                s3.abort_multipart_upload(
                    Bucket=bucket,
                    Key=upload["Key"],
                    UploadId=upload["UploadId"],
                    ExpectedBucketOwner=owner,
                )


def delete(s3: Any, bucket: str, owner: str) -> None:
    """Delete the empty bucket."""
    with aws_call("s3:DeleteBucket", f"arn:aws:s3:::{bucket}", account=owner):
        s3.delete_bucket(Bucket=bucket, ExpectedBucketOwner=owner)
