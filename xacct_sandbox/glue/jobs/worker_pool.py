"""The Spark workers of this machine.

A run takes an idle worker and gives it back. One worker is started before it is needed. More are
started, up to a limit, when a run has waited for a while: on AWS each run has its own machines,
here all share two cores. A run that is stopped or times out has its worker killed, and a new one
is started.
"""

from __future__ import annotations

import collections
import logging
import shutil
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.glue.jobs.worker import JIT_VARIABLE, MEMORY_VARIABLE, Worker, WorkerFailed

logger = logging.getLogger(__name__)

WORKERS_VARIABLE = "XACCT_SANDBOX_SPARK_WORKERS"
WARM_VARIABLE = "XACCT_SANDBOX_SPARK_WARM"

GROW_AFTER_SECONDS = 15.0
"""How long a run waits for a busy worker before another is started: most loads are shorter."""
POLL_SECONDS = 0.1


@dataclass(frozen=True)
class WorkerSettings:
    """The share of the machine that Spark may use.

    Attributes:
        workers: most workers at the same time.
        memory: heap of a worker's JVM, as Java writes it (``1g``).
        warm: a worker is started with the sandbox, before a run needs it.
    """

    workers: int
    memory: str
    warm: bool

    @classmethod
    def from_environment(cls, env: Mapping[str, str]) -> WorkerSettings:
        """The settings in environment variables.

        Raises:
            SandboxError: naming a variable with an invalid value.
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
        jit = env.get(JIT_VARIABLE) or "c1"
        if jit not in ("c1", "default"):  # the worker reads it itself
            raise SandboxError(f"{JIT_VARIABLE}={jit!r} must be c1 or default")
        return cls(workers=int(workers), memory=memory, warm=warm == "1")


class WaitEnded(Exception):
    """The run was stopped before a worker was free."""


class WorkerPool:
    """Hands out workers in the order in which runs asked for them.

    Args:
        config: of the sandbox.
        settings: how many workers there may be.
    """

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
        """Why the last worker could not be started; None if it could."""
        return self._problem

    def start(self) -> None:
        """Remove the files of an earlier process, and start the first worker in the background."""
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
        """Wait for a free worker.

        Args:
            stopped: is polled; the wait ends when it is true.

        Raises:
            WaitEnded: ``stopped`` became true first.
            WorkerFailed: no worker can be started.
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
                        self._drop_dead()
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
        """Take a worker back; it is kept for the next run, or killed and replaced."""
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

    def _drop_dead(self) -> None:
        for worker in [worker for worker in self._idle if not worker.alive]:
            self._idle.remove(worker)
            worker.kill()
            logger.error("a Spark worker ended while it was idle:\n%s", worker.last_output())

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
            logger.error("%s", problem)  # noqa: TRY400 -- the message holds the whole reason
        with self._changed:
            self._starting -= 1
            self._problem = problem
            closed = self._closed
            if worker is not None and not closed:
                self._idle.append(worker)
            self._changed.notify_all()
        if worker is not None and closed:
            worker.kill()
