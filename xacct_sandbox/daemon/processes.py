"""The processes of a sandbox, found and ended by way of /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from xacct_sandbox.daemon.config import HOME_VARIABLE, SandboxConfig, SandboxError

POLL_SECONDS = 0.05


def command_line(pid: int) -> str:
    """The command line of a process; "" if it has ended (also if it is still a zombie)."""
    try:
        return os.fsdecode(Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ")).strip()
    except OSError:
        return ""


def wait_until(condition: Callable[[], bool], seconds: float) -> bool:
    """Polls the condition for at most ``seconds``. Returns whether it became true."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(POLL_SECONDS)
    return True


def end_leftovers(config: SandboxConfig, say: Callable[[str], None]) -> None:
    """Ends processes that outlived the daemon: after a kill, or a Spark that was just starting.

    Raises:
        SandboxError: a process does not end.
    """
    # Children watch their parent and end by themselves, so they get a moment before the signals.
    for number, seconds in ((None, 0.5), (signal.SIGTERM, 5.0), (signal.SIGKILL, 5.0)):
        for pid, command in _leftovers(config):
            if number is signal.SIGKILL:
                say(f"killing a leftover process: pid {pid}, {command[:60]}")
            if number is not None:
                with contextlib.suppress(ProcessLookupError):
                    os.kill(pid, number)
        if wait_until(lambda: not list(_leftovers(config)), seconds):
            return
    remaining = ", ".join(f"{pid}: {command[:60]}" for pid, command in _leftovers(config))
    raise SandboxError(f"these processes of the sandbox cannot be ended: {remaining}")


def _leftovers(config: SandboxConfig) -> Iterator[tuple[int, str]]:
    """Processes of this home: they name its data folders, or run our modules with its variable."""
    folders = (str(config.postgres_dir), str(config.spark_dir))
    for pid, command in _others():
        if any(folder in command for folder in folders) or (
            "xacct_sandbox." in command and _has_variable(pid, HOME_VARIABLE, config.home)
        ):
            yield pid, command


def users_of_dagster_home(folder: Path) -> list[int]:
    """Dagster's processes that keep runs and events in the folder.

    `dagster dev` itself may have read it from `.env`; the processes that it starts inherit it.
    """
    return [
        pid
        for pid, command in _others()
        if "dagster" in command and _has_variable(pid, "DAGSTER_HOME", folder)
    ]


def _others() -> Iterator[tuple[int, str]]:
    """Process id and command line of each process but this one."""
    for process in Path("/proc").glob("[0-9]*"):
        pid = int(process.name)
        command = command_line(pid)
        if pid != os.getpid() and command:
            yield pid, command


def _has_variable(pid: int, name: str, value: Path) -> bool:
    """Whether a process was started with the environment variable."""
    try:
        variables = Path(f"/proc/{pid}/environ").read_bytes().split(b"\0")
    except OSError:
        return False  # it has ended, or belongs to another user
    return os.fsencode(f"{name}={value}") in variables
