"""Files that a tick cannot have loaded: archived ones, and those that no pattern matches."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.arrival_model import (
    LONG_AGO,
    OLD,
    POLICY,
    TODAY,
    YESTERDAY,
    World,
    requested_days,
)
from xacct_assets.contract.file_patterns import FilePatterns
from xacct_assets.feed.arrival.cursor import Cursor

SWEEPING = replace(POLICY, sweep_days_back=60, sweep_every_seconds=0, sweep_days=60)


@pytest.mark.parametrize("archive", ["GLACIER", "DEEP_ARCHIVE"])
def test_a_day_with_an_archived_file_waits_and_is_requested_once_it_is_restored(
    archive: str,
) -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    world.put(YESTERDAY, "b.csv", age=OLD)
    world.move(YESTERDAY, archive)
    outcome = world.tick()
    assert outcome.waiting[YESTERDAY].startswith("1 of 2 files are archived (a.csv)")
    assert "restore-object" in outcome.waiting[YESTERDAY]
    assert world.quiet_ticks(20) == []
    world.move(YESTERDAY, None)
    assert world.quiet_ticks(20) == [YESTERDAY]


def test_the_other_days_do_not_wait_for_an_archived_one() -> None:
    world = World()
    days = [TODAY - timedelta(days=back) for back in range(5)]
    for day in days:
        world.put(day, age=OLD)
    world.move(days[2], "GLACIER")
    assert sorted(world.quiet_ticks(), reverse=True) == [*days[:2], *days[3:]]


def test_a_loaded_day_that_a_lifecycle_rule_archives_is_left_alone() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    assert world.quiet_ticks() == [YESTERDAY]
    world.move(YESTERDAY, "GLACIER")
    outcome = world.tick()
    assert (requested_days(outcome), outcome.waiting) == ([], {})
    world.move(YESTERDAY, None)
    assert world.quiet_ticks() == []


def test_a_day_that_was_loaded_by_hand_before_it_was_archived_does_not_wait() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    world.runs.materialized[YESTERDAY] = world.bucket.fingerprint(YESTERDAY) or ""
    world.move(YESTERDAY, "GLACIER")
    outcome = world.tick()
    assert (requested_days(outcome), outcome.waiting) == ([], {})


def test_a_late_file_waits_until_the_archived_files_of_its_day_are_restored() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    assert world.quiet_ticks() == [YESTERDAY]
    world.move(YESTERDAY, "GLACIER")
    world.put(YESTERDAY, "late.csv")
    assert world.quiet_ticks() == []
    assert "1 of 2 files are archived" in world.tick().waiting[YESTERDAY]
    world.move(YESTERDAY, None)
    assert world.quiet_ticks() == [YESTERDAY]


def test_an_archived_history_does_not_hold_up_the_sweep() -> None:
    world = World(policy=SWEEPING)
    history = [TODAY - timedelta(days=back) for back in range(8, 61)]
    for day in history:
        world.put(day, age=(TODAY - day).days * 86_400)
        world.move(day, "GLACIER")
    assert world.quiet_ticks(10) == []
    world.move(LONG_AGO, None)
    assert world.quiet_ticks(10) == [LONG_AGO]


def test_what_was_seen_of_a_huge_day_survives_from_tick_to_tick() -> None:
    world = World(policy=replace(POLICY, page_size=1, tick_seconds=0), seconds_per_page=1)
    names = ["a.csv", "b.CSV", f"c{'é' * 300}.CSV", "d.csv", "e.CSV", "f.CSV", "g.CSV"]
    for name in names:
        world.put(YESTERDAY, name, age=OLD)
    world.move(YESTERDAY, "GLACIER")
    outcomes = [world.tick() for _ in range(40)]
    (reason, *_) = [o.waiting[YESTERDAY] for o in outcomes if YESTERDAY in o.waiting]
    assert reason.startswith("1 of 2 files are archived (a.csv)")
    (unmatched, *_) = [o.unmatched[YESTERDAY] for o in outcomes if YESTERDAY in o.unmatched]
    assert unmatched.count == 5
    assert str(unmatched).startswith("b.CSV, c")
    assert str(unmatched).endswith("e.CSV and 2 more")


def test_a_cursor_of_an_earlier_release_is_continued() -> None:
    world = World(policy=replace(POLICY, page_size=1, tick_seconds=0), seconds_per_page=1)
    for name in ("a.csv", "b.csv", "c.csv"):
        world.put(TODAY + timedelta(days=1), name, age=OLD)
    world.tick()
    cursor = Cursor.decode(world.cursor)
    (partial,) = cursor.partial_listings.values()
    before, row = cursor.encode(), partial.to_json()
    text = str(row).replace("None", "null").replace("'", '"').replace(" ", "")
    assert text in before
    world.cursor = before.replace(text, text.replace(",[0,[]],[0,[]]", ""))
    assert world.cursor != before
    assert Cursor.decode(world.cursor) == cursor


@pytest.mark.parametrize("name", ["A.CSV", "a.CSV.gz", "sub/a.csv", "a.csv.zip", "readme"])
def test_a_file_that_no_pattern_matches_is_named(name: str) -> None:
    world = World()
    world.put(YESTERDAY, name, age=OLD)
    outcome = world.tick()
    assert requested_days(outcome) == []
    assert {day: str(files) for day, files in outcome.unmatched.items()} == {YESTERDAY: name}


def test_unmatched_files_of_a_requested_day_are_named_and_do_not_belong_to_it() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    fingerprint = world.bucket.fingerprint(YESTERDAY)
    world.put(YESTERDAY, "B.CSV", age=OLD)
    outcome = world.tick()
    assert [str(files) for files in outcome.unmatched.values()] == ["B.CSV"]
    (run,) = outcome.planned_runs
    assert (run.days[0].file_count, run.days[0].fingerprint) == (1, fingerprint)


@pytest.mark.parametrize(
    "name", ["_SUCCESS", "_tmp.csv", ".a.csv", "sub/", "_temporary/0/a.csv", "done.txt"]
)
def test_hidden_files_folders_and_the_marker_are_not_named(name: str) -> None:
    patterns = FilePatterns(["*.csv"], "done.txt")
    world = World(policy=replace(POLICY, patterns=patterns, marker="done.txt"))
    world.put(YESTERDAY, name, age=OLD)
    assert world.tick().unmatched == {}
