"""One daemon per home. The lock is an ``flock``, so the kernel releases it even after kill -9."""

from __future__ import annotations

import fcntl
import os
from types import TracebackType

from xacct_sandbox.daemon.config import SandboxConfig, SandboxError

_NAME = "daemon.lock"


class InstanceLock:
    """Context manager: the daemon holds the lock for as long as it runs."""

    def __init__(self, config: SandboxConfig) -> None:
        self._home = config.home
        self._file = -1

    def __enter__(self) -> InstanceLock:
        """Takes the lock and writes the process id into its file.

        Raises:
            SandboxError: another daemon holds the lock.
        """
        # O_CLOEXEC: a child that outlives the daemon must not keep the lock.
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
