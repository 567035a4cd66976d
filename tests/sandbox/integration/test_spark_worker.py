"""A Spark worker that cannot start tells why, at once; the path of its folder does not matter."""

from __future__ import annotations

import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from xacct_sandbox.credentials import Credentials
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.glue.jobs import worker
from xacct_sandbox.glue.jobs.worker import Ended, Script, Worker, WorkerFailed

WARMING_UP_SECONDS = 1.0
"""Until the first round of the warm-up has begun: a script then waits for its end."""


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


# In one folder: each start of Spark takes as long as many tests.
NAME = """it's my repo dir é 100% "Größe" #1 [old] {a} *"""


def test_spark_warms_up_and_runs_a_script_in_a_folder_with_any_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LC_ALL", "C")
    home = tmp_path / NAME / ".xacct"
    folder = home / "runs"
    folder.mkdir(parents=True)
    (folder / "job.py").write_text("import time; print(time.tzname[0], 'ü')")
    credentials = Credentials("AKIA", "secret", "token", datetime.now(UTC) + timedelta(hours=1))
    script = Script("jr_1", folder / "job.py", folder, [], [], credentials)
    lines: list[tuple[str, str]] = []
    started = Worker.start(SandboxConfig(home=home), home / "spark" / "worker-1", "512m")
    try:
        time.sleep(WARMING_UP_SECONDS)
        ended = started.execute(
            script, lambda *line: lines.append(line), lambda: None, lambda: None
        )
    finally:
        started.kill()
    assert ended == Ended(), ended
    assert lines == [("output", "UTC ü")]
