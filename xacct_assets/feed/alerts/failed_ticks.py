"""Sensors and schedules of the feeds whose last ticks failed."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import dagster as dg

from xacct_assets.feed.alerts.alert import Alert, Kind
from xacct_assets.feed.spec import FeedSpec

#: A sensor ticks every few seconds, and a tick that fails is made up for by the next one.
SENSOR_FAILURES = 2
_RECENT = 5


def failed_ticks(instance: dg.DagsterInstance, feeds: Iterable[FeedSpec]) -> list[Alert]:
    """An alert for each sensor whose last two ticks failed, and each schedule whose last did."""
    if instance.schedule_storage is None:
        return []  # an instance in memory has no daemon, so no ticks
    instigators = {}
    for feed in feeds:
        instigators[f"{feed.name}_arrivals"] = (feed.name, SENSOR_FAILURES)
        instigators[f"{feed.name}_daily"] = (feed.name, 1)
    return list(_failed(instance, instigators))


def _failed(
    instance: dg.DagsterInstance, instigators: dict[str, tuple[str, int]]
) -> Iterator[Alert]:
    for state in instance.all_instigator_state():
        if state.instigator_name not in instigators or state.status.value == "STOPPED":
            continue
        feed, enough = instigators[state.instigator_name]
        ticks = instance.get_ticks(state.instigator_origin_id, state.selector_id, limit=_RECENT)
        ended = [tick for tick in ticks if tick.status.value != "STARTED"][:enough]
        if len(ended) == enough and all(tick.status.value == "FAILURE" for tick in ended):
            error = ended[0].error
            error = error.cause if error and error.cause else error
            yield Alert(
                Kind.TICK_FAILED,
                state.instigator_name,
                error.message.strip() if error else "the tick failed without a message",
                f"remove the cause; the next tick of {state.instigator_name} makes up for it",
                feed=feed,
            )
