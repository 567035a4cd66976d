"""A PostgreSQL server that an earlier, killed sandbox has left in a data folder."""

from __future__ import annotations

import contextlib
import logging
import os
import signal
import subprocess
import time
from pathlib import Path

from xacct_sandbox.daemon.config import SandboxError

logger = logging.getLogger(__name__)

GONE_SECONDS = 20.0
"""How long the processes of a dead server may take to end."""


def stop_stale_server(data: Path, socket_path: Path) -> None:
    """End a server that still uses the data folder, and remove what a dead one left there.

    Raises:
        SandboxError: It does not end. Two servers must not share a data folder.
    """
    lines = pid_file_lines(data)
    if not lines or not lines[0].strip().isdigit():
        return
    pid = int(lines[0])
    if not _is_server_of(pid, data):
        _remove_stale_files(pid, data, socket_path)
        return
    logger.warning("a PostgreSQL of an earlier sandbox (pid %s) is still running; ending it", pid)
    for number, seconds in ((signal.SIGINT, 10.0), (signal.SIGQUIT, 5.0), (signal.SIGKILL, 5.0)):
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, number)
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            if not _is_server_of(pid, data):
                return
            time.sleep(0.02)
    raise SandboxError(f"process {pid} still uses {data}; end it and start again")


def pid_file_lines(data: Path) -> list[str]:
    """The lines of ``postmaster.pid``; none if there is no server."""
    try:
        return (data / "postmaster.pid").read_text().splitlines()
    except FileNotFoundError:
        return []


def _remove_stale_files(pid: int, data: Path, socket_path: Path) -> None:
    """Remove the pid and lock file of a killed server whose process has not been reaped.

    PostgreSQL would take that process for a running server. Done only where /proc shows that no
    process works in the data folder.
    """
    if not Path(f"/proc/{pid}/stat").exists():
        return  # PostgreSQL sees by itself that the process is gone (or there is no /proc)
    deadline = time.monotonic() + GONE_SECONDS
    while _processes_in(data):
        if time.monotonic() > deadline:
            raise SandboxError(f"processes {_processes_in(data)} still use {data}; end them")
        time.sleep(0.05)
    for left in (data / "postmaster.pid", socket_path.with_suffix(".5432.lock")):
        left.unlink(missing_ok=True)


def _is_server_of(pid: int, data: Path) -> bool:
    completed = subprocess.run(
        ["ps", "-o", "stat=,args=", "-p", str(pid)],  # noqa: S607
        # `ps` shows other than ASCII characters in a locale that has them.
        env={**os.environ, "LC_ALL": "C.UTF-8"},
        capture_output=True,
        text=True,
        encoding="utf-8",
        errors="surrogateescape",
        check=False,
    )
    line = completed.stdout.strip()
    return bool(line) and not line.startswith("Z") and str(data) in line


def _processes_in(data: Path) -> list[int]:
    """The processes whose working folder is ``data``: those of its PostgreSQL server."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(OSError):
                if Path(os.readlink(entry / "cwd")) == data:
                    found.append(int(entry.name))
    return found
