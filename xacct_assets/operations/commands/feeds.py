"""`xacct feeds`."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from xacct_assets.feed.partitions import last_day, today_utc
from xacct_assets.operations.terminal import OK, show

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.feed.states import FeedState
    from xacct_assets.settings import Settings

_COLUMNS = ("feed", "first_day", "last_day", "exported", "last_exported", "schedule", "sensor")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "feeds", help="list all feeds: their days, what was exported, what is switched on"
    )
    parser.add_argument("--json", action="store_true", help="print the list as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """List the feeds; the exit code."""
    from xacct_assets.feed.loader import load_feeds

    feeds = load_feeds(extra_feeds_dir=settings.extra_feeds_dir)
    states = _states(feeds)
    rows = [_row(feed, (states or {}).get(feed.name)) for feed in feeds]
    if options.json:
        show(json.dumps(rows, indent=2))
        return OK
    texts = [_COLUMNS, *(tuple(_text(row[name]) for name in _COLUMNS) for row in rows)]
    widths = [max(len(text[at]) for text in texts) for at in range(len(_COLUMNS))]
    for text in texts:
        cells = (cell.ljust(width) for cell, width in zip(text, widths, strict=True))
        show("  ".join(cells).replace("_", " " if text is _COLUMNS else "_").rstrip())
    if states is None:
        show("DAGSTER_HOME is not set: what was exported and switched on is not known here.")
    return OK


def _states(feeds: Sequence[FeedSpec]) -> Mapping[str, FeedState] | None:
    """The states by name; None if there is no Dagster instance."""
    if not os.environ.get("DAGSTER_HOME"):
        return None
    import dagster as dg

    from xacct_assets.feed.states import feed_states
    from xacct_assets.settings import arrival_overrides

    start = arrival_overrides().get("start_running")
    with dg.DagsterInstance.get() as instance:
        return feed_states(feeds, instance, start_running=None if start is None else bool(start))


def _row(feed: FeedSpec, state: FeedState | None) -> dict[str, object]:
    row: dict[str, object] = {
        "feed": feed.name,
        "first_day": feed.start.isoformat(),
        "last_day": str(last_day(feed, today_utc())),
        "exported": None,
        "last_exported": None,
        "schedule": None,
        "sensor": None,
    }
    if state is not None:
        row["exported"] = state.exported
        row["last_exported"] = state.last_exported and state.last_exported.isoformat()
        row["schedule"] = "on" if state.has_schedule else "off"
        row["sensor"] = "on" if state.has_sensor else "off"
    return row


def _text(value: object) -> str:
    return "-" if value is None else str(value)
