"""The request history in Dagster's run storage: each run carries its request in tags.

A run of one day carries that day's fingerprint and request number. A run of a range carries one of
each per day, in order, separated by blanks. A re-executed run inherits the tags, and so repeats the
same request.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from xacct_assets.feed.arrival.planned_runs import PlannedRun
from xacct_assets.feed.arrival.request_history import PastRequest
from xacct_assets.feed.event_log import latest_materializations
from xacct_assets.feed.partitions import parse_day

#: The name of the feed whose sensor requested the run.
ARRIVAL_TAG = "xacct/arrival"
FINGERPRINT_TAG = "xacct/fingerprint"
REQUEST_NUMBER_TAG = "xacct/request_number"
#: "true" on runs of several days, so that they can be queried.
RANGE_TAG = "xacct/arrival_range"
#: New days start before the days of a backfill, in the queue and in the pools: other runs have
#: priority 0.
PRIORITY_TAGS = {"dagster/priority": "1"}
PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"

#: Maximum of days in one run: each takes 23 characters of a tag value. Dagster indexes tag values,
#: and PostgreSQL's maximum for a row of a B-tree index is about 2,700 bytes.
MAX_DAYS_PER_RUN = 100

# Runs per query.
_PAGE_SIZE = 200
# Covers storages without fractions of a second, and runs committed slightly out of order.
_OVERLAP_SECONDS = 2.0


def run_request(feed: str, run: PlannedRun) -> dg.RunRequest:
    """Make the run request for a partition, or for a range of partitions.

    A sensor has no parameter for a range. A run request with the two range tags and no partition
    key is what Dagster's own automation makes for assets with a backfill policy.
    """
    tags = {
        ARRIVAL_TAG: feed,
        FINGERPRINT_TAG: " ".join(day.fingerprint for day in run.days),
        REQUEST_NUMBER_TAG: " ".join(str(day.request_number) for day in run.days),
        **PRIORITY_TAGS,
    }
    first, last = run.days[0].day.isoformat(), run.days[-1].day.isoformat()
    if first == last:
        return dg.RunRequest(run_key=run.run_key(feed), partition_key=first, tags=tags)
    tags |= {RANGE_TAG: "true", RANGE_START_TAG: first, RANGE_END_TAG: last}
    return dg.RunRequest(run_key=run.run_key(feed), tags=tags)


def days_of_run(run: dg.DagsterRun) -> list[date]:
    """The days that a run covers, in order; empty if it has no partition."""
    if PARTITION_TAG in run.tags:
        return [parse_day(run.tags[PARTITION_TAG])]
    if RANGE_START_TAG not in run.tags or RANGE_END_TAG not in run.tags:
        return []
    first, last = parse_day(run.tags[RANGE_START_TAG]), parse_day(run.tags[RANGE_END_TAG])
    return [first + timedelta(days=after) for after in range((last - first).days + 1)]


class RunHistory:
    """The `RequestHistory` of a feed in a Dagster instance.

    Args:
        instance: holds the runs.
        feed: name of the feed.
        raw_asset: the asset whose data version is a day's fingerprint.
    """

    def __init__(self, instance: dg.DagsterInstance, feed: str, raw_asset: dg.AssetKey) -> None:
        self._instance = instance
        self._feed = feed
        self._raw_asset = raw_asset

    def since(self, high_watermark: float | None) -> list[PastRequest]:
        """Requests made at ``high_watermark`` or later; with None, those of the newest run only."""
        tags = {ARRIVAL_TAG: self._feed}
        if high_watermark is None:
            records = self._instance.get_run_records(dg.RunsFilter(tags=tags), limit=1)
            return [request for record in records for request in _requests_of(record)]
        after = datetime.fromtimestamp(max(0.0, high_watermark - _OVERLAP_SECONDS), UTC)
        return list(self._query(dg.RunsFilter(tags=tags, created_after=after)))

    def of_days(self, days: Sequence[date]) -> Mapping[date, list[PastRequest]]:
        """All requests of these days."""
        by_day = {day: list[PastRequest]() for day in days}
        for tags in (
            {PARTITION_TAG: [day.isoformat() for day in by_day]},
            {RANGE_TAG: "true"},
        ):
            for request in self._query(dg.RunsFilter(tags={ARRIVAL_TAG: self._feed, **tags})):
                if request.day in by_day:
                    by_day[request.day].append(request)
        return by_day

    def materialized_fingerprint(self, day: date) -> str | None:
        """Fingerprint with which the day's raw partition was last materialized; None if never."""
        latest = latest_materializations(self._instance, self._raw_asset, [day]).get(day)
        return latest.data_version if latest else None

    def _query(self, filters: dg.RunsFilter) -> Iterator[PastRequest]:
        cursor = None
        while True:
            records = self._instance.get_run_records(filters, limit=_PAGE_SIZE, cursor=cursor)
            for record in records:
                yield from _requests_of(record)
            if len(records) < _PAGE_SIZE:
                return
            cursor = records[-1].dagster_run.run_id


def _requests_of(record: dg.RunRecord) -> list[PastRequest]:
    tags = record.dagster_run.tags
    fingerprints = tags.get(FINGERPRINT_TAG, "").split()
    request_numbers = tags.get(REQUEST_NUMBER_TAG, "").split()
    days = days_of_run(record.dagster_run)
    if not len(fingerprints) == len(request_numbers) == len(days):
        # A part of the run was executed again, or its tags were edited: which fingerprint belongs
        # to which day is unknown.
        return []
    return [
        PastRequest(
            day=day,
            fingerprint=fingerprint,
            request_number=int(request_number),
            created_at=record.create_timestamp.timestamp(),
            started_at=record.start_time,
            ended_at=record.end_time,
        )
        for day, fingerprint, request_number in zip(
            days, fingerprints, request_numbers, strict=True
        )
    ]
