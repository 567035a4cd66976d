"""The sensor against a model of the bucket, in random sequences of everything that can happen.

The claim holds per day, whatever happened in between: uploads, overwrites, deletions, ticks that
die before launching, while launching or after it, lost cursors, denied listings, time passing.

- *Processed*: once a fingerprint has stayed for the settle time and a few whole ticks went by, the
  last run launched for the day is one for that fingerprint.
- *Exactly once*: no two consecutive runs of a day are for the same fingerprint, and Dagster never
  drops a request because its run key was used.
- *After it settled*: a run is launched only for a fingerprint none of whose files is newer than the
  settle time.

Only a fingerprint that changed before it settled may be skipped.
"""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date, timedelta

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.support.arrival_model import FOLDERS, POLICY, TODAY, World
from xacct_assets.aws.errors import AccessDenied, Throttled
from xacct_assets.feed.arrival.policy import Policy
from xacct_assets.feed.arrival.tick import TickOutcome

DAYS = st.sampled_from([TODAY - timedelta(days=back) for back in (0, 1, 2, 3, 7, 20)])
NAMES = st.sampled_from(["a.csv", "b.csv", "c.csv", "d.csv", "_hidden.csv", "note.txt"])
BODIES = st.sampled_from(["1", "2", ""])
SWEEPING = replace(
    POLICY, last_day=TODAY + timedelta(days=30), sweep_days_back=30, range_from_days=2
)


class ArrivalMachine(RuleBasedStateMachine):
    """Each listing fits into one tick, and each tick lists the whole window."""

    policy: Policy = SWEEPING
    seconds_per_page = 0.0
    listing_may_span_ticks = False
    # Ticks after which everything that settled must have been requested: a full sweep.
    enough_ticks = 24

    def __init__(self) -> None:
        super().__init__()
        self.world = World(policy=self.policy, seconds_per_page=self.seconds_per_page)
        self.launched: dict[date, list[str]] = {}
        self.nights = 0

    # The bucket

    @rule(day=DAYS, name=NAMES, body=BODIES)
    def put(self, day: date, name: str, body: str) -> None:
        self.world.put(day, name, body)

    @rule(day=DAYS, name=NAMES)
    def delete(self, day: date, name: str) -> None:
        self.world.delete(day, name)

    @rule(day=DAYS)
    def delete_all(self, day: date) -> None:
        for key in list(self.world.bucket.objects):
            if key.startswith(FOLDERS.prefix(day)):
                self.world.bucket.delete(key)

    # Time

    @rule(seconds=st.integers(1, 200))
    def time_passes(self, seconds: int) -> None:
        self.world.now += seconds

    @precondition(lambda self: self.nights < 3)
    @rule()
    def night_passes(self) -> None:
        self.nights += 1
        self.world.now += 86_400

    # Ticks, complete and interrupted

    def launch(self, outcome: TickOutcome) -> None:
        for request in self.world.runs.launch(outcome, self.world.now):
            self.launched.setdefault(request.day, []).append(request.fingerprint)
            if not self.listing_may_span_ticks:
                assert request.fingerprint == self.world.bucket.fingerprint(request.day)
                newest = max(
                    item.last_modified.timestamp() for item in self.world.bucket.files(request.day)
                )
                assert self.world.now - newest >= self.policy.settle_seconds - 1

    @rule(notified_days=st.lists(DAYS, max_size=2))
    def tick(self, notified_days: list[date]) -> None:
        self.world.now += 30
        outcome = self.world.evaluate(*notified_days)
        self.launch(outcome)
        self.world.cursor = outcome.cursor

    @rule()
    def tick_dies_before_launching(self) -> None:
        self.world.now += 30
        self.world.evaluate()

    @rule(launched=st.integers(0, 3))
    def tick_dies_while_launching(self, launched: int) -> None:
        self.world.now += 30
        outcome = self.world.evaluate()
        outcome.planned_runs = outcome.planned_runs[:launched]
        self.launch(outcome)

    @rule(launched=st.integers(0, 3))
    def sensor_is_stopped_while_launching(self, launched: int) -> None:
        """Dagster then stores the cursor although runs are missing."""
        self.world.now += 30
        outcome = self.world.evaluate()
        outcome.planned_runs = outcome.planned_runs[:launched]
        self.launch(outcome)
        self.world.cursor = outcome.cursor

    @rule()
    def cursor_is_reset(self) -> None:
        self.world.cursor = ""

    @rule(day=DAYS, throttled=st.booleans())
    def listing_is_denied(self, day: date, throttled: bool) -> None:
        failure = Throttled("list the day") if throttled else AccessDenied("list the day")
        self.world.bucket.denied[FOLDERS.prefix(day)] = failure

    @rule()
    def listing_works_again(self) -> None:
        self.world.bucket.denied.clear()

    # The claims

    @rule()
    def after_a_while_every_settled_fingerprint_was_processed(self) -> None:
        self.world.bucket.denied.clear()
        self.world.now += self.policy.settle_seconds
        for _ in range(self.enough_ticks):
            self.tick([])
        for day in {*self.launched, *(TODAY - timedelta(days=back) for back in range(30))}:
            fingerprint = self.world.bucket.fingerprint(day)
            if fingerprint is not None:
                assert self.launched.get(day, [None])[-1] == fingerprint, day

    @invariant()
    def no_fingerprint_is_processed_twice_in_a_row(self) -> None:
        for day, fingerprints in self.launched.items():
            for earlier, later in itertools.pairwise(fingerprints):
                assert earlier != later, day

    @invariant()
    def no_request_was_dropped_for_its_run_key(self) -> None:
        assert self.world.runs.dropped_run_keys == []

    def teardown(self) -> None:
        self.after_a_while_every_settled_fingerprint_was_processed()


class SlowArrivalMachine(ArrivalMachine):
    """Three pages of two objects fit into a tick: a pass over the window takes several ticks."""

    policy = replace(SWEEPING, page_size=2, tick_seconds=3, sweep_days=15)
    seconds_per_page = 1.0
    listing_may_span_ticks = True
    enough_ticks = 90


class NotifiedArrivalMachine(ArrivalMachine):
    """Notifications name days (or get lost); the window is listed every five minutes."""

    policy = replace(SWEEPING, window_every_seconds=300)
    enough_ticks = 24


PROFILE = settings(
    max_examples=15,
    stateful_step_count=30,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)


@pytest.mark.parametrize(
    "machine",
    [ArrivalMachine, SlowArrivalMachine, NotifiedArrivalMachine],
    ids=lambda m: m.__name__,
)
def test_every_settled_fingerprint_is_processed_exactly_once(
    machine: type[RuleBasedStateMachine],
) -> None:
    case = machine.TestCase
    case.settings = PROFILE
    case("runTest").runTest()
