"""Dagster's real scheduler: its ticks for a missing, an exported and a new day."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

PROJECT = Path(__file__).parents[3]


@pytest.fixture(scope="module")
def mornings(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    scheduler = subprocess.run(
        [
            *(sys.executable, "-W", "ignore", "-m", "tests.support.schedule_daemon"),
            str(tmp_path_factory.mktemp("scheduler")),
        ],
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=240,
    )
    assert scheduler.returncode == 0, scheduler.stderr
    return json.loads(scheduler.stdout)


def test_each_morning_has_one_tick_without_an_error(mornings: dict[str, Any]) -> None:
    assert [tick["error"] for tick in mornings["ticks"]] == [None] * 3


def test_a_day_without_files_and_a_day_that_was_never_run_are_launched(
    mornings: dict[str, Any],
) -> None:
    missing, _, new = mornings["days"]
    assert mornings["runs"] == [
        {"day": missing, "status": "QUEUED"},
        {"day": new, "status": "QUEUED"},
    ]


def test_an_exported_day_is_skipped_and_the_tick_says_why(
    mornings: dict[str, Any],
) -> None:
    assert [tick["status"] for tick in mornings["ticks"]] == ["SUCCESS", "SKIPPED", "SUCCESS"]
    assert "made from the files that are there" in mornings["ticks"][1]["skipped"]
