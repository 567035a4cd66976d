"""Changed state is saved soon, many changes at once, and again if saving failed."""

from __future__ import annotations

import threading

import pytest

from xacct_sandbox.daemon import snapshots
from xacct_sandbox.daemon.snapshots import SnapshotWriter


class Saved:
    """Counts saves; fails the first ``failures`` of them."""

    def __init__(self, failures: int = 0) -> None:
        self.keys: list[str] = []
        self.failures = failures
        self.happened = threading.Event()

    def __call__(self, key: str) -> None:
        if self.failures:
            self.failures -= 1
            raise OSError("disk full")
        self.keys.append(key)
        self.happened.set()


def test_many_changes_at_once_are_one_save() -> None:
    saved = Saved()
    writer = SnapshotWriter(saved)
    writer.start()
    for _ in range(100):
        writer.mark(["glue"])
    writer.close()
    assert saved.keys == ["glue"]


def test_a_change_is_saved_without_waiting_for_the_end() -> None:
    saved = Saved()
    writer = SnapshotWriter(saved)
    writer.start()
    writer.mark(["iam"])
    assert saved.happened.wait(5)
    writer.close()


def test_what_is_marked_last_is_saved_before_the_end() -> None:
    saved = Saved()
    writer = SnapshotWriter(saved)
    writer.start()
    writer.mark(["s3", "iam"])
    writer.close()
    assert saved.keys == ["iam", "s3"]


def test_a_save_that_failed_is_reported_and_tried_again(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(snapshots, "FAILURE_PAUSE_SECONDS", 0.01)
    saved = Saved(failures=1)
    problems: list[str | None] = []

    def save(key: str) -> None:
        problems.append(writer.problem)
        saved(key)

    writer = SnapshotWriter(save)
    writer.start()
    writer.mark(["glue"])
    assert saved.happened.wait(5)
    writer.close()
    assert saved.keys == ["glue"]
    assert problems[0] is None
    assert "disk full" in str(problems[1])
    assert writer.problem is None
