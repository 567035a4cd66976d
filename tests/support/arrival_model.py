"""A bucket and a run storage in memory, with the shapes and the rules of the real ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.contract.days import DayFolders, DayLayout
from xacct_assets.contract.file_patterns import FilePatterns
from xacct_assets.feed.arrival.cursor import Cursor
from xacct_assets.feed.arrival.decision import (
    Outcome,
    Policy,
    Requested,
    evaluate_tick,
)
from xacct_assets.feed.arrival.fingerprint import fingerprint

TODAY = date(2026, 3, 10)
NOON = datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp()
FOLDERS = DayFolders("products", DayLayout.PLAIN)
POLICY = Policy(
    feed="products",
    folders=FOLDERS,
    patterns=FilePatterns(["*.csv", "*.csv.gz"]),
    first_day=date(2025, 1, 1),
    last_day=date(2026, 3, 11),
    sweep_days_back=0,
)


@dataclass(frozen=True)
class Object:
    key: str
    size: int
    etag: str
    last_modified: datetime


@dataclass
class Bucket:
    """Lists in the byte order of the keys, a page at a time, as S3 does."""

    objects: dict[str, Object] = field(default_factory=dict)
    pages: int = 0
    prefixes: list[str] = field(default_factory=list)
    denied: dict[str, AwsFailure] = field(default_factory=dict)

    def put(self, key: str, body: str, at: float) -> None:
        etag = f'"{hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()}"'
        # S3 shows whole seconds.
        modified = datetime.fromtimestamp(int(at), UTC)
        self.objects[key] = Object(key, len(body), etag, modified)

    def delete(self, key: str) -> None:
        self.objects.pop(key, None)

    def list_page(
        self, prefix: str, start_after: str | None, limit: int
    ) -> tuple[Sequence[Object], bool]:
        for denied, failure in self.denied.items():
            if prefix.startswith(denied):
                raise failure
        self.pages += 1
        self.prefixes.append(prefix)
        found = sorted(
            (
                item
                for key, item in self.objects.items()
                if key.startswith(prefix) and (start_after is None or key > start_after)
            ),
            key=lambda item: item.key.encode(),
        )
        return found[:limit], len(found) > limit

    def files(self, day: date) -> list[Object]:
        """What the oracle takes for the day's files (it knows csv only)."""
        prefix = FOLDERS.prefix(day)
        return [
            item
            for key, item in self.objects.items()
            if key.startswith(prefix) and key.endswith(".csv") and key[len(prefix)] != "_"
        ]

    def content(self, day: date) -> str | None:
        """What the oracle says the day holds; None if nothing."""
        files = self.files(day)
        return fingerprint(files) if files else None


@dataclass
class Runs:
    """A run storage: launches an ask unless its run_key was ever used, as Dagster does."""

    entries: list[Requested] = field(default_factory=list)
    keys: dict[str, int] = field(default_factory=dict)
    versions: dict[date, str] = field(default_factory=dict)
    dropped: list[str] = field(default_factory=list)
    queries: int = 0

    def launch(self, outcome: Outcome, at: float) -> list[Requested]:
        launched = []
        for ask in outcome.requests:
            key = ask.run_key("products")
            if key in self.keys:
                self.dropped.append(key)
                continue
            self.keys[key] = len(self.keys)
            launched += [Requested(day.day, day.content, day.generation, at) for day in ask.days]
        self.entries += launched
        return launched

    def work(self, day: date, started: float, ended: float | None) -> None:
        """The day's newest run starts, and ends."""
        position = max(i for i, entry in enumerate(self.entries) if entry.day == day)
        self.entries[position] = replace(self.entries[position], started=started, ended=ended)

    def since(self, mark: float | None) -> list[Requested]:
        self.queries += 1
        if mark is None:
            return self.entries[-1:]
        return [entry for entry in self.entries if entry.created >= mark]

    def history(self, days: Sequence[date]) -> dict[date, list[Requested]]:
        self.queries += 1
        return {day: [entry for entry in self.entries if entry.day == day] for day in days}

    def materialized(self, day: date) -> str | None:
        return self.versions.get(day)


@dataclass
class World:
    """A bucket, a run storage, a clock, and a sensor that remembers its cursor."""

    policy: Policy = POLICY
    now: float = NOON
    cursor: str = ""
    bucket: Bucket = field(default_factory=Bucket)
    runs: Runs = field(default_factory=Runs)
    seconds_per_page: float = 0.0

    def key(self, day: date, name: str) -> str:
        return FOLDERS.prefix(day) + name

    def put(self, day: date, name: str = "a.csv", body: str = "1", age: float = 0) -> None:
        self.bucket.put(self.key(day, name), body, self.now - age)

    def delete(self, day: date, name: str = "a.csv") -> None:
        self.bucket.delete(self.key(day, name))

    def look(self, *hints: date) -> Outcome:
        """A tick that dies before anything comes of it."""
        before = self.bucket.pages

        def clock() -> float:
            return (self.bucket.pages - before) * self.seconds_per_page

        return evaluate_tick(
            self.policy,
            Cursor.decode(self.cursor),
            self.bucket,
            self.runs,
            now=self.now,
            hints=hints,
            monotonic=clock,
        )

    def tick(self, *hints: date, after: float = 30) -> Outcome:
        """A whole tick, ``after`` seconds later: look, launch, store the cursor."""
        self.now += after
        outcome = self.look(*hints)
        self.runs.launch(outcome, self.now)
        self.cursor = outcome.cursor
        return outcome

    def asked(self, outcome: Outcome) -> list[date]:
        return sorted(day.day for ask in outcome.requests for day in ask.days)
