"""Days outside the window, and notifications."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

from tests.support.arrival_model import (
    LONG_AGO,
    OLD,
    POLICY,
    TODAY,
    YESTERDAY,
    World,
    requested_days,
)

SWEEPING = replace(POLICY, sweep_days_back=60)


def test_a_late_file_far_outside_the_window_is_found_by_the_sweep() -> None:
    world = World(policy=SWEEPING)
    world.quiet_ticks(5)
    world.put(LONG_AGO, age=OLD)
    assert world.quiet_ticks(40) == [LONG_AGO]
    assert world.quiet_ticks(40) == []
    world.put(LONG_AGO, body="corrected", age=OLD)
    assert world.quiet_ticks(40) == [LONG_AGO]


def test_the_sweep_lists_a_few_days_a_minute_and_covers_all_of_them() -> None:
    world = World(policy=SWEEPING)
    world.tick()
    seen: list[str] = []
    for _ in range(24):
        world.bucket.prefixes.clear()
        world.tick()
        swept = world.bucket.prefixes[9:]
        assert len(swept) in (0, 5, 3)
        seen += swept
    assert len(set(seen)) == 53


def test_a_late_file_that_is_fresh_settles_before_it_is_requested() -> None:
    world = World(policy=replace(SWEEPING, settle_seconds=600))
    world.put(LONG_AGO)
    requested = world.quiet_ticks(19)
    assert requested == []
    assert world.quiet_ticks(30) == [LONG_AGO]


def test_a_day_outside_the_window_is_listed_at_once_if_a_notification_names_it() -> None:
    world = World()
    world.put(LONG_AGO, age=OLD)
    assert world.quiet_ticks(3) == []
    assert requested_days(world.tick(LONG_AGO)) == [LONG_AGO]
    assert world.tick(LONG_AGO).planned_runs == []


def test_more_late_days_than_the_cursor_holds_are_all_requested_in_the_end() -> None:
    world = World()
    late = [LONG_AGO - timedelta(days=offset) for offset in range(100)]
    for day in late:
        world.put(day, age=10)
    requested: list[date] = []
    for _ in range(12):
        requested += requested_days(world.tick(*late))
    assert sorted(requested) == sorted(late)


def test_with_notifications_the_whole_window_is_listed_at_its_own_interval() -> None:
    world = World(policy=replace(POLICY, window_every_seconds=300))
    world.tick()
    world.bucket.prefixes.clear()
    for _ in range(9):
        world.tick()
    assert world.bucket.prefixes == []
    world.put(YESTERDAY)
    assert world.quiet_ticks(4) == [YESTERDAY], "no notification came, the window was due"


def test_a_day_that_settles_is_listed_again_without_further_notifications() -> None:
    world = World(policy=replace(POLICY, window_every_seconds=100_000))
    world.tick()
    world.put(TODAY)
    assert requested_days(world.tick(TODAY)) == []
    assert world.quiet_ticks(3) == [TODAY]


def test_a_notification_is_handled_only_once_the_run_exists() -> None:
    world = World(policy=replace(POLICY, window_every_seconds=100_000))
    world.tick()
    world.now += 1
    world.put(TODAY)
    received = world.now
    outcomes = [world.tick(TODAY) for _ in range(5)]
    done = [outcome.handled_until.get(TODAY, 0) >= received for outcome in outcomes]
    requested = [bool(outcome.planned_runs) for outcome in outcomes]
    assert requested == [False, True, False, False, False]
    assert done == [False, False, True, True, True]


def test_a_notification_is_not_handled_if_its_run_was_never_created() -> None:
    world = World(policy=replace(POLICY, settle_seconds=0))
    world.put(TODAY)
    lost = world.evaluate()
    world.cursor = lost.cursor
    assert TODAY not in world.evaluate().handled_until


def test_an_unsettled_day_that_leaves_the_window_at_midnight_is_still_requested() -> None:
    world = World(policy=replace(POLICY, last_day=date(2027, 1, 1)))
    oldest = TODAY - timedelta(days=7)
    world.now = datetime(2026, 3, 10, 23, 59, 30, tzinfo=UTC).timestamp()
    world.put(oldest)
    world.tick(after=10)
    assert world.quiet_ticks(5) == [oldest]
