"""Since when a run may rely on what others have found out."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import dagster as dg
import pytest
from dagster._core.execution.backfill import BulkActionStatus, PartitionBackfill
from dagster._core.storage.tags import BACKFILL_ID_TAG

from xacct_assets.feed.event_log import requested_at

LAUNCHED = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)


@pytest.fixture
def instance() -> Iterator[dg.DagsterInstance]:
    with dg.DagsterInstance.ephemeral() as instance:
        instance.add_backfill(
            PartitionBackfill(
                backfill_id="a-year",
                status=BulkActionStatus.REQUESTED,
                from_failure=False,
                tags={},
                backfill_timestamp=LAUNCHED.timestamp(),
            )
        )
        yield instance


def a_run(instance: dg.DagsterInstance, **tags: str) -> dg.DagsterRun:
    job = dg.GraphDefinition(name="day", node_defs=[]).to_job()
    return instance.create_run_for_job(job, tags=tags)


def test_a_run_of_a_backfill_was_asked_for_when_that_was_launched(
    instance: dg.DagsterInstance,
) -> None:
    run = a_run(instance, **{BACKFILL_ID_TAG: "a-year"})
    assert requested_at(instance, run) == LAUNCHED


@pytest.mark.parametrize("tags", [{}, {BACKFILL_ID_TAG: "one-that-was-deleted"}], ids=str)
def test_any_other_run_was_asked_for_when_it_was_made(
    instance: dg.DagsterInstance, tags: dict[str, str]
) -> None:
    assert requested_at(instance, a_run(instance, **tags)) > LAUNCHED + timedelta(minutes=59)
