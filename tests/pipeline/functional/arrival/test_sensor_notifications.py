"""The sensor with S3's notifications: when one is deleted, and what it makes the sensor list."""

from datetime import date, timedelta

import pytest

from tests.support.arrival_model import TODAY
from tests.support.arrival_sensor import Sensing, partitions
from xacct_assets.aws.errors import AccessDenied
from xacct_assets.feed.arrival.sensor import ArrivalsUnknown


def test_a_notification_is_deleted_only_once_the_run_exists() -> None:
    sensing = Sensing(mode="events", settle_seconds=15)
    sensing.tick(after=5)
    sensing.now += 1
    sensing.put(TODAY, age=0)
    sensing.notify("products/2026/03/10/a.csv")
    held, requested = [], []
    for _ in range(5):
        requested.append(partitions(sensing.tick(after=5)))
        held.append(len(sensing.aws.inbox.events))
    assert requested == [[], ["2026-03-10"], [], [], []]
    assert held == [1, 1, 0, 0, 0]


def test_a_notification_is_not_deleted_if_the_run_was_not_created() -> None:
    sensing = Sensing(mode="events", settle_seconds=0)
    sensing.put(TODAY)
    sensing.notify("products/2026/03/10/a.csv")
    for _ in range(3):
        data = sensing.evaluate(5)
        sensing.cursor = data.cursor  # no run is created
        assert partitions(data) == ["2026-03-10"]
    assert len(sensing.aws.inbox.events) == 1


def test_a_notification_of_a_late_file_is_used_far_outside_the_window() -> None:
    sensing = Sensing(mode="events")
    sensing.put(date(2026, 1, 15))
    sensing.notify("products/2026/01/15/a.csv")
    assert sensing.quiet_ticks() == ["2026-01-15"]
    assert sensing.aws.inbox.events == []


@pytest.mark.parametrize(
    "key",
    [
        "products/2026/03/10/_tmp.csv",
        "products/2026/03/10/sub/a.csv",
        "products/2026/03/10/a.txt",
        "products/readme.csv",
        "products/2026/02/31/a.csv",
        "products/2020/12/31/a.csv",
    ],
)
def test_a_notification_that_names_no_day_of_the_feed_is_deleted(key: str) -> None:
    sensing = Sensing(mode="events")
    sensing.notify(key)
    assert sensing.quiet_ticks(1) == []
    assert sensing.aws.inbox.events == []


def test_files_of_days_that_are_none_of_the_feed_are_one_warning_and_deleted(
    capsys: pytest.CaptureFixture[str],
) -> None:
    sensing = Sensing(mode="events")
    for key in ("2025/12/30/a", "2025/12/31/a", "2025/12/31/b", "2062/03/10/a", "2026/03/12/a"):
        sensing.notify(f"products/{key}.csv")
    assert sensing.quiet_ticks(3) == []
    assert sensing.aws.inbox.events == []
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "not request" in line]
    assert "5 changed files (the first is products/2025/12/30/a.csv) are of days" in line
    assert "2025-12-30 to 2025-12-31, 2026-03-12, 2062-03-10. " in line
    assert "It requests 2026-01-01 to 2026-03-11" in line


def test_a_day_that_was_too_far_ahead_is_found_when_it_comes() -> None:
    sensing = Sensing(mode="events")
    later = TODAY + timedelta(days=2)
    sensing.put(later)
    sensing.notify(f"products/{later:%Y/%m/%d}/a.csv")
    assert sensing.quiet_ticks(2) == []
    sensing.now += 86_400
    assert sensing.quiet_ticks(4) == [str(later)]


def test_a_notification_of_the_marker_counts() -> None:
    sensing = Sensing(mode="events", marker="_SUCCESS", window_every_seconds=86400)
    sensing.tick()
    sensing.put(TODAY, age=0)
    sensing.put(TODAY, "_SUCCESS", age=0)
    sensing.notify("products/2026/03/10/_SUCCESS")
    assert sensing.quiet_ticks(1) == ["2026-03-10"]


def test_only_a_tick_with_nothing_to_do_waits_for_a_notification() -> None:
    sensing = Sensing(mode="events", settle_seconds=60)
    sensing.tick()
    sensing.tick()
    sensing.put(TODAY, age=0)
    sensing.notify("products/2026/03/10/a.csv")
    sensing.tick(after=5)
    sensing.tick(after=5)
    assert sensing.aws.inbox.waits == [8.0, 8.0, 0, 0]


def test_without_notifications_the_bucket_is_polled_and_the_tick_fails_with_the_reason() -> None:
    sensing = Sensing(mode="events", window_every_seconds=86400)
    sensing.tick()
    sensing.aws.inbox.failure = AccessDenied("read the queue", action="sqs:ReceiveMessage")
    sensing.put(TODAY, age=0)
    assert sensing.quiet_ticks() == ["2026-03-10"]
    with pytest.raises(ArrivalsUnknown, match="sqs:ReceiveMessage"):
        [sensing.tick() for _ in range(5)]


@pytest.mark.parametrize("name", ["A.CSV", "sub/a.csv", "a\nb.txt"])
def test_a_notification_of_a_file_that_no_pattern_matches_is_logged(
    name: str, capfd: pytest.CaptureFixture[str]
) -> None:
    sensing = Sensing(mode="events", window_every_seconds=86400)
    sensing.tick()
    sensing.notify(f"products/2026/03/10/{name}")
    sensing.tick()
    shown = name.replace("\n", "\\n")
    logged = capfd.readouterr().err
    assert "products: not loaded, because no pattern of the feed (*.csv, *.csv.gz)" in logged
    assert f"matches: products/2026/03/10/{shown}." in logged


def test_a_restored_file_far_outside_the_window_is_requested_by_its_notification() -> None:
    sensing = Sensing(mode="events", sweep_days_back=0)
    day, key = date(2026, 1, 15), "products/2026/01/15/a.csv"
    sensing.put(day, age=30 * 86_400)
    sensing.aws.bucket.move(key, "GLACIER")
    assert sensing.quiet_ticks() == []
    sensing.aws.bucket.move(key, None)
    assert sensing.quiet_ticks() == []
    sensing.notify(key)  # s3:ObjectRestore:Completed
    assert sensing.quiet_ticks() == ["2026-01-15"]
