"""What a seed does, as a list: pure, so that the same seed is the same list on any machine.

A list and not a clock: how far a run has come when the next thing happens depends on the machine,
what happens and in which order does not.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Literal

from tools.chaos.mix import draw
from xacct_sandbox.faults import Fault

FEEDS = ("products", "orders")
DAYS = 10
FAULTS = 25
"""At least so many are injected in a seed."""

STEPS = ("raw_partition", "catalog_table", "staging_table", "fact_table", "s3_export")


@dataclass(frozen=True)
class Put:
    """A file arrives, or takes the place of another. Days are counted from the seed's first."""

    feed: str
    day: int
    name: str
    version: int


@dataclass(frozen=True)
class Delete:
    """A file is taken away."""

    feed: str
    day: int
    name: str


@dataclass(frozen=True)
class Inject:
    """These faults are planned from now on."""

    faults: tuple[Fault, ...]


@dataclass(frozen=True)
class Replace:
    """The file is replaced between being listed and being read (the fault object_replaced)."""

    feed: str
    day: int
    name: str
    version: int
    after: int


@dataclass(frozen=True)
class Ending:
    """What ends a run from outside, so many seconds after it began a step."""

    how: Literal["terminated", "killed"]
    step: str
    after: float


@dataclass(frozen=True)
class Launch:
    """Somebody runs days of a feed; several days are a ranged backfill."""

    feed: str
    first: int
    last: int
    ending: Ending | None = None
    taken_up: bool = False
    """Whether somebody re-executes it from failure, should it end badly."""


@dataclass(frozen=True)
class Tick:
    """The sensor is evaluated and what it asks for is launched."""

    feed: str
    cursor: Literal["kept", "lost", "reset"] = "kept"
    """lost: the tick dies after it launched, before its cursor is stored."""


@dataclass(frozen=True)
class Pause:
    """Time goes by."""

    seconds: float


Action = Put | Delete | Inject | Replace | Launch | Tick | Pause


@dataclass(frozen=True)
class Schedule:
    """All of a seed."""

    seed: int
    days: int
    actions: tuple[Action, ...]


def schedule_of(seed: int, *, days: int = DAYS, rounds: int = 2, faults: int = 15) -> Schedule:
    """The seed's schedule.

    Args:
        days: of each feed.
        rounds: after the first landing; each has ``faults`` faults, files, runs and ticks.
    """
    return Schedule(seed, days, tuple(_Maker(seed, days).actions(rounds, faults)))


class _Maker:
    def __init__(self, seed: int, days: int) -> None:
        self._random = Random(f"chaos {seed}")
        self._days = days
        self._files: dict[tuple[str, int], dict[str, int]] = {}
        self._versions: dict[tuple[str, int, str], int] = {}

    def actions(self, rounds: int, faults: int) -> Iterator[Action]:
        random = self._random
        late = {
            (feed, random.randrange(self._days)) for feed in FEEDS for _ in range(self._days // 5)
        }
        for feed in FEEDS:
            for day in range(self._days):
                if (feed, day) not in late:
                    yield self._put(feed, day, 1)
                    if random.random() < 0.3:
                        yield self._put(feed, day, 2)
        yield Inject(draw(random, faults // 2))
        for feed in FEEDS:
            yield Tick(feed)
        yield Pause(random.uniform(1, 3))
        for number in range(rounds):
            yield from self._round(number, rounds, faults, late)

    def _round(
        self, number: int, rounds: int, faults: int, late: set[tuple[str, int]]
    ) -> Iterator[Action]:
        random = self._random
        yield Inject(draw(random, faults))
        parts: list[Action] = [self._launch(random.choice(FEEDS), ends=True)]
        parts += [self._launch(feed, ends=False) for feed in FEEDS]
        for _ in range(random.randint(2, 4)):
            parts.extend(self._change())
        arriving = sorted(late)[number::rounds]
        parts += [self._put(feed, day, 1) for feed, day in arriving]
        if random.random() < 0.7:
            parts.append(self._replace())
        # What happens to one file stays in its order; everything else is shuffled.
        files = [part for part in parts if isinstance(part, Put | Delete | Replace)]
        others = [part for part in parts if not isinstance(part, Put | Delete | Replace)]
        random.shuffle(others)
        while files or others:
            source = random.choices((files, others), (len(files), len(others)))[0]
            yield source.pop(0)
            if random.random() < 0.5:
                yield Pause(random.uniform(0.2, 2))
        feeds = list(FEEDS)
        random.shuffle(feeds)
        for feed in feeds:
            yield Tick(feed, random.choices(("kept", "lost", "reset"), (6, 1, 1))[0])
        yield Pause(random.uniform(1, 4))

    def _put(self, feed: str, day: int, number: int) -> Put:
        name = f"part-{number}.csv"
        version = self._next_version(feed, day, name)
        self._files.setdefault((feed, day), {})[name] = version
        return Put(feed, day, name, version)

    def _next_version(self, feed: str, day: int, name: str) -> int:
        version = self._versions.get((feed, day, name), -1) + 1
        self._versions[feed, day, name] = version
        return version

    def _some_file(self) -> tuple[str, int, str]:
        feed, day = self._random.choice(sorted(self._files))
        return feed, day, self._random.choice(sorted(self._files[feed, day]))

    def _change(self) -> Iterator[Action]:
        feed, day, name = self._some_file()
        what = self._random.choices(("replace", "add", "delete", "delete and put"), (5, 2, 1, 2))[0]
        names = self._files[feed, day]
        if what == "add":
            yield self._put(feed, day, len(names) + 2)
        elif what == "delete" and len(names) > 1:
            del names[name]
            yield Delete(feed, day, name)
        elif what == "delete and put":
            yield Delete(feed, day, name)
            yield self._put(feed, day, int(name[-5]))
        else:
            yield self._put(feed, day, int(name[-5]))

    def _replace(self) -> Replace:
        feed, day, name = self._some_file()
        version = self._next_version(feed, day, name)
        return Replace(feed, day, name, version, after=self._random.choice((0, 1, 2, 4)))

    def _launch(self, feed: str, *, ends: bool) -> Launch:
        random = self._random
        first = random.randrange(self._days)
        last = first if ends else min(self._days - 1, first + random.randint(0, 4))
        ending = None
        if ends:
            ending = Ending(
                random.choice(("terminated", "killed")),
                random.choice(STEPS),
                random.choice((0.0, 0.3, 1.0, 2.0)),
            )
        return Launch(feed, first, last, ending, taken_up=random.random() < 0.5)
