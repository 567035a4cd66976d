"""What Dagster's instance knows about each feed, by a few queries."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import dagster as dg

from xacct_assets.feed.assets.defaults import asset_key
from xacct_assets.feed.partitions import parse_day
from xacct_assets.feed.spec import FeedSpec


@dataclass(frozen=True)
class FeedState:
    """The state of a feed.

    Attributes:
        exported: how many days were ever exported.
        last_exported: the newest of them.
        has_schedule: whether the schedule is on.
        has_sensor: whether the sensor is on.
    """

    exported: int
    last_exported: date | None
    has_schedule: bool
    has_sensor: bool


def feed_states(
    feeds: Sequence[FeedSpec], instance: dg.DagsterInstance, *, start_running: bool | None = None
) -> dict[str, FeedState]:
    """The state of each feed, by its name.

    Args:
        feeds: the feeds.
        instance: of Dagster.
        start_running: whether the installation starts schedules and sensors, if it says so.
    """
    # A switch that nobody has touched has no record.
    switches: dict[str, bool] = {}
    for state in instance.all_instigator_state():
        switches[state.instigator_name] = (
            switches.get(state.instigator_name, False) or state.is_running
        )
    states = {}
    for feed in feeds:
        days = instance.get_materialized_partitions(asset_key(feed, "s3_export"))
        untouched = feed.arrival.start_running if start_running is None else start_running
        states[feed.name] = FeedState(
            exported=len(days),
            last_exported=max(map(parse_day, days), default=None),
            has_schedule=switches.get(f"{feed.name}_daily", untouched),
            has_sensor=switches.get(f"{feed.name}_arrivals", untouched),
        )
    return states
