"""One daemon to a home. The lock dies with its holder, so it never lies, even after kill -9."""

from __future__ import annotations

import fcntl
import os
from types import TracebackType

from xacct_sandbox.daemon.config import SandboxConfig, SandboxError

_NAME = "daemon.lock"


class HomeLock:
    """Held by the daemon for as long as it lives."""

    def __init__(self, config: SandboxConfig) -> None:
        self._home = config.home
        self._file = -1

    def __enter__(self) -> HomeLock:
        """Raises SandboxError if another daemon holds it."""
        # Not inherited: a child that outlived us must not look like us.
        self._file = os.open(self._home / _NAME, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as taken:
            pid = os.read(self._file, 32).decode().strip()
            os.close(self._file)
            raise SandboxError(
                f"another sandbox (pid {pid}) runs in {self._home}; "
                "stop it with `xacct-sandbox down`"
            ) from taken
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, str(os.getpid()).encode(), 0)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        os.close(self._file)


def daemon_pid(config: SandboxConfig) -> int | None:
    """The process id of the daemon that runs in this home, or None."""
    path = config.home / _NAME
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        text = os.read(file, 32).decode().strip()
        return int(text) if text else None
    else:
        return None
    finally:
        os.close(file)
