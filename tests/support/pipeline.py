"""The pipeline on the shared sandbox: puts files, runs days, and reads the results.

Runs execute in this process, which saves seconds per run, through the job that the UI and
`dagster job execute` run. Use each day in one test file only, because the sandbox is shared.
"""

from __future__ import annotations

import contextlib
import io
import json
import threading
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from typing import TYPE_CHECKING, Any

import dagster as dg

from tests.support.environment import environment
from xacct_assets.aws.redshift.warehouse import Warehouse
from xacct_assets.aws.secretsmanager import (
    Endpoint,
    WarehouseCredentials,
    read_warehouse_credentials,
)
from xacct_assets.aws_clients import AwsClients
from xacct_assets.contract.days import day_prefix
from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.schedule import job_name
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.operations import cli
from xacct_assets.resources import AwsClientsResource
from xacct_assets.settings import Settings
from xacct_sandbox.sample_data import ProductFile

if TYPE_CHECKING:
    from mypy_boto3_s3.literals import StorageClassType

    from tests.support.sandbox import RunningSandbox

FEED = "products"
# Made by Redshift for the admin of the namespace that `xacct deploy` makes.
ADMIN_SECRET = "redshift!xacct-local-xacct"
CHAIN = ("raw_partition", "catalog_table", "staging_table", "fact_table", "s3_export")
CHECK = "row_counts_reconcile"
QUIET = {"loggers": {"console": {"config": {"log_level": "CRITICAL"}}}}

# The environment belongs to the process, so that runs exclude each other.
_ENVIRONMENT = threading.RLock()


@dataclass(frozen=True)
class Run:
    """A finished run and its event log."""

    result: dg.ExecuteInProcessResult
    instance: dg.DagsterInstance
    feed: str = FEED

    @property
    def success(self) -> bool:
        return self.result.success

    @property
    def failures(self) -> dict[str, str]:
        """Message of each failed step, by asset, or by asset and check."""
        messages = {}
        for event in self.result.all_events:
            if event.is_step_failure:
                data = event.step_failure_data
                text = data.user_failure_data and data.user_failure_data.description
                name = str(event.step_key).removeprefix(f"{self.feed}__")
                messages[name] = str(text or data.error)
        return messages

    @property
    def why(self) -> str:
        """The messages of all failed steps, as text."""
        return "\n".join(f"{name}: {text}" for name, text in self.failures.items())

    def materialized_days(self, asset: str) -> list[str]:
        """Days of an asset that this run materialized."""
        events = self.result.get_asset_materialization_events()
        return [str(e.partition) for e in events if e.asset_key == self._key(asset)]

    def metadata(self, asset: str, day: str) -> dict[str, Any]:
        """Metadata of an asset's day in this run."""
        for event in self.result.get_asset_materialization_events():
            if event.asset_key == self._key(asset) and event.partition == day:
                return {name: value.value for name, value in event.materialization.metadata.items()}
        raise AssertionError(f"{asset} of {day} was not materialized by this run: {self.why}")

    def check_results(self, check: str = CHECK) -> dict[str, bool]:
        """Whether a check passed, by day."""
        return {
            str(evaluation.partition): evaluation.passed
            for evaluation in self.result.get_asset_check_evaluations()
            if evaluation.check_name == check and evaluation.partition is not None
        }

    def check_descriptions(self, check: str = CHECK) -> dict[str, str]:
        """Description of a check's result, by day."""
        return {
            str(evaluation.partition): evaluation.description or ""
            for evaluation in self.result.get_asset_check_evaluations()
            if evaluation.check_name == check and evaluation.partition is not None
        }

    @property
    def seconds(self) -> tuple[float, float]:
        """Start and end of the run, in seconds since the epoch."""
        times = [entry.timestamp for entry in self.instance.all_logs(self.result.run_id)]
        return min(times), max(times)

    @property
    def log(self) -> list[str]:
        """The entries of the run in Dagster's event log, as they are stored."""
        entries = self.instance.all_logs(self.result.run_id)
        return [dg.serialize_value(entry) for entry in entries]

    def _key(self, asset: str) -> dg.AssetKey:
        return dg.AssetKey([self.feed, asset])


@dataclass(frozen=True)
class Reconciliation:
    """The result of `xacct reconcile --json`."""

    exit_code: int
    rows: dict[str, dict[str, Any]]

    def problems(self, day: str) -> str:
        """The problems of a day, as text."""
        return "; ".join(self.rows[day]["problems"])


class Pipeline:
    """The pipeline as its users see it, on the shared sandbox.

    Args:
        sandbox: the sandbox.
        variables: environment variables in addition to the sandbox's ``.env``; they override it.
        instance: Dagster instance; by default a new one in memory.
        feed: another feed than products, with the definitions of its component.
    """

    def __init__(
        self,
        sandbox: RunningSandbox,
        variables: Mapping[str, str] | None = None,
        *,
        instance: dg.DagsterInstance | None = None,
        feed: tuple[FeedSpec, dg.Definitions] | None = None,
    ) -> None:
        self.sandbox = sandbox
        self.variables = {**sandbox.variables, **(variables or {})}
        self.instance = instance or dg.DagsterInstance.ephemeral()
        sandbox.instances.append(self.instance)
        self.feed, self._feed_definitions = feed or (load_feed(FEED), None)

    @contextlib.contextmanager
    def environment(self) -> Iterator[None]:
        """Set the variables of the sandbox's ``.env`` in this process."""
        with _ENVIRONMENT, environment(self.variables):
            yield

    @cached_property
    def definitions(self) -> dg.Definitions:
        """The project's definitions, and a job that evaluates the reconciliation check only."""
        from xacct_assets.definitions import defs

        check = dg.AssetSelection.checks(dg.AssetCheckKey(self._key("s3_export"), CHECK))
        job = dg.define_asset_job("check_only", selection=check)
        with self.environment():
            if self._feed_definitions is None:
                return dg.Definitions.merge(defs(), dg.Definitions(jobs=[job]))
            aws = AwsClientsResource.from_settings(Settings.load())
            shared = dg.Definitions(
                jobs=[job], resources={"aws": aws}, executor=dg.in_process_executor
            )
            return dg.Definitions.merge(self._feed_definitions, shared)

    @cached_property
    def aws(self) -> AwsClients:
        """The pipeline's clients, e.g. ``aws.warehouse.query(sql, parameters)``."""
        aws = AwsClients(Settings.load(self.variables), self.variables)
        with self.environment():
            for name in ("s3", "glue", "secretsmanager", "redshift-data", "logs"):
                aws.client(name)
        return aws

    # -- raw files ---------------------------------------------------------------------------

    def land(self, day: str, rows: int = 120, *, seed: int = 1, number: int = 0) -> ProductFile:
        """Put a generated file of products. The result knows what is expected of each row."""
        file = ProductFile(seed=seed, day=date.fromisoformat(day), rows=rows, number=number)
        self.put(day, b"".join(file.chunks()), f"products-{number}.csv")
        return file

    def put(
        self,
        day: str,
        body: bytes,
        name: str = "products-0.csv",
        storage_class: StorageClassType = "STANDARD",
    ) -> str:
        """Put a file as account A's supplier. Returns its key."""
        source = self.feed.source
        key = day_prefix(source.prefix, source.layout, date.fromisoformat(day)) + name
        self.sandbox.client("account-a-admin", "s3").put_object(
            Bucket=self.sandbox.config.input_bucket,
            Key=key,
            Body=body,
            StorageClass=storage_class,
        )
        return key

    # -- runs --------------------------------------------------------------------------------

    def run(self, first: str, last: str | None = None, assets: Sequence[str] | None = None) -> Run:
        """Materialize a day or a range: all five assets with their checks, or some of the assets.

        A failed step does not raise; ``why`` of the run has its message.
        """
        return self._execute(job_name(self.feed), first, last, [self._key(a) for a in assets or ()])

    def check(self, first: str, last: str | None = None) -> Run:
        """Evaluate `row_counts_reconcile` alone, as its button in the UI does."""
        return self._execute("check_only", first, last, [])

    def _execute(self, job: str, first: str, last: str | None, assets: list[dg.AssetKey]) -> Run:
        definition = self.definitions.resolve_job_def(job)
        with self.environment():
            result = definition.execute_in_process(
                instance=self.instance,
                raise_on_error=False,
                tags=tags(first, last),
                run_config=QUIET,
                asset_selection=assets or None,
            )
        return Run(result, self.instance, self.feed.name)

    def run_together(self, days: Sequence[str]) -> list[Run]:
        """Run each day in its own run, all at the same time.

        Each run has its own Dagster instance, so that only the services coordinate them.
        """
        definition = self.definitions.resolve_job_def(job_name(self.feed))
        start = threading.Barrier(len(days))

        def one(day: str) -> Run:
            instance = dg.DagsterInstance.ephemeral()
            self.sandbox.instances.append(instance)
            start.wait()
            result = definition.execute_in_process(
                instance=instance, raise_on_error=False, tags=tags(day), run_config=QUIET
            )
            return Run(result, instance, self.feed.name)

        with self.environment(), ThreadPoolExecutor(len(days)) as threads:
            return list(threads.map(one, days))

    # -- results -----------------------------------------------------------------------------

    def reconcile(self, *days: str) -> Reconciliation:
        """`xacct reconcile --json` for days or ranges (2026-01-01...2026-01-05) of products."""
        options = [part for day in days for part in ("--partition", day)]
        with self.environment(), contextlib.redirect_stdout(io.StringIO()) as output:
            code = cli.main(["--no-env-file", "reconcile", "--feed", FEED, "--json", *options])
        rows = json.loads(output.getvalue())
        return Reconciliation(code, {row["partition"]: row for row in rows})

    def fact_rows(self, day: str) -> list[dict[str, Any]]:
        """The day's rows in the fact table, in the order of their keys."""
        names = ", ".join(self.feed.column_names())
        return self.query(
            f"SELECT {names} FROM {self.feed.warehouse.fact} "
            f"WHERE partition_date = %s ORDER BY {', '.join(self.feed.key)}",
            date.fromisoformat(day),
        )

    def query(self, sql: str, *parameters: Any) -> list[dict[str, Any]]:
        """Execute a SELECT over the wire. Returns its rows."""
        with self.environment():
            return self.aws.warehouse.query(sql, parameters)

    def execute(self, sql: str, *parameters: Any) -> None:
        """Execute a statement over the wire in a transaction, as the namespace's admin.

        The pipeline's own database user may do what a run needs, and no more.
        """
        with self.environment():
            self.admin.transaction(lambda connection: connection.cursor().execute(sql, parameters))

    @cached_property
    def admin(self) -> Warehouse:
        """The login of the namespace's admin, whose password Redshift keeps."""
        return Warehouse(self._admin_credentials)

    def _admin_credentials(self) -> WarehouseCredentials:
        secrets = self.sandbox.client("account-b-admin", "secretsmanager")
        login = self.aws.warehouse_credentials()
        endpoint = Endpoint(login.host, login.port, login.database)
        return read_warehouse_credentials(secrets, ADMIN_SECRET, defaults=endpoint)

    def exported(self, day: str) -> dict[str, bytes]:
        """The objects of the day's export with its manifest, by name in the folder."""
        s3 = self.sandbox.client("account-a-admin", "s3")
        bucket, prefix = self.export_bucket, self.export_prefix(day)
        found = s3.list_objects_v2(Bucket=bucket, Prefix=prefix).get("Contents", [])
        return {
            item["Key"].removeprefix(prefix): s3.get_object(Bucket=bucket, Key=item["Key"])[
                "Body"
            ].read()
            for item in found
        }

    @property
    def export_bucket(self) -> str:
        return self.aws.settings.export_bucket

    def export_prefix(self, day: str) -> str:
        export = self.feed.export
        return day_prefix(export.prefix, export.layout, date.fromisoformat(day))

    def _key(self, asset: str) -> dg.AssetKey:
        return dg.AssetKey([self.feed.name, asset])


def tags(first: str, last: str | None = None) -> dict[str, str]:
    """Tags of a run that covers a day or a range."""
    if last is None:
        return {"dagster/partition": first}
    return {
        "dagster/asset_partition_range_start": first,
        "dagster/asset_partition_range_end": last,
    }
