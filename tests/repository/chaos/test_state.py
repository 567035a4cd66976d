"""A long run can be stopped at any moment and gone on with."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from tests.support.project import ROOT
from tools.chaos.state import State

RESULT = {"seed": 1, "ok": True}


def test_a_seed_is_given_to_one_worker_only(tmp_path: Path) -> None:
    state = State(tmp_path)
    assert [state.claim(range(1, 4)) for _ in range(4)] == [1, 2, 3, None]


def test_a_seed_with_a_result_is_not_run_again_unless_it_is_forgotten(tmp_path: Path) -> None:
    State(tmp_path).keep(1, RESULT)
    later = State(tmp_path)
    assert later.results() == {1: RESULT}
    assert later.claim([1, 2]) == 2
    later.forget(1)
    assert later.claim([1, 2]) == 1


def test_a_seed_of_a_worker_that_was_killed_is_run_again(tmp_path: Path) -> None:
    done = subprocess.run(
        [
            *(sys.executable, "-c"),
            "import pathlib, sys; from tools.chaos.state import State; "
            "print(State(pathlib.Path(sys.argv[1])).claim([1]))",
            str(tmp_path),
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "1"
    assert State(tmp_path).claim([1]) == 1
