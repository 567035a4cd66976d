"""`xacct days`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from xacct_assets.feed.partitions import last_day, today_utc
from xacct_assets.feed.retention import first_kept_day
from xacct_assets.operations.day_arguments import add_day_arguments, chosen_days, chosen_feeds
from xacct_assets.operations.terminal import OK, show

if TYPE_CHECKING:
    from xacct_assets.settings import Settings


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "days",
        help="show which days each feed has, or check that days are among them",
    )
    add_day_arguments(parser, default="no day is checked")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Show which days the feeds have; the exit code."""
    feeds, today = chosen_feeds(options, settings), today_utc()
    chosen_days(options, feeds)
    for feed in feeds:
        kept = first_kept_day(feed, today)
        files = f", with raw files from {max(kept, feed.start)} on" if kept else ""
        show(f"{feed.name}: {feed.start} to {last_day(feed, today)}{files}")
    return OK
