"""A new Dagster instance has what its daemon would otherwise warn of."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

import dagster as dg
import pytest
from dagster._daemon.auto_run_reexecution.event_log_consumer import (
    DAGSTER_EVENT_TYPES,
    _fetch_persisted_cursors,
)

from xacct_assets.local_runtime.new_instance import prepare


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    (tmp_path / "dagster.yaml").touch()
    with dg.DagsterInstance.from_config(str(tmp_path)) as instance:
        yield instance


def warnings(instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the daemon logs when it looks for its cursors."""
    caplog.clear()
    _fetch_persisted_cursors(instance, DAGSTER_EVENT_TYPES, logging.getLogger("daemon"))
    return [record.getMessage() for record in caplog.records]


def test_the_daemon_of_a_prepared_instance_has_its_cursors(
    instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    assert len(warnings(instance, caplog)) == 2
    prepare(instance)
    assert warnings(instance, caplog) == []


def test_an_instance_with_cursors_keeps_them(instance: dg.DagsterInstance) -> None:
    prepare(instance)
    keys = {f"EVENT_LOG_CONSUMER_CURSOR-{kind.value}" for kind in DAGSTER_EVENT_TYPES}
    later = dict.fromkeys(keys, "7")
    instance.daemon_cursor_storage.set_cursor_values(later)
    prepare(instance)
    assert instance.daemon_cursor_storage.get_cursor_values(keys) == later


def test_an_instance_with_events_is_left_as_it_is(
    instance: dg.DagsterInstance, caplog: pytest.LogCaptureFixture
) -> None:
    """Its old failed runs must not be retried."""
    instance.report_runless_asset_event(dg.AssetMaterialization("a"))
    prepare(instance)
    assert len(warnings(instance, caplog)) == 2
