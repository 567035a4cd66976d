"""The requests of a tick to S3, counted where a real boto3 client would send them."""

import time
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from botocore.awsrequest import AWSResponse

from benchmarks.s3_listing import Bucket, ListingService, keys_of
from benchmarks.sensor_rig import SensorRig, folder, inside, outside, products_feed, window_days

BUCKET = "raw-bucket"
# Two full pages of 1,000 objects and a third one.
MANY = 2_500


class Body:
    def __init__(self, text: str) -> None:
        self.data = text.encode()

    def stream(self, **_: object):
        yield self.data


@pytest.fixture
def rig_of(monkeypatch, tmp_path):
    for name in ("AWS_PROFILE", "AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_S3", "AWS_CA_BUNDLE"):
        monkeypatch.delenv(name, raising=False)
    for name in ("AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"):
        monkeypatch.setenv(name, str(tmp_path / "none"))
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "example")

    def make(within: int, without: int, **arrival: object) -> SensorRig:
        now = datetime.now(UTC)
        feed = products_feed(now.date(), **arrival)
        folders = inside(feed, now.date(), within) + outside(
            products_feed(now.date()), now.date(), without
        )
        long_ago = (now - timedelta(days=1)).isoformat()
        service = ListingService({BUCKET: Bucket(keys_of(folders), long_ago)})
        rig = SensorRig(feed, BUCKET, dg.DagsterInstance.ephemeral(), now=time.time())

        def answer(request: object, **_: object) -> AWSResponse:
            # Virtual-hosted style: the bucket is in the host's name.
            target = f"/{BUCKET}/?{request.url.split('?', 1)[1]}"
            status, text = service.get(target)
            return AWSResponse(request.url, status, {}, Body(text))

        rig.s3.meta.events.register("before-send.s3", answer)
        return rig

    return make


@pytest.mark.parametrize("without", [0, 5_000])
@pytest.mark.parametrize(("within", "pages_more"), [(1, 0), (1_000, 0), (1_001, 1), (MANY, 2)])
def test_a_quiet_tick_costs_one_request_per_day_and_page_whatever_is_outside(
    rig_of, within, pages_more, without
):
    rig = rig_of(within, without, sweep_days_back=0)
    yesterday = rig.today - timedelta(days=1)
    assert rig.tick().requested == (yesterday.isoformat(),)
    for _ in range(3):
        quiet = rig.tick(after=30)
        assert quiet.requested == ()
        assert quiet.window == len(window_days(rig.feed, rig.today)) + pages_more
        assert quiet.elsewhere == 0


def test_the_sweep_adds_the_pages_of_its_five_days_once_a_minute(rig_of):
    rig = rig_of(1, 5_000)
    rig.tick()
    assert [rig.tick(after=30).elsewhere for _ in range(4)] == [0, 5, 0, 5]


def test_a_day_too_long_for_a_tick_is_continued_where_it_stopped(rig_of, monkeypatch):
    monkeypatch.setattr("xacct_assets.feed.arrival.sensor.LISTING_SECONDS", 0.0)
    rig = rig_of(MANY, 0, sweep_days_back=0)
    ticks = [rig.tick(after=5)]
    while not ticks[-1].requested:
        assert len(ticks) < 20, ticks
        ticks.append(rig.tick(after=5))
    # Without any time, a tick lists one page: tomorrow, today, then yesterday's three pages.
    assert [tick.window for tick in ticks] == [1] * 5
    assert all(tick.cursor < 1_000 for tick in ticks)


def test_the_objects_outside_are_complete_and_none_is_in_the_window(rig_of):
    today = datetime.now(UTC).date()
    feed = products_feed(today)
    folders = outside(feed, today, 5_000)
    assert sum(count for _, count in folders) == 5_000
    window = tuple(folder(feed, day) for day in window_days(feed, today))
    assert not [prefix for prefix, _ in folders if prefix.startswith(window)]
