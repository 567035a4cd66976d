"""Dagster's real scheduler: what its ticks make of a missing, a done and a waiting day."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def mornings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    told = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "tests.support.schedule_daemon"),
            str(tmp_path_factory.mktemp("scheduler")),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert told.returncode == 0, told.stderr
    return json.loads(told.stdout)


def test_each_morning_has_one_tick_without_an_error(mornings: dict[str, Any]) -> None:
    assert [tick["error"] for tick in mornings["ticks"]] == [None] * 3


def test_a_day_without_files_and_a_day_nobody_has_run_are_launched(
    mornings: dict[str, Any],
) -> None:
    missing, _, waiting = mornings["days"]
    assert mornings["runs"] == [
        {"day": missing, "status": "QUEUED"},
        {"day": waiting, "status": "QUEUED"},
    ]


def test_a_day_that_the_sensor_has_done_is_skipped_and_the_tick_says_why(
    mornings: dict[str, Any],
) -> None:
    assert [tick["status"] for tick in mornings["ticks"]] == ["SUCCESS", "SKIPPED", "SUCCESS"]
    assert "made from the files that are there" in mornings["ticks"][1]["skipped"]
