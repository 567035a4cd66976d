"""What Dagster's event log and run storage hold about a feed's days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg

from xacct_assets.feed.dagster_internals import backfill_id, data_version_of
from xacct_assets.feed.metadata import MetadataMissing, Problem, plain_values
from xacct_assets.feed.partitions import parse_day


@dataclass(frozen=True)
class Materialization:
    """The latest materialization of an asset for a day.

    Attributes:
        storage_id: position of the event in the log.
        run_id: the run that wrote it.
        timestamp: seconds since 1970.
        data_version: hash of what the asset holds; None if this code did not write the event.
        metadata: plain values; `metadata` reads those that code needs.
    """

    storage_id: int
    run_id: str
    timestamp: float
    data_version: str | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class ReportedProblem:
    """The latest observation that says why an asset was not materialized for a day."""

    storage_id: int
    problem: Problem


def latest_materializations(
    instance: dg.DagsterInstance, asset: dg.AssetKey, days: Iterable[date]
) -> dict[date, Materialization]:
    """The latest materialization of each day that has one, by two queries in all."""
    storage_ids = _latest_ids(instance, asset, days, dg.DagsterEventType.ASSET_MATERIALIZATION)
    if not storage_ids:
        return {}
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=asset, storage_ids=storage_ids), limit=len(storage_ids)
    ).records
    return dict(_by_day(records))


def recent_materializations(
    instance: dg.DagsterInstance, asset: dg.AssetKey, limit: int
) -> list[Materialization]:
    """The asset's last materializations, of any day, newest first."""
    records = instance.fetch_materializations(asset, limit=limit).records
    return [event for _, event in _by_day(records)]


def latest_problems(
    instance: dg.DagsterInstance, asset: dg.AssetKey, days: Iterable[date]
) -> dict[date, ReportedProblem]:
    """The latest problem of each day that ever had one."""
    storage_ids = _latest_ids(instance, asset, days, dg.DagsterEventType.ASSET_OBSERVATION)
    if not storage_ids:
        return {}
    records = instance.fetch_observations(
        dg.AssetRecordsFilter(asset_key=asset, storage_ids=storage_ids), limit=len(storage_ids)
    ).records
    problems = {}
    for record in records:
        event = record.event_log_entry.asset_observation
        if event is None or event.partition is None:
            continue
        try:
            problem = Problem.from_metadata(plain_values(event.metadata))
        except MetadataMissing:
            continue  # an observation of another kind
        problems[parse_day(event.partition)] = ReportedProblem(record.storage_id, problem)
    return problems


def run_lineage(run: dg.DagsterRun) -> set[str]:
    """Ids of the run, and of the run that it retries and the first of those retries, if any."""
    return {name for name in (run.run_id, run.parent_run_id, run.root_run_id) if name}


def requested_at(instance: dg.DagsterInstance, run: dg.DagsterRun) -> datetime:
    """When the work of the run was requested: its backfill, its first attempt, or the run itself.

    A crawl that one run of a backfill made since then also serves its other runs.
    """
    records = instance.get_run_records(dg.RunsFilter(run_ids=sorted(run_lineage(run))))
    times = [record.create_timestamp for record in records]
    launched_by = backfill_id(run)
    backfill = instance.get_backfill(launched_by) if launched_by else None
    if backfill is not None:
        times.append(datetime.fromtimestamp(backfill.backfill_timestamp, UTC))
    return min(times)


def _by_day(records: Iterable[dg.EventLogRecord]) -> Iterator[tuple[date, Materialization]]:
    for record in records:
        event = record.asset_materialization
        if event is None or event.partition is None:
            continue
        yield (
            parse_day(event.partition),
            Materialization(
                storage_id=record.storage_id,
                run_id=record.run_id,
                timestamp=record.timestamp,
                data_version=data_version_of(event),
                metadata=plain_values(event.metadata),
            ),
        )


def _latest_ids(
    instance: dg.DagsterInstance,
    asset: dg.AssetKey,
    days: Iterable[date],
    event_type: dg.DagsterEventType,
) -> list[int]:
    keys = {day.isoformat() for day in days}
    if not keys:
        return []
    return list(
        instance.event_log_storage.get_latest_storage_id_by_partition(
            asset, event_type, partitions=keys
        ).values()
    )
