"""The buckets, catalog and database of both accounts, as a seed uses and checks them.

Access is by boto3 as admin users and by SQL as superuser, without the pipeline's clients.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import Any

from tests.support.project import EXTRA_FEEDS_DIR
from tests.support.sandbox import RunningSandbox
from tests.support.warehouse import connect
from tools.chaos.schedule import FEEDS
from xacct_assets.contract.days import day_prefix
from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.spec import FeedSpec

# The database's superuser, who sees the sessions of all users.
SUPERUSER = "rdsdb"
MAX_KEYS_PER_DELETE = 1000
# Fields of a crawler's description that define it.
_CRAWLER = (
    "Name",
    "Role",
    "DatabaseName",
    "Targets",
    "RecrawlPolicy",
    "SchemaChangePolicy",
    "Configuration",
)


@dataclass(frozen=True)
class OtherDays:
    """The data of days that a seed does not use, which must not change.

    Attributes:
        keys: keys of exports and rejected rows.
        rows: number of rows by table and day.
    """

    keys: frozenset[str]
    rows: Mapping[tuple[str, date], int]


@dataclass(frozen=True)
class Accounts:
    """A sandbox with both feeds deployed, and the days that a seed uses."""

    sandbox: RunningSandbox
    days: tuple[date, ...]

    @cached_property
    def feeds(self) -> Mapping[str, FeedSpec]:
        """The specs of both feeds, by name."""
        return {name: load_feed(name, extra_feeds_dir=EXTRA_FEEDS_DIR) for name in FEEDS}

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of a pipeline on this sandbox."""
        return {**self.sandbox.variables, "XACCT_EXTRA_FEEDS_DIR": str(EXTRA_FEEDS_DIR)}

    # -- buckets -------------------------------------------------------------------------------

    @property
    def input_bucket(self) -> str:
        return self.sandbox.config.input_bucket

    @property
    def export_bucket(self) -> str:
        return f"sample-opt-bucket-etl-{self.sandbox.config.suffix}"

    @property
    def processing_bucket(self) -> str:
        return f"xacct-processing-{self.sandbox.config.suffix}"

    def raw_prefix(self, feed: str, day: date) -> str:
        source = self.feeds[feed].source
        return day_prefix(source.prefix, source.layout, day)

    def export_prefix(self, feed: str, day: date) -> str:
        export = self.feeds[feed].export
        return day_prefix(export.prefix, export.layout, day)

    def rejects_prefix(self, feed: str, day: date) -> str:
        return f"rejects/{feed}/{day:%Y/%m/%d}/"

    def job_name(self, feed: str) -> str:
        """Name of the feed's Glue job and of its crawler."""
        return f"xacct-{self.sandbox.config.suffix}-{feed}"

    def put(self, feed: str, day: date, name: str, body: bytes) -> None:
        """Write a raw file as account A."""
        self.central.put_object(
            Bucket=self.input_bucket, Key=self.raw_prefix(feed, day) + name, Body=body
        )

    def delete(self, feed: str, day: date, name: str) -> None:
        """Delete a raw file as account A."""
        self.central.delete_object(Bucket=self.input_bucket, Key=self.raw_prefix(feed, day) + name)

    def raw(self, feed: str, day: date) -> list[bytes]:
        """The content of the day's raw files, in the order of their keys."""
        found = objects(self.central, self.input_bucket, self.raw_prefix(feed, day))
        return [found[key] for key in sorted(found)]

    def exported(self, feed: str, day: date) -> dict[str, bytes]:
        """All objects under the day's export prefix, by key."""
        return objects(self.central, self.export_bucket, self.export_prefix(feed, day))

    def rejects(self, feed: str, day: date) -> dict[str, bytes]:
        """All objects with the day's rejected rows, by key."""
        return objects(self.processing, self.processing_bucket, self.rejects_prefix(feed, day))

    @cached_property
    def central(self) -> Any:
        """S3 as account A's admin."""
        return self.sandbox.client("account-a-admin", "s3")

    @cached_property
    def processing(self) -> Any:
        """S3 as account B's admin."""
        return self.sandbox.client("account-b-admin", "s3")

    @cached_property
    def glue(self) -> Any:
        """Glue as account B's admin."""
        return self.sandbox.client("account-b-admin", "glue")

    # -- database ------------------------------------------------------------------------------

    def sql(self, text: str, parameters: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        """Execute a statement as superuser in a new connection. Returns its rows."""
        config = self.sandbox.config
        connection = connect(config, SUPERUSER, config.token_path.read_text())
        try:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(text, tuple(parameters))
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            connection.close()

    # -- before a seed -------------------------------------------------------------------------

    def empty(self) -> None:
        """Delete all data of the seed's days; logs and histories stay."""
        bounds = (self.days[0], self.days[-1])
        for name, feed in self.feeds.items():
            for day in self.days:
                delete_all(self.central, self.input_bucket, self.raw_prefix(name, day))
                delete_all(self.central, self.export_bucket, self.export_prefix(name, day))
                delete_all(self.processing, self.processing_bucket, self.rejects_prefix(name, day))
            for table in (feed.warehouse.staging, feed.warehouse.fact):
                self.sql(f"DELETE FROM {table} WHERE partition_date BETWEEN %s AND %s", bounds)
            self.sql(
                f"DELETE FROM {feed.warehouse.load_audit} "
                "WHERE feed = %s AND partition_date BETWEEN %s AND %s",
                (name, *bounds),
            )
        queue = self.sandbox.client("account-b-admin", "sqs")
        for url in queue.list_queues().get("QueueUrls", []):
            queue.purge_queue(QueueUrl=url)

    def forget_crawls(self) -> None:
        """Recreate the feeds' crawlers, without history, and delete their tables."""
        for name, feed in self.feeds.items():
            crawler = self.glue.get_crawler(Name=self.job_name(name))["Crawler"]
            self.glue.delete_crawler(Name=crawler["Name"])
            self.glue.create_crawler(**{key: crawler[key] for key in _CRAWLER if key in crawler})
            catalog = feed.catalog
            tables = self.glue.get_tables(DatabaseName=catalog.database)["TableList"]
            if catalog.table in [table["Name"] for table in tables]:
                self.glue.delete_table(DatabaseName=catalog.database, Name=catalog.table)

    def other_days(self) -> OtherDays:
        """The data of other days."""
        prefixes = [
            prefix
            for name in self.feeds
            for day in self.days
            for prefix in (self.export_prefix(name, day), self.rejects_prefix(name, day))
        ]
        keys = frozenset(
            key
            for name, feed in self.feeds.items()
            for key in (
                *keys_of(self.central, self.export_bucket, f"{feed.export.prefix}/"),
                *keys_of(self.processing, self.processing_bucket, f"rejects/{name}/"),
            )
            if not key.startswith(tuple(prefixes))
        )
        rows = {
            (table, day): count
            for feed in self.feeds.values()
            for table in (feed.warehouse.staging, feed.warehouse.fact)
            for day, count in self.sql(
                f"SELECT partition_date, COUNT(*) FROM {table} GROUP BY partition_date"
            )
            if day not in self.days
        }
        return OtherDays(keys, rows)


def keys_of(s3: Any, bucket: str, prefix: str) -> list[str]:
    """All keys under a prefix."""
    pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix=prefix)
    return [item["Key"] for page in pages for item in page.get("Contents", [])]


def objects(s3: Any, bucket: str, prefix: str) -> dict[str, bytes]:
    """All objects under a prefix."""

    def read(key: str) -> bytes:
        return bytes(s3.get_object(Bucket=bucket, Key=key)["Body"].read())

    keys = keys_of(s3, bucket, prefix)
    with ThreadPoolExecutor(4) as threads:
        return dict(zip(keys, threads.map(read, keys), strict=True))


def delete_all(s3: Any, bucket: str, prefix: str) -> None:
    """Delete all objects under a prefix."""
    keys = keys_of(s3, bucket, prefix)
    for start in range(0, len(keys), MAX_KEYS_PER_DELETE):
        batch = [{"Key": key} for key in keys[start : start + MAX_KEYS_PER_DELETE]]
        answer = s3.delete_objects(Bucket=bucket, Delete={"Objects": batch})
        assert not answer.get("Errors"), answer["Errors"]
