"""The pipeline's assets and checks on AWS clients in memory."""

from __future__ import annotations

import asyncio
import functools
import logging
from collections.abc import Sequence
from typing import Any

import dagster as dg
from dagster._core.definitions.asset_health.asset_check_health import AssetCheckHealthState
from dagster._core.definitions.job_base import InMemoryJob
from dagster._core.execution.api import execute_run
from dagster._core.loader import LoadingContextForTest

from tests.support.fakes.aws_clients import FakeAwsClients
from tests.support.fakes.aws_state import AwsState
from xacct_assets.feed.assets import feed_assets
from xacct_assets.feed.checks import feed_checks
from xacct_assets.feed.loader import load_feed

# The retries of the assets, without their delays.
NO_DELAY = dg.RetryPolicy(max_retries=2, delay=0)


@dg.logger
def quiet(_: dg.InitLoggerContext) -> logging.Logger:
    """Replaces Dagster's console logger, which takes longer than the runs themselves."""
    return logging.Logger("quiet", logging.CRITICAL)


@dg.resource
def aws_clients(_: dg.InitResourceContext) -> FakeAwsClients:
    """The clients of the pipeline whose run is being executed."""
    assert InMemoryPipeline.running is not None
    return InMemoryPipeline.running.aws


@functools.cache
def _definitions() -> dg.Definitions:
    """The definitions, built once for all tests: building them takes longer than a run."""
    feed, group = load_feed("products"), dg.AssetSelection.groups("products")
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


class InMemoryPipeline:
    """The feed's assets on AWS clients in memory, with an ephemeral Dagster instance.

    Attributes:
        running: the pipeline whose run is being executed; its resource is taken from here.
    """

    running: InMemoryPipeline | None = None

    def __init__(self, state: AwsState) -> None:
        self.state = state
        self.feed = state.feed
        self.aws = FakeAwsClients(state)
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
        """Run a day or a range.

        Args:
            first: first day, as an ISO date.
            last: last day of a range; None for a run of one day.
            assets: names of the assets to run; all by default.
            checks: whether the asset checks run too.
        """
        InMemoryPipeline.running = self
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
        """Run the checks of the export without a partition, as "Execute all" in the UI does."""
        InMemoryPipeline.running = self
        job = self.definitions.resolve_job_def("export_checks")
        return job.execute_in_process(
            instance=self.instance,
            raise_on_error=False,
            run_config={"loggers": {"console": {}}},
        )

    def resume(self, failed: dg.ExecuteInProcessResult, assets: Sequence[str]) -> Any:
        """Run assets in a run that re-executes a failed run "from failure"."""
        InMemoryPipeline.running = self
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
        """The tags of a run that covers a range."""
        return {
            "dagster/asset_partition_range_start": first,
            "dagster/asset_partition_range_end": last,
        }

    def materialized_days(self, asset: str) -> set[str]:
        """Days that were materialized for an asset."""
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

    def check_results(self, result: dg.ExecuteInProcessResult, check: str) -> dict[str, bool]:
        """Whether a check passed in a run, by day."""
        return {
            str(evaluation.partition): evaluation.passed
            for evaluation in result.get_asset_check_evaluations()
            if evaluation.check_name == check and evaluation.partition is not None
        }

    def shown_evaluation(self, asset: str, check: str) -> dg.AssetCheckEvaluation:
        """The evaluation that the asset's page and the asset graph show: the newest one."""
        key = dg.AssetCheckKey(dg.AssetKey(["products", asset]), check)
        record = self.instance.event_log_storage.get_latest_asset_check_execution_by_key([key])[key]
        assert record.evaluation is not None, f"{check} of {asset} was planned and not evaluated"
        return record.evaluation

    def check_health(self, asset: str) -> str:
        """The health of the asset by its checks, as Dagster computes it for its page."""
        keys = self.definitions.resolve_asset_graph().asset_check_keys
        of_asset = {key for key in keys if key.asset_key.path[-1] == asset}
        state = asyncio.run(
            AssetCheckHealthState.compute_for_asset_checks(
                of_asset, LoadingContextForTest(self.instance)
            )
        )
        return state.health_status.value

    def failures(self, result: Any) -> str:
        """The messages of all failed steps of a run."""
        messages = []
        for event in result.all_events:
            if event.is_step_failure:
                data = event.step_failure_data
                failure = data.user_failure_data
                messages.append((failure and failure.description) or str(data.error))
        return "\n".join(messages)
