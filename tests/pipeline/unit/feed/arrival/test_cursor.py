"""What the cursor holds, how large it gets, and what is refused."""

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
)
from xacct_assets.feed.arrival.cursor import MAX_OTHER_DAYS, Cursor, UnreadableCursor


@pytest.mark.parametrize("text", ["not json", "[]", '{"v":99}', '{"v":1}', "17"])
def test_a_text_that_is_no_cursor_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(UnreadableCursor, match="cannot be read"):
        Cursor.decode(text)


def test_the_cursor_is_bounded_whatever_the_window_and_the_number_of_files() -> None:
    policy = replace(
        POLICY,
        days_back=366,
        days_ahead=7,
        last_day=TODAY + timedelta(days=7),
        sweep_days_back=420,
        sweep_every_seconds=0,
        sweep_days=20,
        page_size=1,
        max_runs_per_tick=1000,
    )
    world = World(policy=policy)
    for back in range(-7, 420):
        for number in range(2):
            world.put(TODAY - timedelta(days=back), f"{'é' * 300}{number}.csv", age=30)
    longest = 0
    for _ in range(7):
        outcome = world.tick(*(TODAY - timedelta(days=back) for back in range(367, 420)))
        longest = max(longest, len(outcome.cursor.encode()))
    assert longest < 65_535
    decoded = Cursor.decode(world.cursor)
    assert len(decoded.days) <= 374 + MAX_OTHER_DAYS
    assert decoded.encode() == world.cursor
    assert len({request.day for request in world.runs.requests}) == 427


def test_a_partial_listing_survives_in_the_cursor_at_any_key() -> None:
    world = World(policy=replace(POLICY, page_size=1, tick_seconds=0), seconds_per_page=1)
    for name in ("é😀.csv", "\x01.csv", '"quoted".csv', "x" * 900 + ".csv"):
        world.put(YESTERDAY, name, age=OLD)
    world.quiet_ticks(40)
    assert world.runs.requests[0].fingerprint == world.bucket.fingerprint(YESTERDAY)
