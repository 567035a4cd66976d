"""The sensor against a real (ephemeral) Dagster instance, its cursor handed from tick to tick.

Nothing of Dagster is faked: run requests are resolved against real definitions, and runs are
created in a real run storage with the tags that the daemon would give them. Only S3 and SQS are
models.
"""

from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.definitions.data_version import DATA_VERSION_TAG
from dagster._core.test_utils import freeze_time

from tests.support.arrival_model import TODAY, YESTERDAY
from tests.support.arrival_sensor import RAW, Sensing, partitions
from xacct_assets.aws.errors import AccessDenied
from xacct_assets.feed.arrival.run_history import MAX_DAYS_PER_RUN
from xacct_assets.feed.arrival.sensor import ArrivalsUnknown, build_sensor
from xacct_assets.feed.schedule import job_name

# PostgreSQL's maximum for a row of a B-tree index, in bytes. Dagster indexes tag values.
POSTGRES_INDEX_ROW = 2712


@pytest.fixture
def sensing() -> Sensing:
    return Sensing()


def test_an_empty_bucket_is_skipped_with_a_reason(sensing: Sensing) -> None:
    data = sensing.tick()
    assert data.run_requests == []
    assert "listed 14 days (0 objects, 14 pages)" in (data.skip_message or "")


def test_a_day_is_requested_once_with_its_partition_and_its_fingerprint(sensing: Sensing) -> None:
    sensing.put(YESTERDAY)
    data = sensing.tick()
    (request,) = data.run_requests or []
    assert request.partition_key == YESTERDAY.isoformat()
    assert request.tags["dagster/partition"] == YESTERDAY.isoformat()
    assert request.tags["xacct/request_number"] == "1"
    assert len(request.tags["xacct/fingerprint"]) == 22
    # Before the runs of a backfill.
    assert request.tags["dagster/priority"] == "1"
    assert sensing.quiet_ticks() == []


def test_the_day_ahead_has_a_partition_to_be_requested_for(sensing: Sensing) -> None:
    sensing.put(TODAY + timedelta(days=1))
    assert sensing.quiet_ticks() == ["2026-03-11"]


def test_a_day_whose_files_are_archived_is_named_with_the_fix(sensing: Sensing) -> None:
    sensing.put(TODAY)
    sensing.aws.bucket.move("products/2026/03/10/a.csv", "GLACIER")
    message = sensing.tick().skip_message or ""
    assert "2026-03-10 waits: 1 of 1 files are archived (a.csv)" in message
    assert "restore-object" in message
    assert sensing.quiet_ticks() == []
    sensing.aws.bucket.move("products/2026/03/10/a.csv", None)
    assert sensing.quiet_ticks() == ["2026-03-10"]


def test_files_that_no_pattern_matches_are_named_in_the_reason(sensing: Sensing) -> None:
    for name in ("A.CSV", "a.CSV.gz", "sub/a.csv", "x.CSV"):
        sensing.put(TODAY, name)
    for _ in range(3):
        message = sensing.tick().skip_message or ""
        assert "2026-03-10: not loaded, because no pattern of the feed (*.csv, *.csv.gz)" in message
        assert "matches: A.CSV, a.CSV.gz, sub/a.csv and 1 more. Rename them" in message


def test_of_many_days_with_unmatched_files_the_newest_are_named(sensing: Sensing) -> None:
    for back in range(7):
        sensing.put(TODAY - timedelta(days=back), "A.CSV")
    message = sensing.tick().skip_message or ""
    assert message.count("A.CSV") == 5
    assert "2 more days have files that no pattern matches" in message


def test_a_tick_that_requests_a_day_logs_the_files_it_leaves_out(
    sensing: Sensing, capfd: pytest.CaptureFixture[str]
) -> None:
    sensing.put(TODAY)
    sensing.put(TODAY, "A.CSV")
    data = sensing.tick()
    assert partitions(data) == ["2026-03-10"]
    assert "matches: A.CSV. Rename them" in capfd.readouterr().err


def test_a_tick_that_waits_for_a_day_to_settle_still_names_the_files_of_the_others() -> None:
    sensing = Sensing(settle_seconds=32)
    sensing.put(YESTERDAY, "A.CSV")
    sensing.put(TODAY, age=0)
    data = sensing.tick()
    assert len(sensing.slept) == 1
    assert partitions(data) == ["2026-03-10"]


def test_a_waiting_day_is_named_in_the_reason(sensing: Sensing) -> None:
    sensing.put(TODAY, age=0)
    assert "2026-03-10 waits: 1 file, unchanged for 30 of 60 s (until 12:01:00 UTC)" in (
        sensing.tick().skip_message or ""
    )


def test_the_cursor_may_be_reset_at_any_time(sensing: Sensing) -> None:
    sensing.put(YESTERDAY)
    assert sensing.quiet_ticks() == ["2026-03-09"]
    sensing.put(YESTERDAY, body="2")
    requested = []
    for _ in range(3):
        sensing.cursor = None
        requested += partitions(sensing.tick())
    assert requested == ["2026-03-09"]
    assert len(sensing.instance.get_runs()) == 2


def test_runs_of_a_tick_whose_cursor_was_lost_are_found_again(
    sensing: Sensing,
) -> None:
    sensing.tick()
    for day in (TODAY, YESTERDAY):
        sensing.put(day, age=0)
    sensing.tick()
    sensing.launch(sensing.evaluate(100))
    assert len(sensing.instance.get_runs()) == 2
    assert sensing.quiet_ticks() == []


def test_a_day_that_goes_from_a_to_b_to_a_is_requested_three_times(sensing: Sensing) -> None:
    for body in "aba":
        sensing.put(YESTERDAY, body=body)
        assert sensing.quiet_ticks() == ["2026-03-09"]
    request_numbers = [run.tags["xacct/request_number"] for run in sensing.instance.get_runs()]
    assert sorted(request_numbers) == ["1", "2", "3"]


def test_a_day_that_goes_back_to_a_is_requested_although_the_cursor_was_lost(
    sensing: Sensing,
) -> None:
    for body in "ab":
        sensing.put(YESTERDAY, body=body)
        sensing.quiet_ticks()
    sensing.put(YESTERDAY, body="a")
    sensing.cursor = None
    assert sensing.quiet_ticks() == ["2026-03-09"]
    assert len(sensing.instance.get_runs()) == 3


def test_a_failed_run_is_not_repeated_until_the_day_changes(sensing: Sensing) -> None:
    sensing.put(YESTERDAY)
    sensing.tick(dg.DagsterRunStatus.FAILURE)
    assert sensing.quiet_ticks() == []
    sensing.cursor = None
    assert sensing.quiet_ticks() == []
    sensing.put(YESTERDAY, body="corrected")
    assert sensing.quiet_ticks() == ["2026-03-09"]


def test_a_run_that_was_never_created_is_requested_under_the_same_key(
    sensing: Sensing,
) -> None:
    sensing.put(YESTERDAY)
    lost = sensing.evaluate()
    sensing.cursor = lost.cursor
    again = sensing.tick()
    assert [r.run_key for r in again.run_requests or []] == [
        r.run_key for r in lost.run_requests or []
    ]
    assert sensing.quiet_ticks() == []


def test_a_change_undone_while_a_run_reads_requests_the_day_once_more(sensing: Sensing) -> None:
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
    assert sensing.quiet_ticks(6) == ["2026-03-09"]


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


def test_a_day_that_a_backfill_already_processed_is_not_repeated(sensing: Sensing) -> None:
    sensing.put(YESTERDAY)
    (request,) = sensing.evaluate().run_requests or []
    sensing.instance.report_runless_asset_event(
        dg.AssetMaterialization(
            RAW,
            partition=YESTERDAY.isoformat(),
            tags={DATA_VERSION_TAG: request.tags["xacct/fingerprint"]},
        )
    )
    assert sensing.quiet_ticks() == []


def test_a_backlog_becomes_a_range_that_runs_each_of_its_days(sensing: Sensing) -> None:
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
    assert sensing.quiet_ticks() == []
    sensing.cursor = None
    assert sensing.quiet_ticks() == []
    sensing.put(YESTERDAY, body="2")
    assert sensing.quiet_ticks() == ["2026-03-09"]
    sensing.cursor = None
    assert sensing.quiet_ticks() == []


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
def test_a_day_that_settles_within_seconds_is_requested_by_the_same_tick(
    mode: str,
) -> None:
    sensing = Sensing(mode=mode, settle_seconds=60)
    sensing.put(YESTERDAY, age=25)
    pages = sensing.aws.bucket.pages
    requests = sensing.tick().run_requests or []
    assert [request.partition_key for request in requests] == ["2026-03-09"]
    assert sensing.slept == [pytest.approx(5.0, abs=0.5)]
    # Only the day itself is listed again, not the whole window.
    assert sensing.aws.bucket.pages - pages == 9 + 5 + 1
    assert sensing.quiet_ticks() == []


def test_a_day_that_changes_while_the_tick_waits_is_not_requested() -> None:
    sensing = Sensing(settle_seconds=60)
    sensing.put(YESTERDAY, age=25)
    sensing.before_waking = lambda: sensing.put(YESTERDAY, "b.csv", age=1)
    assert not sensing.tick().run_requests
    sensing.before_waking = lambda: None
    assert len(sensing.tick(after=60).run_requests or []) == 1


def test_a_tick_does_not_wait_for_a_later_day_or_while_others_are_ready() -> None:
    sensing = Sensing(settle_seconds=60)
    sensing.put(YESTERDAY, age=0)
    assert not sensing.tick(after=30).run_requests
    sensing.put(TODAY, age=-20)
    assert len(sensing.tick(after=60).run_requests or []) == 1
    assert sensing.slept == []


def test_an_emptied_day_is_observed_on_its_asset_and_nothing_runs(sensing: Sensing) -> None:
    sensing.put(YESTERDAY)
    sensing.quiet_ticks()
    sensing.delete(YESTERDAY)
    ticks = [sensing.tick() for _ in range(6)]
    events = [event for data in ticks for event in data.asset_events]
    assert [(event.asset_key, event.partition) for event in events] == [(RAW, "2026-03-09")]
    assert "All raw files of products for 2026-03-09 were deleted" in (events[0].description or "")
    assert not any(data.run_requests for data in ticks)


def test_many_emptied_days_are_one_warning_that_names_the_setting(
    sensing: Sensing, capsys: pytest.CaptureFixture[str]
) -> None:
    days = [TODAY - timedelta(days=back) for back in range(3, 7)]
    for day in days:
        sensing.put(day)
    sensing.quiet_ticks()
    for day in days:
        sensing.delete(day)
    for _ in range(6):
        sensing.tick()
    (line,) = [line for line in capsys.readouterr().err.splitlines() if "were deleted" in line]
    assert "of products for 2026-03-04 to 2026-03-07 were deleted" in line
    assert "set source.retention_days" in line


def with_retention(sensing: Sensing, days: int | None) -> None:
    source = sensing.feed.source.model_copy(update={"retention_days": days})
    sensing.feed = sensing.feed.model_copy(update={"source": source})
    sensing.sensor = build_sensor(sensing.feed, clock=lambda: sensing.now, sleep=sensing.sleep)


def test_files_that_expire_one_by_one_request_nothing() -> None:
    sensing = Sensing(sweep_days_back=60)
    with_retention(sensing, 30)
    first = TODAY - timedelta(days=29)
    for name in ("a.csv", "b.csv"):
        sensing.put(first, name)
    assert sensing.quiet_ticks(20) == [str(first)]
    # At the next midnight a lifecycle rule begins with the files of the first day.
    sensing.delete(first, "a.csv")
    sensing.now += 86_400
    assert sensing.quiet_ticks(20) == []
    with_retention(sensing, None)
    assert sensing.quiet_ticks(20) == [str(first)]


def test_a_day_that_waits_to_settle_when_its_retention_ends_is_not_requested() -> None:
    sensing = Sensing(settle_seconds=7200, sweep_days_back=60)
    with_retention(sensing, 30)
    first = TODAY - timedelta(days=29)
    sensing.put(first, age=0)
    for _ in range(20):
        sensing.tick(after=60)
    assert f"{first} waits" in (sensing.tick().skip_message or "")
    sensing.now += 86_400
    assert sensing.quiet_ticks(20) == []


def test_a_bucket_that_cannot_be_listed_fails_the_tick_with_the_reason(sensing: Sensing) -> None:
    sensing.aws.bucket.denied[""] = AccessDenied(
        "list the raw bucket", action="s3:ListBucket", principal="role/orchestrator"
    )
    with pytest.raises(ArrivalsUnknown) as failed:
        sensing.tick()
    assert "action: s3:ListBucket" in str(failed.value)
    assert "13 more failures" in str(failed.value)


def test_one_denied_day_does_not_keep_the_others_from_running(sensing: Sensing) -> None:
    sensing.put(YESTERDAY)
    sensing.aws.bucket.denied["products/2026/03/08/"] = AccessDenied("list the day")
    assert partitions(sensing.tick()) == ["2026-03-09"]


def test_a_cursor_that_cannot_be_read_is_replaced(sensing: Sensing) -> None:
    sensing.put(YESTERDAY)
    sensing.quiet_ticks()
    sensing.cursor = "written by an older version"
    assert sensing.quiet_ticks() == []
