"""The buckets, as the orchestrator uses them."""

from __future__ import annotations

import contextlib
import uuid
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.errors import NotFound
from xacct_assets.aws.s3.bucket import Bucket
from xacct_assets.aws.s3.keys import KeySample
from xacct_assets.feed.raw_files import raw_prefix, survey_days
from xacct_assets.feed.reconciliation.discover_partitions import newest_days_in
from xacct_assets.operations.deployment.ownership import PROBE
from xacct_assets.operations.doctor.findings import Caution

if TYPE_CHECKING:
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.spec import FeedSpec

#: The newest day folders of a feed in which files that are not loaded are looked for.
RECENT_DAYS = 31


def raw_files(aws: AwsClients, feed: FeedSpec) -> str | Caution:
    """The feed's folder in the raw bucket can be listed, a file read, and every file loaded."""
    bucket = aws.raw_bucket(feed)
    folders = bucket.folders(feed.source.prefix + "/")
    count = f"{len(folders)} folder{'' if len(folders) == 1 else 's'}"
    found = f"s3://{bucket.bucket}/{feed.source.prefix}/ can be listed: {count}"
    # Reading a key that does not exist separates "not found" (may read) from "access denied".
    Bucket(aws.client("s3"), bucket.bucket, aws.settings.account_a).read_if_there(
        f"{feed.source.prefix}/{PROBE}"
    )
    not_loaded = list(_files_not_loaded(aws, feed))
    if not not_loaded:
        return found
    return Caution(
        "; ".join([found, *(caution.detail for caution in not_loaded)]),
        "; ".join(caution.fix for caution in not_loaded),
    )


def _files_not_loaded(aws: AwsClients, feed: FeedSpec) -> Iterator[Caution]:
    source = feed.source
    days = newest_days_in(aws.raw_bucket(feed), source.prefix, source.layout, RECENT_DAYS)
    listings = survey_days(feed, aws, days)
    readable = [item.key for day in days for item in listings[day].objects if not item.archive]
    if readable:
        # It may be under a KMS key, which only reading tells.
        with contextlib.suppress(NotFound):  # deleted since
            raw = Bucket(aws.client("s3"), aws.raw_bucket(feed).bucket, aws.settings.account_a)
            raw.read_start(readable[-1], 1)
    unmatched = [raw_prefix(feed, day) + name for day in days for name in listings[day].unmatched]
    archived = [item.key for day in days for item in listings[day].objects if item.archive]
    if unmatched:
        yield Caution(
            f"no pattern of the feed ({', '.join(source.patterns)}) matches "
            f"{KeySample.of(unmatched)}",
            "rename them, or add a pattern to source.patterns",
        )
    if archived:
        yield Caution(
            f"archived, so that their days cannot be loaded: {KeySample.of(archived)}",
            "restore them: aws s3api restore-object",
        )


def exports(aws: AwsClients, feed: FeedSpec) -> str:
    """The feed's folder in the export bucket can be listed and read."""
    bucket = aws.exports(feed)
    # Reading a key that does not exist separates "not found" (may read) from "access denied".
    manifest = bucket.read_manifest(f"{feed.export.prefix}/")
    bucket.verify(f"{feed.export.prefix}/0000/00/00/")
    remark = "" if manifest is None else "; it has a manifest that belongs to no day"
    return f"s3://{bucket.bucket}/{feed.export.prefix}/ can be listed and read{remark}"


def working_bucket(aws: AwsClients) -> str:
    """Messages to the job can be written, read and deleted; rejects can be read."""
    name, owner = aws.settings.processing_bucket, aws.settings.account_b
    bucket = Bucket(aws.client("s3"), name, owner)
    with bucket.call("s3:ListBucket"):
        bucket.s3.list_objects_v2(
            Bucket=name, Prefix="rejects/", MaxKeys=1, ExpectedBucketOwner=owner
        )
    bucket.read_if_there(f"rejects/{PROBE}/none")
    key = f"pipes/{PROBE}/{uuid.uuid4().hex}"
    of_owner: Any = {"Bucket": name, "Key": key, "ExpectedBucketOwner": owner}
    with bucket.call("s3:PutObject", bucket.arn(key)):
        bucket.s3.put_object(**of_owner, Body=b"xacct doctor")
    try:
        bucket.read_if_there(key)
    finally:
        with bucket.call("s3:DeleteObject", bucket.arn(key)):
            bucket.s3.delete_object(**of_owner)
    return f"s3://{name}/ can be listed and read, s3://{name}/pipes/ also written"
