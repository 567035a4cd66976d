"""`xacct-sandbox demo`: the whole pipeline once, through the same commands a person would type.

Everything that touches the pipeline is a subprocess of its public commands (`dg launch`,
`xacct reconcile`, `dagster dev`), so what is shown here is what those commands do.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from xacct_sandbox.daemon.config import HOST, SandboxConfig, SandboxError
from xacct_sandbox.daemon.lifecycle import client
from xacct_sandbox.landing import ADMIN, GENERATED_FEED

FEED = GENERATED_FEED
ASSETS = ("raw_partition", "catalog_table", "staging_table", "fact_table", "s3_export")

# 2026-11-22 17:33:18 +0000 - dagster - DEBUG - job - run id - pid - step - STEP_START - text
_EVENT = re.compile(
    r" - dagster - (?P<level>[A-Z]+) - \S+ - [0-9a-f-]{36} - (?:\d+ - )?(?P<step>\w+) - "
    r"(?:(?P<event>[A-Z][A-Z_]+) - )?(?P<text>.*)$"
)


@dataclass
class Progress:
    """Turns the event log of a run into a line per asset, with the seconds each one took."""

    say: Callable[[str], None]
    started: dict[str, float] = field(default_factory=dict)
    failure: str | None = None

    def feed_line(self, line: str) -> None:
        """Report what one line of Dagster's log means to a person, if anything."""
        found = _EVENT.search(line)
        if found is None:
            return
        name, event = found["step"].removeprefix(f"{FEED}__"), found["event"]
        if event == "STEP_START":
            self.started[name] = time.monotonic()
            if name in ASSETS:
                self.say(f"  {name} …")
        elif event == "STEP_SUCCESS" and name in ASSETS:
            self.say(f"  {name} done in {time.monotonic() - self.started[name]:.1f} s")
        elif event == "STEP_FAILURE":
            self.failure = name
            self.say(f"  {name} FAILED")
        elif event == "ASSET_CHECK_EVALUATION" and "did not pass" in found["text"]:
            self.say(f"  {found['text']}")
        elif event is None and found["level"] != "DEBUG" and not found["text"].startswith("["):
            # What starts with a bracket is the tail of a remote log, kept for the file.
            self.say(f"    {found['text']}")


def check_ui_port(port: int) -> None:
    """Refuse early, before minutes of work.

    Raises:
        SandboxError: something listens on the port already.
    """
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as problem:
            raise SandboxError(
                f"port {port} on {HOST} is taken ({problem.strerror}), so the Dagster UI cannot be "
                f"served there; end what uses it (`make stop` if it is an earlier run of this), "
                f"or choose another: make run UI_PORT={port + 1}"
            ) from problem


def days_without_files(config: SandboxConfig, days: list[date]) -> list[date]:
    """The days for which nothing has landed yet."""
    s3 = client(config, ADMIN, "s3")
    return [
        day
        for day in days
        if not s3.list_objects_v2(
            Bucket=config.input_bucket, Prefix=f"{FEED}/{day:%Y/%m/%d}/", MaxKeys=1
        )["KeyCount"]
    ]


def ranges(days: list[date]) -> Iterator[tuple[date, date]]:
    """The days as contiguous ranges, oldest first."""
    start = previous = None
    for day in sorted(days):
        if start is None or previous is None:
            start = day
        elif day - previous > timedelta(days=1):
            yield start, previous
            start = day
        previous = day
    if start is not None and previous is not None:
        yield start, previous


def reconciliation(days: list[date], environment: Mapping[str, str]) -> list[dict[str, Any]]:
    """What `xacct reconcile --json` says of the days.

    Raises:
        SandboxError: the command could not answer.
    """
    answer = subprocess.run(
        [_command("xacct"), "reconcile", "--feed", FEED, "--json", *_partition_options(days)],
        env=dict(environment),
        capture_output=True,
        text=True,
        check=False,
    )
    try:
        rows: list[dict[str, Any]] = json.loads(answer.stdout)
    except json.JSONDecodeError as problem:
        raise SandboxError(
            f"`xacct reconcile` gave no answer (exit {answer.returncode}): {answer.stderr.strip()}"
        ) from problem
    return rows


def show_reconciliation(days: list[date], environment: Mapping[str, str]) -> int:
    """Print the table for people; the exit code of `xacct reconcile`."""
    return subprocess.run(
        [_command("xacct"), "reconcile", "--feed", FEED, *_partition_options(days)],
        env=dict(environment),
        check=False,
    ).returncode


def materialize(
    first: date, last: date, environment: Mapping[str, str], log: Path, say: Callable[[str], None]
) -> None:
    """All five assets for a range of days in one run, a line of progress per asset.

    Raises:
        SandboxError: the run failed; the whole log is in the file it names.
    """
    # `dg launch` takes ranges only for assets whose backfills are never split; these are, by the
    # feed's max_days_per_run. The tags are what a backfill from the UI gives to each of its runs.
    tags = {
        "dagster/asset_partition_range_start": str(first),
        "dagster/asset_partition_range_end": str(last),
    }
    command = [
        *(_command("dagster"), "job", "execute"),
        *("--module-name", "xacct_assets.definitions", "--job", f"{FEED}_day"),
        *("--tags", json.dumps(tags)),
    ]
    progress = Progress(say)
    log.parent.mkdir(parents=True, exist_ok=True)
    with (
        log.open("w", encoding="utf-8") as record,
        subprocess.Popen(
            command,
            env=dict(environment),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        ) as run,
    ):
        if run.stdout is None:
            raise SandboxError("the run's output cannot be read")
        for line in run.stdout:
            record.write(line)
            progress.feed_line(line)
    if run.returncode != 0 or progress.failure:
        tail = log.read_text(encoding="utf-8").splitlines()[-25:]
        where = f" in {progress.failure}" if progress.failure else ""
        raise SandboxError(
            "\n".join([*tail, "", f"the run failed{where}; its whole log is in {log}"])
        )


def serve_ui(
    config: SandboxConfig, port: int, environment: Mapping[str, str], say: Callable[[str], None]
) -> int:
    """`dagster dev` in the foreground until it is ended; its pid is kept for `down`."""
    pid_file = config.home / "dagster-dev.pid"
    say(f"Dagster UI: http://{HOST}:{port}  (Ctrl-C ends the UI; `make stop` ends everything)")
    # What a shell without a terminal puts into the background is deaf to SIGINT, its children too:
    # `dagster dev` would then never end by itself.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    with subprocess.Popen(
        [_command("dagster"), "dev", "--host", HOST, "--port", str(port), "--log-level", "warning"],
        env=dict(environment),
        start_new_session=True,
    ) as served:
        pid_file.write_text(str(served.pid), encoding="utf-8")
        try:
            return served.wait()
        except KeyboardInterrupt:
            os.killpg(served.pid, signal.SIGINT)
            return served.wait()
        finally:
            pid_file.unlink(missing_ok=True)


def _partition_options(days: list[date]) -> list[str]:
    return [part for day in days for part in ("--partition", str(day))]


def _command(name: str) -> str:
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        raise SandboxError(f"`{name}` is not installed beside {sys.executable}; run `make setup`")
    return found
