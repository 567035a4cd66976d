"""A Spark worker that cannot start tells why, at once; the path of its folder does not matter."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.glue.jobs import worker
from xacct_sandbox.glue.jobs.worker import Worker, WorkerFailed


@pytest.mark.parametrize(
    ("script", "reasons"),
    [
        ("echo 'libpython3.11.so.1.0: not found' >&2; exit 127", ["libpython3.11.so.1.0", "127"]),
        ("echo starting; kill -9 $$", ["starting", "SIGKILL"]),
        ("sleep 30 & echo half-way >&2; exit 0", ["half-way", "exit code 0"]),
        ("exit 3", ["(none)", "exit code 3"]),
    ],
)
def test_a_worker_that_dies_at_its_start_is_told_at_once_with_its_output(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str, reasons: list[str]
) -> None:
    python = tmp_path / "python"
    python.write_text(f"#!/bin/sh\n{script}\n")
    python.chmod(0o755)
    monkeypatch.setattr(worker.sys, "executable", str(python))
    started = time.monotonic()
    with pytest.raises(WorkerFailed) as failure:
        Worker.start(SandboxConfig(home=tmp_path), tmp_path / "worker", "512m")
    assert time.monotonic() - started < 5
    assert all(reason in str(failure.value) for reason in reasons), failure.value


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_spark_starts_in_a_folder_with_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locale: str
) -> None:
    monkeypatch.setenv("LC_ALL", locale)
    home = tmp_path / 'it\'s my "Größe" dir #1 100%' / ".xacct"
    home.mkdir(parents=True)
    started = Worker.start(SandboxConfig(home=home), home / "spark" / "worker-1", "512m")
    try:
        assert started.alive
    finally:
        started.kill()
