"""Dagster's real backfill daemon: how it cuts a selection of days into runs."""

import logging
import time
from datetime import date, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.execution.backfill import PartitionBackfill
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._daemon.backfill import execute_backfill_iteration

from tests.support.arrival_daemon import YAML, ArrivalWorkspace
from xacct_assets.feed.arrival.run_history import days_of_run
from xacct_assets.feed.loader import load_feed

ASSETS = [dg.AssetKey(["products", name]) for name in ("raw_partition", "s3_export")]
FIRST = date(2026, 1, 1)


def runs_of_a_backfill(folder: Path, offsets: list[int]) -> list[list[int]]:
    """The days that each run covers, as days after the first."""
    (folder / "dagster.yaml").write_text(YAML)
    with (
        dg.DagsterInstance.from_config(str(folder)) as instance,
        WorkspaceProcessContext(instance, ArrivalWorkspace()) as workspace,
    ):
        instance.add_backfill(
            PartitionBackfill.from_asset_partitions(
                backfill_id="days",
                asset_graph=workspace.create_request_context().asset_graph,
                partition_names=[str(FIRST + timedelta(days=offset)) for offset in offsets],
                asset_selection=ASSETS,
                backfill_timestamp=time.time(),
                tags={},
                dynamic_partitions_store=instance,
                all_partitions=False,
                title=None,
                description=None,
                run_config=None,
            )
        )
        errors = list(execute_backfill_iteration(workspace, logging.getLogger("daemon")))
        assert not [error for error in errors if error is not None]
        runs = instance.get_runs()
        assert {frozenset(run.asset_selection or ()) for run in runs} == {frozenset(ASSETS)}
        return sorted([(day - FIRST).days for day in days_of_run(run)] for run in runs)


def test_days_that_are_not_next_to_each_other_become_a_run_for_each_stretch(
    tmp_path: Path,
) -> None:
    assert runs_of_a_backfill(tmp_path, [0, 1, 4, 8, 9, 10]) == [[0, 1], [4], [8, 9, 10]]


def test_a_long_stretch_becomes_runs_of_at_most_the_feeds_bound(tmp_path: Path) -> None:
    bound = load_feed("products").max_days_per_run
    runs = runs_of_a_backfill(tmp_path, list(range(2 * bound + 5)))
    assert [len(run) for run in runs] == [bound, bound, 5]
