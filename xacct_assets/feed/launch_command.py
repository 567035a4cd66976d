"""`dg launch` and `dagster asset materialize`: the run is executed by the command's own process."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import click
import dagster as dg

from xacct_assets.feed.partitions import (
    LAUNCHING_COMMANDS,
    describe_outside,
    outside_days,
    parse_range,
    today_utc,
)
from xacct_assets.feed.schedule import job_name
from xacct_assets.feed.spec import FeedSpec


def refuse_other_days(definitions: dg.Definitions, feeds: Sequence[FeedSpec]) -> None:
    """Refuse days that the command names and that are none of the feed it launches.

    Dagster (1.13) ends with a traceback then, which does not say which days there are.

    Args:
        definitions: of all feeds.
        feeds: all feeds.

    Raises:
        UsageError: a day is not a day of the feed, or not a day at all; nothing was run.
    """
    command = click.get_current_context(silent=True)
    if command is None or command.info_name not in LAUNCHING_COMMANDS:
        return
    days = command.params.get("partition") or command.params.get("partition_range")
    if days is None:
        return
    names = _launched(command.params, definitions)
    for feed in feeds:
        if {feed.name, job_name(feed)} & names and (problem := _problem(feed, command.params)):
            raise click.UsageError(f"{problem}. Nothing was run.", command)


def _launched(options: Mapping[str, Any], definitions: dg.Definitions) -> set[str]:
    """Names of the feeds whose assets are launched, or of the job."""
    selection = options.get("assets") or options.get("select")
    if selection is None:
        return {options["job"]} if options.get("job") else set()
    chosen = dg.AssetSelection.from_coercible(selection.split(","))
    assets = [item for item in definitions.assets or () if isinstance(item, dg.AssetsDefinition)]
    return {key.path[0] for key in chosen.resolve(assets, allow_missing=True)}


def _problem(feed: FeedSpec, options: Mapping[str, Any]) -> str | None:
    one, several = options.get("partition"), options.get("partition_range")
    try:
        days = parse_range(str(one or several))
    except ValueError as problem:
        return str(problem)
    if one and "..." in one:
        return f"--partition takes one day; give --partition-range {one}"
    if several and "..." not in several:
        return f"--partition-range takes a first and a last day; give --partition {several}"
    outside = outside_days(feed, [days], today_utc())
    return describe_outside(feed, outside, today_utc()) if outside else None
