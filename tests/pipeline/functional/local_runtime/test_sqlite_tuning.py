"""Dagster's SQLite databases stay open, and commits do not wait for the disk, during a run."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.storage.event_log import SqliteEventLogStorage

from xacct_assets.local_runtime.sqlite_tuning import (
    event_databases,
    keep_databases_open,
    relaxed_durability,
)

# SQLite's own numbers of the setting.
NORMAL, FULL = 1, 2


class Place:
    """An instance on disk with one run."""

    def __init__(self, folder: Path, instance: dg.DagsterInstance) -> None:
        self.instance = instance
        job = dg.GraphDefinition(name="day", node_defs=[]).to_job()
        self.run = instance.create_run_for_job(job)
        self.report("begun")

    def report(self, text: str) -> None:
        self.instance.report_engine_event(text, self.run)
        asset = dg.AssetMaterialization("a", partition="2026-01-01")
        self.instance.report_runless_asset_event(asset)

    def has_log(self, shard: str) -> bool:
        """Whether the database's write-ahead log is still there: its last user deletes it."""
        return Path(f"{self.storage.path_for_shard(shard)}-wal").exists()

    def synchronous(self) -> int:
        with self.storage.index_connection() as connection:
            return connection.exec_driver_sql("PRAGMA synchronous").scalar()

    @property
    def databases(self) -> list[Path]:
        return event_databases(self.instance, self.run.run_id)

    @property
    def storage(self) -> SqliteEventLogStorage:
        storage = self.instance.event_log_storage
        assert isinstance(storage, SqliteEventLogStorage)
        return storage


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    with dg.DagsterInstance.local_temp(str(tmp_path)) as instance:
        yield Place(tmp_path, instance)


def test_an_event_of_a_run_does_not_wait_for_the_disk(place: Place) -> None:
    with relaxed_durability(place.databases):
        place.report("in its midst")
        assert place.has_log("index")
        assert place.has_log(place.run.run_id)
        assert place.synchronous() == NORMAL


def test_when_the_run_is_over_everything_is_in_the_databases(place: Place) -> None:
    def is_interrupted() -> None:
        with relaxed_durability(place.databases):
            place.report("in its midst")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        is_interrupted()
    assert not place.has_log("index")
    assert not place.has_log(place.run.run_id)
    assert place.synchronous() == FULL
    events = [entry.dagster_event for entry in place.instance.all_logs(place.run.run_id)]
    assert "in its midst" in [event.message for event in events if event]


def test_the_database_of_all_events_is_closed_at_the_end(place: Place) -> None:
    with keep_databases_open(event_databases(place.instance)):
        place.report("held")
        assert place.has_log("index")
        assert not place.has_log(place.run.run_id)
    assert not place.has_log("index")


def test_a_database_that_does_not_exist_yet_is_not_created(place: Place) -> None:
    assert event_databases(place.instance, "another-run") == event_databases(place.instance)


def test_another_storage_has_no_databases_to_tune() -> None:
    with dg.DagsterInstance.ephemeral() as instance:
        assert event_databases(instance, "a-run") == []
