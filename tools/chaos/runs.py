"""The runs of a seed: started in processes, at most a few at a time; killed, terminated, taken up.

What Dagster's daemon does for runs (the queue, run monitoring, run retries) is done here in the
same steps, without waiting for its ticks: a run whose process is gone is failed, its places in the
pools are freed, and it is re-executed from failure, twice at most.
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

AT_ONCE = 3
RETRIES = 2
# A run that takes longer than this hangs. The slowest of those that do not take a third of it.
RUN_SECONDS = 300.0
# Seconds that a dead process stays unseen, as it does until run monitoring looks again.
UNSEEN_SECONDS = 2.0

RETRY_TAG = "dagster/retry_number"
RESUME_TAG = "dagster/is_resume_retry"


class Hung(Exception):
    """Something did not end within its bound; the text has the stacks or the last words."""


@dataclass
class Run:
    """One run, from when it was asked for."""

    number: int
    feed: str
    tags: Mapping[str, str]
    what: str
    ending: Ending | None = None
    taken_up: bool = False
    parent: str | None = None
    process: BaseProcess | None = None
    launched: float = 0.0
    ended: float | None = None
    struck: str | None = None
    """How it was ended from outside."""
    run_id: str | None = None
    status: dg.DagsterRunStatus | None = None


@dataclass
class Runs:
    """All runs of a seed.

    Args:
        home: of the seed's Dagster instance.
        say: told what happens to runs.
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
        """Runs that have not ended, waiting ones too."""
        return len(self._waiting) + len(self._running)

    def launch(
        self,
        feed: str,
        tags: Mapping[str, str],
        what: str,
        *,
        ending: Ending | None = None,
        taken_up: bool = False,
        parent: Run | None = None,
    ) -> Run:
        """Ask for a run; it starts once there is room."""
        number = len(self.all) + 1
        run = Run(
            number,
            feed,
            {**tags, NUMBER_TAG: str(number)},
            what,
            ending,
            taken_up,
            parent.run_id if parent else None,
        )
        self.all.append(run)
        self._waiting.append(run)
        self.pump()
        return run

    def pump(self) -> None:
        """Start, end and take up what is due. Call it often."""
        for run in list(self._running):
            # A run that ended may have launched another, and so have pumped already.
            if run in self._running:
                self._look_at(run)
        while self._waiting and len(self._running) < AT_ONCE:
            self._start(self._waiting.pop(0))

    def settle(self, seconds: float, at_most: int = 0) -> None:
        """Wait until no more than so many runs have not ended.

        Raises:
            Hung: it takes longer than ``seconds``.
        """
        until = time.monotonic() + seconds
        while self.busy > at_most:
            if time.monotonic() > until:
                raise Hung(
                    f"{self.busy} runs have not ended after {seconds:.0f} s\n{self.stacks()}"
                )
            self.pump()
            time.sleep(0.1)

    def stacks(self) -> str:
        """What each running process is doing: its last words and its stacks."""
        for run in self._running:
            _signal(run, signal.SIGUSR1)
        time.sleep(1)
        return "\n".join(f"-- {run.what}\n{self._tail(run)}" for run in self._running)

    def end(self) -> None:
        """Kill what still runs."""
        self._waiting.clear()
        for run in self._running:
            _signal(run, signal.SIGKILL)
            assert run.process is not None
            run.process.join()
        self._running.clear()

    # -- one run -------------------------------------------------------------------------------

    def log_of(self, run: Run) -> Path:
        """Everything its process said."""
        return self.home / "compute" / f"{run.number:03d}.log"

    def _tail(self, run: Run) -> str:
        log = self.log_of(run)
        if not log.exists():
            return "(it has said nothing)"
        return "\n".join(log.read_text(encoding="utf-8", errors="replace").splitlines()[-120:])

    def _start(self, run: Run) -> None:
        log = self.log_of(run)
        log.parent.mkdir(exist_ok=True)
        # The process that the runs are forked from is found through the folder it is started in.
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

    def _look_at(self, run: Run) -> None:
        process = run.process
        assert process is not None
        if process.is_alive():
            if run.ending is not None and run.struck is None:
                self._strike_if_due(run)
            if time.monotonic() - run.launched > RUN_SECONDS:
                raise Hung(f"{run.what} has not ended after {RUN_SECONDS:.0f} s\n{self.stacks()}")
            return
        if run.ended is None:
            run.ended = time.monotonic()
        record = self._record(run)
        if record is None:
            # Killed before it had made its run: nothing was begun.
            self._close(run, None)
            return
        status = record.dagster_run.status
        if record.dagster_run.is_finished:
            self._close(run, status)
        elif time.monotonic() - run.ended > UNSEEN_SECONDS:
            self._fail(run, record.dagster_run)

    def _record(self, run: Run) -> dg.RunRecord | None:
        if run.run_id is not None:
            return self.instance.get_run_record_by_id(run.run_id)
        wanted = dg.RunsFilter(tags={NUMBER_TAG: str(run.number)})
        records = self.instance.get_run_records(wanted, limit=1)
        if records:
            run.run_id = records[0].dagster_run.run_id
        return records[0] if records else None

    def _strike_if_due(self, run: Run) -> None:
        """End the run from outside once it has been at its step for long enough."""
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
        run.struck = run.ending.how
        self.say(f"{run.what}: {run.ending.how} in {run.ending.step}")
        if run.ending.how == "terminated":
            self.instance.report_run_canceling(record.dagster_run)
            _signal(run, signal.SIGINT)
        else:
            _signal(run, signal.SIGKILL)

    def _fail(self, run: Run, dagster_run: dg.DagsterRun) -> None:
        """What run monitoring does with a run whose process is gone."""
        if dagster_run.status is dg.DagsterRunStatus.CANCELING:
            self.instance.report_run_canceled(dagster_run)
        else:
            self.instance.report_run_failed(dagster_run, "its process is gone without a word")
        self._close(run, None)

    def _close(self, run: Run, status: dg.DagsterRunStatus | None) -> None:
        self._running.remove(run)
        run.status = status
        if run.run_id is None:
            self.say(f"{run.what}: killed before it began")
            return
        self.instance.event_log_storage.free_concurrency_slots_for_run(run.run_id)
        record = self.instance.get_run_record_by_id(run.run_id)
        assert record is not None
        run.status = record.dagster_run.status
        self.say(f"{run.what}: {run.status.value.lower()}")
        retry = int(run.tags.get(RETRY_TAG, "0")) + 1
        gone = status is None and run.status is dg.DagsterRunStatus.FAILURE
        asked = run.taken_up and run.status is not dg.DagsterRunStatus.SUCCESS
        if (gone and retry <= RETRIES) or asked:
            tags = {name: value for name, value in run.tags.items() if name != NUMBER_TAG}
            tags |= {RESUME_TAG: "true"} | ({RETRY_TAG: str(retry)} if gone else {})
            self.launch(run.feed, tags, f"{run.what}, taken up", parent=run)


def _signal(run: Run, number: signal.Signals) -> None:
    process = run.process
    assert process is not None
    if process.pid is not None and process.is_alive():
        os.kill(process.pid, number)
