"""Reads the manifests of the rows that the job script rejected."""

from __future__ import annotations

import json
from datetime import date
from typing import Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import ManifestInvalid, NotFound
from xacct_assets.contract.reject_manifest import (
    MANIFEST,
    RejectManifest,
    day_rejects,
    feed_prefix,
)


class Rejects:
    """Reads one feed's rejects.

    Args:
        s3: boto3's ``s3`` client.
        bucket: the processing bucket.
        owner_account: the account id that must own it.
        feed: the feed's name.
    """

    def __init__(self, s3: Any, bucket: str, owner_account: str, feed: str) -> None:
        self._s3 = s3
        self.bucket = bucket
        self.owner_account = owner_account
        self.feed = feed

    def prefix(self, day: date) -> str:
        """The day's prefix, ending in a slash."""
        return day_rejects(feed_prefix(self.feed), day)

    def manifest(self, day: date) -> RejectManifest | None:
        """The day's manifest; None if the day was never loaded.

        Raises:
            ManifestInvalid: it is not what the job script writes, or of another day.
        """
        key = self.prefix(day) + MANIFEST
        try:
            body = self._get(key)
        except NotFound as absent:
            if absent.code == "NoSuchBucket":
                raise
            return None
        try:
            manifest = RejectManifest.from_json(json.loads(body))
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise self._invalid(key, f"{type(error).__name__}: {error}") from error
        if (manifest.feed, manifest.day) != (self.feed, day):
            raise self._invalid(key, f"it is of feed {manifest.feed}, day {manifest.day}")
        counted = sum(rows for _, rows in manifest.files)
        if counted != manifest.rejected_rows:
            raise self._invalid(
                key, f"its files add up to {counted} rows, not {manifest.rejected_rows}"
            )
        return manifest

    def _get(self, key: str) -> bytes:
        with aws_call(
            "s3:GetObject", f"arn:aws:s3:::{self.bucket}/{key}", account=self.owner_account
        ):
            body: bytes = self._s3.get_object(
                Bucket=self.bucket, Key=key, ExpectedBucketOwner=self.owner_account
            )["Body"].read()
        return body

    def _invalid(self, key: str, reason: str) -> ManifestInvalid:
        return ManifestInvalid(
            f"s3://{self.bucket}/{key} is not a usable manifest of rejected rows",
            reason=reason,
            fix="materialize staging_table of this day again",
        )
