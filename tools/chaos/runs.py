"""The runs of a seed: started in processes, a few at a time, killed, terminated, re-executed.

This does what Dagster's daemon does for runs (queue, run monitoring, run retries), without waiting
for its ticks: one run of a feed is executed at a time, as its pool allows; a run whose process is
gone is failed and re-executed from failure, at most twice.
"""

from __future__ import annotations

import multiprocessing
import os
import signal
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from multiprocessing.process import BaseProcess
from pathlib import Path

import dagster as dg

from tests.support.project import ROOT
from tools.chaos.run_process import NUMBER_TAG, execute
from tools.chaos.schedule import Ending

MAX_CONCURRENT_RUNS = 3
RETRIES = 2
# A run that takes longer counts as hung. The slowest runs take a third of this.
RUN_SECONDS = 300.0
# Seconds until a dead process is noticed, as with the interval of run monitoring.
DETECTION_SECONDS = 2.0

RETRY_TAG = "dagster/retry_number"
RESUME_TAG = "dagster/is_resume_retry"


class Hung(Exception):
    """Something did not end within its bound; the message has stacks and log tails."""


@dataclass
class Run:
    """One run, from its request on.

    Attributes:
        number: position among the seed's runs, from 1.
        label: feed and days, for the timeline.
        ending: how the run is to be ended from outside.
        reexecuted: whether the run is re-executed from failure if it does not succeed.
        parent: id of the run that this one re-executes.
        launched: start of the process, on the monotonic clock.
        ended: when the process was seen to have ended.
        ended_by: how the run was ended from outside.
    """

    number: int
    feed: str
    tags: Mapping[str, str]
    label: str
    ending: Ending | None = None
    reexecuted: bool = False
    parent: str | None = None
    process: BaseProcess | None = None
    launched: float = 0.0
    ended: float | None = None
    ended_by: str | None = None
    run_id: str | None = None
    status: dg.DagsterRunStatus | None = None


@dataclass
class Runs:
    """All runs of a seed.

    Args:
        home: DAGSTER_HOME of the seed.
        instance: the Dagster instance of the seed.
        say: called with each event of a run.
    """

    home: Path
    instance: dg.DagsterInstance
    say: Callable[[str], None]
    all: list[Run] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._context = multiprocessing.get_context("forkserver")
        self._context.set_forkserver_preload(["tools.chaos.preload"])
        self._waiting: list[Run] = []
        self._running: list[Run] = []

    @property
    def busy(self) -> int:
        """Number of runs that have not ended, with those that wait."""
        return len(self._waiting) + len(self._running)

    def launch(
        self,
        feed: str,
        tags: Mapping[str, str],
        label: str,
        *,
        ending: Ending | None = None,
        reexecuted: bool = False,
        parent: Run | None = None,
    ) -> Run:
        """Request a run. It starts when its feed's pool and MAX_CONCURRENT_RUNS allow it."""
        number = len(self.all) + 1
        run = Run(
            number,
            feed,
            {**tags, NUMBER_TAG: str(number)},
            label,
            ending,
            reexecuted,
            parent.run_id if parent else None,
        )
        self.all.append(run)
        self._waiting.append(run)
        self.advance()
        return run

    def advance(self) -> None:
        """Start, end and re-execute the runs that are due. To be called often."""
        for run in list(self._running):
            # A run that ended may have launched another one, which calls this method.
            if run in self._running:
                self._check(run)
        for run in list(self._waiting):
            busy_feeds = {other.feed for other in self._running}
            if len(self._running) < MAX_CONCURRENT_RUNS and run.feed not in busy_feeds:
                self._waiting.remove(run)
                self._start(run)

    def settle(self, seconds: float, at_most: int = 0) -> None:
        """Wait until at most ``at_most`` runs have not ended.

        Raises:
            Hung: it takes longer than ``seconds``.
        """
        until = time.monotonic() + seconds
        while self.busy > at_most:
            if time.monotonic() > until:
                raise Hung(
                    f"{self.busy} runs have not ended after {seconds:.0f} s\n{self.stacks()}"
                )
            self.advance()
            time.sleep(0.1)

    def stacks(self) -> str:
        """The end of each running process's log, with its stacks."""
        for run in self._running:
            _signal(run, signal.SIGUSR1)
        time.sleep(1)
        return "\n".join(f"-- {run.label}\n{self._tail(run)}" for run in self._running)

    def end(self) -> None:
        """Kill all running processes."""
        self._waiting.clear()
        for run in self._running:
            _signal(run, signal.SIGKILL)
            assert run.process is not None
            run.process.join()
        self._running.clear()

    # -- one run -------------------------------------------------------------------------------

    def log_of(self, run: Run) -> Path:
        """The file with the output of the run's process."""
        return self.home / "compute" / f"{run.number:03d}.log"

    def _tail(self, run: Run) -> str:
        log = self.log_of(run)
        if not log.exists():
            return "(no output)"
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-120:])

    def _start(self, run: Run) -> None:
        log = self.log_of(run)
        log.parent.mkdir(exist_ok=True)
        # The fork server imports the project from its working directory.
        before = Path.cwd()
        os.chdir(ROOT)
        try:
            run.process = self._context.Process(
                target=execute,
                args=(dict(os.environ), run.feed, dict(run.tags), run.parent, str(log)),
                daemon=True,
            )
            run.process.start()
        finally:
            os.chdir(before)
        run.launched = time.monotonic()
        self._running.append(run)

    def _check(self, run: Run) -> None:
        process = run.process
        assert process is not None
        if process.is_alive():
            if run.ending is not None and run.ended_by is None:
                self._end_if_due(run)
            if time.monotonic() - run.launched > RUN_SECONDS:
                raise Hung(f"{run.label} has not ended after {RUN_SECONDS:.0f} s\n{self.stacks()}")
            return
        if run.ended is None:
            run.ended = time.monotonic()
        record = self._record(run)
        if record is None:
            # Killed before it created its run: nothing was started.
            self._close(run, None)
            return
        status = record.dagster_run.status
        if record.dagster_run.is_finished:
            self._close(run, status)
        elif time.monotonic() - run.ended > DETECTION_SECONDS:
            self._fail(run, record.dagster_run)

    def _record(self, run: Run) -> dg.RunRecord | None:
        if run.run_id is not None:
            return self.instance.get_run_record_by_id(run.run_id)
        run_filter = dg.RunsFilter(tags={NUMBER_TAG: str(run.number)})
        records = self.instance.get_run_records(run_filter, limit=1)
        if records:
            run.run_id = records[0].dagster_run.run_id
        return records[0] if records else None

    def _end_if_due(self, run: Run) -> None:
        """End the run from outside, once its step has run for long enough."""
        assert run.ending is not None
        record = self._record(run)
        if record is None:
            return
        began = [
            entry.timestamp
            for entry in self.instance.all_logs(
                record.dagster_run.run_id, of_type=dg.DagsterEventType.STEP_START
            )
            if entry.step_key == f"{run.feed}__{run.ending.step}"
        ]
        if not began or time.time() < began[0] + run.ending.after:
            return
        run.ended_by = run.ending.how
        self.say(f"{run.label}: {run.ending.how} in {run.ending.step}")
        if run.ending.how == "terminated":
            self.instance.report_run_canceling(record.dagster_run)
            _signal(run, signal.SIGINT)
        else:
            _signal(run, signal.SIGKILL)

    def _fail(self, run: Run, dagster_run: dg.DagsterRun) -> None:
        """Fail a run whose process is gone, as run monitoring does."""
        if dagster_run.status is dg.DagsterRunStatus.CANCELING:
            self.instance.report_run_canceled(dagster_run)
        else:
            self.instance.report_run_failed(
                dagster_run, "its process has ended without reporting a result"
            )
        self._close(run, None)

    def _close(self, run: Run, status: dg.DagsterRunStatus | None) -> None:
        self._running.remove(run)
        run.status = status
        if run.run_id is None:
            self.say(f"{run.label}: killed before it started")
            return
        record = self.instance.get_run_record_by_id(run.run_id)
        assert record is not None
        run.status = record.dagster_run.status
        self.say(f"{run.label}: {run.status.value.lower()}")
        retry = int(run.tags.get(RETRY_TAG, "0")) + 1
        process_died = status is None and run.status is dg.DagsterRunStatus.FAILURE
        by_hand = run.reexecuted and run.status is not dg.DagsterRunStatus.SUCCESS
        if (process_died and retry <= RETRIES) or by_hand:
            tags = {name: value for name, value in run.tags.items() if name != NUMBER_TAG}
            tags |= {RESUME_TAG: "true"} | ({RETRY_TAG: str(retry)} if process_died else {})
            self.launch(run.feed, tags, f"{run.label}, re-executed", parent=run)


def _signal(run: Run, number: signal.Signals) -> None:
    process = run.process
    assert process is not None
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, number)
