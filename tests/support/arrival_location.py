"""A code location with the real sensor and schedule; a folder stands for the raw bucket."""

import hashlib
import os
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import dagster as dg

from xacct_assets.aws.s3.file_inspection import RawObject
from xacct_assets.feed.arrival.sensor import build_sensor
from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.partitions import backfill_policy, daily_partitions
from xacct_assets.feed.schedule import build_schedule, job_name
from xacct_assets.feed.spec import FeedSpec

#: Environment variable with the path of the folder that stands for the raw bucket.
BUCKET_VARIABLE = "ARRIVAL_TEST_BUCKET"


class FolderBucket:
    """Lists the files below a folder as S3 lists objects."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def list_page(
        self, prefix: str, start_after: str | None, limit: int
    ) -> tuple[Sequence[RawObject], bool]:
        keys = sorted(
            path.relative_to(self._root).as_posix()
            for path in self._root.rglob("*")
            if path.is_file()
        )
        found = [key for key in keys if key.startswith(prefix) and key > (start_after or "")]
        return [self._object(key) for key in found[:limit]], len(found) > limit

    def list_objects(self, prefix: str, patterns: Sequence[str]) -> list[RawObject]:
        objects, _ = self.list_page(prefix, None, 1000)
        return objects

    def _object(self, key: str) -> RawObject:
        path = self._root / key
        body = path.read_bytes()
        etag = hashlib.md5(body, usedforsecurity=False).hexdigest()
        modified = datetime.fromtimestamp(int(path.stat().st_mtime), UTC)
        return RawObject(key, len(body), etag, modified)


class FolderAwsClients:
    """The AWS clients that the sensor and the schedule use."""

    def input_bucket(self, feed: FeedSpec) -> str:
        return "raw"

    def raw_bucket(self, feed: FeedSpec) -> FolderBucket:
        return FolderBucket(Path(os.environ[BUCKET_VARIABLE]))


@dg.definitions
def defs() -> dg.Definitions:
    products = load_feed("products")
    arrival = products.arrival.model_copy(
        update={"start_running": True, "settle_seconds": 0, "sweep_days_back": 0}
    )
    feed = products.model_copy(update={"arrival": arrival})

    @dg.asset(
        key=["products", "raw_partition"],
        partitions_def=daily_partitions(feed),
        backfill_policy=backfill_policy(feed),
    )
    def raw_partition() -> None: ...

    @dg.asset(
        key=["products", "s3_export"],
        partitions_def=daily_partitions(feed),
        backfill_policy=backfill_policy(feed),
        deps=[raw_partition],
    )
    def s3_export() -> None: ...

    return dg.Definitions(
        assets=[raw_partition, s3_export],
        jobs=[dg.define_asset_job(job_name(feed), selection=dg.AssetSelection.all())],
        sensors=[build_sensor(feed)],
        schedules=[build_schedule(feed)],
        resources={"aws": FolderAwsClients()},
    )
