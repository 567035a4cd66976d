"""Listings that fail, that run out of time, and what a tick lists."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

from tests.support.arrival_model import (
    FOLDERS,
    OLD,
    POLICY,
    TODAY,
    YESTERDAY,
    World,
    requested_days,
)
from xacct_assets.aws.errors import AccessDenied, Throttled


def denied() -> AccessDenied:
    return AccessDenied("list the day", action="s3:ListBucket")


def test_a_day_that_is_denied_does_not_hold_up_the_others() -> None:
    world = World()
    for day in (TODAY, YESTERDAY):
        world.put(day, age=OLD)
    world.bucket.denied[FOLDERS.prefix(TODAY)] = denied()
    outcome = world.tick()
    assert requested_days(outcome) == [YESTERDAY]
    assert set(outcome.failures) == {TODAY}
    world.bucket.denied.clear()
    assert world.quiet_ticks() == [TODAY]


def test_a_tick_that_only_learns_of_a_denied_day_makes_no_progress() -> None:
    world = World()
    world.bucket.denied[FOLDERS.prefix(TODAY)] = denied()
    world.tick()
    outcome = world.tick()
    assert outcome.failures
    assert not outcome.made_progress


def test_throttling_ends_the_tick_and_the_next_continues_there() -> None:
    world = World()
    for back in range(8):
        world.put(TODAY - timedelta(days=back), age=OLD)
    stuck = TODAY - timedelta(days=3)
    world.bucket.denied[FOLDERS.prefix(stuck)] = Throttled("list the day")
    outcome = world.tick()
    assert stuck in outcome.failures
    assert min(requested_days(outcome)) > stuck
    world.bucket.denied.clear()
    world.bucket.prefixes.clear()
    world.tick()
    assert world.bucket.prefixes[0] == FOLDERS.prefix(stuck)
    assert len({request.day for request in world.runs.requests}) == 8


def test_only_prefixes_of_days_are_listed_and_nothing_outside_the_window_costs_anything() -> None:
    world = World()
    for back in range(100, 400):
        world.put(TODAY - timedelta(days=back), age=OLD)
    world.put(YESTERDAY, age=OLD)
    outcome = world.tick()
    assert outcome.pages == 9
    assert outcome.objects == 1
    assert sorted(world.bucket.prefixes) == sorted(
        FOLDERS.prefix(TODAY + timedelta(days=offset)) for offset in range(-7, 2)
    )


def test_a_day_with_more_objects_than_a_tick_can_list_is_listed_over_several() -> None:
    world = World(policy=replace(POLICY, page_size=10, tick_seconds=5), seconds_per_page=1)
    for number in range(200):
        world.put(YESTERDAY, f"{number:05}.csv", age=OLD)
    outcomes = [world.tick() for _ in range(8)]
    assert [day for outcome in outcomes for day in requested_days(outcome)] == [YESTERDAY]
    assert all(outcome.pages <= 6 for outcome in outcomes)
    assert world.runs.requests[0].fingerprint == world.bucket.fingerprint(YESTERDAY)


def test_while_a_huge_day_is_listed_the_other_days_are_listed_too() -> None:
    world = World(policy=replace(POLICY, page_size=10, tick_seconds=5), seconds_per_page=1)
    for number in range(500):
        world.put(YESTERDAY, f"{number:05}.csv", age=OLD)
    world.put(TODAY - timedelta(days=5), age=OLD)
    world.put(TODAY, age=OLD)
    assert sorted(world.quiet_ticks(20)) == [TODAY - timedelta(days=5), YESTERDAY, TODAY]
    world.put(TODAY, body="more")
    world.put(TODAY - timedelta(days=5), body="more")
    assert sorted(world.quiet_ticks(40)) == [TODAY - timedelta(days=5), TODAY]


def test_a_tick_without_any_time_still_makes_progress() -> None:
    world = World(policy=replace(POLICY, page_size=1, tick_seconds=0), seconds_per_page=1)
    for number in range(5):
        world.put(YESTERDAY, f"{number}.csv", age=OLD)
    assert set(world.quiet_ticks(60)) == {YESTERDAY}
