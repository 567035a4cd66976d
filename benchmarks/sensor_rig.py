"""The real arrival sensor of the products feed, evaluated tick by tick, its S3 requests counted.

Nothing of the product is replaced: the sensor, the definitions around it, the Dagster instance and
the boto3 clients are real. What is moved is the clock that the sensor is given, so that nobody has
to wait until a day has settled.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import dagster as dg

from benchmarks.s3_listing import Folder
from xacct_assets.aws_clients import AwsClients
from xacct_assets.contract.days import day_prefix
from xacct_assets.feed.arrival.sensor import build_sensor
from xacct_assets.feed.assets import feed_assets
from xacct_assets.feed.checks import feed_checks
from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.schedule import job_name
from xacct_assets.feed.spec import FeedSpec
from xacct_assets.settings import Settings

ACCOUNT_A, ACCOUNT_B = "111111111111", "222222222222"
#: The feed begins so long ago, so that there are days for the objects outside the window to lie in.
DAYS_SINCE_START = 400
#: The sensor's clock is ahead by this: what was put a moment ago has settled.
AHEAD_SECONDS = 120.0


def products_feed(today: date, **arrival: object) -> FeedSpec:
    """The feed as it is in ``defs/``, begun `DAYS_SINCE_START` ago, with some settings changed."""
    feed = load_feed("products")
    values = {**feed.arrival.model_dump(exclude_unset=True), **arrival}
    return feed.model_copy(
        update={
            "start_date": (today - timedelta(days=DAYS_SINCE_START)).isoformat(),
            "arrival": type(feed.arrival).model_validate(values),
        }
    )


def settings_for(bucket: str) -> Settings:
    """An installation whose raw bucket is this one."""
    return Settings.load(
        {
            "XACCT_ACCOUNT_A": ACCOUNT_A,
            "XACCT_ACCOUNT_B": ACCOUNT_B,
            "XACCT_SUFFIX": "local",
            "XACCT_INPUT_BUCKET": bucket,
            "AWS_REGION": "us-east-1",
        }
    )


def window_days(feed: FeedSpec, today: date) -> list[date]:
    """The days that the sensor looks at, by the feed's settings."""
    back, ahead = feed.arrival.days_back, feed.arrival.days_ahead
    return [today + timedelta(days=offset) for offset in range(-back, ahead + 1)]


def inside(feed: FeedSpec, today: date, count: int) -> list[Folder]:
    """So many objects in the window: all in yesterday, the hardest case for a tick."""
    return [(folder(feed, today - timedelta(days=1)), count)]


def outside(feed: FeedSpec, today: date, count: int) -> list[Folder]:
    """So many objects that are none of the window's, next to it and far from it.

    A fifth lies in the days that the sweep looks at, three tenths in the feed's days before these,
    a tenth beside the very folders of the window, and the rest in other feeds' folders of the same
    days.
    """
    window = window_days(feed, today)
    behind = [
        window[0] - timedelta(days=back)
        for back in range(1, DAYS_SINCE_START - feed.arrival.days_back)
    ]
    swept = feed.arrival.sweep_days_back - feed.arrival.days_back
    places = [
        (0.2, [folder(feed, day) for day in behind[:swept]]),
        (0.3, [folder(feed, day) for day in behind[swept:]]),
        (0.1, [folder(feed, day).removesuffix("/") + "-copy/" for day in window]),
        (0.2, [f"orders/{day:%Y/%m/%d}/" for day in window]),
        (0.2, [f"{feed.source.prefix}-old/{day:%Y/%m/%d}/" for day in window]),
    ]
    found: list[Folder] = []
    left = count
    for share, folders in places:
        found += _spread(min(left, round(count * share)), folders)
        left = count - sum(size for _, size in found)
    return [*found, *([("archive/", left)] if left else [])]


def folder(feed: FeedSpec, day: date) -> str:
    """The day's key prefix, with its slash."""
    return day_prefix(feed.source.prefix, feed.source.layout, day)


def _spread(count: int, folders: list[str]) -> list[Folder]:
    each, more = divmod(count, len(folders))
    sizes = [each + (position < more) for position in range(len(folders))]
    return [(name, size) for name, size in zip(folders, sizes, strict=True) if size]


@dataclass(frozen=True, slots=True)
class Tick:
    """One evaluation of the sensor.

    Attributes:
        seconds: by the wall clock, from the context's making to the validated result.
        cpu: seconds of the processor that this process took for it.
        window: requests to S3 for the days of the window, retries included.
        elsewhere: requests for anything else: the sweep's.
        requested: partitions (first...last for a range) that it asks runs for.
        cursor: characters of the new cursor.
        message: what it tells people if it asks for nothing.
    """

    seconds: float
    cpu: float
    window: int
    elsewhere: int
    requested: tuple[str, ...]
    cursor: int
    message: str | None


@dataclass
class SensorRig:
    """A sensor with its instance, its bucket and its clock.

    Attributes:
        feed: see `products_feed`.
        bucket: the raw bucket; where it is, the environment says as it would in production.
        instance: where runs are kept.
        now: the sensor's clock, in seconds since 1970.
        cursor: what the last kept tick left behind.
    """

    feed: FeedSpec
    bucket: str
    instance: dg.DagsterInstance
    now: float = field(default_factory=lambda: time.time() + AHEAD_SECONDS)
    cursor: str | None = None

    def __post_init__(self) -> None:
        self.aws = AwsClients(settings_for(self.bucket))
        self.s3 = self.aws.client("s3")
        self.requests: list[str] = []
        self.s3.meta.events.register_first("before-send.s3", self._count)
        self.sensor = build_sensor(self.feed, clock=lambda: self.now)
        # As the component makes them of the feed's YAML.
        self.repository = dg.Definitions(
            assets=feed_assets(self.feed),
            asset_checks=feed_checks(self.feed),
            jobs=[
                dg.define_asset_job(
                    job_name(self.feed), selection=dg.AssetSelection.groups(self.feed.name)
                )
            ],
            sensors=[self.sensor],
            resources={"aws": self.aws},
            executor=dg.in_process_executor,
        ).get_repository_def()

    @property
    def today(self) -> date:
        """The UTC day of the sensor's clock."""
        return datetime.fromtimestamp(self.now, UTC).date()

    def tick(self, after: float = 0, *, keep: bool = True) -> Tick:
        """Evaluate the sensor as its daemon does.

        Args:
            after: seconds by which the clock moves first.
            keep: whether the runs are made and the cursor is stored, as after a real tick.
        """
        self.now += after
        self.requests.clear()
        cpu, began = time.process_time(), time.perf_counter()
        with dg.build_sensor_context(
            instance=self.instance,
            cursor=self.cursor,
            repository_def=self.repository,
            resources={"aws": self.aws},
        ) as context:
            data = self.sensor.evaluate_tick(context)
        seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
        if keep:
            self._launch(data.run_requests or [])
            self.cursor = data.cursor
        days = {folder(self.feed, day) for day in window_days(self.feed, self.today)}
        in_window = sum(prefix in days for prefix in self.requests)
        return Tick(
            seconds=seconds,
            cpu=cpu,
            window=in_window,
            elsewhere=len(self.requests) - in_window,
            requested=tuple(_what(request.tags) for request in data.run_requests or []),
            cursor=len(data.cursor or ""),
            message=data.skip_message,
        )

    def _count(self, request: Any, **_: object) -> None:
        query = parse_qs(urlsplit(request.url).query)
        self.requests.append(query.get("prefix", [""])[0])

    def _launch(self, requests: Iterable[dg.RunRequest]) -> None:
        for request in requests:
            self.instance.add_run(
                dg.DagsterRun(
                    job_name=job_name(self.feed),
                    run_id=str(uuid4()),
                    status=dg.DagsterRunStatus.SUCCESS,
                    tags={**request.tags, "dagster/run_key": str(request.run_key)},
                )
            )


def _what(tags: Mapping[str, str]) -> str:
    if day := tags.get("dagster/partition"):
        return day
    first, last = (tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end"))
    return f"{first}...{last}"
