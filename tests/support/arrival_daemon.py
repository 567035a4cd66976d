"""Runs Dagster's own sensor daemon, kills it at a chosen point, starts it again: a script.

For each crash point that Dagster's daemon has, in an instance of its own: land files, kill the
daemon there in its first tick, tick on, change a day to other content and back. Prints what runs
were made, as JSON. A process of its own, since it forks and has to be killed.
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

SENSOR = "products_arrivals"
YAML = """
telemetry: {enabled: false}
run_coordinator:
  module: dagster._core.run_coordinator.queued_run_coordinator
  class: QueuedRunCoordinator
"""


class InProcess(WorkspaceLoadTarget):
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
    """One iteration of the daemon, as if it were this time."""
    flags = {SENSOR: {crash: signal.SIGKILL}} if crash else None
    with (
        freeze_time(at),
        dg.DagsterInstance.from_config(str(home)) as instance,
        WorkspaceProcessContext(instance, InProcess()) as workspace,
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


def land(root: Path, day: str, body: str) -> None:
    """Put one file; an hour old."""
    path = root / "products" / day.replace("-", "/") / "a.csv"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(body)
    hour_ago = time.time() - 3600
    os.utime(path, (hour_ago, hour_ago))


def story(root: Path, crash: str) -> dict[str, object]:
    """Everything that happens with a crash at one point."""
    home, landing = root / crash / "home", root / crash / "landing"
    home.mkdir(parents=True)
    landing.mkdir()
    (home / "dagster.yaml").write_text(YAML)
    os.environ["ARRIVAL_TEST_LANDING"] = str(landing)
    now = datetime.now(UTC)
    days = [(now.date() - timedelta(days=back)).isoformat() for back in (1, 2, 3)]
    for day in days:
        land(landing, day, "a")

    child = os.fork()
    if child == 0:
        tick(home, now, crash)
        os._exit(0)
    _, status = os.waitpid(child, 0)

    steps = [None, None, "b", None, "a", None]
    for number, body in enumerate(steps, start=1):
        if body:
            land(landing, days[0], body)
        tick(home, now + timedelta(minutes=number))
    with dg.DagsterInstance.from_config(str(home)) as instance:
        runs = [
            {
                "day": run.tags["dagster/partition"],
                "generation": run.tags["xacct/generation"],
                "key": run.tags["dagster/run_key"],
                "status": run.status.value,
            }
            for run in instance.get_runs(ascending=True)
        ]
    return {"killed": os.WIFSIGNALED(status), "days": days, "runs": runs}


if __name__ == "__main__":
    logging.disable(logging.INFO)
    told = {crash: story(Path(sys.argv[1]), crash) for crash in sys.argv[2:]}
    sys.stdout.write(json.dumps(told))
