"""Reads the manifests of the rows that the job script rejected."""

from __future__ import annotations

import json
from datetime import date
from typing import TYPE_CHECKING

from xacct_assets.aws.errors import ManifestInvalid
from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.contract.reject_manifest import (
    MANIFEST,
    RejectManifest,
    day_rejects,
    feed_prefix,
)

if TYPE_CHECKING:
    from mypy_boto3_s3.client import S3Client


class Rejects:
    """Reads one feed's rejects.

    Args:
        s3: boto3's ``s3`` client.
        bucket: the processing bucket.
        owner_account: the account id that must own it.
        feed: the feed's name.
    """

    def __init__(self, s3: S3Client, bucket: str, owner_account: str, feed: str) -> None:
        self._bucket = Bucket(s3, bucket, owner_account)
        self.bucket = bucket
        self.feed = feed

    def prefix(self, day: date) -> str:
        """The day's prefix, ending in a slash."""
        return day_rejects(feed_prefix(self.feed), day)

    def manifest(self, day: date) -> RejectManifest | None:
        """The day's manifest; None if the day was never loaded.

        Raises:
            ManifestInvalid: it is not a manifest of this feed and day.
        """
        key = self.prefix(day) + MANIFEST
        body = self._bucket.read_if_there(key)
        if body is None:
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

    def _invalid(self, key: str, reason: str) -> ManifestInvalid:
        return ManifestInvalid(
            f"{self._bucket.url(key)} is not a usable manifest of rejected rows",
            reason=reason,
            fix="materialize staging_table of this day again",
        )
