"""Runs Dagster's own sensor daemon, kills it at a chosen point, and starts it again.

For each crash point of the daemon, in a Dagster instance of its own: put files, kill the daemon at
that point of its first tick, run more ticks, change the files of a day and change them back. Prints
the runs that were created, as JSON. It forks and is killed, so it is a script with a process of its
own: ``python -m tests.support.arrival_daemon FOLDER CRASH_POINT...``.
"""

import json
import logging
import os
import signal
import sys
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import dagster as dg
from dagster._core.origin import (  # the daemon has no public way to load a file in-process
    DEFAULT_DAGSTER_ENTRY_POINT,
)
from dagster._core.remote_origin import InProcessCodeLocationOrigin
from dagster._core.test_utils import freeze_time
from dagster._core.types.loadable_target_origin import LoadableTargetOrigin
from dagster._core.workspace.context import WorkspaceProcessContext
from dagster._core.workspace.load_target import WorkspaceLoadTarget
from dagster._daemon.sensor import execute_sensor_iteration

from tests.support.arrival_location import BUCKET_VARIABLE
from xacct_assets.feed.arrival.run_history import REQUEST_NUMBER_TAG

SENSOR = "products_arrivals"
YAML = """
telemetry: {enabled: false}
run_coordinator:
  module: dagster._core.run_coordinator.queued_run_coordinator
  class: QueuedRunCoordinator
"""


class ArrivalWorkspace(WorkspaceLoadTarget):
    """The code location of `tests.support.arrival_location`, in this process."""

    def create_origins(self) -> list[InProcessCodeLocationOrigin]:
        return [
            InProcessCodeLocationOrigin(
                loadable_target_origin=LoadableTargetOrigin(
                    executable_path=sys.executable,
                    python_file=str(Path(__file__).with_name("arrival_location.py")),
                ),
                location_name="arrivals",
                container_image=None,
                entry_point=DEFAULT_DAGSTER_ENTRY_POINT,
            )
        ]


def tick(home: Path, at: datetime, crash: str | None = None) -> None:
    """Run one iteration of the daemon at the given time."""
    flags = {SENSOR: {crash: signal.SIGKILL}} if crash else None
    with (
        freeze_time(at),
        dg.DagsterInstance.from_config(str(home)) as instance,
        WorkspaceProcessContext(instance, ArrivalWorkspace()) as workspace,
    ):
        list(
            execute_sensor_iteration(
                workspace,
                logging.getLogger("daemon"),
                threadpool_executor=None,
                submit_threadpool_executor=None,
                debug_crash_flags=flags,
            )
        )


def put(root: Path, day: str, body: str) -> None:
    """Write a day's file, with a modification time one hour ago."""
    path = root / "products" / day.replace("-", "/") / "a.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body)
    hour_ago = time.time() - 3600
    os.utime(path, (hour_ago, hour_ago))


def run_with_crash(root: Path, crash: str) -> dict[str, object]:
    """Kill the daemon at one point of its first tick, run more ticks, and return the runs."""
    home, bucket = root / crash / "home", root / crash / "bucket"
    home.mkdir(parents=True)
    bucket.mkdir()
    (home / "dagster.yaml").write_text(YAML)
    os.environ[BUCKET_VARIABLE] = str(bucket)
    now = datetime.now(UTC)
    days = [(now.date() - timedelta(days=back)).isoformat() for back in (1, 2, 3)]
    for day in days:
        put(bucket, day, "a")

    child = os.fork()
    if child == 0:
        tick(home, now, crash)
        os._exit(0)
    _, status = os.waitpid(child, 0)

    # The file's new content before each tick; None: unchanged.
    contents = [None, None, "b", None, "a", None]
    for number, body in enumerate(contents, start=1):
        if body:
            put(bucket, days[0], body)
        tick(home, now + timedelta(minutes=number))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        runs = [
            {
                "day": run.tags["dagster/partition"],
                "request_number": run.tags[REQUEST_NUMBER_TAG],
                "key": run.tags["dagster/run_key"],
                "status": run.status.value,
            }
            for run in instance.get_runs(ascending=True)
        ]
    return {"killed": os.WIFSIGNALED(status), "days": days, "runs": runs}


if __name__ == "__main__":
    logging.disable(logging.INFO)
    results = {crash: run_with_crash(Path(sys.argv[1]), crash) for crash in sys.argv[2:]}
    sys.stdout.write(json.dumps(results))
