"""The feeds' sensors, ticked by hand as Dagster's daemon ticks them.

The feeds' own sensors look a few days back and wait long for a day to settle; these here are the
same code with other settings. Products hears of its files from S3's notifications, orders polls.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import Any

import dagster as dg

from tools.chaos.runs import Runs
from tools.chaos.schedule import Tick
from xacct_assets.feed.arrival import sensor as product
from xacct_assets.feed.spec import FeedSpec

SETTLE_SECONDS = 1
# As long as Dagster gives a tick; what it then says is dropped.
TICK_SECONDS = 60.0
# How long a tick waits for a notification, instead of the product's ten seconds.
product.WAIT_SECONDS = 1.0

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
            name: product.build_sensor(_restless(spec, days)) for name, spec in feeds.items()
        }
        self._cursors: dict[str, str | None] = dict.fromkeys(feeds)

    def tick(self, tick: Tick) -> int:
        """One tick; how many runs were launched.

        A tick that fails says why and changes nothing, as with the daemon.
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
                told = self._sensors[feed].evaluate_tick(context)
        except Exception as problem:  # noqa: BLE001 -- a tick may fail in any way, and is repeated
            self._say(f"tick of {feed} failed: {_cause(problem)}")
            return 0
        if time.monotonic() - began > TICK_SECONDS:
            self._say(f"tick of {feed} was dropped: it took {time.monotonic() - began:.0f} s")
            return 0
        launched = sum(self._launch(feed, request) for request in told.run_requests or [])
        if tick.cursor == "lost":
            self._say(f"tick of {feed} died after launching")
        else:
            self._cursors[feed] = told.cursor
        about = f"{launched} runs" if launched else told.skip_message
        self._say(f"tick of {feed} ({tick.cursor}): {about}")
        return launched

    def _launch(self, feed: str, request: dg.RunRequest) -> bool:
        """A run for the request, unless its key was ever used."""
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


def _restless(spec: FeedSpec, days: int) -> FeedSpec:
    arrival = type(spec.arrival)(
        mode="events" if spec.name == "products" else "poll",
        days_back=days + 1,
        settle_seconds=SETTLE_SECONDS,
        # Fewer runs for as many days: a run costs some seconds, a day of it nearly none.
        range_from_days=2,
        sweep_days_back=0,
        window_every_seconds=30 if spec.name == "products" else None,
    )
    return spec.model_copy(update={"arrival": arrival})


def _cause(problem: BaseException) -> str:
    while problem.__cause__ is not None:
        problem = problem.__cause__
    return f"{type(problem).__name__}: {problem}"
