"""Defects of dagster-aws's `get_objects`, which its S3 sensors are built on."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.support.arrival_model import TODAY, World, requested_days

OLD = 3600.0


@pytest.mark.parametrize("history", [0, 300])
def test_a_tick_costs_the_same_however_much_lies_under_the_prefix(history: int) -> None:
    """`get_objects` lists the whole prefix at each tick: ever slower with every day that lands."""
    world = World()
    world.put(TODAY, age=OLD)
    for back in range(30, 30 + history):
        world.put(TODAY - timedelta(days=back), age=OLD)
    ticks = [world.tick() for _ in range(3)]
    # A page for each day of the window, and the one object that is in it.
    assert [(tick.pages, tick.objects) for tick in ticks] == [(9, 1)] * 3


@pytest.mark.parametrize("name", ["a.csv", "z.csv"])
def test_a_file_that_shares_its_second_with_one_seen_before_is_seen(name: str) -> None:
    """`get_objects` takes what is newer than the cursor with a strict ``>``: S3 shows whole
    seconds, so a file of the same second as the last one seen is lost."""
    world = World()
    world.put(TODAY, "m.csv", age=OLD)
    assert requested_days(world.tick()) == [TODAY]
    stamp = world.bucket.objects[world.key(TODAY, "m.csv")].last_modified.timestamp()
    world.bucket.put(world.key(TODAY, name), "more", stamp)
    assert world.quiet_ticks() == [TODAY]
    assert world.runs.requests[-1].fingerprint == world.bucket.fingerprint(TODAY)
