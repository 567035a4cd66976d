"""The requests that the arrival sensor made, as Dagster's run storage keeps them in tags.

A run of one day carries that day's content and generation; a run of a range carries one of each per
day, in order, separated by blanks. Re-executed runs inherit the tags and so say the same again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, date, datetime, timedelta

import dagster as dg

from xacct_assets.feed.arrival.decision import PlannedRun, Requested
from xacct_assets.feed.event_log import latest_materializations
from xacct_assets.feed.partitions import parse_day

#: Whose request a run is: the feed's name.
ARRIVAL_TAG = "xacct/arrival"
CONTENT_TAG = "xacct/fingerprint"
GENERATION_TAG = "xacct/generation"
#: There with "true" on runs of several days, so that these can be asked for.
RANGE_TAG = "xacct/arrival_range"
#: What has just arrived goes before the days of a backfill, in the queue and in the pools: other
#: runs have priority 0.
FIRST = {"dagster/priority": "1"}
PARTITION_TAG = "dagster/partition"
RANGE_START_TAG = "dagster/asset_partition_range_start"
RANGE_END_TAG = "dagster/asset_partition_range_end"

#: Days of one run at most: each takes 23 characters of tag value, and PostgreSQL, which indexes tag
#: values, takes no more than some 2,700 bytes.
MAX_DAYS_PER_RUN = 100

# Runs read from the storage at once.
_PAGE = 200
# Storages without fractions of a second, and runs committed a little out of order.
_OVERLAP_SECONDS = 2.0


def run_request(feed: str, ask: PlannedRun) -> dg.RunRequest:
    """What to launch: a partition, or a range of them by the tags that Dagster itself uses.

    A sensor cannot ask for a range by any parameter, but a run request with these two tags and no
    partition key is what Dagster's own automation makes for assets with a backfill policy.
    """
    tags = {
        ARRIVAL_TAG: feed,
        CONTENT_TAG: " ".join(day.content for day in ask.days),
        GENERATION_TAG: " ".join(str(day.generation) for day in ask.days),
        **FIRST,
    }
    first, last = ask.days[0].day.isoformat(), ask.days[-1].day.isoformat()
    if first == last:
        return dg.RunRequest(run_key=ask.run_key(feed), partition_key=first, tags=tags)
    tags |= {RANGE_TAG: "true", RANGE_START_TAG: first, RANGE_END_TAG: last}
    return dg.RunRequest(run_key=ask.run_key(feed), tags=tags)


def days_of(run: dg.DagsterRun) -> list[date]:
    """The days that a run is of, in order; none if it is not of any partition."""
    if PARTITION_TAG in run.tags:
        return [parse_day(run.tags[PARTITION_TAG])]
    if RANGE_START_TAG not in run.tags or RANGE_END_TAG not in run.tags:
        return []
    first, last = parse_day(run.tags[RANGE_START_TAG]), parse_day(run.tags[RANGE_END_TAG])
    return [first + timedelta(days=after) for after in range((last - first).days + 1)]


class RunHistory:
    """`arrival.Journal` over a Dagster instance.

    Args:
        instance: where the runs are.
        feed: name of the feed.
        raw_asset: the asset whose data version is a day's content.
    """

    def __init__(self, instance: dg.DagsterInstance, feed: str, raw_asset: dg.AssetKey) -> None:
        self._instance = instance
        self._feed = feed
        self._raw_asset = raw_asset

    def since(self, mark: float | None) -> list[Requested]:
        """Requests made at ``mark`` or later; with None, those of the newest run only."""
        tags = {ARRIVAL_TAG: self._feed}
        if mark is None:
            records = self._instance.get_run_records(dg.RunsFilter(tags=tags), limit=1)
            return [entry for record in records for entry in _entries(record)]
        after = datetime.fromtimestamp(max(0.0, mark - _OVERLAP_SECONDS), UTC)
        return list(self._read(dg.RunsFilter(tags=tags, created_after=after)))

    def history(self, days: Sequence[date]) -> Mapping[date, list[Requested]]:
        """Every request of these days."""
        wanted = {day: list[Requested]() for day in days}
        for tags in (
            {PARTITION_TAG: [day.isoformat() for day in wanted]},
            {RANGE_TAG: "true"},
        ):
            for entry in self._read(dg.RunsFilter(tags={ARRIVAL_TAG: self._feed, **tags})):
                if entry.day in wanted:
                    wanted[entry.day].append(entry)
        return wanted

    def materialized(self, day: date) -> str | None:
        """Content with which the day's raw partition was last materialized, if it was."""
        latest = latest_materializations(self._instance, self._raw_asset, [day]).get(day)
        return latest.data_version if latest else None

    def _read(self, filters: dg.RunsFilter) -> Iterator[Requested]:
        cursor = None
        while True:
            records = self._instance.get_run_records(filters, limit=_PAGE, cursor=cursor)
            for record in records:
                yield from _entries(record)
            if len(records) < _PAGE:
                return
            cursor = records[-1].dagster_run.run_id


def _entries(record: dg.RunRecord) -> list[Requested]:
    tags = record.dagster_run.tags
    contents = tags.get(CONTENT_TAG, "").split()
    generations = tags.get(GENERATION_TAG, "").split()
    days = days_of(record.dagster_run)
    if not len(contents) == len(generations) == len(days):
        # Somebody re-ran a part of it, or edited the tags: it says nothing certain of any day.
        return []
    return [
        Requested(
            day=day,
            content=content,
            generation=int(generation),
            created=record.create_timestamp.timestamp(),
            started=record.start_time,
            ended=record.end_time,
        )
        for day, content, generation in zip(days, contents, generations, strict=True)
    ]
