"""Defects of Airflow's S3KeySensor."""

from __future__ import annotations

from datetime import timedelta

from tests.support.arrival_model import FOLDERS, TODAY, World, requested_days
from xacct_assets.contract.file_patterns import FilePatterns

OLD = 3600.0


def test_a_day_is_not_run_at_its_first_file_but_with_all_that_land_together() -> None:
    """S3KeySensor is content with the first match: the files that follow are not processed."""
    world = World()
    asked = []
    for number in range(5):
        world.put(TODAY, f"part-{number}.csv")
        asked += world.tick(after=20).planned_runs
    assert asked == [], "asked for while files were still landing"
    while not asked:
        asked += world.tick(after=20).planned_runs
    (day,) = asked[0].days
    assert (day.file_count, day.fingerprint) == (5, world.bucket.fingerprint(TODAY))


def test_a_file_that_lands_after_a_day_was_run_is_run_too() -> None:
    """S3KeySensor succeeds once: a late file is never seen."""
    world = World()
    world.put(TODAY, "a.csv", age=OLD)
    assert requested_days(world.tick()) == [TODAY]
    world.put(TODAY, "late.csv")
    assert world.quiet_ticks() == [TODAY]
    assert world.runs.requests[-1].fingerprint == world.bucket.fingerprint(TODAY)


def test_a_star_takes_no_file_of_a_folder_below_the_days() -> None:
    """S3KeySensor matches with fnmatch, whose ``*`` crosses ``/``: an archive below the day counts
    as the day's file."""
    assert not FilePatterns(["*.csv"]).match("archive/old.csv")
    world = World()
    world.put(TODAY, "archive/old.csv", age=OLD)
    assert world.quiet_ticks() == []


def test_a_pattern_lists_the_days_prefix_and_not_the_bucket() -> None:
    """S3KeySensor in regex mode lists the whole bucket at every poke."""
    world = World()
    world.put(TODAY, age=OLD)
    for back in range(30, 400):
        world.put(TODAY - timedelta(days=back), age=OLD)
    world.tick()
    days = {FOLDERS.prefix(TODAY + timedelta(days=offset)) for offset in range(-7, 2)}
    assert set(world.bucket.prefixes) == days
