"""Dagster's real sensor daemon, killed at each of its crash points in a tick, and restarted."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[3]
# In the order of a tick: the tick is stored, it is evaluated, its requests are stored, the first
# run is in the run storage, the first run is submitted.
CRASH_POINTS = ["TICK_CREATED", "TICK_HELD", "RUN_IDS_RESERVED", "RUN_CREATED", "RUN_LAUNCHED"]


@pytest.fixture(scope="module")
def results(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    daemon = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "tests.support.arrival_daemon"),
            str(tmp_path_factory.mktemp("daemon")),
            *CRASH_POINTS,
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert daemon.returncode == 0, daemon.stderr
    return json.loads(daemon.stdout)


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_daemon_that_is_killed_neither_loses_nor_repeats_a_day(
    results: dict[str, Any], point: str
) -> None:
    result = results[point]
    assert result["killed"]
    changed, *others = result["days"]
    requests = [(run["day"], run["request_number"]) for run in result["runs"]]
    assert sorted(requests) == sorted(
        [(changed, "1"), (changed, "2"), (changed, "3"), *((day, "1") for day in others)]
    ), "each day once, and three times the day that changed from a to b to a"
    assert {run["status"] for run in result["runs"]} == {"QUEUED"}
    assert len({run["key"] for run in result["runs"]}) == 5
