"""The pipeline's AWS clients in memory, on one shared `AwsState`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import dagster as dg

from tests.support.fakes.aws_state import AwsState
from tests.support.fakes.modelled_client import ModelledClient, client_error
from xacct_assets.aws.console import Console
from xacct_assets.aws.errors import NotFound, StatementFailed
from xacct_assets.aws.glue.catalog import CatalogPartition, CatalogTable
from xacct_assets.aws.glue.crawler import CrawlRequirement, CrawlResult
from xacct_assets.aws.glue.job_result import JobRunResult
from xacct_assets.aws.redshift.data_api_results import StatementResult
from xacct_assets.aws.redshift.sql import qualified
from xacct_assets.aws.s3.archived import describe_archived
from xacct_assets.aws.s3.exports import ExportManifest, ExportVerdict, ManifestEntry
from xacct_assets.aws.s3.file_inspection import FileVerdict, RawObject
from xacct_assets.aws.s3.raw_bucket import Listing
from xacct_assets.aws.secretsmanager import WarehouseCredentials
from xacct_assets.contract.file_patterns import FilePatterns
from xacct_assets.contract.headers import FileColumns
from xacct_assets.contract.reject_manifest import RejectManifest
from xacct_assets.feed import load_job
from xacct_assets.feed.metadata import RawFiles
from xacct_assets.feed.spec import FeedSpec

LANDED_AT = datetime(2026, 1, 31, tzinfo=UTC)


class FakeRawBucket:
    """Fake of `RawBucket`."""

    def __init__(self, state: AwsState) -> None:
        self.state = state
        self.bucket = state.settings.input_bucket

    def folders(self, prefix: str) -> list[str]:
        self.state.reach("folders")
        below = (key.removeprefix(prefix) for key in self.state.raw if key.startswith(prefix))
        return sorted({key.partition("/")[0] for key in below if "/" in key})

    def survey(self, prefix: str, patterns: Sequence[str], *, marker: str | None = None) -> Listing:
        self.state.calls.append(("list", prefix))
        self.state.reach("list")
        rule = FilePatterns(patterns, marker)
        listing = Listing([], [])
        for key, (etag, rows, _) in sorted(self.state.raw.items()):
            name = key.removeprefix(prefix)
            if key.startswith(prefix) and rule.is_data_file(name):
                archive = self.state.archived.get(key)
                listing.objects.append(RawObject(key, rows * 10, etag, LANDED_AT, archive))
            elif key.startswith(prefix) and rule.is_unmatched(name):
                listing.unmatched.append(name)
        return listing

    def survey_all(
        self, prefixes: Sequence[str], patterns: Sequence[str], *, marker: str | None = None
    ) -> dict[str, Listing]:
        return {prefix: self.survey(prefix, patterns, marker=marker) for prefix in prefixes}

    def list_objects(self, prefix: str, patterns: Sequence[str]) -> list[RawObject]:
        return self.survey(prefix, patterns).objects

    def inspect(
        self,
        objects: Sequence[RawObject],
        format_: Any,
        columns: FileColumns,
        *,
        is_counted: bool,
        workers: int,
        stop: Any,
    ) -> list[FileVerdict]:
        self.state.calls.append(("inspect", len(objects)))
        verdicts = []
        for item in objects:
            _, rows, problem = self.state.raw[item.key]
            if item.archive:
                owner = self.state.settings.account_a
                problem = describe_archived("bucket", item.key, item.archive, owner)
            text = problem and f"s3://bucket/{item.key}: {problem}"
            note = None if rows else "a header and no rows"
            counted = 0 if problem else rows if is_counted else None
            header = columns.names
            verdicts.append(
                FileVerdict(item, counted, header, item.size, text, note, bool(item.archive))
            )
        return verdicts


# Types that a crawler infers from CSV, by the type of the feed's column.
_INFERRED = {
    "bigint": "bigint",
    "integer": "bigint",
    "decimal": "double",
    "varchar": "string",
    "timestamp": "string",
}


class FakeCrawler:
    """Fake of `Crawler`: each folder with rows becomes a partition."""

    def __init__(self, state: AwsState) -> None:
        self.state = state

    def crawl(
        self, name: str, timeout: float, *, requirement: CrawlRequirement | None = None
    ) -> CrawlResult:
        self.state.calls.append(("crawl", name))
        self.state.requirements.append(requirement)
        self.state.reach("crawl")
        bucket, feed = self.state.settings.input_bucket, self.state.feed
        for key, (_, rows, _) in self.state.raw.items():
            folder = key.rpartition("/")[0]
            values = tuple(re.findall(r"\d+", folder)[-3:])
            if rows and values not in self.state.partitions:
                columns = [(c.name, _INFERRED[c.type.split("(")[0]]) for c in feed.columns]
                self.state.partitions[values] = CatalogPartition(
                    values, f"s3://{bucket}/{folder}/", columns
                )
        self.state.reach("crawled")
        return CrawlResult("crawl-1", "COMPLETED", LANDED_AT, LANDED_AT, {})


class FakeCatalog:
    """Fake of `Catalog`, with one table."""

    def __init__(self, state: AwsState) -> None:
        self.state = state

    def partitions(
        self, database: str, table: str, values: Sequence[Sequence[str]]
    ) -> dict[tuple[str, ...], CatalogPartition]:
        wanted = {tuple(item) for item in values}
        return {k: v for k, v in self.state.partitions.items() if k in wanted}

    def table(self, database: str, name: str) -> CatalogTable:
        if not self.state.table_location:
            raise NotFound(f"table {database}.{name}")
        return CatalogTable(database, name, [], [], self.state.table_location, "csv")

    def create_table(
        self, database: str, name: str, location: str, *, columns: Any, **options: Any
    ) -> None:
        self.state.calls.append(("create table", tuple(options["partition_keys"])))
        self.state.table_location = location

    def add_partition(
        self, database: str, table: str, values: Sequence[str], location: str, columns: Any
    ) -> None:
        self.state.calls.append(("add partition", tuple(values)))
        key = tuple(values)
        self.state.partitions[key] = CatalogPartition(key, location, list(columns))

    def update_partition(
        self, database: str, table: str, values: Sequence[str], location: str, columns: Any
    ) -> None:
        self.state.calls.append(("update partition", tuple(values)))
        key = tuple(values)
        self.state.partitions[key] = replace(self.state.partitions[key], columns=list(columns))


class FakeWarehouse:
    """Fake of `Warehouse`, for the statements of the assets and of `xacct doctor`."""

    def __init__(self, state: AwsState) -> None:
        self.state = state

    def query(self, sql: str, params: Sequence[Any] = ()) -> list[dict[str, Any]]:
        self.state.reach("query")
        if "current_user" in sql:
            return [{"name": "xacct", "version": "Redshift"}]
        if "pg_proc" in sql:
            return self._existing(
                [f"{a}.{b}" for a, b in zip(params[::2], params[1::2], strict=True)]
            )
        for name in self.state.absent:
            if qualified(name) in sql:
                reason = f'relation "{name}" does not exist'
                raise StatementFailed("Redshift refused a statement", reason=reason, code="42P01")
        if sql.endswith("LIMIT 0"):
            return []
        if "information_schema.columns" in sql:
            return self._columns()
        if "HAVING" in sql:
            doubled = self.state.duplicates.get(params[0], 0)
            return [{"id": 100_000 + number, "row_count": 2} for number in range(doubled)]
        first, last = params[-2:]
        if "xacct_load_audit" in sql:
            return [
                {"partition_date": day, **entry}
                for day, entry in self.state.load_audit.items()
                if first <= day <= last
            ]
        table = self.state.fact if '"products_f"' in sql else self.state.staging
        return [
            {
                "partition_date": day,
                "row_count": rows,
                "key_count": rows - self.state.duplicates.get(day, 0),
            }
            for day, rows in table.items()
            if first <= day <= last and rows
        ]

    def _columns(self) -> list[dict[str, Any]]:
        """The answer to `columns_query`: the feed's columns, unless the state has others."""
        added = {"partition_date": "date", "loaded_at": "timestamp"}
        types = {column.name: column.type for column in self.state.feed.columns} | added
        rows = []
        for name, type_ in (types | self.state.column_types).items():
            kind, _, size = type_.rstrip(")").partition("(")
            precision, _, scale = size.partition(",")
            numbers = {"numeric_precision": precision, "numeric_scale": scale, "length": size}
            rows.append({"column_name": name, "data_type": kind, **numbers})
        return rows

    def _existing(self, names: Sequence[str]) -> list[dict[str, Any]]:
        """The answer to `warehouse_objects.sql`: three tables and a procedure."""
        kinds = ("table", "table", "table", "procedure")
        return [
            {"kind": kind, "schema_name": name.split(".")[0], "name": name.split(".")[1]}
            for kind, name in zip(kinds, names, strict=True)
            if name not in self.state.absent
        ]

    def transaction(self, work: Callable[[Any], Any], *, idempotent: bool = False) -> Any:
        return work(self)

    def cursor(self) -> FakeWarehouse:
        return self

    def execute(self, sql: str, params: Sequence[Any]) -> None:
        _, first, last = params
        days = [
            day
            for day, entry in self.state.load_audit.items()
            if first <= day <= last and entry["transformed_at"] is not None
        ]
        self._rows = [(day, self.state.staging[day]) for day in days if day in self.state.staging]
        if sql.startswith("DELETE"):
            self.state.calls.append(("clean", tuple(days)))
            for day in days:
                self.state.staging.pop(day, None)

    def fetchall(self) -> list[tuple[date, int]]:
        return self._rows


class FakeDataApi:
    """Fake of `DataApi`, for the procedure call and UNLOAD."""

    def __init__(self, state: AwsState) -> None:
        self.state = state

    def execute(
        self,
        sql: str,
        parameters: Mapping[str, str] | None = None,
        *,
        client_token: str = "",
        name: str,
    ) -> StatementResult:
        if parameters is None:
            self.state.calls.append(("execute", sql))
            return StatementResult("statement-0")
        first, last = (date.fromisoformat(parameters[k]) for k in ("from_day", "to_day"))
        self.state.calls.append(("call", (first, last)))
        self.state.reach("call")
        for day, entry in self.state.load_audit.items():
            if first <= day <= last and entry["transformed_at"] is None:
                self.state.fact[day] = self.state.staging.get(day, 0)
                entry["transformed_at"] = LANDED_AT
        return StatementResult("statement-1")

    def batch(self, sqls: Sequence[str], *, client_token: str, name: str) -> list[StatementResult]:
        self.state.calls.append(("unload", len(sqls)))
        for sql in sqls:
            target = re.search(r"TO 's3://[^/]+/([^']+)'", sql)
            day = re.search(r"= ''(\d{4}-\d{2}-\d{2})''", sql)
            assert target, sql
            assert day, sql
            rows = self.state.fact.get(date.fromisoformat(day[1]), 0)
            self.state.exported[target[1]] = {"0000_part_00.parquet": rows} if rows else {}
        self.state.reach("unload")
        return [StatementResult(f"statement-2:{i}") for i, _ in enumerate(sqls, 1)]


class FakeExports:
    """Fake of `Exports`."""

    def __init__(self, state: AwsState) -> None:
        self.state = state
        self.bucket = state.settings.export_bucket

    def read_manifest(self, prefix: str) -> ExportManifest | None:
        files = self.state.exported.get(prefix)
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
    """Fake of `Rejects`."""

    def __init__(self, state: AwsState) -> None:
        self.state = state

    def manifest(self, day: date) -> RejectManifest | None:
        return self.state.reject_manifests.get(day)


class FakeSessions:
    """Fake of `Sessions`."""

    def __init__(self, state: AwsState) -> None:
        self.state = state

    def identity(self) -> tuple[str, str]:
        return self.state.identity


class FakeAwsClients:
    """Fake of `AwsClients`: every client works on the same state."""

    def __init__(self, state: AwsState) -> None:
        self.state = state
        self.settings = state.settings
        self.console = Console(state.settings.console_url, state.settings.region)
        self.sessions = FakeSessions(state)
        self.crawler = FakeCrawler(state)
        self.catalog = FakeCatalog(state)
        self.warehouse = FakeWarehouse(state)
        self.data_api = FakeDataApi(state)

    def client(self, service: str) -> ModelledClient:
        """A boto3 client with the operations that `xacct doctor` calls."""
        if service == "cloudformation":
            return self.state.stacks.client
        operations = {
            "s3": {"list_objects_v2": lambda **_: {}, "get_object": _no_such_key},
            "glue": {
                "get_crawler": lambda Name: {"Crawler": {"Name": Name, "State": "READY"}},
                "list_crawls": lambda **_: {"Crawls": []},
                "get_job": lambda JobName: {"Job": {"Name": JobName, "GlueVersion": "5.0"}},
                "get_job_runs": lambda **_: {"JobRuns": []},
                "get_database": lambda Name: {"Database": {"Name": Name}},
            },
            "redshift-serverless": {
                "get_workgroup": lambda workgroupName: {
                    "workgroup": {
                        "workgroupName": workgroupName,
                        "status": self.state.workgroup_status,
                        "namespaceName": "namespace",
                    }
                },
                "get_namespace": lambda namespaceName: {
                    "namespace": {"iamRoles": self.state.namespace_roles}
                },
            },
        }
        return ModelledClient(service, **operations[service])

    def warehouse_credentials(self) -> WarehouseCredentials:
        self.state.reach("secret")
        return WarehouseCredentials(
            *("h", 5439, "dev", "xacct", "s3cr3t"), "arn:secret", data_api_compatible=True
        )

    def job_warehouse_url(self) -> str:
        return ""

    def raw_bucket(self, feed: FeedSpec) -> FakeRawBucket:
        return FakeRawBucket(self.state)

    def exports(self, feed: FeedSpec) -> FakeExports:
        return FakeExports(self.state)

    def rejects(self, feed: FeedSpec) -> FakeRejects:
        return FakeRejects(self.state)

    def publish_alert(
        self, subject: str, text: str, attributes: Mapping[str, str | Sequence[str]]
    ) -> None:
        self.state.reach("publish")
        self.state.published.append((subject, text, attributes))

    def alert_urls(self) -> list[str]:
        return self.state.alert_urls

    def queue_name(self, feed: FeedSpec) -> str:
        return "xacct-arrivals-test"

    def dead_letters(self, queue: str) -> tuple[str, int]:
        self.state.reach("dead letters")
        return "xacct-arrivals-dead-test", self.state.dead_letters

    def input_bucket(self, feed: FeedSpec) -> str:
        return self.settings.input_bucket

    def export_key(self, feed: FeedSpec | None = None) -> str | None:
        return (feed and feed.export.kms_key) or self.settings.keys.export or None

    def export_bucket(self, feed: FeedSpec) -> str:
        return self.settings.export_bucket


def _no_such_key(**_: Any) -> dict[str, Any]:
    raise client_error("NoSuchKey", "The specified key does not exist.", 404)


def fake_load_job(
    context: dg.AssetExecutionContext,
    feed: FeedSpec,
    aws: FakeAwsClients,
    load_id: str,
    raw: Mapping[date, RawFiles],
    **hints: Any,
) -> load_job.LoadOutcome:
    """Fake of `run_load_job`: loads the files of the raw bucket, once per load id."""
    state = aws.state
    state.job_hints.append(hints)
    state.calls.append(("job", (load_id, tuple(sorted(raw)))))
    state.reach("job")
    attached = load_id in state.job_runs
    state.job_runs.setdefault(
        load_id,
        JobRunResult(
            *(f"jr_{len(state.job_runs)}", "SUCCEEDED", None, 55, 120.0, False),
            *(LANDED_AT, LANDED_AT + timedelta(seconds=60)),
        ),
    )
    loads = {}
    for day, files in raw.items():
        read, rejected = state.rows_of(day), state.reject.get(day, 0)
        loaded = read - rejected
        if not attached:
            state.staging[day] = loaded
            state.load_audit[day] = {
                "load_id": load_id,
                "rows_loaded": loaded,
                "loaded_at": LANDED_AT,
                "transformed_at": None,
            }
            state.reject_manifests[day] = RejectManifest(feed.name, day, load_id, rejected)
        sample = [{"source_file": "f", "reason": "bad", "raw_record": "x"}] if rejected else []
        reasons = {"bad": rejected} if rejected else {}
        loads[day] = load_job.DayLoad(
            *(1, read, loaded, rejected, reasons, sample), read if files.rows is None else None
        )
    state.reach("job ended")
    return load_job.LoadOutcome(replace(state.job_runs[load_id], attached=attached), loads)
