"""Which days are requested, which wait, and which are reported as emptied."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.arrival_model import (
    OLD,
    POLICY,
    TODAY,
    YESTERDAY,
    World,
    requested_days,
)
from xacct_assets.feed.arrival.decision import EmptiedDay


def test_a_day_with_old_files_is_requested_by_the_first_tick() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    outcome = world.tick()
    (run,) = outcome.planned_runs
    assert [day.day for day in run.days] == [YESTERDAY]
    assert (
        run.run_key("products") == f"products/{YESTERDAY}/{world.bucket.fingerprint(YESTERDAY)}/1"
    )
    assert run.days[0].file_count == 1


def test_a_day_that_did_not_change_is_not_requested_again() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    assert world.quiet_ticks(30) == [YESTERDAY]


def test_a_fresh_file_makes_the_day_wait_until_it_is_settled() -> None:
    world = World()
    world.tick()
    world.put(TODAY)
    assert [requested_days(world.tick(after=20)) for _ in range(4)] == [[], [], [TODAY], []]


def test_each_further_file_starts_the_wait_again() -> None:
    world = World()
    for name in "abcdef":
        world.put(TODAY, f"{name}.csv")
        assert requested_days(world.tick()) == []
    assert world.quiet_ticks() == [TODAY]


def test_the_same_content_uploaded_again_starts_the_wait_again() -> None:
    world = World()
    for _ in range(5):
        world.put(TODAY)
        assert requested_days(world.tick()) == []
    assert world.quiet_ticks() == [TODAY]


def test_two_files_that_share_a_timestamp_are_both_seen() -> None:
    world = World()
    world.put(TODAY, "b.csv", age=OLD)
    assert world.quiet_ticks() == [TODAY]
    stamp = world.bucket.objects[world.key(TODAY, "b.csv")].last_modified.timestamp()
    world.bucket.put(world.key(TODAY, "a.csv"), "1", stamp)
    assert world.quiet_ticks() == [TODAY]


def test_a_file_replaced_under_the_same_key_is_a_change() -> None:
    world = World()
    world.put(YESTERDAY, body="1", age=OLD)
    world.quiet_ticks()
    world.put(YESTERDAY, body="2")
    assert world.quiet_ticks() == [YESTERDAY]


def test_the_same_content_uploaded_again_is_no_change() -> None:
    world = World()
    world.put(YESTERDAY, body="1", age=OLD)
    world.quiet_ticks()
    world.put(YESTERDAY, body="1")
    assert world.quiet_ticks() == []


def test_a_deleted_file_is_a_change() -> None:
    world = World()
    world.put(YESTERDAY, "a.csv", age=OLD)
    world.put(YESTERDAY, "b.csv", age=OLD)
    world.quiet_ticks()
    world.delete(YESTERDAY, "a.csv")
    assert requested_days(world.tick()) == [], (
        "a deletion has no time: the wait begins when it is seen"
    )
    assert world.quiet_ticks() == [YESTERDAY]


def test_a_day_that_goes_from_a_to_b_to_a_is_requested_three_times_under_three_keys() -> None:
    world = World()
    for body in "aba":
        world.put(YESTERDAY, body=body)
        assert world.quiet_ticks() == [YESTERDAY]
    assert len(world.runs.run_keys) == 3
    assert world.runs.dropped_run_keys == []


def test_a_change_undone_before_it_settled_requests_nothing() -> None:
    world = World()
    world.put(YESTERDAY, body="a", age=OLD)
    world.quiet_ticks()
    world.put(YESTERDAY, body="b")
    world.tick()
    world.put(YESTERDAY, body="a")
    assert world.quiet_ticks() == []


def test_a_change_undone_while_a_run_was_reading_requests_the_day_once_more() -> None:
    world = World()
    world.put(YESTERDAY, body="a", age=OLD)
    world.quiet_ticks()
    world.put(YESTERDAY, body="b")
    world.tick()
    world.runs.execute(YESTERDAY, started_at=world.now - 10, ended_at=None)
    world.put(YESTERDAY, body="a")
    assert world.quiet_ticks() == [YESTERDAY]
    world.runs.execute(YESTERDAY, started_at=world.now - 10, ended_at=world.now)
    assert world.quiet_ticks() == []


def test_a_change_undone_after_the_run_ended_requests_nothing() -> None:
    world = World()
    world.put(YESTERDAY, body="a", age=OLD)
    world.tick()
    world.runs.execute(YESTERDAY, started_at=world.now, ended_at=world.now + 5)
    world.quiet_ticks()
    world.put(YESTERDAY, body="b")
    world.tick()
    world.put(YESTERDAY, body="a")
    assert world.quiet_ticks() == []


@pytest.mark.parametrize("name", ["_tmp.csv", ".a.csv", "_SUCCESS", "a.txt", "sub/a.csv", ""])
def test_a_key_that_is_no_file_of_the_feed_requests_nothing(name: str) -> None:
    world = World()
    world.put(YESTERDAY, name, age=OLD)
    assert world.quiet_ticks() == []


@pytest.mark.parametrize("name", ["a b.csv", "100%+1.csv", "é😀.csv", "'; drop.csv", "a..csv"])
def test_any_name_that_fits_the_pattern_counts(name: str) -> None:
    world = World()
    world.put(YESTERDAY, name, age=OLD)
    assert world.quiet_ticks() == [YESTERDAY]


def test_days_without_a_partition_are_ignored() -> None:
    world = World(policy=replace(POLICY, first_day=TODAY, last_day=TODAY))
    for day in (YESTERDAY, TODAY, TODAY + timedelta(days=1)):
        world.put(day, age=OLD)
    assert world.quiet_ticks() == [TODAY]
    assert requested_days(world.tick(YESTERDAY)) == [], "not even if a notification points there"


def test_the_day_ahead_is_requested_if_its_partition_exists() -> None:
    world = World()
    world.put(TODAY + timedelta(days=1), age=OLD)
    assert world.quiet_ticks() == [TODAY + timedelta(days=1)]


# When a day is complete


def test_a_day_waits_for_the_least_number_of_files() -> None:
    world = World(policy=replace(POLICY, min_files=2))
    world.put(YESTERDAY, "a.csv", age=OLD)
    outcome = world.tick()
    assert outcome.waiting == {YESTERDAY: "1 of at least 2 files"}
    world.put(YESTERDAY, "b.csv", age=OLD)
    assert world.quiet_ticks() == [YESTERDAY]


def test_a_day_waits_for_its_marker_however_long() -> None:
    world = World(policy=replace(POLICY, marker="_SUCCESS"))
    world.put(YESTERDAY, age=OLD)
    assert world.quiet_ticks(50) == []
    assert world.tick().waiting == {YESTERDAY: "1 file, _SUCCESS is missing"}
    world.put(YESTERDAY, "_SUCCESS", "")
    assert requested_days(world.tick()) == [YESTERDAY], "the marker is not waited upon"


def test_with_a_marker_older_than_a_file_the_day_waits_to_settle() -> None:
    world = World(policy=replace(POLICY, marker="_SUCCESS"))
    world.put(YESTERDAY, "_SUCCESS", "", age=OLD)
    world.put(YESTERDAY, "late.csv", age=10)
    outcome = world.tick(after=1)
    assert outcome.planned_runs == []
    assert "changed after _SUCCESS was written" in outcome.waiting[YESTERDAY]
    assert world.quiet_ticks() == [YESTERDAY]


def test_a_marker_written_again_is_no_change() -> None:
    world = World(policy=replace(POLICY, marker="_SUCCESS"))
    world.put(YESTERDAY, age=OLD)
    world.put(YESTERDAY, "_SUCCESS", "")
    assert world.quiet_ticks() == [YESTERDAY]
    world.put(YESTERDAY, "_SUCCESS", "again")
    assert world.quiet_ticks() == []


def test_without_settle_seconds_a_file_is_requested_at_once() -> None:
    world = World(policy=replace(POLICY, settle_seconds=0))
    world.put(TODAY)
    assert requested_days(world.tick(after=0)) == [TODAY]


def test_without_settle_seconds_a_later_change_is_requested_at_once() -> None:
    world = World(policy=replace(POLICY, settle_seconds=0))
    world.put(TODAY)
    world.tick()
    world.now += 0.25
    world.put(TODAY, body="2", age=OLD)
    assert requested_days(world.tick(after=0.25)) == [TODAY]


def test_if_the_clock_of_s3_is_ahead_a_day_waits_settle_seconds_and_no_longer() -> None:
    world = World()
    world.put(TODAY, age=-7200)
    assert world.quiet_ticks(5) == [TODAY]


# Deleted files


def test_a_day_whose_files_were_all_deleted_is_reported_once_and_not_requested() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    world.quiet_ticks()
    fingerprint = world.bucket.fingerprint(YESTERDAY)
    world.delete(YESTERDAY)
    outcomes = [world.tick() for _ in range(10)]
    assert [outcome.planned_runs for outcome in outcomes] == [[]] * 10
    assert [emptied for outcome in outcomes for emptied in outcome.emptied_days] == [
        EmptiedDay(YESTERDAY, fingerprint or "")
    ]


def test_files_that_are_moved_away_and_back_cause_no_request_and_no_report() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    world.quiet_ticks()
    world.delete(YESTERDAY)
    assert world.tick().emptied_days == []
    world.put(YESTERDAY)
    outcomes = [world.tick() for _ in range(10)]
    assert all(not outcome.planned_runs and not outcome.emptied_days for outcome in outcomes)


def test_a_day_that_was_reported_empty_and_gets_new_files_is_requested() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    world.quiet_ticks()
    world.delete(YESTERDAY)
    world.quiet_ticks()
    world.put(YESTERDAY, body="other")
    assert world.quiet_ticks() == [YESTERDAY]


def test_an_emptied_day_is_reported_again_when_it_is_emptied_again() -> None:
    world = World()
    reports = 0
    for body in "ab":
        world.put(YESTERDAY, body=body)
        world.quiet_ticks()
        world.delete(YESTERDAY)
        reports += sum(len(world.tick().emptied_days) for _ in range(8))
    assert reports == 2
