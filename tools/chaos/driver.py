"""Executes a schedule, then lets the pipeline recover."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from random import Random
from typing import Any

import dagster as dg

from tests.support.pipeline import tags
from tools.chaos.accounts import Accounts
from tools.chaos.files import body_of
from tools.chaos.mix import draw
from tools.chaos.runs import Hung, Runs
from tools.chaos.schedule import (
    FAULTS,
    FEEDS,
    Action,
    Delete,
    Inject,
    Launch,
    Pause,
    Put,
    Replace,
    Schedule,
    Tick,
)
from tools.chaos.sensors import SETTLE_SECONDS, Sensors
from xacct_assets.aws_clients import AwsClients
from xacct_assets.feed.partitions import contiguous
from xacct_assets.feed.reconciliation.collection import reconcile
from xacct_sandbox import faults
from xacct_sandbox.faults import Fault

# A seed that takes longer counts as hung.
SCHEDULE_SECONDS = 900.0
RECOVERY_SECONDS = 600.0
# Rounds of recovery. Each is a tick of both sensors and a reconciliation.
RECOVERY_ROUNDS = 6
# Rounds of further faults and runs, if too few of the planned faults were injected.
EXTRA_ROUNDS = 8


@dataclass
class Timeline:
    """What was done and what happened, with times in UTC."""

    entries: list[tuple[str, str]] = field(default_factory=list)
    echo: Callable[[str], None] | None = None

    def say(self, text: str) -> None:
        """Add an entry."""
        self.entries.append((datetime.now(UTC).isoformat(timespec="milliseconds"), text))
        if self.echo is not None:
            self.echo(text)


class Driver:
    """Executes one seed.

    Args:
        accounts: the accounts that no other seed uses.
        schedule: of the seed.
        runs: of the seed.
        definitions: the project's, loaded with the environment of the accounts.
        aws: the pipeline's clients, for `reconcile`.
        timeline: receives every action and event.
    """

    def __init__(
        self,
        accounts: Accounts,
        schedule: Schedule,
        runs: Runs,
        definitions: dg.Definitions,
        aws: AwsClients,
        timeline: Timeline,
    ) -> None:
        self._accounts = accounts
        self._schedule = schedule
        self._runs = runs
        self._aws_clients = aws
        self._timeline = timeline
        self._sensors = Sensors(accounts.feeds, schedule.days, definitions, runs, timeline.say)
        self._until = 0.0

    def execute(self, at_least: int = FAULTS) -> None:
        """Execute all actions, then further faults and runs until enough faults were injected.

        Args:
            at_least: number of faults to inject.

        Raises:
            Hung: a run does not end, or the schedule takes too long.
        """
        self._until = time.monotonic() + SCHEDULE_SECONDS
        for action in self._schedule.actions:
            self._do(action)
        random = Random(f"more {self._schedule.seed}")
        for _ in range(EXTRA_ROUNDS):
            self._runs.settle(self._left(), at_most=1)
            if self._injected() >= at_least:
                break
            self._do(Inject(draw(random, 12)))
            for feed in FEEDS:
                first = random.randrange(self._schedule.days)
                self._do(Launch(feed, first, min(first + 1, self._schedule.days - 1)))
        self._runs.settle(self._left(), at_most=1)

    def _left(self) -> float:
        left = self._until - time.monotonic()
        if left <= 0:
            raise Hung(f"the seed takes longer than its bound\n{self._runs.stacks()}")
        return left

    def _injected(self) -> int:
        return len(faults.log(self._accounts.sandbox.config))

    def _do(self, action: Action) -> None:
        self._left()
        self._runs.advance()
        match action:
            case Put(feed, day, name, version):
                self._say(f"put {feed} {self._day(day)} {name} version {version}")
                self._accounts.put(feed, self._day(day), name, self._body(action))
            case Delete(feed, day, name):
                self._say(f"delete {feed} {self._day(day)} {name}")
                self._accounts.delete(feed, self._day(day), name)
            case Inject(planned):
                for fault in planned:
                    self._say(f"plan {_describe(fault)}")
                faults.add(self._accounts.sandbox.config, *planned)
            case Replace(feed, day, name, version, after):
                self._say(f"plan object_replaced {feed} {self._day(day)} {name} v{version}")
                key = self._accounts.raw_prefix(feed, self._day(day)) + name
                replaced = Fault(
                    "object_replaced",
                    service="s3",
                    operation="GetObject",
                    match=key,
                    after=after,
                    body=self._body(action).decode(),
                )
                faults.add(self._accounts.sandbox.config, replaced)
            case Launch(feed, first, last, ending, reexecuted):
                days = self._day(first), self._day(last)
                self._launch(feed, *days, ending=ending, reexecuted=reexecuted)
            case Tick():
                self._sensors.tick(action)
            case Pause(seconds):
                self._wait(seconds)
        # A longer queue would separate the runs from the faults planned for them.
        self._runs.settle(self._left(), at_most=4)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._runs.advance()
            time.sleep(0.05)

    def _launch(self, feed: str, first: date, last: date, **options: Any) -> None:
        single = first == last
        label = f"{feed} {first}" if single else f"{feed} {first}...{last}"
        self._say(f"launch {label}")
        self._runs.launch(feed, tags(str(first), None if single else str(last)), label, **options)

    def _body(self, file: Put | Replace) -> bytes:
        return body_of(self._schedule.seed, file.feed, file.day, file.name, file.version)

    def _day(self, number: int) -> date:
        return self._accounts.days[number]

    def _say(self, text: str) -> None:
        self._timeline.say(text)

    def recover(self) -> list[str]:
        """Remove all faults, then run what sensors and reconciliation request, until nothing.

        Returns:
            What is still wrong after the last round.

        Raises:
            Hung: a run does not end.
        """
        faults.clear(self._accounts.sandbox.config)
        self._say("recovery: no more faults")
        self._until = time.monotonic() + RECOVERY_SECONDS
        problems: list[str] = []
        for _ in range(RECOVERY_ROUNDS):
            self._runs.settle(self._left())
            time.sleep(SETTLE_SECONDS + 0.5)
            requested = sum(self._sensors.tick(Tick(feed)) for feed in FEEDS)
            self._runs.settle(self._left())
            problems = self._reconcile()
            if not requested and not problems:
                return []
        return problems or ["the sensors still request runs"]

    def _reconcile(self) -> list[str]:
        """Launch the days that do not reconcile. Returns their problems."""
        problems = []
        for name, feed in self._accounts.feeds.items():
            verdicts = reconcile(feed, self._aws_clients, self._accounts.days)
            failed = [verdict for verdict in verdicts if not verdict.ok]
            for verdict in failed:
                problems.append(f"{name} {verdict.partition}: {'; '.join(verdict.problems)}")
                self._say(f"reconcile: {problems[-1]}")
            for first, last in contiguous(date.fromisoformat(v.partition) for v in failed):
                self._launch(name, first, last)
        return problems


def _describe(fault: Fault) -> str:
    times = "always" if fault.count is None else f"{fault.count} times"
    return f"{fault.kind} {fault.service} {fault.operation}, {times} after {fault.after}"
