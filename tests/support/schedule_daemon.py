"""Runs Dagster's own scheduler on four mornings, and prints its ticks and runs as JSON.

It changes the clock, so it is a script with a process of its own:
``python -m tests.support.schedule_daemon FOLDER``.
"""

import json
import logging
import os
import sys
from datetime import UTC, date, datetime, time, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.definitions.run_request import InstigatorType
from dagster._core.test_utils import freeze_time
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._scheduler.scheduler import launch_scheduled_runs

from tests.support.arrival_daemon import YAML, ArrivalWorkspace, put
from tests.support.arrival_location import BUCKET_VARIABLE, FolderBucket
from xacct_assets.contract.fingerprint import fingerprint

#: The schedule is due at 6:00 UTC (defs.yaml); the daemon checks a little later.
DUE = time(6, 0, 20, tzinfo=UTC)


def run_scheduler(home: Path, at: datetime) -> None:
    """Run one iteration of the scheduler at the given time."""
    with (
        freeze_time(at),
        dg.DagsterInstance.from_config(str(home)) as instance,
        WorkspaceProcessContext(instance, ArrivalWorkspace()) as workspace,
    ):
        list(launch_scheduled_runs(workspace, logging.getLogger("daemon"), at, {}))


def report_exported(home: Path, bucket: Path, day: date) -> None:
    """Report that the day's export was made from the files that are there."""
    objects = FolderBucket(bucket).list_objects(f"products/{day:%Y/%m/%d}/", ())
    version = {"dagster/data_version": fingerprint(objects)}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for asset, tags in (("raw_partition", version), ("s3_export", {})):
            instance.report_runless_asset_event(
                dg.AssetMaterialization(["products", asset], partition=str(day), tags=tags)
            )


def main(root: Path) -> None:
    """A day without files, a day that is exported, and a day with files that was never run."""
    home, bucket = root / "home", root / "bucket"
    home.mkdir()
    bucket.mkdir()
    (home / "dagster.yaml").write_text(YAML)
    os.environ[BUCKET_VARIABLE] = str(bucket)
    first = datetime.now(UTC).date() - timedelta(days=4)
    missing, exported, new = (first + timedelta(days=after) for after in range(3))
    put(bucket, str(exported), "a")
    put(bucket, str(new), "a")
    report_exported(home, bucket, exported)
    # The first iteration starts the schedule.
    for after in range(4):
        run_scheduler(home, datetime.combine(first + timedelta(days=after), DUE))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        (state,) = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id)
        results = {
            "days": [str(missing), str(exported), str(new)],
            "ticks": [
                {
                    "status": tick.status.value,
                    "skipped": tick.skip_reason,
                    "error": tick.error.message if tick.error else None,
                }
                for tick in sorted(ticks, key=lambda tick: tick.timestamp)
            ],
            "runs": [
                {"day": run.tags["dagster/partition"], "status": run.status.value}
                for run in instance.get_runs(ascending=True)
            ],
        }
    sys.stdout.write(json.dumps(results))


if __name__ == "__main__":
    logging.disable(logging.INFO)
    main(Path(sys.argv[1]))
