"""The arrival sensors of the feeds, ticked as Dagster's daemon ticks them.

The same code as in production with other settings: more days and a shorter settle time. Products
uses S3's notifications, orders polls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from tools.chaos.runs import Runs
from tools.chaos.schedule import Tick
from xacct_assets.feed.arrival import sensor as arrival_sensor
from xacct_assets.feed.spec import FeedSpec

SETTLE_SECONDS = 1
# Dagster's timeout of a tick; the result of a longer tick is dropped.
TICK_SECONDS = 60.0
# Wait for notifications in a tick, instead of ten seconds in production.
arrival_sensor.WAIT_SECONDS = 1.0

RUN_KEY_TAG = "dagster/run_key"


class Sensors:
    """Both sensors with their cursors."""

    def __init__(
        self,
        feeds: Mapping[str, FeedSpec],
        days: int,
        definitions: dg.Definitions,
        runs: Runs,
        say: Callable[[str], None],
    ) -> None:
        self._repository = definitions.get_repository_def()
        self._aws_clients = definitions.resources["aws"] if definitions.resources else None
        self._runs = runs
        self._say = say
        self._sensors = {
            name: arrival_sensor.build_sensor(_with_short_settling(spec, days))
            for name, spec in feeds.items()
        }
        self._cursors: dict[str, str | None] = dict.fromkeys(feeds)

    def tick(self, tick: Tick) -> int:
        """Evaluate a sensor and launch its run requests, as the daemon does.

        A tick that fails changes nothing.

        Returns:
            Number of launched runs.
        """
        feed = tick.feed
        cursor = None if tick.cursor == "reset" else self._cursors[feed]
        began = time.monotonic()
        try:
            with dg.build_sensor_context(
                instance=self._runs.instance,
                cursor=cursor,
                repository_def=self._repository,
                resources={"aws": self._aws_clients},
            ) as context:
                result = self._sensors[feed].evaluate_tick(context)
        except Exception as problem:  # noqa: BLE001 -- a tick may fail in any way, and is repeated
            self._say(f"tick of {feed} failed: {_cause(problem)}")
            return 0
        if time.monotonic() - began > TICK_SECONDS:
            self._say(f"tick of {feed} was dropped: it took {time.monotonic() - began:.0f} s")
            return 0
        launched = sum(self._launch(feed, request) for request in result.run_requests or [])
        if tick.cursor == "lost":
            self._say(f"tick of {feed} died after launching")
        else:
            self._cursors[feed] = result.cursor
        outcome = f"{launched} runs" if launched else result.skip_message
        self._say(f"tick of {feed} ({tick.cursor}): {outcome}")
        return launched

    def _launch(self, feed: str, request: dg.RunRequest) -> bool:
        """Launch the requested run, unless its run key was used before."""
        key = request.run_key
        assert key is not None
        tags: dict[str, Any] = {**request.tags, RUN_KEY_TAG: key}
        if any(run.tags.get(RUN_KEY_TAG) == key for run in self._runs.all):
            return False
        days = tags.get("dagster/partition") or "...".join(
            tags[f"dagster/asset_partition_range_{end}"] for end in ("start", "end")
        )
        self._runs.launch(feed, tags, f"{feed} {days} (arrived)")
        return True


def _with_short_settling(spec: FeedSpec, days: int) -> FeedSpec:
    arrival = type(spec.arrival)(
        mode="events" if spec.name == "products" else "poll",
        days_back=days + 1,
        settle_seconds=SETTLE_SECONDS,
        # Ranges from two days on: a run takes some seconds, a further day in it hardly any.
        range_from_days=2,
        sweep_days_back=0,
        window_every_seconds=30 if spec.name == "products" else None,
    )
    return spec.model_copy(update={"arrival": arrival})


def _cause(problem: BaseException) -> str:
    while problem.__cause__ is not None:
        problem = problem.__cause__
    return f"{type(problem).__name__}: {problem}"
