"""Dagster's real sensor daemon, killed at each point of a tick where it can be, and restarted."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

# In the order of a tick: the tick is on record, it is evaluated, its requests are on record, the
# first run is in the run storage, the first run is submitted.
CRASH_POINTS = ["TICK_CREATED", "TICK_HELD", "RUN_IDS_RESERVED", "RUN_CREATED", "RUN_LAUNCHED"]


@pytest.fixture(scope="module")
def stories(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    script = Path(__file__).with_name("arrival_daemon.py")
    told = subprocess.run(
        [
            sys.executable,
            "-W",
            "ignore",
            str(script),
            str(tmp_path_factory.mktemp("daemon")),
            *CRASH_POINTS,
        ],
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


@pytest.mark.parametrize("point", CRASH_POINTS)
def test_a_daemon_that_is_killed_neither_loses_nor_repeats_a_day(
    stories: dict[str, Any], point: str
) -> None:
    story = stories[point]
    assert story["killed"]
    changed, *others = story["days"]
    made = [(run["day"], run["generation"]) for run in story["runs"]]
    assert sorted(made) == sorted(
        [(changed, "1"), (changed, "2"), (changed, "3"), *((day, "1") for day in others)]
    ), "each day once, and the one that went from a to b to a three times"
    assert {run["status"] for run in story["runs"]} == {"QUEUED"}
    assert len({run["key"] for run in story["runs"]}) == 5
