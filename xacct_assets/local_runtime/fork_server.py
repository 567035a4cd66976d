"""A process that has imported what a run needs, and forks a process for each run.

Starting an interpreter and importing Dagster, boto3 and the Redshift driver costs each run one
second of an idle core and 120 MB. A fork costs milliseconds and shares the memory. Only installed
packages, and botocore's service models, are loaded in advance. Each run imports the modules of
this package itself, so an edit takes effect with the next run.

The server has one thread, which makes forking safe. It is a child of the process that launches
runs and ends with it; the runs go on.
"""

from __future__ import annotations

import contextlib
import gc
import importlib
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from xacct_assets.aws.service_models import read_ahead

#: Modules that every run imports, whatever its feed.
PRELOADED = (
    "dagster",
    "dagster._cli.api",
    "dagster._core.storage.event_log.sqlite",
    "dagster._core.storage.runs.sqlite",
    "dagster._core.storage.schedules.sqlite",
    "dagster._core.storage.local_compute_log_manager",
    "boto3",
    "boto3.session",
    "botocore.httpsession",
    "botocore.signers",
    "redshift_connector",
)

_READY = b"ready\n"


class Unreachable(Exception):
    """The fork server is gone and has not started the run, so another way may be used."""


@dataclass(frozen=True)
class RunCommand:
    """What a fork executes.

    Attributes:
        execute_run_args: argument of ``dagster api execute_run``: a serialized `ExecuteRunArgs`.
        databases: SQLite files of the run's events; see `sqlite_tuning`.
    """

    execute_run_args: str
    databases: Sequence[str] = ()

    def to_line(self) -> str:
        """The command as one line of JSON."""
        return json.dumps([self.execute_run_args, list(self.databases)])

    @classmethod
    def from_line(cls, line: str) -> RunCommand:
        """The inverse of `to_line`."""
        execute_run_args, databases = json.loads(line)
        return cls(execute_run_args, databases)


class ForkServer:
    """The launching side. Thread-safe. The server process is started at the first request.

    Args:
        preload: modules that the server imports when it starts.
    """

    def __init__(self, preload: tuple[str, ...] = PRELOADED) -> None:
        self._preload = preload
        self._lock = threading.Lock()
        self._socket: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    def fork(self, request: str) -> int:
        """Sends a request, one line, to a new fork. Returns the fork's process id.

        Raises:
            Unreachable: the request was not started; another way may be used.
            RuntimeError: the server died meanwhile, so the request may have been started.
        """
        with self._lock:
            if self._socket is None or self._process is None or self._process.poll() is not None:
                self._start()
            try:
                return self._send(request)
            except Unreachable:
                # The server was killed since its last use.
                self._start()
                return self._send(request)

    def close(self) -> None:
        """Ends the server. Processes that it forked go on."""
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
                raise Unreachable(f"the fork server cannot be started: {error}") from error
        self._socket = ours
        # A server that is not ready has started no request.
        if self._read_line() != _READY:
            self._end()
            raise Unreachable("the fork server ended before it was ready; see its messages")

    def _end(self) -> None:
        if self._socket is not None:
            self._socket.close()
            self._socket = None
        if self._process is not None:
            self._process.wait()
            self._process = None

    def _send(self, request: str) -> int:
        if self._socket is None:
            raise Unreachable("the fork server is not running")
        try:
            self._socket.sendall(request.encode() + b"\n")
        except OSError as error:
            raise Unreachable(str(error)) from error
        answer = self._read_line()
        if not answer:
            raise RuntimeError("the fork server ended while it was starting a run")
        return int(answer)

    def _read_line(self) -> bytes:
        """The server's next line; empty if the server is gone."""
        line = b""
        while self._socket is not None and not line.endswith(b"\n"):
            try:
                received = self._socket.recv(64)
            except ConnectionError:
                received = b""
            if not received:
                return b""
            line += received
        return line


def serve(connection: socket.socket, execute: Callable[[str], int]) -> None:
    """Forks for each line received, and answers with the process id, until the peer closes.

    Args:
        connection: the socket shared with the `ForkServer`.
        execute: called in the fork with the line; returns the fork's exit code.
    """
    # A terminal's Ctrl-C is meant for the runs. This process ends with the launching process.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # Nothing waits for the forks, so the kernel reaps them.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    # Objects that exist now stay in memory pages that all forks share.
    gc.collect()
    gc.freeze()
    connection.sendall(_READY)
    with connection.makefile("rb") as lines:
        for line in lines:
            pid = os.fork()
            if pid == 0:
                connection.close()
                _run_in_fork(execute, line.decode().rstrip("\n"))
            # If the launching process is gone, the loop ends at the next read.
            with contextlib.suppress(OSError):
                connection.sendall(b"%d\n" % pid)


def _run_in_fork(execute: Callable[[str], int], request: str) -> None:
    """Executes the request and exits; never returns."""
    code = 1
    try:
        signal.signal(signal.SIGINT, signal.default_int_handler)
        signal.signal(signal.SIGCHLD, signal.SIG_DFL)
        code = execute(request)
    except SystemExit as ended:
        code = ended.code if isinstance(ended.code, int) else 1
    except BaseException:  # noqa: BLE001 -- the fork's outermost frame
        traceback.print_exc()
    finally:
        # The exit handlers belong to the server process.
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)


def execute_run(line: str) -> int:
    """Runs ``dagster api execute_run`` with tuned SQLite databases. Returns 0.

    Raises:
        SystemExit: the run failed.
    """
    from dagster._cli.api import api_cli

    from xacct_assets.local_runtime.sqlite_tuning import relaxed_durability

    command = RunCommand.from_line(line)
    with relaxed_durability([Path(path) for path in command.databases]):
        api_cli.main(["execute_run", command.execute_run_args], standalone_mode=False)
    return 0


def main() -> None:
    """``python -m … FD MODULE…``: imports the modules, then serves the socket ``FD``."""
    for name in sys.argv[2:]:
        importlib.import_module(name)
    read_ahead()
    serve(socket.socket(fileno=int(sys.argv[1])), execute_run)


if __name__ == "__main__":
    main()
