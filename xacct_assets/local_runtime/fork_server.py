"""A process that has imported everything a run needs, and becomes a run's process by forking.

Starting an interpreter and importing Dagster, boto3 and the Redshift driver costs a run a second of
an idle core, several of a busy one, and 120 MB; a fork costs milliseconds and shares the memory.
Only what is installed is imported beforehand, and botocore's descriptions of the services: the
pipeline's own modules are read anew by each run, as by a process of its own, so an edit counts at
once.

The warm process has a single thread, which is what makes forking safe, and is a child of whoever
launches runs. It ends when that one does; the runs go on.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable

from xacct_assets.aws.service_models import read_ahead

#: What a run imports sooner or later, whatever its feed.
PRELOADED = (
    "dagster",
    "dagster._cli.api",
    "dagster._core.storage.event_log.sqlite",
    "dagster._core.storage.runs.sqlite",
    "dagster._core.storage.schedules.sqlite",
    "dagster._core.storage.local_compute_log_manager",
    "dagster_aws.pipes",
    "boto3",
    "boto3.session",
    "botocore.httpsession",
    "botocore.signers",
    "redshift_connector",
)


_READY = b"ready\n"


class Unreachable(Exception):
    """The warm process is gone, and has not begun what it was asked for."""


class ForkServer:
    """The launching side. Safe to share between threads; the process is started when first needed.

    Args:
        preload: modules to import beforehand.
    """

    def __init__(self, preload: tuple[str, ...] = PRELOADED) -> None:
        self._preload = preload
        self._lock = threading.Lock()
        self._door: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def fork(self, request: str) -> int:
        """Have a fork run ``dagster api execute_run`` with this argument; its process id.

        Raises:
            Unreachable: nothing was begun; another way to run it may be taken.
            RuntimeError: the process died while it was asked, so that it may have begun.
        """
        with self._lock:
            if self._door is None or self._process is None or self._process.poll() is not None:
                self._start()
            try:
                return self._ask(request)
            except Unreachable:
                # It was killed since it was last used.
                self._start()
                return self._ask(request)

    def close(self) -> None:
        """End the warm process; what it forked goes on."""
        with self._lock:
            self._end()

    def _start(self) -> None:
        self._end()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [sys.executable, "-m", __name__, str(theirs.fileno()), *self._preload],
                    pass_fds=[theirs.fileno()],
                    stdin=subprocess.DEVNULL,
                )
            except OSError as error:
                ours.close()
                raise Unreachable(f"it cannot be started: {error}") from error
        self._door = ours
        # It says so when its imports are done: whatever it is asked before, it has not begun.
        if self._line() != _READY:
            self._end()
            raise Unreachable("it ended before it was ready; its messages say why")

    def _end(self) -> None:
        if self._door is not None:
            self._door.close()
            self._door = None
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _ask(self, request: str) -> int:
        if self._door is None:
            raise Unreachable("it is not running")
        try:
            self._door.sendall(request.encode() + b"\n")
        except OSError as error:
            raise Unreachable(str(error)) from error
        answer = self._line()
        if not answer:
            raise RuntimeError("the warm process ended while it was asked to start a run")
        return int(answer)

    def _line(self) -> bytes:
        """The next line that it says; empty if it is gone."""
        line = b""
        while self._door is not None and not line.endswith(b"\n"):
            try:
                piece = self._door.recv(64)
            except ConnectionError:
                piece = b""
            if not piece:
                return b""
            line += piece
        return line


def serve(door: socket.socket, execute: Callable[[str], int]) -> None:
    """Fork for each line that arrives and answer the process id, until the other side is closed.

    In a fork, ``execute`` is called with the line; the fork ends with the exit code it returns.
    """
    # A terminal's Ctrl-C is for the runs; this process ends with the one that launches.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Nobody waits for the forks: the kernel takes them away when they end.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # What is there now stays in memory that all forks share.
    gc.collect()
    gc.freeze()
    door.sendall(_READY)
    with door.makefile("rb") as lines:
        for line in lines:
            pid = os.fork()
            if pid == 0:
                door.close()
                _become(execute, line.decode().rstrip("\n"))
            # A launcher that is gone hears nothing, and the next line does not come.
            with contextlib.suppress(OSError):
                door.sendall(b"%d\n" % pid)


def _become(execute: Callable[[str], int], request: str) -> None:
    """Be the fork; never returns."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        code = execute(request)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 -- a fork has nobody to raise it to
        traceback.print_exc()
    finally:
        # Not through the exit handlers: they are of the process that was forked from.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def execute_run(request: str) -> int:
    """What ``dagster api execute_run`` does."""
    from dagster._cli.api import api_cli

    api_cli.main(["execute_run", request], standalone_mode=False)
    return 0


def main() -> None:
    """``python -m … FD MODULE…``: import the modules, then serve the socket."""
    for name in sys.argv[2:]:
        importlib.import_module(name)
    read_ahead()
    serve(socket.socket(fileno=int(sys.argv[1])), execute_run)


if __name__ == "__main__":
    main()
