"""A bucket, a run storage and a sensor in memory, with the rules of the real ones."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time, timedelta

from xacct_assets.aws.errors import AwsFailure
from xacct_assets.contract.days import DayFolders, DayLayout
from xacct_assets.contract.file_patterns import FilePatterns
from xacct_assets.contract.fingerprint import fingerprint
from xacct_assets.feed.arrival.cursor import Cursor
from xacct_assets.feed.arrival.policy import Policy
from xacct_assets.feed.arrival.request_history import PastRequest
from xacct_assets.feed.arrival.tick import TickOutcome, evaluate_tick

TODAY = date(2026, 3, 10)
YESTERDAY = TODAY - timedelta(days=1)
#: A day outside the window.
LONG_AGO = TODAY - timedelta(days=40)
NOON = datetime.combine(TODAY, time(12), UTC).timestamp()
#: Age of a file that has settled, in seconds.
OLD = 3600.0
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
    archive: str | None = None


@dataclass
class Bucket:
    """Lists objects page by page, in the byte order of their keys, as S3 does."""

    objects: dict[str, Object] = field(default_factory=dict)
    pages: int = 0
    prefixes: list[str] = field(default_factory=list)
    denied: dict[str, AwsFailure] = field(default_factory=dict)

    def put(self, key: str, body: str, at: float) -> None:
        etag = f'"{hashlib.md5(body.encode(), usedforsecurity=False).hexdigest()}"'
        # S3 shows whole seconds.
        modified = datetime.fromtimestamp(int(at), UTC)
        self.objects[key] = Object(key, len(body), etag, modified)

    def move(self, key: str, archive: str | None) -> None:
        """Archive or restore an object, which leaves its content and its time as they are."""
        self.objects[key] = replace(self.objects[key], archive=archive)

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
        """The day's files, by a simpler rule than the product's (csv files only)."""
        prefix = FOLDERS.prefix(day)
        return [
            item
            for key, item in self.objects.items()
            if key.startswith(prefix) and key.endswith(".csv") and key[len(prefix)] != "_"
        ]

    def fingerprint(self, day: date) -> str | None:
        """The day's fingerprint; None if it has no files."""
        files = self.files(day)
        return fingerprint(files) if files else None


@dataclass
class RunStorage:
    """The request history. Like Dagster, it launches no run whose run key was ever used.

    Attributes:
        requests: those of all runs, in the order of their launch.
        run_keys: every run key that was used.
        dropped_run_keys: the run keys of requests that were dropped.
        materialized: by day, the fingerprint that was materialized.
        queries: how often the storage was queried.
    """

    requests: list[PastRequest] = field(default_factory=list)
    run_keys: set[str] = field(default_factory=set)
    dropped_run_keys: list[str] = field(default_factory=list)
    materialized: dict[date, str] = field(default_factory=dict)
    queries: int = 0

    def launch(self, outcome: TickOutcome, at: float) -> list[PastRequest]:
        launched = []
        for run in outcome.planned_runs:
            run_key = run.run_key("products")
            if run_key in self.run_keys:
                self.dropped_run_keys.append(run_key)
                continue
            self.run_keys.add(run_key)
            launched += [
                PastRequest(day.day, day.fingerprint, day.request_number, at) for day in run.days
            ]
        self.requests += launched
        return launched

    def execute(self, day: date, started_at: float, ended_at: float | None) -> None:
        """Let the day's newest run start, and end."""
        position = max(i for i, request in enumerate(self.requests) if request.day == day)
        self.requests[position] = replace(
            self.requests[position], started_at=started_at, ended_at=ended_at
        )

    def since(self, high_watermark: float | None) -> list[PastRequest]:
        self.queries += 1
        if high_watermark is None:
            return self.requests[-1:]
        return [request for request in self.requests if request.created_at >= high_watermark]

    def of_days(self, days: Sequence[date]) -> dict[date, list[PastRequest]]:
        self.queries += 1
        return {day: [request for request in self.requests if request.day == day] for day in days}

    def materialized_fingerprint(self, day: date) -> str | None:
        return self.materialized.get(day)


@dataclass
class World:
    """A bucket, a run storage, a clock, and a sensor that remembers its cursor."""

    policy: Policy = POLICY
    now: float = NOON
    cursor: str = ""
    bucket: Bucket = field(default_factory=Bucket)
    runs: RunStorage = field(default_factory=RunStorage)
    seconds_per_page: float = 0.0

    def key(self, day: date, name: str) -> str:
        return FOLDERS.prefix(day) + name

    def put(self, day: date, name: str = "a.csv", body: str = "1", age: float = 0) -> None:
        self.bucket.put(self.key(day, name), body, self.now - age)

    def delete(self, day: date, name: str = "a.csv") -> None:
        self.bucket.delete(self.key(day, name))

    def move(self, day: date, archive: str | None, name: str = "a.csv") -> None:
        """Archive a file in this storage class, or restore it."""
        self.bucket.move(self.key(day, name), archive)

    def evaluate(self, *notified_days: date) -> TickOutcome:
        """Evaluate a tick; nothing is launched and the cursor is not stored."""
        pages_before = self.bucket.pages

        def clock() -> float:
            return (self.bucket.pages - pages_before) * self.seconds_per_page

        return evaluate_tick(
            self.policy,
            Cursor.decode(self.cursor),
            self.bucket,
            self.runs,
            now=self.now,
            notified_days=notified_days,
            monotonic=clock,
        )

    def tick(self, *notified_days: date, after: float = 30) -> TickOutcome:
        """A whole tick, ``after`` seconds later: evaluate, launch, store the cursor."""
        self.now += after
        outcome = self.evaluate(*notified_days)
        self.runs.launch(outcome, self.now)
        self.cursor = outcome.cursor
        return outcome

    def quiet_ticks(self, count: int = 8) -> list[date]:
        """The days requested by ticks while nobody changes the bucket."""
        return [day for _ in range(count) for day in requested_days(self.tick())]


def requested_days(outcome: TickOutcome) -> list[date]:
    """The days that an outcome requests, in order."""
    return sorted(day.day for run in outcome.planned_runs for day in run.days)
