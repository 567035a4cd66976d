"""Claims about single ticks: what is requested, what waits, what is left alone, what it costs."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest

from tests.support.arrival_model import FOLDERS, NOON, POLICY, TODAY, World
from xacct_assets.aws.errors import AccessDenied, Throttled
from xacct_assets.feed.arrival.cursor import MAX_OTHER_DAYS, Cursor, UnreadableCursor
from xacct_assets.feed.arrival.decision import EmptiedDay

YESTERDAY = TODAY - timedelta(days=1)
LONG_AGO = TODAY - timedelta(days=40)
OLD = 3600.0


def quiet(world: World, ticks: int = 8) -> list[date]:
    """Ticks in which nobody touches the bucket; the days that they asked for."""
    return [day for _ in range(ticks) for day in world.asked(world.tick())]


# What is requested


def test_a_day_whose_files_are_old_is_requested_at_the_first_look() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    outcome = world.tick()
    (ask,) = outcome.requests
    assert [day.day for day in ask.days] == [YESTERDAY]
    assert ask.run_key("products") == f"products/{YESTERDAY}/{world.bucket.content(YESTERDAY)}/1"
    assert ask.days[0].files == 1


def test_a_day_that_did_not_change_is_not_requested_again() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    assert quiet(world, 30) == [YESTERDAY]


def test_a_fresh_file_makes_the_day_wait_until_it_is_settled() -> None:
    world = World()
    world.tick()
    world.put(TODAY)
    assert [world.asked(world.tick(after=20)) for _ in range(4)] == [[], [], [TODAY], []]


def test_each_further_file_starts_the_wait_again() -> None:
    world = World()
    for name in "abcdef":
        world.put(TODAY, f"{name}.csv")
        assert world.asked(world.tick()) == []
    assert quiet(world) == [TODAY]


def test_the_same_content_uploaded_again_starts_the_wait_again() -> None:
    world = World()
    for _ in range(5):
        world.put(TODAY)
        assert world.asked(world.tick()) == []
    assert quiet(world) == [TODAY]


def test_two_files_that_share_a_timestamp_are_both_seen() -> None:
    world = World()
    world.put(TODAY, "b.csv", age=OLD)
    assert quiet(world) == [TODAY]
    stamp = world.bucket.objects[world.key(TODAY, "b.csv")].last_modified.timestamp()
    world.bucket.put(world.key(TODAY, "a.csv"), "1", stamp)
    assert quiet(world) == [TODAY]


def test_a_file_replaced_under_the_same_key_is_a_change() -> None:
    world = World()
    world.put(YESTERDAY, body="1", age=OLD)
    quiet(world)
    world.put(YESTERDAY, body="2")
    assert quiet(world) == [YESTERDAY]


def test_the_same_content_uploaded_again_is_no_change() -> None:
    world = World()
    world.put(YESTERDAY, body="1", age=OLD)
    quiet(world)
    world.put(YESTERDAY, body="1")
    assert quiet(world) == []


def test_a_deleted_file_is_a_change() -> None:
    world = World()
    world.put(YESTERDAY, "a.csv", age=OLD)
    world.put(YESTERDAY, "b.csv", age=OLD)
    quiet(world)
    world.delete(YESTERDAY, "a.csv")
    assert world.asked(world.tick()) == [], (
        "a deletion has no time: the wait begins when it is seen"
    )
    assert quiet(world) == [YESTERDAY]


def test_a_day_that_goes_from_a_to_b_to_a_is_requested_three_times_under_three_keys() -> None:
    world = World()
    for body in "aba":
        world.put(YESTERDAY, body=body)
        assert quiet(world) == [YESTERDAY]
    assert len(world.runs.keys) == 3
    assert world.runs.dropped == []


def test_a_change_undone_before_it_settled_asks_for_nothing() -> None:
    world = World()
    world.put(YESTERDAY, body="a", age=OLD)
    quiet(world)
    world.put(YESTERDAY, body="b")
    world.tick()
    world.put(YESTERDAY, body="a")
    assert quiet(world) == []


def test_a_change_undone_while_a_run_was_reading_asks_once_more() -> None:
    world = World()
    world.put(YESTERDAY, body="a", age=OLD)
    quiet(world)
    world.put(YESTERDAY, body="b")
    world.tick()
    world.runs.work(YESTERDAY, started=world.now - 10, ended=None)
    world.put(YESTERDAY, body="a")
    assert quiet(world) == [YESTERDAY]
    world.runs.work(YESTERDAY, started=world.now - 10, ended=world.now)
    assert quiet(world) == []


def test_a_change_undone_after_the_run_was_over_asks_for_nothing() -> None:
    world = World()
    world.put(YESTERDAY, body="a", age=OLD)
    world.tick()
    world.runs.work(YESTERDAY, started=world.now, ended=world.now + 5)
    quiet(world)
    world.put(YESTERDAY, body="b")
    world.tick()
    world.put(YESTERDAY, body="a")
    assert quiet(world) == []


@pytest.mark.parametrize("name", ["_tmp.csv", ".a.csv", "_SUCCESS", "a.txt", "sub/a.csv", ""])
def test_what_is_no_file_of_the_feed_asks_for_nothing(name: str) -> None:
    world = World()
    world.put(YESTERDAY, name, age=OLD)
    assert quiet(world) == []


@pytest.mark.parametrize("name", ["a b.csv", "100%+1.csv", "é😀.csv", "'; drop.csv", "a..csv"])
def test_any_name_that_fits_the_pattern_counts(name: str) -> None:
    world = World()
    world.put(YESTERDAY, name, age=OLD)
    assert quiet(world) == [YESTERDAY]


def test_days_that_are_no_partitions_are_left_alone() -> None:
    world = World(policy=replace(POLICY, first_day=TODAY, last_day=TODAY))
    for day in (YESTERDAY, TODAY, TODAY + timedelta(days=1)):
        world.put(day, age=OLD)
    assert quiet(world) == [TODAY]
    assert world.asked(world.tick(YESTERDAY)) == [], "not even if a notification points there"


def test_the_day_ahead_is_requested_if_its_partition_exists() -> None:
    world = World()
    world.put(TODAY + timedelta(days=1), age=OLD)
    assert quiet(world) == [TODAY + timedelta(days=1)]


# When a day is complete


def test_a_day_waits_for_the_least_number_of_files() -> None:
    world = World(policy=replace(POLICY, min_files=2))
    world.put(YESTERDAY, "a.csv", age=OLD)
    outcome = world.tick()
    assert outcome.waiting == {YESTERDAY: "1 of 2 files"}
    world.put(YESTERDAY, "b.csv", age=OLD)
    assert quiet(world) == [YESTERDAY]


def test_with_a_marker_a_day_waits_for_it_however_long() -> None:
    world = World(policy=replace(POLICY, marker="_SUCCESS"))
    world.put(YESTERDAY, age=OLD)
    assert quiet(world, 50) == []
    assert world.tick().waiting == {YESTERDAY: "1 files, no _SUCCESS yet"}
    world.put(YESTERDAY, "_SUCCESS", "")
    assert world.asked(world.tick()) == [YESTERDAY], "the marker is not waited upon"


def test_a_marker_older_than_a_file_vouches_for_it_only_after_the_wait() -> None:
    world = World(policy=replace(POLICY, marker="_SUCCESS"))
    world.put(YESTERDAY, "_SUCCESS", "", age=OLD)
    world.put(YESTERDAY, "late.csv", age=10)
    outcome = world.tick(after=1)
    assert outcome.requests == []
    assert "changed after its _SUCCESS" in outcome.waiting[YESTERDAY]
    assert quiet(world) == [YESTERDAY]


def test_a_marker_written_again_is_no_change() -> None:
    world = World(policy=replace(POLICY, marker="_SUCCESS"))
    world.put(YESTERDAY, age=OLD)
    world.put(YESTERDAY, "_SUCCESS", "")
    assert quiet(world) == [YESTERDAY]
    world.put(YESTERDAY, "_SUCCESS", "again")
    assert quiet(world) == []


def test_without_a_wait_a_file_is_requested_at_once() -> None:
    world = World(policy=replace(POLICY, settle_seconds=0))
    world.put(TODAY)
    assert world.asked(world.tick(after=0)) == [TODAY]


def test_without_a_wait_a_later_change_is_requested_at_once_too() -> None:
    world = World(policy=replace(POLICY, settle_seconds=0))
    world.put(TODAY)
    world.tick()
    world.now += 0.25
    world.put(TODAY, body="2", age=OLD)
    assert world.asked(world.tick(after=0.25)) == [TODAY]


def test_a_clock_of_s3_that_is_ahead_delays_a_day_by_the_wait_and_no_more() -> None:
    world = World()
    world.put(TODAY, age=-7200)
    assert quiet(world, 5) == [TODAY]


# Deleted days


def test_a_day_whose_files_are_all_gone_is_reported_once_and_not_requested() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    quiet(world)
    content = world.bucket.content(YESTERDAY)
    world.delete(YESTERDAY)
    outcomes = [world.tick() for _ in range(10)]
    assert [outcome.requests for outcome in outcomes] == [[]] * 10
    assert [gone for outcome in outcomes for gone in outcome.emptied] == [
        EmptiedDay(YESTERDAY, content or "")
    ]


def test_files_that_are_moved_away_and_back_ask_for_nothing_and_alarm_nobody() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    quiet(world)
    world.delete(YESTERDAY)
    assert world.tick().emptied == []
    world.put(YESTERDAY)
    outcomes = [world.tick() for _ in range(10)]
    assert all(not outcome.requests and not outcome.emptied for outcome in outcomes)


def test_a_day_that_was_reported_empty_and_comes_back_changed_is_requested() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    quiet(world)
    world.delete(YESTERDAY)
    quiet(world)
    world.put(YESTERDAY, body="other")
    assert quiet(world) == [YESTERDAY]


def test_an_emptied_day_is_reported_again_when_it_is_emptied_again() -> None:
    world = World()
    reports = 0
    for body in "ab":
        world.put(YESTERDAY, body=body)
        quiet(world)
        world.delete(YESTERDAY)
        reports += sum(len(world.tick().emptied) for _ in range(8))
    assert reports == 2


# Crashes and lost cursors


def test_a_tick_that_dies_before_launching_loses_nothing() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    world.look()
    assert quiet(world) == [YESTERDAY]


def test_a_tick_that_dies_after_launching_repeats_nothing() -> None:
    world = World()
    world.tick()
    world.put(YESTERDAY)
    world.now += 100
    assert world.asked(world.look()) == [YESTERDAY]
    world.runs.launch(world.look(), world.now)
    assert quiet(world) == []
    assert len(world.runs.keys) == 1


def test_the_very_first_launch_may_be_lost_by_the_cursor_too() -> None:
    world = World()
    world.tick()
    world.put(TODAY)
    world.put(YESTERDAY)
    world.put(TODAY - timedelta(days=3))
    world.tick()
    world.now += 100
    world.runs.launch(world.look(), world.now)
    assert len(world.runs.keys) == 3
    assert quiet(world) == []


def test_a_lost_request_for_b_does_not_hide_the_way_back_to_a() -> None:
    world = World()
    world.put(YESTERDAY, body="a", age=OLD)
    quiet(world)
    world.put(YESTERDAY, body="b")
    world.tick()
    world.now += 100
    world.runs.launch(world.look(), world.now)  # the cursor of this tick is lost
    world.put(YESTERDAY, body="a")
    assert quiet(world) == [YESTERDAY]
    assert len(world.runs.keys) == 3


def test_a_reset_cursor_repeats_nothing_and_loses_nothing() -> None:
    world = World()
    for back in range(3):
        world.put(TODAY - timedelta(days=back), age=OLD)
    quiet(world)
    world.put(YESTERDAY, body="changed", age=OLD)
    world.cursor = ""
    assert quiet(world) == [YESTERDAY]
    assert world.runs.dropped == []


def test_a_cursor_reset_at_every_tick_requests_each_content_once() -> None:
    world = World()
    for body in "abab":
        world.put(YESTERDAY, body=body, age=OLD)
        asked = []
        for _ in range(5):
            world.cursor = ""
            asked += world.asked(world.tick())
        assert asked == [YESTERDAY]
    assert len(world.runs.keys) == 4


def test_a_request_whose_run_was_never_made_is_made_again_under_the_same_key() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    lost = world.look()
    world.cursor = lost.cursor  # the sensor was stopped in mid-launch: cursor kept, no run
    again = world.tick()
    assert [ask.run_key("f") for ask in again.requests] == [
        ask.run_key("f") for ask in lost.requests
    ]
    assert quiet(world) == []


def test_a_failed_run_is_not_requested_again_until_the_day_changes() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    quiet(world)
    world.runs.work(YESTERDAY, started=world.now, ended=world.now + 1)  # failed: no version
    assert quiet(world, 20) == []
    world.put(YESTERDAY, body="mended")
    assert quiet(world) == [YESTERDAY]


def test_a_day_backfilled_with_this_very_content_before_the_sensor_was_on_is_not_repeated() -> None:
    world = World()
    for day in (TODAY, YESTERDAY):
        world.put(day, age=OLD)
        world.runs.versions[day] = world.bucket.content(TODAY) or ""
    assert quiet(world) == [YESTERDAY], "its content is another than the one materialized"
    world.put(TODAY, body="changed")
    assert quiet(world) == [TODAY]


@pytest.mark.parametrize("text", ["not json", "[]", '{"v":99}', '{"v":1}', "17"])
def test_a_cursor_of_somebody_else_is_refused_with_a_reason(text: str) -> None:
    with pytest.raises(UnreadableCursor, match="cannot be read"):
        Cursor.decode(text)


# Trouble


def denied() -> AccessDenied:
    return AccessDenied("list the day", action="s3:ListBucket")


def test_a_day_that_is_denied_does_not_hold_up_the_others() -> None:
    world = World()
    for day in (TODAY, YESTERDAY):
        world.put(day, age=OLD)
    world.bucket.denied[FOLDERS.prefix(TODAY)] = denied()
    outcome = world.tick()
    assert world.asked(outcome) == [YESTERDAY]
    assert set(outcome.failures) == {TODAY}
    world.bucket.denied.clear()
    assert quiet(world) == [TODAY]


def test_a_denied_day_that_is_all_there_is_to_say_is_no_progress() -> None:
    world = World()
    world.bucket.denied[FOLDERS.prefix(TODAY)] = denied()
    world.tick()
    outcome = world.tick()
    assert outcome.failures
    assert not outcome.progress


def test_throttling_ends_the_tick_and_the_next_goes_on_where_it_stopped() -> None:
    world = World()
    for back in range(8):
        world.put(TODAY - timedelta(days=back), age=OLD)
    stuck = TODAY - timedelta(days=3)
    world.bucket.denied[FOLDERS.prefix(stuck)] = Throttled("list the day")
    outcome = world.tick()
    assert stuck in outcome.failures
    assert min(world.asked(outcome)) > stuck
    world.bucket.denied.clear()
    world.bucket.prefixes.clear()
    world.tick()
    assert world.bucket.prefixes[0] == FOLDERS.prefix(stuck)
    assert len({entry.day for entry in world.runs.entries}) == 8


# Size and time


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
    assert [day for outcome in outcomes for day in world.asked(outcome)] == [YESTERDAY]
    assert all(outcome.pages <= 6 for outcome in outcomes)
    assert world.runs.entries[0].content == world.bucket.content(YESTERDAY)


def test_while_a_huge_day_is_listed_the_other_days_have_their_turn() -> None:
    world = World(policy=replace(POLICY, page_size=10, tick_seconds=5), seconds_per_page=1)
    for number in range(500):
        world.put(YESTERDAY, f"{number:05}.csv", age=OLD)
    world.put(TODAY - timedelta(days=5), age=OLD)
    world.put(TODAY, age=OLD)
    assert sorted(quiet(world, 20)) == [TODAY - timedelta(days=5), YESTERDAY, TODAY]
    world.put(TODAY, body="more")
    world.put(TODAY - timedelta(days=5), body="more")
    assert sorted(quiet(world, 40)) == [TODAY - timedelta(days=5), TODAY]


def test_a_tick_without_any_time_still_gets_on() -> None:
    world = World(policy=replace(POLICY, page_size=1, tick_seconds=0), seconds_per_page=1)
    for number in range(5):
        world.put(YESTERDAY, f"{number}.csv", age=OLD)
    assert set(quiet(world, 60)) == {YESTERDAY}


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
    assert len({entry.day for entry in world.runs.entries}) == 427


def test_a_half_listed_day_survives_in_the_cursor_at_any_key() -> None:
    world = World(policy=replace(POLICY, page_size=1, tick_seconds=0), seconds_per_page=1)
    for name in ("é😀.csv", "\x01.csv", '"quoted".csv', "x" * 900 + ".csv"):
        world.put(YESTERDAY, name, age=OLD)
    quiet(world, 40)
    assert world.runs.entries[0].content == world.bucket.content(YESTERDAY)


def test_a_quiet_tick_asks_the_run_storage_once() -> None:
    world = World()
    world.put(YESTERDAY, age=OLD)
    quiet(world)
    world.runs.queries = 0
    world.tick()
    assert world.runs.queries == 1


# Backlogs


def test_a_backlog_of_a_year_becomes_a_dozen_runs() -> None:
    world = World(policy=replace(POLICY, days_back=364))
    for back in range(365):
        world.put(TODAY - timedelta(days=back), age=OLD)
    outcome = world.tick()
    assert len(outcome.requests) == 12
    assert max(len(ask.days) for ask in outcome.requests) == 31
    assert len(world.asked(outcome)) == 365
    assert outcome.requests[0].days[-1].day == TODAY, "today first"
    assert len({ask.run_key("products") for ask in outcome.requests}) == 12
    assert quiet(world) == []


def test_a_few_days_in_a_row_are_runs_of_their_own() -> None:
    world = World()
    for back in range(3):
        world.put(TODAY - timedelta(days=back), age=OLD)
    assert [len(ask.days) for ask in world.tick().requests] == [1, 1, 1]


def test_a_gap_ends_a_range() -> None:
    world = World(policy=replace(POLICY, range_from_days=2))
    for back in (0, 1, 3, 4, 5):
        world.put(TODAY - timedelta(days=back), age=OLD)
    assert [len(ask.days) for ask in world.tick().requests] == [2, 3]


def test_requests_beyond_the_limit_of_a_tick_follow_in_the_next() -> None:
    world = World(policy=replace(POLICY, max_runs_per_tick=2, range_from_days=100))
    for back in range(5):
        world.put(TODAY - timedelta(days=back), age=OLD)
    assert [len(world.tick().requests) for _ in range(4)] == [2, 2, 1, 0]


def test_one_changed_day_of_a_range_is_requested_alone() -> None:
    world = World()
    for back in range(6):
        world.put(TODAY - timedelta(days=back), age=OLD)
    assert [len(ask.days) for ask in world.tick().requests] == [6]
    world.put(YESTERDAY, body="changed")
    assert quiet(world) == [YESTERDAY]
    world.cursor = ""
    assert quiet(world) == []


# Late files, notifications


SWEEPING = replace(POLICY, sweep_days_back=60)


def test_a_late_file_far_outside_the_window_is_found_by_the_sweep() -> None:
    world = World(policy=SWEEPING)
    quiet(world, 5)
    world.put(LONG_AGO, age=OLD)
    assert quiet(world, 40) == [LONG_AGO]
    assert quiet(world, 40) == []
    world.put(LONG_AGO, body="corrected", age=OLD)
    assert quiet(world, 40) == [LONG_AGO]


def test_the_sweep_looks_at_a_few_days_a_minute_and_comes_around() -> None:
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
    asked = quiet(world, 19)
    assert asked == []
    assert quiet(world, 30) == [LONG_AGO]


def test_a_notification_makes_a_day_outside_the_window_be_looked_at_now() -> None:
    world = World()
    world.put(LONG_AGO, age=OLD)
    assert quiet(world, 3) == []
    assert world.asked(world.tick(LONG_AGO)) == [LONG_AGO]
    assert world.tick(LONG_AGO).requests == []


def test_more_late_days_than_there_is_room_for_wait_their_turn() -> None:
    world = World()
    late = [LONG_AGO - timedelta(days=offset) for offset in range(100)]
    for day in late:
        world.put(day, age=10)
    asked: list[date] = []
    for _ in range(12):
        asked += world.asked(world.tick(*late))
    assert sorted(asked) == sorted(late)


def test_with_notifications_the_whole_window_is_looked_at_now_and_then_only() -> None:
    world = World(policy=replace(POLICY, window_every_seconds=300))
    world.tick()
    world.bucket.prefixes.clear()
    for _ in range(9):
        world.tick()
    assert world.bucket.prefixes == []
    world.put(YESTERDAY)
    assert quiet(world, 4) == [YESTERDAY], "no notification came, the window was due"


def test_a_day_that_settles_is_watched_without_further_notifications() -> None:
    world = World(policy=replace(POLICY, window_every_seconds=100_000))
    world.tick()
    world.put(TODAY)
    assert world.asked(world.tick(TODAY)) == []
    assert quiet(world, 3) == [TODAY]


def test_a_notification_is_dealt_with_only_once_the_run_exists() -> None:
    world = World(policy=replace(POLICY, window_every_seconds=100_000))
    world.tick()
    world.now += 1
    world.put(TODAY)
    received = world.now
    outcomes = [world.tick(TODAY) for _ in range(5)]
    done = [outcome.handled.get(TODAY, 0) >= received for outcome in outcomes]
    requested = [bool(outcome.requests) for outcome in outcomes]
    assert requested == [False, True, False, False, False]
    assert done == [False, False, True, True, True]


def test_a_notification_is_not_dealt_with_if_its_run_was_never_made() -> None:
    world = World(policy=replace(POLICY, settle_seconds=0))
    world.put(TODAY)
    lost = world.look()
    world.cursor = lost.cursor
    assert TODAY not in world.look().handled


def test_a_night_passes_and_an_unsettled_day_that_left_the_window_is_still_requested() -> None:
    world = World(policy=replace(POLICY, last_day=date(2027, 1, 1)))
    oldest = TODAY - timedelta(days=7)
    world.now = datetime(2026, 3, 10, 23, 59, 30, tzinfo=UTC).timestamp()
    world.put(oldest)
    world.tick(after=10)
    assert quiet(world, 5) == [oldest]


def test_noon_is_noon() -> None:
    assert datetime.fromtimestamp(NOON, UTC).date() == TODAY
