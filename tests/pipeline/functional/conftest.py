"""An AWS that is a few dictionaries: what the assets ask of the clients, answered in memory."""

from __future__ import annotations

import functools
import logging
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg
import pytest
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run

from xacct_assets.aws.errors import AccessDenied, NotFound
from xacct_assets.aws.glue.catalog import CatalogPartition, CatalogTable
from xacct_assets.aws.glue.crawler import CrawlRequirement, CrawlResult
from xacct_assets.aws.glue.job_result import JobRunResult
from xacct_assets.aws.redshift.data_api_results import StatementResult
from xacct_assets.aws.s3.exports import ExportManifest, ExportVerdict, ManifestEntry
from xacct_assets.aws.s3.file_inspection import FileVerdict, RawObject
from xacct_assets.aws.s3.raw_bucket import Listing
from xacct_assets.contract.days import day_prefix
from xacct_assets.contract.reject_manifest import RejectManifest
from xacct_assets.feed import load_job
from xacct_assets.feed.assets import feed_assets
from xacct_assets.feed.checks import feed_checks
from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.settings import Settings

# As the assets retry, but at once.
NO_DELAY = dg.RetryPolicy(max_retries=2, delay=0)
LANDED_AT = datetime(2026, 1, 31, tzinfo=UTC)


@dataclass
class World:
    """All that the fakes remember; tests change it to make things go wrong.

    Attributes:
        raw: key -> (etag, rows, problem) of each landed file.
        reject: rows that the job will reject, per day.
        doubled: fact rows whose key another one has, per day.
        calls: what was asked of the services, in order.
        needed: what each crawl was wanted for.
        hooks: run by name when that point is reached; they may change the world or raise.
    """

    feed: FeedSpec
    settings: Settings
    raw: dict[str, tuple[str, int, str | None]] = field(default_factory=dict)
    partitions: dict[tuple[str, ...], CatalogPartition] = field(default_factory=dict)
    table_location: str = ""
    staging: dict[date, int] = field(default_factory=dict)
    load_audit: dict[date, dict[str, Any]] = field(default_factory=dict)
    fact: dict[date, int] = field(default_factory=dict)
    doubled: dict[date, int] = field(default_factory=dict)
    exported: dict[str, dict[str, int]] = field(default_factory=dict)
    reject: dict[date, int] = field(default_factory=dict)
    reject_manifests: dict[date, RejectManifest] = field(default_factory=dict)
    job_runs: dict[str, JobRunResult] = field(default_factory=dict)
    job_hints: list[Mapping[str, Any]] = field(default_factory=list)
    calls: list[tuple[str, Any]] = field(default_factory=list)
    needed: list[CrawlRequirement | None] = field(default_factory=list)
    hooks: dict[str, Callable[[World], None]] = field(default_factory=dict)

    def land(self, day: str, name: str = "a.csv", rows: int = 10, **about: Any) -> None:
        """Put a file into the raw bucket."""
        source = self.feed.source
        prefix = day_prefix(source.prefix, source.layout, date.fromisoformat(day))
        self.raw[prefix + name] = (about.get("etag", f"{name}-{rows}"), rows, about.get("problem"))

    def reach(self, point: str) -> None:
        """Run the test's hook for this point, if there is one."""
        if point in self.hooks:
            self.hooks[point](self)

    def count(self, kind: str) -> int:
        """How often something was asked for."""
        return sum(1 for name, _ in self.calls if name == kind)

    def rows_of(self, day: date) -> int:
        """Rows in the day's raw files."""
        prefix = day_prefix(self.feed.source.prefix, self.feed.source.layout, day)
        return sum(rows for key, (_, rows, _) in self.raw.items() if key.startswith(prefix))


class FakeRawBucket:
    def __init__(self, world: World) -> None:
        self.world = world

    def survey(self, prefix: str, patterns: Sequence[str]) -> Listing:
        self.world.calls.append(("list", prefix))
        self.world.reach("list")
        found = [
            RawObject(key, rows * 10, etag, LANDED_AT)
            for key, (etag, rows, _) in sorted(self.world.raw.items())
            if key.startswith(prefix)
        ]
        return Listing(
            [o for o in found if o.key.endswith((".csv", ".csv.gz"))],
            [o.key for o in found if not o.key.endswith((".csv", ".csv.gz"))],
        )

    def survey_all(self, prefixes: Sequence[str], patterns: Sequence[str]) -> dict[str, Listing]:
        return {prefix: self.survey(prefix, patterns) for prefix in prefixes}

    def list_objects(self, prefix: str, patterns: Sequence[str]) -> list[RawObject]:
        return self.survey(prefix, patterns).objects

    def inspect(
        self, objects: Sequence[RawObject], format_: Any, columns: Sequence[str], *, stop: Any
    ) -> list[FileVerdict]:
        self.world.calls.append(("inspect", len(objects)))
        verdicts = []
        for item in objects:
            _, rows, problem = self.world.raw[item.key]
            text = problem and f"s3://bucket/{item.key}: {problem}"
            note = None if rows else "a header and no rows"
            verdicts.append(
                FileVerdict(item, 0 if problem else rows, tuple(columns), item.size, text, note)
            )
        return verdicts


_INFERRED = {
    "bigint": "bigint",
    "integer": "bigint",
    "decimal": "double",
    "varchar": "string",
    "timestamp": "string",
}


class FakeCrawler:
    def __init__(self, world: World) -> None:
        self.world = world

    def crawl(
        self, name: str, timeout: float, *, needed: CrawlRequirement | None = None
    ) -> CrawlResult:
        self.world.calls.append(("crawl", name))
        self.world.needed.append(needed)
        self.world.reach("crawl")
        bucket, feed = self.world.settings.input_bucket, self.world.feed
        for key, (_, rows, _) in self.world.raw.items():
            folder = key.rpartition("/")[0]
            values = tuple(re.findall(r"\d+", folder)[-3:])
            if rows and values not in self.world.partitions:
                columns = [(c.name, _INFERRED[c.type.split("(")[0]]) for c in feed.columns]
                self.world.partitions[values] = CatalogPartition(
                    values, f"s3://{bucket}/{folder}/", columns
                )
        self.world.reach("crawled")
        return CrawlResult("crawl-1", "COMPLETED", LANDED_AT, LANDED_AT, {})


class FakeCatalog:
    def __init__(self, world: World) -> None:
        self.world = world

    def partitions(
        self, database: str, table: str, values: Sequence[Sequence[str]]
    ) -> dict[tuple[str, ...], CatalogPartition]:
        wanted = {tuple(item) for item in values}
        return {k: v for k, v in self.world.partitions.items() if k in wanted}

    def table(self, database: str, name: str) -> CatalogTable:
        if not self.world.table_location:
            raise NotFound(f"table {database}.{name}")
        return CatalogTable(database, name, [], [], self.world.table_location, "csv")

    def create_table(
        self, database: str, name: str, location: str, *, columns: Any, **options: Any
    ) -> None:
        self.world.calls.append(("create table", tuple(options["partition_keys"])))
        self.world.table_location = location

    def add_partition(
        self, database: str, table: str, values: Sequence[str], location: str, columns: Any
    ) -> None:
        self.world.calls.append(("add partition", tuple(values)))
        key = tuple(values)
        self.world.partitions[key] = CatalogPartition(key, location, list(columns))

    def update_partition(
        self, database: str, table: str, values: Sequence[str], location: str, columns: Any
    ) -> None:
        self.world.calls.append(("update partition", tuple(values)))
        key = tuple(values)
        self.world.partitions[key] = replace(self.world.partitions[key], columns=list(columns))


class FakeWarehouse:
    """Understands the five statements that the assets send over the wire."""

    def __init__(self, world: World) -> None:
        self.world = world

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        first, last = params[-2:]
        if "xacct_load_audit" in sql:
            return [
                {"partition_date": day, **entry}
                for day, entry in self.world.load_audit.items()
                if first <= day <= last
            ]
        table = self.world.fact if '"products_f"' in sql else self.world.staging
        return [
            {
                "partition_date": day,
                "row_count": rows,
                "key_count": rows - self.world.doubled.get(day, 0),
            }
            for day, rows in table.items()
            if first <= day <= last and rows
        ]

    def transaction(self, work: Callable[[Any], Any], *, idempotent: bool = False) -> Any:
        return work(self)

    def cursor(self) -> FakeWarehouse:
        return self

    def execute(self, sql: str, params: Sequence[Any]) -> None:
        _, first, last = params
        days = [
            day
            for day, entry in self.world.load_audit.items()
            if first <= day <= last and entry["transformed_at"] is not None
        ]
        self._found = [(day, self.world.staging[day]) for day in days if day in self.world.staging]
        if sql.startswith("DELETE"):
            self.world.calls.append(("clean", tuple(days)))
            for day in days:
                self.world.staging.pop(day, None)

    def fetchall(self) -> list[tuple[date, int]]:
        return self._found


class FakeDataApi:
    def __init__(self, world: World) -> None:
        self.world = world

    def execute(
        self, sql: str, parameters: Mapping[str, str], *, client_token: str, name: str
    ) -> StatementResult:
        first, last = (date.fromisoformat(parameters[k]) for k in ("from_day", "to_day"))
        self.world.calls.append(("call", (first, last)))
        self.world.reach("call")
        for day, entry in self.world.load_audit.items():
            if first <= day <= last and entry["transformed_at"] is None:
                self.world.fact[day] = self.world.staging.get(day, 0)
                entry["transformed_at"] = LANDED_AT
        return StatementResult("statement-1")

    def batch(self, sqls: Sequence[str], *, client_token: str, name: str) -> list[StatementResult]:
        self.world.calls.append(("unload", len(sqls)))
        for sql in sqls:
            target = re.search(r"TO 's3://[^/]+/([^']+)'", sql)
            day = re.search(r"= ''(\d{4}-\d{2}-\d{2})''", sql)
            assert target, sql
            assert day, sql
            rows = self.world.fact.get(date.fromisoformat(day[1]), 0)
            self.world.exported[target[1]] = {"0000_part_00.parquet": rows} if rows else {}
        self.world.reach("unload")
        return [StatementResult(f"statement-2:{i}") for i, _ in enumerate(sqls, 1)]


class FakeExports:
    def __init__(self, world: World) -> None:
        self.world = world

    def read_manifest(self, prefix: str) -> ExportManifest | None:
        files = self.world.exported.get(prefix)
        if not files:
            return None
        return ExportManifest(
            [ManifestEntry(f"s3://b/{prefix}{n}", 100, rows) for n, rows in files.items()],
            [],
            sum(files.values()),
        )

    def verify(self, prefix: str) -> ExportVerdict:
        manifest = self.read_manifest(prefix)
        if manifest is None:
            return ExportVerdict(problems=["no manifest"])
        return ExportVerdict(manifest, len(manifest.entries), manifest.total_rows, 100)

    def verify_all(self, prefixes: Sequence[str]) -> dict[str, ExportVerdict]:
        return {prefix: self.verify(prefix) for prefix in prefixes}


class FakeRejects:
    def __init__(self, world: World) -> None:
        self.world = world

    def manifest(self, day: date) -> RejectManifest | None:
        return self.world.reject_manifests.get(day)


class FakeAwsClients:
    """Stands for `xacct_assets.aws_clients.Services`."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.settings = world.settings
        self.crawler = FakeCrawler(world)
        self.catalog = FakeCatalog(world)
        self.warehouse = FakeWarehouse(world)
        self.data_api = FakeDataApi(world)

    def raw_bucket(self, feed: FeedSpec) -> FakeRawBucket:
        return FakeRawBucket(self.world)

    def exports(self, feed: FeedSpec) -> FakeExports:
        return FakeExports(self.world)

    def rejects(self, feed: FeedSpec) -> FakeRejects:
        return FakeRejects(self.world)

    def input_bucket(self, feed: FeedSpec) -> str:
        return self.settings.input_bucket

    def export_bucket(self, feed: FeedSpec) -> str:
        return self.settings.export_bucket


def fake_load_job(
    context: dg.AssetExecutionContext,
    feed: FeedSpec,
    aws: FakeAwsClients,
    load_id: str,
    raw_rows: Mapping[date, int],
    **about: Any,
) -> load_job.LoadOutcome:
    """Stands for `pipes.run_load_job`: loads what lies in the raw bucket, once per work."""
    world = aws.world
    world.job_hints.append(about)
    world.calls.append(("job", (load_id, tuple(sorted(raw_rows)))))
    world.reach("job")
    attached = load_id in world.job_runs
    world.job_runs.setdefault(
        load_id,
        JobRunResult(
            *(f"jr_{len(world.job_runs)}", "SUCCEEDED", None, 55, 120.0, False),
            *(LANDED_AT, LANDED_AT + timedelta(seconds=60)),
        ),
    )
    loads = {}
    for day in raw_rows:
        read, rejected = world.rows_of(day), world.reject.get(day, 0)
        loaded = read - rejected
        if not attached:
            world.staging[day] = loaded
            world.load_audit[day] = {
                "load_id": load_id,
                "rows_loaded": loaded,
                "loaded_at": LANDED_AT,
                "transformed_at": None,
            }
            world.reject_manifests[day] = RejectManifest(feed.name, day, load_id, rejected)
        sample = [{"source_file": "f", "reason": "bad", "raw_record": "x"}] if rejected else []
        reasons = {"bad": rejected} if rejected else {}
        loads[day] = load_job.DayLoad(1, read, loaded, rejected, reasons, sample)
    world.reach("job ended")
    return load_job.LoadOutcome(replace(world.job_runs[load_id], attached=attached), loads)


@dg.logger
def quiet(_: dg.InitLoggerContext) -> logging.Logger:
    """Takes the place of Dagster's console, which would cost more than the runs themselves."""
    return logging.Logger("quiet", logging.CRITICAL)


@dg.resource
def aws_clients(_: dg.InitResourceContext) -> FakeAwsClients:
    """The services of the pipeline whose run is under way."""
    assert Pipeline.running is not None
    return Pipeline.running.aws


@functools.cache
def _definitions() -> dg.Definitions:
    """Built once for all tests: building and describing them costs more than a run."""
    feed, group = load_feed("products"), dg.AssetSelection.groups("products")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("xacct_assets.feed.assets.defaults._RETRIES", NO_DELAY)
        return dg.Definitions(
            assets=feed_assets(feed),
            asset_checks=feed_checks(feed),
            jobs=[
                dg.define_asset_job("checked", selection=group),
                dg.define_asset_job("unchecked", selection=group.without_checks()),
                dg.define_asset_job(
                    "export_checks",
                    selection=dg.AssetSelection.checks_for_assets(["products", "s3_export"]),
                ),
            ],
            resources={"aws": aws_clients},
            executor=dg.in_process_executor,
            loggers={"console": quiet},
        )


class Pipeline:
    """The feed's definitions over a world, with an event log of their own."""

    running: Pipeline | None = None

    def __init__(self, world: World) -> None:
        self.world = world
        self.feed = world.feed
        self.aws = FakeAwsClients(world)
        self.instance = dg.DagsterInstance.ephemeral()
        self.definitions = _definitions()

    def run(
        self,
        first: str,
        last: str | None = None,
        assets: Sequence[str] | None = None,
        *,
        checks: bool = False,
    ) -> dg.ExecuteInProcessResult:
        """Run a day or a range through all assets or some of them, with their checks or without."""
        Pipeline.running = self
        tags = {"dagster/partition": first} if last is None else self.range_tags(first, last)
        keys = [dg.AssetKey(["products", name]) for name in assets or ()]
        job = self.definitions.resolve_job_def("checked" if checks else "unchecked")
        return job.execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            tags=tags,
            run_config={"loggers": {"console": {}}},
            asset_selection=keys or None,
        )

    def check_export(self) -> dg.ExecuteInProcessResult:
        """Run the export's checks for no day in particular, as "Execute all" in the UI does."""
        Pipeline.running = self
        job = self.definitions.resolve_job_def("export_checks")
        return job.execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            run_config={"loggers": {"console": {}}},
        )

    def take_up(self, failed: dg.ExecuteInProcessResult, assets: Sequence[str]) -> Any:
        """Run assets again in a run that continues a failed one, as "from failure" does."""
        Pipeline.running = self
        keys = frozenset(dg.AssetKey(["products", name]) for name in assets)
        job = self.definitions.resolve_job_def("unchecked").get_subset(asset_selection=keys)
        run = self.instance.create_run_for_job(
            job_def=job,
            tags={**failed.dagster_run.tags, "dagster/is_resume_retry": "true"},
            parent_run_id=failed.run_id,
            root_run_id=failed.run_id,
            asset_selection=keys,
            run_config={"loggers": {"console": {}}},
        )
        return execute_run(InMemoryJob(job), run, self.instance)

    @staticmethod
    def range_tags(first: str, last: str) -> dict[str, str]:
        """Tags that make a run cover a range."""
        return {
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        }

    def days_of(self, asset: str) -> set[str]:
        """Days that the asset was ever materialized for."""
        return set(self.instance.get_materialized_partitions(dg.AssetKey(["products", asset])))

    def metadata(self, asset: str, day: str) -> dict[str, Any]:
        """Metadata of the day's latest materialization."""
        record = self.instance.fetch_materializations(
            dg.AssetRecordsFilter(
                asset_key=dg.AssetKey(["products", asset]), asset_partitions=[day]
            ),
            limit=1,
        ).records[0]
        event = record.asset_materialization
        assert event is not None
        return {name: value.value for name, value in event.metadata.items()}

    def verdicts(self, result: dg.ExecuteInProcessResult, check: str) -> dict[str, bool]:
        """What a check said of each day in a run."""
        return {
            str(evaluation.partition): evaluation.passed
            for evaluation in result.get_asset_check_evaluations()
            if evaluation.check_name == check
        }

    def why(self, result: Any) -> str:
        """The messages of all failed steps."""
        texts = []
        for event in result.all_events:
            if event.is_step_failure:
                data = event.step_failure_data
                failure = data.user_failure_data
                texts.append((failure and failure.description) or str(data.error))
        return "\n".join(texts)


@pytest.fixture
def world(feed: FeedSpec, settings: Settings) -> World:
    return World(feed, settings)


@pytest.fixture
def pipeline(world: World, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    monkeypatch.setattr("xacct_assets.feed.assets.staging_table.run_load_job", fake_load_job)
    return Pipeline(world)


@pytest.fixture
def denied() -> AccessDenied:
    return AccessDenied(
        "s3:ListBucket on arn:aws:s3:::bucket was denied",
        principal="arn:aws:iam::222222222222:role/xacct-orchestrator-test",
        action="s3:ListBucket",
        resource="arn:aws:s3:::bucket",
    )
