"""The sensor against a real (ephemeral) Dagster instance, its cursor handed from tick to tick.

Nothing of Dagster is faked: run requests are resolved against real definitions, runs are made in a
real run storage with the tags that the daemon would give them. Only S3 and SQS are models.
"""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.definitions.sensor_definition import SensorExecutionData
from dagster._core.test_utils import create_run_for_test, freeze_time

from tests.support.arrival_model import Bucket
from xacct_assets.aws.errors import AccessDenied
from xacct_assets.aws.sqs import Notice, ObjectNotice
from xacct_assets.feed.arrival.run_history import MAX_DAYS_PER_RUN
from xacct_assets.feed.arrival.sensor import ArrivalsUnknown, build_sensor
from xacct_assets.feed.loader import load_feed
from xacct_assets.feed.partitions import daily_partitions, day_prefix
from xacct_assets.feed.schedule import job_name
from xacct_assets.feed.spec import FeedSpec

TODAY = date(2026, 3, 10)
YESTERDAY = TODAY - timedelta(days=1)
RAW = dg.AssetKey(["products", "raw_partition"])
# PostgreSQL refuses a row of an index beyond this, and Dagster indexes tag values.
POSTGRES_INDEX_ROW = 2712
STARTED, SUCCESS, FAILURE = (
    dg.DagsterRunStatus.STARTED,
    dg.DagsterRunStatus.SUCCESS,
    dg.DagsterRunStatus.FAILURE,
)


@dataclass
class Inbox:
    """A queue of notices; what is dealt with is gone."""

    notices: list[Notice] = field(default_factory=list)
    waits: list[float] = field(default_factory=list)
    failure: AccessDenied | None = None

    def claim(self, name: str, claims: object) -> None:
        self.claims = claims

    def receive(self, *, wait_seconds: float, seconds: float) -> int:
        if self.failure:
            raise self.failure
        self.waits.append(wait_seconds)
        return len(self.notices)

    def mine(self, name: str) -> list[Notice]:
        return list(self.notices)

    def dealt_with(self, notices: list[Notice]) -> None:
        for notice in notices:
            self.notices.remove(notice)


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
        self.now += seconds
        self.before_waking()

    def put(self, day: date, name: str = "a.csv", body: str = "1", age: float = 3600) -> None:
        prefix = day_prefix(self.feed.source.prefix, self.feed.source.layout, day)
        self.aws.bucket.put(prefix + name, body, self.now - age)

    def delete(self, day: date, name: str = "a.csv") -> None:
        prefix = day_prefix(self.feed.source.prefix, self.feed.source.layout, day)
        self.aws.bucket.delete(prefix + name)

    def notify(self, key: str) -> None:
        notice = Notice(str(len(self.aws.inbox.notices)), ObjectNotice("raw", key), self.now)
        self.aws.inbox.notices.append(notice)

    def evaluate(self, after: float = 30) -> SensorExecutionData:
        """What the daemon gets from a tick; nothing is launched and no cursor kept."""
        self.now += after
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
        """A whole tick: runs are made for new run keys, then the cursor is kept."""
        data = self.evaluate(after)
        self.launch(data, status)
        self.cursor = data.cursor
        return data

    def launch(self, data: SensorExecutionData, status: dg.DagsterRunStatus = SUCCESS) -> list[str]:
        made = []
        for request in data.run_requests or []:
            tags = {**request.tags, "dagster/run_key": request.run_key}
            known = self.instance.get_runs(dg.RunsFilter(tags={"dagster/run_key": request.run_key}))
            if not known:
                run = create_run_for_test(
                    self.instance, job_name=job_name(self.feed), tags=tags, status=status
                )
                made.append(run.run_id)
        return made

    def quiet(self, ticks: int = 4) -> list[str]:
        """Partitions (or first...last) requested while nobody touches the bucket."""
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


@pytest.fixture
def sensing() -> Sensing:
    return Sensing()


def test_an_empty_bucket_is_skipped_with_a_reason(sensing: Sensing) -> None:
    data = sensing.tick()
    assert data.run_requests == []
    assert "nothing new in 14 days (0 objects, 14 pages)" in (data.skip_message or "")


def test_a_day_is_requested_once_with_its_partition_and_its_content(sensing: Sensing) -> None:
    sensing.put(YESTERDAY)
    data = sensing.tick()
    (request,) = data.run_requests or []
    assert request.partition_key == YESTERDAY.isoformat()
    assert request.tags["dagster/partition"] == YESTERDAY.isoformat()
    assert request.tags["xacct/generation"] == "1"
    assert len(request.tags["xacct/fingerprint"]) == 22
    # Before the runs of a backfill.
    assert request.tags["dagster/priority"] == "1"
    assert sensing.quiet() == []


def test_the_day_ahead_has_a_partition_to_be_requested_for(sensing: Sensing) -> None:
    sensing.put(TODAY + timedelta(days=1))
    assert sensing.quiet() == ["2026-03-11"]


def test_a_waiting_day_is_named_in_the_reason(sensing: Sensing) -> None:
    sensing.put(TODAY, age=0)
    assert "2026-03-10: unchanged for 30 of 60 s" in (sensing.tick().skip_message or "")


def test_the_cursor_may_be_reset_at_any_time(sensing: Sensing) -> None:
    sensing.put(YESTERDAY)
    assert sensing.quiet() == ["2026-03-09"]
    sensing.put(YESTERDAY, body="2")
    requested = []
    for _ in range(3):
        sensing.cursor = None
        requested += partitions(sensing.tick())
    assert requested == ["2026-03-09"]
    assert len(sensing.instance.get_runs()) == 2


def test_runs_of_a_tick_whose_cursor_was_lost_are_found_again(sensing: Sensing) -> None:
    sensing.tick()
    for day in (TODAY, YESTERDAY):
        sensing.put(day, age=0)
    sensing.tick()
    sensing.launch(sensing.evaluate(100))
    assert len(sensing.instance.get_runs()) == 2
    assert sensing.quiet() == []


def test_a_day_that_goes_from_a_to_b_to_a_is_requested_three_times(sensing: Sensing) -> None:
    for body in "aba":
        sensing.put(YESTERDAY, body=body)
        assert sensing.quiet() == ["2026-03-09"]
    generations = [run.tags["xacct/generation"] for run in sensing.instance.get_runs()]
    assert sorted(generations) == ["1", "2", "3"]


def test_a_day_that_goes_back_to_a_is_requested_although_the_cursor_was_lost(
    sensing: Sensing,
) -> None:
    for body in "ab":
        sensing.put(YESTERDAY, body=body)
        sensing.quiet()
    sensing.put(YESTERDAY, body="a")
    sensing.cursor = None
    assert sensing.quiet() == ["2026-03-09"]
    assert len(sensing.instance.get_runs()) == 3


def test_a_failed_run_is_not_repeated_until_the_day_changes(sensing: Sensing) -> None:
    sensing.put(YESTERDAY)
    sensing.tick(FAILURE)
    assert sensing.quiet() == []
    sensing.cursor = None
    assert sensing.quiet() == []
    sensing.put(YESTERDAY, body="mended")
    assert sensing.quiet() == ["2026-03-09"]


def test_a_run_that_was_never_made_is_requested_again_under_the_same_key(sensing: Sensing) -> None:
    sensing.put(YESTERDAY)
    lost = sensing.evaluate()
    sensing.cursor = lost.cursor
    again = sensing.tick()
    assert [r.run_key for r in again.run_requests or []] == [
        r.run_key for r in lost.run_requests or []
    ]
    assert sensing.quiet() == []


def test_a_change_undone_while_a_run_reads_asks_once_more(sensing: Sensing) -> None:
    sensing.put(YESTERDAY, body="a")
    data = sensing.evaluate()
    (run_id,) = sensing.launch(data, dg.DagsterRunStatus.NOT_STARTED)
    sensing.cursor = data.cursor
    sensing.put(YESTERDAY, body="b", age=0)
    sensing.tick()
    run = sensing.instance.get_run_by_id(run_id)
    assert run
    sensing.instance.report_run_canceling(run)  # under way, its start is on record
    with freeze_time(datetime.fromtimestamp(sensing.now, UTC)):
        sensing.instance.handle_new_event(started(run))
    sensing.put(YESTERDAY, body="a", age=0)
    assert sensing.quiet(6) == ["2026-03-09"]


def started(run: dg.DagsterRun) -> dg.EventLogEntry:
    event = dg.DagsterEvent(
        event_type_value=dg.DagsterEventType.PIPELINE_START.value, job_name=run.job_name
    )
    return dg.EventLogEntry(
        error_info=None,
        level="debug",
        user_message="",
        run_id=run.run_id,
        timestamp=datetime.now(UTC).timestamp(),
        job_name=run.job_name,
        dagster_event=event,
    )


def test_a_day_that_a_backfill_has_done_already_is_not_repeated(sensing: Sensing) -> None:
    sensing.put(YESTERDAY)
    (request,) = sensing.evaluate().run_requests or []
    sensing.instance.report_runless_asset_event(
        dg.AssetMaterialization(
            RAW,
            partition=YESTERDAY.isoformat(),
            tags={DATA_VERSION_TAG: request.tags["xacct/fingerprint"]},
        )
    )
    assert sensing.quiet() == []


def test_a_backlog_becomes_ranges_that_run_every_day_of_theirs(sensing: Sensing) -> None:
    for back in range(6):
        sensing.put(TODAY - timedelta(days=back))
    data = sensing.tick()
    assert partitions(data) == ["2026-03-05...2026-03-10"]
    (request,) = data.run_requests or []
    result = sensing.definitions.resolve_job_def(job_name(sensing.feed)).execute_in_process(
        instance=sensing.instance, tags=dict(request.tags)
    )
    assert result.success
    done = sensing.instance.get_materialized_partitions(RAW)
    assert done == {f"2026-03-{number:02}" for number in range(5, 11)}
    assert sensing.quiet() == []
    sensing.cursor = None
    assert sensing.quiet() == []
    sensing.put(YESTERDAY, body="2")
    assert sensing.quiet() == ["2026-03-09"]
    sensing.cursor = None
    assert sensing.quiet() == []


def test_the_tags_of_the_longest_range_fit_every_run_storage() -> None:
    sensing = Sensing(days_back=366, sweep_days_back=0)
    sensing.feed = sensing.feed.model_copy(
        update={"max_days_per_run": 366, "start_date": "2025-01-01"}
    )
    sensing.sensor = build_sensor(sensing.feed, clock=lambda: sensing.now)
    for back in range(300):
        sensing.put(TODAY - timedelta(days=back))
    requests = sensing.tick().run_requests or []
    assert len(requests) == 3
    assert max(len(r.tags["xacct/fingerprint"].split()) for r in requests) == MAX_DAYS_PER_RUN
    for request in requests:
        for value in (*request.tags.values(), request.run_key or ""):
            assert len(value.encode()) < POSTGRES_INDEX_ROW


@pytest.mark.parametrize("mode", ["poll", "events"])
def test_a_day_that_settles_in_a_moment_is_waited_for_and_requested_by_the_same_tick(
    mode: str,
) -> None:
    sensing = Sensing(mode=mode, settle_seconds=60)
    sensing.put(YESTERDAY, age=25)
    pages = sensing.aws.bucket.pages
    asked = sensing.tick().run_requests or []
    assert [request.partition_key for request in asked] == ["2026-03-09"]
    assert sensing.slept == [pytest.approx(5.0, abs=0.5)]
    # Only the day itself is looked at again, not its whole window.
    assert sensing.aws.bucket.pages - pages == 9 + 5 + 1
    assert sensing.quiet() == []


def test_a_day_that_was_written_to_while_it_was_waited_for_is_not_requested() -> None:
    sensing = Sensing(settle_seconds=60)
    sensing.put(YESTERDAY, age=25)
    sensing.before_waking = lambda: sensing.put(YESTERDAY, "b.csv", age=1)
    assert not sensing.tick().run_requests
    sensing.before_waking = lambda: None
    assert len(sensing.tick(after=60).run_requests or []) == 1


def test_a_tick_waits_for_no_day_that_settles_later_and_for_none_while_others_are_ready() -> None:
    sensing = Sensing(settle_seconds=60)
    sensing.put(YESTERDAY, age=0)
    assert not sensing.tick(after=30).run_requests
    sensing.put(TODAY, age=-20)
    assert len(sensing.tick(after=60).run_requests or []) == 1
    assert sensing.slept == []


def test_an_emptied_day_is_observed_on_its_asset_and_nothing_is_run(sensing: Sensing) -> None:
    sensing.put(YESTERDAY)
    sensing.quiet()
    sensing.delete(YESTERDAY)
    ticks = [sensing.tick() for _ in range(6)]
    events = [event for data in ticks for event in data.asset_events]
    assert [(event.asset_key, event.partition) for event in events] == [(RAW, "2026-03-09")]
    assert "All raw files of products for 2026-03-09 are gone" in (events[0].description or "")
    assert not any(data.run_requests for data in ticks)


def test_a_bucket_that_cannot_be_listed_fails_the_tick_with_the_reason(sensing: Sensing) -> None:
    sensing.aws.bucket.denied[""] = AccessDenied(
        "list the raw bucket", action="s3:ListBucket", principal="role/orchestrator"
    )
    with pytest.raises(ArrivalsUnknown) as failed:
        sensing.tick()
    assert "action: s3:ListBucket" in str(failed.value)
    assert "13 more of the kind" in str(failed.value)


def test_one_denied_day_is_told_and_the_others_run(sensing: Sensing) -> None:
    sensing.put(YESTERDAY)
    sensing.aws.bucket.denied["products/2026/03/08/"] = AccessDenied("list the day")
    assert partitions(sensing.tick()) == ["2026-03-09"]


def test_a_cursor_that_cannot_be_read_is_made_anew(sensing: Sensing) -> None:
    sensing.put(YESTERDAY)
    sensing.quiet()
    sensing.cursor = "written by an older version"
    assert sensing.quiet() == []


# Notifications


def test_a_notice_is_deleted_only_once_the_run_exists() -> None:
    sensing = Sensing(mode="events", settle_seconds=15)
    sensing.tick(after=5)
    sensing.now += 1
    sensing.put(TODAY, age=0)
    sensing.notify("products/2026/03/10/a.csv")
    held, requested = [], []
    for _ in range(5):
        requested.append(partitions(sensing.tick(after=5)))
        held.append(len(sensing.aws.inbox.notices))
    assert requested == [[], ["2026-03-10"], [], [], []]
    assert held == [1, 1, 0, 0, 0]


def test_a_notice_is_not_deleted_if_the_run_was_not_made() -> None:
    sensing = Sensing(mode="events", settle_seconds=0)
    sensing.put(TODAY)
    sensing.notify("products/2026/03/10/a.csv")
    for _ in range(3):
        data = sensing.evaluate(5)
        sensing.cursor = data.cursor  # no run is made
        assert partitions(data) == ["2026-03-10"]
    assert len(sensing.aws.inbox.notices) == 1


def test_a_notice_of_a_late_file_is_followed_far_outside_the_window() -> None:
    sensing = Sensing(mode="events")
    sensing.put(date(2026, 1, 15))
    sensing.notify("products/2026/01/15/a.csv")
    assert sensing.quiet() == ["2026-01-15"]
    assert sensing.aws.inbox.notices == []


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
def test_a_notice_that_concerns_no_day_of_the_feed_is_done_with(key: str) -> None:
    sensing = Sensing(mode="events")
    sensing.notify(key)
    assert sensing.quiet(1) == []
    assert sensing.aws.inbox.notices == []


def test_a_notice_of_the_marker_counts() -> None:
    sensing = Sensing(mode="events", marker="_SUCCESS", window_every_seconds=86400)
    sensing.tick()
    sensing.put(TODAY, age=0)
    sensing.put(TODAY, "_SUCCESS", age=0)
    sensing.notify("products/2026/03/10/_SUCCESS")
    assert sensing.quiet(1) == ["2026-03-10"]


def test_with_nothing_to_do_a_tick_waits_for_a_notice_and_otherwise_does_not() -> None:
    sensing = Sensing(mode="events", settle_seconds=60)
    sensing.tick()
    sensing.tick()
    sensing.put(TODAY, age=0)
    sensing.notify("products/2026/03/10/a.csv")
    sensing.tick(after=5)
    sensing.tick(after=5)
    assert sensing.aws.inbox.waits == [8.0, 8.0, 0, 0]


def test_without_notifications_the_bucket_is_polled_and_the_tick_says_so() -> None:
    sensing = Sensing(mode="events", window_every_seconds=86400)
    sensing.tick()
    sensing.aws.inbox.failure = AccessDenied("read the queue", action="sqs:ReceiveMessage")
    sensing.put(TODAY, age=0)
    assert sensing.quiet() == ["2026-03-10"]
    with pytest.raises(ArrivalsUnknown, match="sqs:ReceiveMessage"):
        [sensing.tick() for _ in range(5)]
