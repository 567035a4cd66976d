"""What Dagster's event log knows of a feed's days."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

import dagster as dg

from xacct_assets.feed.partitions import parse_day


@dataclass(frozen=True)
class Materialization:
    """The latest materialization of one asset's day.

    Attributes:
        storage_id: where the event is in the log.
        run_id: the run that wrote it.
        data_version: what the asset holds, as a hash; None for events of a foreign hand.
        metadata: plain values of what was reported.
    """

    storage_id: int
    run_id: str
    data_version: str | None
    metadata: Mapping[str, Any]


def latest_materializations(
    instance: dg.DagsterInstance, asset: dg.AssetKey, days: Iterable[date]
) -> dict[date, Materialization]:
    """The latest materialization of each of the days that has one (two queries, not one a day)."""
    keys = {day.isoformat() for day in days}
    if not keys:
        return {}
    storage_ids = instance.event_log_storage.get_latest_storage_id_by_partition(
        asset, dg.DagsterEventType.ASSET_MATERIALIZATION, partitions=keys
    )
    if not storage_ids:
        return {}
    records = instance.fetch_materializations(
        dg.AssetRecordsFilter(asset_key=asset, storage_ids=list(storage_ids.values())),
        limit=len(storage_ids),
    ).records
    found = {}
    for record in records:
        event = record.asset_materialization
        if event is None or event.partition is None:
            continue
        found[parse_day(event.partition)] = Materialization(
            storage_id=record.storage_id,
            run_id=record.run_id,
            data_version=(event.tags or {}).get("dagster/data_version"),
            metadata={name: value.value for name, value in event.metadata.items()},
        )
    return found


def run_family(run: dg.DagsterRun) -> set[str]:
    """The run and, if it takes up where another failed, that one and the first of them."""
    return {name for name in (run.run_id, run.parent_run_id, run.root_run_id) if name}
