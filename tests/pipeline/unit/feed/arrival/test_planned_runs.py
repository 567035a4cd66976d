"""Which days share a run."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.support.arrival_model import (
    OLD,
    POLICY,
    TODAY,
    YESTERDAY,
    World,
    requested_days,
)


def test_a_backlog_of_a_year_becomes_a_dozen_runs() -> None:
    world = World(policy=replace(POLICY, days_back=364))
    for back in range(365):
        world.put(TODAY - timedelta(days=back), age=OLD)
    outcome = world.tick()
    assert len(outcome.planned_runs) == 12
    assert max(len(run.days) for run in outcome.planned_runs) == 31
    assert len(requested_days(outcome)) == 365
    assert outcome.planned_runs[0].days[-1].day == TODAY, "today first"
    assert len({run.run_key("products") for run in outcome.planned_runs}) == 12
    assert world.quiet_ticks() == []


def test_a_few_consecutive_days_become_one_run_each() -> None:
    world = World()
    for back in range(3):
        world.put(TODAY - timedelta(days=back), age=OLD)
    assert [len(run.days) for run in world.tick().planned_runs] == [1, 1, 1]


def test_a_gap_ends_a_range() -> None:
    world = World(policy=replace(POLICY, range_from_days=2))
    for back in (0, 1, 3, 4, 5):
        world.put(TODAY - timedelta(days=back), age=OLD)
    assert [len(run.days) for run in world.tick().planned_runs] == [2, 3]


def test_one_changed_day_of_a_range_is_requested_alone() -> None:
    world = World()
    for back in range(6):
        world.put(TODAY - timedelta(days=back), age=OLD)
    assert [len(run.days) for run in world.tick().planned_runs] == [6]
    world.put(YESTERDAY, body="changed")
    assert world.quiet_ticks() == [YESTERDAY]
    world.cursor = ""
    assert world.quiet_ticks() == []


def test_requests_beyond_the_limit_of_a_tick_follow_in_the_next() -> None:
    world = World(policy=replace(POLICY, max_runs_per_tick=2, range_from_days=100))
    for back in range(5):
        world.put(TODAY - timedelta(days=back), age=OLD)
    assert [len(world.tick().planned_runs) for _ in range(4)] == [2, 2, 1, 0]
