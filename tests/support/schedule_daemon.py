"""Runs Dagster's own scheduler over four mornings and prints what came of each, as JSON.

A process of its own, as it moves the clock: ``python -m tests.support.schedule_daemon FOLDER``.
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

from tests.support.arrival_daemon import YAML, InProcess, land
from tests.support.arrival_location import FolderLanding
from xacct_assets.feed.arrival.fingerprint import fingerprint

#: By defs.yaml the schedule is due at 6:00 UTC; the daemon looks a little later.
DUE = time(6, 0, 20, tzinfo=UTC)


def look(home: Path, at: datetime) -> None:
    """One iteration of the scheduler, as if it were this time."""
    with (
        freeze_time(at),
        dg.DagsterInstance.from_config(str(home)) as instance,
        WorkspaceProcessContext(instance, InProcess()) as workspace,
    ):
        list(launch_scheduled_runs(workspace, logging.getLogger("daemon"), at, {}))


def do_as_the_sensor(home: Path, landing: Path, day: date) -> None:
    """Put on record that the day's export was made from the files that are there."""
    objects = FolderLanding(landing).list_objects(f"products/{day:%Y/%m/%d}/", ())
    version = {"dagster/data_version": fingerprint(objects)}
    with dg.DagsterInstance.from_config(str(home)) as instance:
        for asset, tags in (("raw_partition", version), ("s3_export", {})):
            instance.report_runless_asset_event(
                dg.AssetMaterialization(["products", asset], partition=str(day), tags=tags)
            )


def main(root: Path) -> None:
    """A day without files; one that the sensor has done; one with files that nobody has run."""
    home, landing = root / "home", root / "landing"
    home.mkdir()
    landing.mkdir()
    (home / "dagster.yaml").write_text(YAML)
    os.environ["ARRIVAL_TEST_LANDING"] = str(landing)
    first = datetime.now(UTC).date() - timedelta(days=4)
    missing, done, waiting = (first + timedelta(days=after) for after in range(3))
    land(landing, str(done), "a")
    land(landing, str(waiting), "a")
    do_as_the_sensor(home, landing, done)
    # The first look switches the schedule on.
    for after in range(4):
        look(home, datetime.combine(first + timedelta(days=after), DUE))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        (state,) = instance.all_instigator_state(instigator_type=InstigatorType.SCHEDULE)
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id)
        told = {
            "days": [str(missing), str(done), str(waiting)],
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
    sys.stdout.write(json.dumps(told))


if __name__ == "__main__":
    logging.disable(logging.INFO)
    main(Path(sys.argv[1]))
