"""The actions of a seed as a list, the same on every machine.

The order of the actions is fixed; their timing relative to the runs depends on the machine.
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
# Least number of faults that are injected in a seed.
FAULTS = 25

STEPS = ("raw_partition", "catalog_table", "staging_table", "fact_table", "s3_export")


@dataclass(frozen=True)
class Put:
    """A file arrives or is replaced. Days are counted from the seed's first, from 0."""

    feed: str
    day: int
    name: str
    version: int


@dataclass(frozen=True)
class Delete:
    """A file is deleted."""

    feed: str
    day: int
    name: str


@dataclass(frozen=True)
class Inject:
    """Faults are planned."""

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
    """A run is ended from outside, ``after`` seconds after the start of a step."""

    how: Literal["terminated", "killed"]
    step: str
    after: float


@dataclass(frozen=True)
class Launch:
    """A run of one day or a range of days is launched.

    Attributes:
        feed: name of the feed.
        first: first day.
        last: last day.
        ending: how the run is ended from outside.
        reexecuted: whether the run is re-executed from failure if it does not succeed.
    """

    feed: str
    first: int
    last: int
    ending: Ending | None = None
    reexecuted: bool = False


@dataclass(frozen=True)
class Tick:
    """The sensor is evaluated and its run requests are launched.

    With the cursor "lost", the tick ends after the launch and before its cursor is stored.
    """

    feed: str
    cursor: Literal["kept", "lost", "reset"] = "kept"


@dataclass(frozen=True)
class Pause:
    """Nothing happens for some seconds."""

    seconds: float


Action = Put | Delete | Inject | Replace | Launch | Tick | Pause


@dataclass(frozen=True)
class Schedule:
    """All actions of a seed."""

    seed: int
    days: int
    actions: tuple[Action, ...]


def schedule_of(seed: int, *, days: int = DAYS, rounds: int = 2, faults: int = 15) -> Schedule:
    """Make the schedule of a seed.

    Args:
        seed: the seed.
        days: number of days of each feed.
        rounds: rounds after the first files; each has faults, files, runs and ticks.
        faults: number of faults of a round.
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
        # Changes of files keep their order; everything else is shuffled.
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
        change = self._random.choices(("replace", "add", "delete", "delete and put"), (5, 2, 1, 2))[
            0
        ]
        names = self._files[feed, day]
        if change == "add":
            yield self._put(feed, day, len(names) + 2)
        elif change == "delete" and len(names) > 1:
            del names[name]
            yield Delete(feed, day, name)
        elif change == "delete and put":
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
        return Launch(feed, first, last, ending, reexecuted=random.random() < 0.5)
