"""The folders with a namespace's data, while the database is stopped and started around them."""

from __future__ import annotations

from pathlib import Path

import pytest

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.redshift import process
from xacct_sandbox.redshift.api.data_folders import DataFolders


class Bench:
    """A data folder, and a process that makes one at its start if there is none."""

    def __init__(self, config: SandboxConfig) -> None:
        self.config = config
        self.events: list[str] = []
        self.folders = DataFolders(config, lambda: self.events.append("disconnect"))

    @property
    def data(self) -> Path:
        return self.config.postgres_dir / "data"

    def start(self, _config: SandboxConfig) -> None:
        self.events.append("start")
        self.data.mkdir(parents=True, exist_ok=True)

    def stop(self) -> None:
        self.events.append("stop")

    def rows(self) -> set[str]:
        return {path.name for path in self.data.iterdir()}


@pytest.fixture
def bench(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bench:
    found = Bench(SandboxConfig(home=tmp_path))
    monkeypatch.setattr(process, "start", found.start)
    monkeypatch.setattr(process, "stop", found.stop)
    found.start(found.config)
    (found.data / "row").write_text("1")
    found.data.chmod(0o700)
    found.events.clear()
    return found


def test_a_copy_is_taken_while_the_database_is_stopped(bench: Bench) -> None:
    assert bench.folders.copy_to("copy") == 1
    assert bench.events == ["disconnect", "stop", "start"]
    assert bench.rows() == {"row"}
    (bench.data / "later").write_text("22")
    bench.folders.use("copy", keep=True)
    assert bench.rows() == {"row"}
    # PostgreSQL refuses a folder that others can enter.
    assert bench.data.stat().st_mode & 0o777 == 0o700
    assert bench.folders.size("copy") == 1


def test_what_is_moved_leaves_an_empty_database_and_comes_back(bench: Bench) -> None:
    bench.folders.move_to("old")
    assert bench.rows() == set()
    (bench.data / "new").write_text("2")
    bench.folders.use("old", keep=False)
    assert bench.rows() == {"row"}
    assert list((bench.config.postgres_dir / "kept").iterdir()) == []


def test_the_database_starts_again_after_a_failure(bench: Bench) -> None:
    with pytest.raises(FileNotFoundError):
        bench.folders.use("none", keep=True)
    assert bench.events[-1] == "start"
    assert bench.rows() == {"row"}


def test_a_copy_that_was_killed_is_made_anew(bench: Bench) -> None:
    half = bench.config.postgres_dir / "kept" / "copy.new"
    half.mkdir(parents=True)
    (half / "half").write_text("0")
    bench.folders.copy_to("copy")
    assert {path.name for path in (half.parent / "copy").iterdir()} == {"row"}


def test_an_unrecorded_move_is_undone(bench: Bench) -> None:
    bench.folders.move_to("old")
    bench.folders.undo_move("old")
    assert bench.rows() == {"row"}
    bench.folders.undo_move("old")
    assert bench.rows() == {"row"}
