"""Does what a schedule says, then lets everything come to rest."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from random import Random
from typing import Any

import dagster as dg

from tests.support.pipeline import tags
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
from tools.chaos.world import World
from xacct_assets.aws_clients import AwsClients
from xacct_assets.feed.partitions import contiguous
from xacct_assets.feed.reconciliation.collection import reconcile
from xacct_sandbox import faults
from xacct_sandbox.faults import Fault

# Bounds; a seed that takes longer hangs.
STORM_SECONDS = 900.0
QUIET_SECONDS = 600.0
# Looks at what is left to do once it is quiet. Each is a tick of the sensors and a reconciliation.
QUIET_LOOKS = 6
# How often more faults and runs are added if too few of those planned have struck.
MORE = 8


@dataclass
class Timeline:
    """What was done and what happened, with times (UTC)."""

    entries: list[tuple[str, str]] = field(default_factory=list)
    echo: Callable[[str], None] | None = None

    def say(self, text: str) -> None:
        """Add an entry."""
        self.entries.append((datetime.now(UTC).isoformat(timespec="milliseconds"), text))
        if self.echo is not None:
            self.echo(text)


class Driver:
    """One seed on a world of its own.

    Args:
        definitions: the project's, loaded with the world's environment.
        services: the pipeline's clients, for `reconcile`.
    """

    def __init__(
        self,
        world: World,
        schedule: Schedule,
        runs: Runs,
        definitions: dg.Definitions,
        aws: AwsClients,
        timeline: Timeline,
    ) -> None:
        self._world = world
        self._schedule = schedule
        self._runs = runs
        self._aws_clients = aws
        self._timeline = timeline
        self._sensors = Sensors(world.feeds, schedule.days, definitions, runs, timeline.say)
        self._until = 0.0

    # -- the storm -----------------------------------------------------------------------------

    def storm(self, at_least: int = FAULTS) -> None:
        """All actions, and more faults and runs until so many have struck.

        Raises:
            Hung: a run does not end, or the whole takes too long.
        """
        self._until = time.monotonic() + STORM_SECONDS
        for action in self._schedule.actions:
            self._do(action)
        random = Random(f"more {self._schedule.seed}")
        for _ in range(MORE):
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
            raise Hung(f"the seed goes on beyond its bound\n{self._runs.stacks()}")
        return left

    def _injected(self) -> int:
        return len(faults.log(self._world.sandbox.config))

    def _do(self, action: Action) -> None:
        self._left()
        self._runs.pump()
        match action:
            case Put(feed, day, name, version):
                self._say(f"put {feed} {self._day(day)} {name} version {version}")
                self._world.put(feed, self._day(day), name, self._body(action))
            case Delete(feed, day, name):
                self._say(f"delete {feed} {self._day(day)} {name}")
                self._world.delete(feed, self._day(day), name)
            case Inject(planned):
                for fault in planned:
                    self._say(f"plan {_in_words(fault)}")
                faults.add(self._world.sandbox.config, *planned)
            case Replace(feed, day, name, version, after):
                self._say(f"plan object_replaced {feed} {self._day(day)} {name} v{version}")
                key = self._world.raw_prefix(feed, self._day(day)) + name
                replaced = Fault(
                    "object_replaced",
                    service="s3",
                    operation="GetObject",
                    match=key,
                    after=after,
                    body=self._body(action).decode(),
                )
                faults.add(self._world.sandbox.config, replaced)
            case Launch(feed, first, last, ending, taken_up):
                days = self._day(first), self._day(last)
                self._launch(feed, *days, ending=ending, taken_up=taken_up)
            case Tick():
                self._sensors.tick(action)
            case Pause(seconds):
                self._wait(seconds)
        # More than this waiting would make the storm a queue.
        self._runs.settle(self._left(), at_most=4)

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            self._runs.pump()
            time.sleep(0.05)

    def _launch(self, feed: str, first: date, last: date, **how: Any) -> None:
        single = first == last
        what = f"{feed} {first}" if single else f"{feed} {first}...{last}"
        self._say(f"launch {what}")
        self._runs.launch(feed, tags(str(first), None if single else str(last)), what, **how)

    def _body(self, file: Put | Replace) -> bytes:
        return body_of(self._schedule.seed, file.feed, file.day, file.name, file.version)

    def _day(self, number: int) -> date:
        return self._world.days[number]

    def _say(self, text: str) -> None:
        self._timeline.say(text)

    # -- the quiet -----------------------------------------------------------------------------

    def quiet(self) -> list[str]:
        """Run what sensors and reconciliation name, until they name nothing; what is left to do.

        Raises:
            Hung: a run does not end.
        """
        faults.clear(self._world.sandbox.config)
        self._say("quiet: no more faults")
        self._until = time.monotonic() + QUIET_SECONDS
        problems: list[str] = []
        for _ in range(QUIET_LOOKS):
            self._runs.settle(self._left())
            time.sleep(SETTLE_SECONDS + 0.5)
            requested = sum(self._sensors.tick(Tick(feed)) for feed in FEEDS)
            self._runs.settle(self._left())
            problems = self._reconcile()
            if not requested and not problems:
                return []
        return problems or ["the sensors go on asking for runs"]

    def _reconcile(self) -> list[str]:
        """Launch the days that are not right; what is wrong with them."""
        problems = []
        for name, feed in self._world.feeds.items():
            verdicts = reconcile(feed, self._aws_clients, self._world.days)
            wrong = [verdict for verdict in verdicts if not verdict.ok]
            for verdict in wrong:
                problems.append(f"{name} {verdict.partition}: {'; '.join(verdict.problems)}")
                self._say(f"reconcile: {problems[-1]}")
            for first, last in contiguous(date.fromisoformat(v.partition) for v in wrong):
                self._launch(name, first, last)
        return problems


def _in_words(fault: Fault) -> str:
    times = "always" if fault.count is None else f"{fault.count} times"
    return f"{fault.kind} {fault.service} {fault.operation}, {times} after {fault.after}"
