"""The state of both accounts in memory, shared by the fakes of the pipeline's AWS clients."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from tests.support.fakes.stacks import FakeStacks
from xacct_assets.aws.errors import NotFound
from xacct_assets.aws.glue.catalog import CatalogPartition
from xacct_assets.aws.glue.crawler import CrawlRequirement
from xacct_assets.aws.glue.job_result import JobRunResult
from xacct_assets.contract.days import day_prefix
from xacct_assets.contract.reject_manifest import RejectManifest
from xacct_assets.feed.raw_files import file_patterns
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.settings import Settings


@dataclass
class AwsState:
    """What S3, Glue and Redshift hold. Tests change it to make things go wrong.

    Attributes:
        raw: (ETag, rows, problem) of each file in the raw bucket, by key.
        archived: storage class of each raw file that is archived, by key.
        partitions: partitions of the catalog table, by values.
        table_location: location of the catalog table; empty if there is no table.
        staging: rows in the staging table, by day.
        load_audit: rows of the load audit table, by day.
        column_types: of columns of the tables whose types are not the feed's.
        fact: rows in the fact table, by day.
        duplicates: rows in the fact table whose key another row has, by day.
        exported: rows of each exported file, by prefix of the day.
        reject: rows that the Glue job rejects, by day.
        reject_manifests: manifests of rejected rows, by day.
        job_runs: runs of the Glue job, by load id.
        job_hints: further arguments of each start of the Glue job.
        calls: operation and its subject of each call, in order.
        requirements: requirement of each crawl.
        identity: account id and ARN of the credentials.
        absent: names of the feed's tables and procedure that Redshift does not have.
        stacks: the CloudFormation stacks of account B; the feed's is among them.
        workgroup_status: status of the Redshift workgroup.
        namespace_roles: roles attached to the Redshift namespace.
        published: subject, text and attributes of each message to the topic for alerts.
        alert_urls: addresses of Apprise that get the alerts too.
        dead_letters: messages in the dead-letter queue.
        hooks: a function by operation; it runs when the operation is called, and may change the
            state or raise an error.
    """

    feed: FeedSpec
    settings: Settings
    raw: dict[str, tuple[str, int, str | None]] = field(default_factory=dict)
    archived: dict[str, str] = field(default_factory=dict)
    partitions: dict[tuple[str, ...], CatalogPartition] = field(default_factory=dict)
    table_location: str = ""
    staging: dict[date, int] = field(default_factory=dict)
    load_audit: dict[date, dict[str, Any]] = field(default_factory=dict)
    column_types: dict[str, str] = field(default_factory=dict)
    fact: dict[date, int] = field(default_factory=dict)
    duplicates: dict[date, int] = field(default_factory=dict)
    exported: dict[str, dict[str, int]] = field(default_factory=dict)
    reject: dict[date, int] = field(default_factory=dict)
    reject_manifests: dict[date, RejectManifest] = field(default_factory=dict)
    job_runs: dict[str, JobRunResult] = field(default_factory=dict)
    job_hints: list[Mapping[str, Any]] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    requirements: list[CrawlRequirement | None] = field(default_factory=list)
    identity: tuple[str, str] = ("222222222222", "arn:aws:iam::222222222222:role/orchestrator")
    absent: set[str] = field(default_factory=set)
    stacks: FakeStacks = field(default_factory=FakeStacks)
    workgroup_status: str = "AVAILABLE"
    namespace_roles: list[str] = field(default_factory=list)
    published: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    alert_urls: list[str] = field(default_factory=list)
    dead_letters: int = 0
    hooks: dict[str, Callable[[AwsState], None]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.stacks.add_feed(self.feed.name, self.settings.suffix)
        self.namespace_roles.append(f"IamRole(arn={self.settings.role_b_arn})")

    def land(
        self,
        day: str,
        name: str = "a.csv",
        *,
        rows: int = 10,
        etag: str | None = None,
        problem: str | None = None,
        archive: str | None = None,
    ) -> None:
        """Put a file into the raw bucket.

        Args:
            day: the day's ISO date.
            name: name of the file.
            rows: number of rows in it.
            etag: its ETag; by default one that follows from name and rows.
            problem: why the file cannot be loaded.
            archive: the storage class in which it is archived.
        """
        source = self.feed.source
        prefix = day_prefix(source.prefix, source.layout, date.fromisoformat(day))
        self.raw[prefix + name] = (etag or f"{name}-{rows}", rows, problem)
        self.archived.pop(prefix + name, None)
        if archive:
            self.archived[prefix + name] = archive

    def reach(self, operation: str) -> None:
        """Run the test's hook of the operation, if there is one."""
        if operation in self.hooks:
            self.hooks[operation](self)

    def fail(self, operation: str, error: Exception) -> None:
        """Let the operation raise this error, until the hook is removed."""

        def raise_error(_: AwsState) -> None:
            raise error

        self.hooks[operation] = raise_error

    def fail_once(self, operation: str, error: Exception) -> None:
        """Let the operation raise this error at its next call."""

        def raise_error(state: AwsState) -> None:
            del state.hooks[operation]
            raise error

        self.hooks[operation] = raise_error

    def count(self, operation: str) -> int:
        """Number of calls of an operation."""
        return sum(1 for name, _ in self.calls if name == operation)

    def undeploy(self) -> None:
        """Remove the feed's stack, its tables and its procedure."""
        self.stacks.stacks.clear()
        self.drop_tables()
        missing = NotFound(
            f"glue:ListCrawls on {self.crawler} failed",
            reason="Crawler not found",
            resource=self.crawler,
        )
        self.fail("crawl", missing)

    def drop_tables(self) -> None:
        """Remove the feed's tables and its procedure. The shared load audit table stays."""
        tables = self.feed.warehouse
        self.absent |= {tables.staging, tables.fact, tables.procedure}

    @property
    def crawler(self) -> str:
        """The feed's crawler as errors name it."""
        return f"crawler {self.feed.crawler_name(self.settings.suffix)}"

    def rows_of(self, day: date) -> int:
        """Number of rows in the day's raw files."""
        prefix = day_prefix(self.feed.source.prefix, self.feed.source.layout, day)
        rule = file_patterns(self.feed)
        return sum(
            rows
            for key, (_, rows, _) in self.raw.items()
            if key.startswith(prefix) and rule.is_data_file(key.removeprefix(prefix))
        )
