"""Whole-bucket work: folders, putting files only if they changed, emptying of every version."""

from __future__ import annotations

import hashlib
from typing import Any

from xacct_assets.aws.errors import NotFound, aws_call

_SHA = "sha256"
_DELETE_BATCH = 1000


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
