"""What Dagster's event log knows of a feed's days."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any

import dagster as dg
from dagster._core.storage.tags import BACKFILL_ID_TAG

from xacct_assets.feed.partitions import parse_day

# The tag that Dagster keeps an event's data version in.
DATA_VERSION_TAG = "dagster/data_version"
# Metadata of the observation that says why a day was not materialized, and whether the reason lies
# with the upstream asset.
PROBLEM, INHERITED = "problem", "problem is upstream"


@dataclass(frozen=True)
class Materialization:
    """The latest materialization of one asset's day.

    Attributes:
        storage_id: where the event is in the log.
        run_id: the run that wrote it.
        timestamp: when, in seconds since 1970.
        data_version: what the asset holds, as a hash; None for events of a foreign hand.
        metadata: plain values of what was reported.
    """

    storage_id: int
    run_id: str
    timestamp: float
    data_version: str | None
    metadata: Mapping[str, Any]


@dataclass(frozen=True)
class Problem:
    """The latest observation that says why an asset's day was not materialized."""

    storage_id: int
    text: str
    is_upstream: bool


def latest_materializations(
    instance: dg.DagsterInstance, asset: dg.AssetKey, days: Iterable[date]
) -> dict[date, Materialization]:
    """The latest materialization of each of the days that has one (two queries, not one a day)."""
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
    """The asset's last materializations, of whichever days; the newest first."""
    records = instance.fetch_materializations(asset, limit=limit).records
    return [event for _, event in _by_day(records)]


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
                data_version=(event.tags or {}).get(DATA_VERSION_TAG),
                metadata={name: value.value for name, value in event.metadata.items()},
            ),
        )


def latest_problems(
    instance: dg.DagsterInstance, asset: dg.AssetKey, days: Iterable[date]
) -> dict[date, Problem]:
    """The latest problem of each of the days that ever had one."""
    storage_ids = _latest_ids(instance, asset, days, dg.DagsterEventType.ASSET_OBSERVATION)
    if not storage_ids:
        return {}
    records = instance.fetch_observations(
        dg.AssetRecordsFilter(asset_key=asset, storage_ids=storage_ids), limit=len(storage_ids)
    ).records
    found = {}
    for record in records:
        event = record.event_log_entry.asset_observation
        if event is None or event.partition is None or PROBLEM not in event.metadata:
            continue
        found[parse_day(event.partition)] = Problem(
            storage_id=record.storage_id,
            text=str(event.metadata[PROBLEM].value),
            is_upstream=bool(event.metadata[INHERITED].value),
        )
    return found


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


def run_lineage(run: dg.DagsterRun) -> set[str]:
    """The run and, if it takes up where another failed, that one and the first of them."""
    return {name for name in (run.run_id, run.parent_run_id, run.root_run_id) if name}


def requested_at(instance: dg.DagsterInstance, run: dg.DagsterRun) -> datetime:
    """When the run was asked for: by its backfill, by itself, or as the first of those it takes up.

    What one run of a backfill has found out since then, its other runs need not find out again.
    """
    records = instance.get_run_records(dg.RunsFilter(run_ids=sorted(run_lineage(run))))
    asked = [record.create_timestamp for record in records]
    backfill_id = run.tags.get(BACKFILL_ID_TAG)
    backfill = instance.get_backfill(backfill_id) if backfill_id else None
    if backfill is not None:
        asked.append(datetime.fromtimestamp(backfill.backfill_timestamp, UTC))
    return min(asked)
