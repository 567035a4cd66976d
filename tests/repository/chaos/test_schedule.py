"""What a seed does: the same on every machine, and enough of everything."""

from __future__ import annotations

import pytest

from tests.support.project import EXTRA_FEEDS_DIR
from tests.support.truth import truth_of
from tools.chaos.files import body_of
from tools.chaos.schedule import (
    DAYS,
    FAULTS,
    FEEDS,
    Delete,
    Inject,
    Launch,
    Put,
    Schedule,
    Tick,
    schedule_of,
)
from xacct_assets.feed.loader import load_feed
from xacct_sandbox.faults.kinds import check

SEEDS = range(1, 41)
SCHEDULES = {seed: schedule_of(seed) for seed in SEEDS}


def of_kind(schedule: Schedule, kind: type) -> list:
    return [action for action in schedule.actions if isinstance(action, kind)]


def test_a_seed_is_one_schedule_and_another_seed_another() -> None:
    assert schedule_of(7) == SCHEDULES[7]
    assert len({schedule.actions for schedule in SCHEDULES.values()}) == len(SEEDS)


@pytest.mark.parametrize("seed", SEEDS)
def test_every_day_of_both_feeds_ends_with_a_file(seed: int) -> None:
    there: dict[tuple[str, int], set[str]] = {}
    for action in SCHEDULES[seed].actions:
        match action:
            case Put(feed, day, name):
                there.setdefault((feed, day), set()).add(name)
            case Delete(feed, day, name):
                there[feed, day].remove(name)
    assert set(there) == {(feed, day) for feed in FEEDS for day in range(DAYS)}
    assert all(there.values())


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_plans_more_faults_than_must_be_injected_and_each_can_be(seed: int) -> None:
    faults = [fault for action in of_kind(SCHEDULES[seed], Inject) for fault in action.faults]
    for fault in faults:
        check(fault)
    assert sum(fault.count or 0 for fault in faults) > FAULTS


@pytest.mark.parametrize("seed", SEEDS)
def test_a_seed_ends_runs_from_outside_and_runs_ranges_and_replaces_files(seed: int) -> None:
    launches = of_kind(SCHEDULES[seed], Launch)
    assert [launch.ending for launch in launches].count(None) < len(launches)
    assert any(put.version for put in of_kind(SCHEDULES[seed], Put))
    assert {tick.feed for tick in of_kind(SCHEDULES[seed], Tick)} == set(FEEDS)


def test_forty_seeds_have_everything_that_can_happen() -> None:
    launches = [launch for one in SCHEDULES.values() for launch in of_kind(one, Launch)]
    endings = [launch.ending for launch in launches if launch.ending]
    assert {(ending.how, ending.step) for ending in endings} >= {
        (how, step) for how in ("terminated", "killed") for step in ("staging_table", "s3_export")
    }
    assert any(launch.first < launch.last for launch in launches)
    assert all(of_kind(SCHEDULES[seed], Tick) for seed in SEEDS)
    cursors = {tick.cursor for one in SCHEDULES.values() for tick in of_kind(one, Tick)}
    assert cursors == {"kept", "lost", "reset"}
    kinds = {
        fault.kind
        for one in SCHEDULES.values()
        for action in of_kind(one, Inject)
        for fault in action.faults
    }
    assert len(kinds) >= 19, kinds


@pytest.mark.parametrize("name", FEEDS)
def test_no_file_has_more_rows_to_reject_than_its_feed_allows(name: str) -> None:
    feed = load_feed(name, extra_feeds_dir=EXTRA_FEEDS_DIR)
    for seed in range(1, 6):
        for version in range(4):
            bodies = [body_of(seed, name, 0, f"part-{part}.csv", version) for part in (1, 2, 3)]
            truth = truth_of(feed, bodies)
            assert truth.rejected <= feed.reject_threshold * truth.read
            assert truth.rows


@pytest.mark.parametrize("name", FEEDS)
def test_a_replaced_file_holds_other_values_and_often_as_many_rows(name: str) -> None:
    feed = load_feed(name, extra_feeds_dir=EXTRA_FEEDS_DIR)
    one, other, third = (
        truth_of(feed, [body_of(3, name, 1, "part-1.csv", version)]) for version in (0, 1, 2)
    )
    assert one.rows != third.rows != other.rows
    assert one.read == third.read
