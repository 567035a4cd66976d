"""S3 for the load job: every call names the account that must own the bucket."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING, Any

import boto3
from botocore.exceptions import BotoCoreError, ClientError

from xacct_assets.contract.denied_keys import name_denied_keys
from xacct_load.errors import LoadError

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client
    from mypy_boto3_s3.type_defs import ObjectTypeDef

#: DeleteObjects takes this many keys (S3 API reference).
DELETE_BATCH = 1000
#: HEAD requests have no body, so that a denial has no code but the HTTP status.
_DENIED = ("AccessDenied", "403")
_OF_KMS = "is not authorized to perform: kms:"
_S3_URI = re.compile(r"s3://([^/]+)/(.*)", re.DOTALL)


def is_s3_uri(text: str) -> bool:
    """True for ``s3://bucket/key``."""
    return _S3_URI.fullmatch(text) is not None


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of an ``s3://`` URI."""
    found = _S3_URI.fullmatch(uri)
    if found is None:
        raise LoadError(f"{uri!r} is not s3://bucket/key")
    return found[1], found[2]


def expect_owners(s3: S3Client, owners: Mapping[str, str]) -> None:
    """Add ExpectedBucketOwner to every call of this client, and the account to denials.

    A bucket name that was given up can be taken by anybody; S3 then refuses the call. This is bound
    to the client because Pipes and paginators make calls too.

    Args:
        s3: the client.
        owners: account id of each bucket that the load uses. Calls for other buckets are refused.
    """

    def add_owner(
        params: Mapping[str, Any], context: dict[str, Any], **_: Any
    ) -> Mapping[str, Any]:
        bucket = params["Bucket"]
        if bucket not in owners:
            raise LoadError(
                f"s3://{bucket} is no bucket of this load, which has {', '.join(sorted(owners))}: "
                "a location in the catalog or a setting leads elsewhere; correct it"
            )
        context["expected_owner"] = owners[bucket]
        with_owner = {**params, "ExpectedBucketOwner": owners[bucket]}
        if "CopySource" in params:
            with_owner["ExpectedSourceBucketOwner"] = owners[params["CopySource"]["Bucket"]]
        return with_owner

    def name_owner_in_denial(parsed: dict[str, Any], context: Mapping[str, Any], **_: Any) -> None:
        # S3 does not say whether the owner was the reason.
        if parsed.get("Error", {}).get("Code") in _DENIED:
            message = parsed["Error"].get("Message") or "Access Denied"
            if _OF_KMS in message:
                return
            parsed["Error"]["Message"] = (
                f"{message}; account {context['expected_owner']} must own the bucket"
            )

    # The stubs do not know that botocore uses the return value of this event's handlers.
    s3.meta.events.register(
        "provide-client-params.s3",
        add_owner,  # type: ignore[arg-type]
    )
    s3.meta.events.register("after-call.s3", name_owner_in_denial)
    name_denied_keys(s3)


def check_bucket(s3: S3Client, bucket: str) -> None:
    """Check who owns the bucket before Spark, which cannot name an owner, writes to it.

    Raises:
        LoadError: the bucket belongs to another account, or cannot be used.
    """
    try:
        s3.head_bucket(Bucket=bucket)
    except (ClientError, BotoCoreError) as problem:
        why = denial(s3, problem, "s3:ListBucket", f"arn:aws:s3:::{bucket}") or problem
        raise LoadError(f"cannot use s3://{bucket}: {why}") from problem


def denial(s3: S3Client, problem: Exception, action: str, resource: str) -> str | None:
    """Describe a denial of S3 in IAM's words; None if the problem is no denial.

    Across accounts S3 says only "Access Denied". The orchestrator recognises IAM's words in the job
    run's error message.
    """
    error = getattr(problem, "response", {}).get("Error", {})
    if error.get("Code") not in _DENIED:
        return None
    if _OF_KMS in error["Message"]:
        return str(error["Message"])  # of the object's key: in IAM's words already
    return (
        f"User: {caller(s3.meta.region_name)} is not authorized to perform: {action} on resource: "
        f"{resource} ({error['Message']})"
    )


def caller(region: str) -> str:
    """The ARN of the job's credentials."""
    try:
        sts = boto3.client("sts", region_name=region)
        return sts.get_caller_identity()["Arn"]  # needs no permission
    except (ClientError, BotoCoreError) as failure:
        return f"(unknown: {failure})"


def list_objects(s3: S3Client, bucket: str, prefix: str) -> Iterator[ObjectTypeDef]:
    """Every object below a prefix, in the order of their keys' UTF-8 bytes."""
    for page in s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix):
        yield from page.get("Contents", [])


def delete_objects(s3: S3Client, bucket: str, prefix: str, keep: tuple[str, ...] = ()) -> None:
    """Delete the objects below a prefix, except keys that begin with one of ``keep``.

    Raises:
        LoadError: an object cannot be deleted.
    """
    keys = [item["Key"] for item in list_objects(s3, bucket, prefix)]
    keys = [key for key in keys if not key.startswith(keep)] if keep else keys
    for start in range(0, len(keys), DELETE_BATCH):
        answer = s3.delete_objects(
            Bucket=bucket,
            Delete={"Objects": [{"Key": key} for key in keys[start : start + DELETE_BATCH]]},
        )
        for error in answer.get("Errors", []):
            raise LoadError(
                f"cannot delete s3://{bucket}/{error['Key']}: {error['Code']}: {error['Message']}"
            )


def region_of(s3: S3Client, tmp_dir: str) -> str:
    """The job's Region: boto3's own, or that of the processing bucket, which is the same."""
    if region := boto3.Session().region_name:
        return region
    location = s3.get_bucket_location(Bucket=split_uri(tmp_dir)[0])
    return location["LocationConstraint"] or "us-east-1"  # the API says None for us-east-1
