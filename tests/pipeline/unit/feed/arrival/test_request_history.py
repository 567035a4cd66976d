"""Ticks that die and cursors that are lost: no day is lost, none is requested twice."""

from __future__ import annotations

from datetime import timedelta

from tests.support.arrival_model import (
    OLD,
    TODAY,
    YESTERDAY,
    World,
    requested_days,
)


def test_a_tick_that_dies_before_launching_loses_nothing() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    world.evaluate()
    assert world.quiet_ticks() == [YESTERDAY]


def test_a_tick_that_dies_after_launching_repeats_nothing() -> None:
    world = World()
    world.tick()
    world.put(YESTERDAY)
    world.now += 100
    assert requested_days(world.evaluate()) == [YESTERDAY]
    world.runs.launch(world.evaluate(), world.now)
    assert world.quiet_ticks() == []
    assert len(world.runs.run_keys) == 1


def test_the_very_first_launch_may_be_missing_in_the_cursor() -> None:
    world = World()
    world.tick()
    world.put(TODAY)
    world.put(YESTERDAY)
    world.put(TODAY - timedelta(days=3))
    world.tick()
    world.now += 100
    world.runs.launch(world.evaluate(), world.now)
    assert len(world.runs.run_keys) == 3
    assert world.quiet_ticks() == []


def test_a_lost_request_for_b_does_not_hide_the_way_back_to_a() -> None:
    world = World()
    world.put(YESTERDAY, body="a", age=OLD)
    world.quiet_ticks()
    world.put(YESTERDAY, body="b")
    world.tick()
    world.now += 100
    world.runs.launch(world.evaluate(), world.now)  # the cursor of this tick is lost
    world.put(YESTERDAY, body="a")
    assert world.quiet_ticks() == [YESTERDAY]
    assert len(world.runs.run_keys) == 3


def test_a_reset_cursor_repeats_nothing_and_loses_nothing() -> None:
    world = World()
    for back in range(3):
        world.put(TODAY - timedelta(days=back), age=OLD)
    world.quiet_ticks()
    world.put(YESTERDAY, body="changed", age=OLD)
    world.cursor = ""
    assert world.quiet_ticks() == [YESTERDAY]
    assert world.runs.dropped_run_keys == []


def test_a_cursor_reset_at_every_tick_requests_each_content_once() -> None:
    world = World()
    for body in "abab":
        world.put(YESTERDAY, body=body, age=OLD)
        requested = []
        for _ in range(5):
            world.cursor = ""
            requested += requested_days(world.tick())
        assert requested == [YESTERDAY]
    assert len(world.runs.run_keys) == 4


def test_a_request_whose_run_was_never_created_is_repeated_under_the_same_run_key() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    lost = world.evaluate()
    world.cursor = lost.cursor  # the sensor was stopped in mid-launch: cursor kept, no run
    again = world.tick()
    assert [run.run_key("f") for run in again.planned_runs] == [
        run.run_key("f") for run in lost.planned_runs
    ]
    assert world.quiet_ticks() == []


def test_a_failed_run_is_not_requested_again_until_the_day_changes() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    world.quiet_ticks()
    world.runs.execute(
        YESTERDAY, started_at=world.now, ended_at=world.now + 1
    )  # failed: no version
    assert world.quiet_ticks(20) == []
    world.put(YESTERDAY, body="corrected")
    assert world.quiet_ticks() == [YESTERDAY]


def test_a_day_backfilled_from_the_same_files_before_the_sensor_was_on_is_not_repeated() -> None:
    world = World()
    for day in (TODAY, YESTERDAY):
        world.put(day, age=OLD)
        world.runs.materialized[day] = world.bucket.fingerprint(TODAY) or ""
    assert world.quiet_ticks() == [YESTERDAY], "its content is another than the one materialized"
    world.put(TODAY, body="changed")
    assert world.quiet_ticks() == [TODAY]


def test_a_quiet_tick_queries_the_run_storage_once() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    world.quiet_ticks()
    world.runs.queries = 0
    world.tick()
    assert world.runs.queries == 1
