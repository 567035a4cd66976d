"""A feed's sensor with a real (ephemeral) Dagster instance, over a model of S3 and SQS."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime

import dagster as dg
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.test_utils import create_run_for_test, freeze_time

from tests.support.arrival_model import Bucket
from xacct_assets.aws.errors import AccessDenied
from xacct_assets.aws.sqs import ObjectEvent, ReceivedEvent
from xacct_assets.contract.days import day_prefix
from xacct_assets.feed.arrival.sensor import build_sensor
from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.partitions import daily_partitions
from xacct_assets.feed.schedule import job_name
from xacct_assets.feed.spec import FeedSpec

RAW = dg.AssetKey(["products", "raw_partition"])
SUCCESS = dg.DagsterRunStatus.SUCCESS


@dataclass
class Inbox:
    """A queue of notifications; what is acknowledged is deleted."""

    events: list[ReceivedEvent] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    failure: AccessDenied | None = None

    def claim(self, name: str, is_claimed: object) -> None:
        pass

    def receive(self, *, wait_seconds: float, seconds: float) -> int:
        if self.failure:
            raise self.failure
        self.waits.append(wait_seconds)
        return len(self.events)

    def unacknowledged(self, name: str) -> list[ReceivedEvent]:
        return list(self.events)

    def acknowledge(self, events: list[ReceivedEvent]) -> None:
        for event in events:
            self.events.remove(event)


@dataclass
class AwsClients:
    bucket: Bucket = field(default_factory=Bucket)
    inbox: Inbox = field(default_factory=Inbox)

    def input_bucket(self, feed: FeedSpec) -> str:
        return "raw"

    def raw_bucket(self, feed: FeedSpec) -> Bucket:
        return self.bucket

    def notifications(self, feed: FeedSpec) -> Inbox:
        return self.inbox


class Sensing:
    """A feed's sensor, an instance, a bucket and a clock."""

    def __init__(self, **arrival: object) -> None:
        self.feed = load_feed("products")
        values = {**self.feed.arrival.model_dump(exclude_unset=True), **arrival}
        self.feed = self.feed.model_copy(
            update={"arrival": type(self.feed.arrival).model_validate(values)}
        )
        self.now = datetime(2026, 3, 10, 12, tzinfo=UTC).timestamp()
        self.cursor: str | None = None
        self.aws = AwsClients()
        self.instance = dg.DagsterInstance.ephemeral()
        self.slept: list[float] = []
        self.tick_started = 0.0
        self.before_waking: Callable[[], None] = lambda: None
        self.sensor = build_sensor(self.feed, clock=lambda: self.now, sleep=self.sleep)
        self.definitions = dg.Definitions(
            assets=[raw_partition_of(self.feed)],
            jobs=[dg.define_asset_job(job_name(self.feed), selection=dg.AssetSelection.all())],
            sensors=[self.sensor],
            resources={"aws": self.aws},
            executor=dg.in_process_executor,
        )

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        # The sensor adds the real time of its listing to the tick's start; so must the clock.
        self.now += seconds + (time.monotonic() - self.tick_started)
        self.before_waking()

    def put(self, day: date, name: str = "a.csv", body: str = "1", age: float = 3600) -> None:
        prefix = day_prefix(self.feed.source.prefix, self.feed.source.layout, day)
        self.aws.bucket.put(prefix + name, body, self.now - age)

    def delete(self, day: date, name: str = "a.csv") -> None:
        prefix = day_prefix(self.feed.source.prefix, self.feed.source.layout, day)
        self.aws.bucket.delete(prefix + name)

    def notify(self, key: str) -> None:
        message_id = str(len(self.aws.inbox.events))
        self.aws.inbox.events.append(ReceivedEvent(message_id, ObjectEvent("raw", key), self.now))

    def evaluate(self, after: float = 30) -> SensorExecutionData:
        """What a tick gives the daemon; nothing is launched and no cursor is stored."""
        self.now += after
        self.tick_started = time.monotonic()
        with (
            freeze_time(datetime.fromtimestamp(self.now, UTC)),
            dg.build_sensor_context(
                instance=self.instance,
                cursor=self.cursor,
                repository_def=self.definitions.get_repository_def(),
                resources={"aws": self.aws},
            ) as context,
        ):
            return self.sensor.evaluate_tick(context)

    def tick(self, status: dg.DagsterRunStatus = SUCCESS, after: float = 30):
        """A whole tick: runs are created for new run keys, then the cursor is stored."""
        data = self.evaluate(after)
        self.launch(data, status)
        self.cursor = data.cursor
        return data

    def launch(self, data: SensorExecutionData, status: dg.DagsterRunStatus = SUCCESS) -> list[str]:
        created = []
        for request in data.run_requests or []:
            tags = {**request.tags, "dagster/run_key": request.run_key}
            known = self.instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": request.run_key}))
            if not known:
                run = create_run_for_test(
                    self.instance, job_name=job_name(self.feed), tags=tags, status=status
                )
                created.append(run.run_id)
        return created

    def quiet_ticks(self, ticks: int = 4) -> list[str]:
        """Partitions (or first...last) requested by ticks while nobody changes the bucket."""
        return [part for _ in range(ticks) for part in partitions(self.tick())]


def raw_partition_of(feed: FeedSpec) -> dg.AssetsDefinition:
    @dg.asset(
        key=RAW,
        partitions_def=daily_partitions(feed),
        backfill_policy=dg.BackfillPolicy.multi_run(31),
    )
    def raw_partition(context: dg.AssetExecutionContext) -> None:
        context.log.info("%s", context.partition_keys)

    return raw_partition


def partitions(data: SensorExecutionData) -> list[str]:
    return [
        request.partition_key
        or "...".join(
            request.tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")
        )
        for request in data.run_requests or []
    ]
