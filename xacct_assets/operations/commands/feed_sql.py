"""`xacct feed sql`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from xacct_assets.operations.terminal import FAILED, OK, show, show_error

if TYPE_CHECKING:
    from xacct_assets.settings import Settings


def add_parser(actions: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = actions.add_parser(
        "sql",
        help="write a feed's tables and procedure from its defs.yaml; files of its own are kept",
    )
    parser.add_argument("name", metavar="NAME", help="name of the feed")
    parser.add_argument(
        "--check",
        action="store_true",
        help="write nothing; exit code 1 if a file is not what would be written",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Write or compare the files; the exit code."""
    from xacct_assets.feed.loader import load_feed
    from xacct_assets.feed.sql_files.folder import sql_folder
    from xacct_assets.feed.sql_files.writing import compare_files, write_files
    from xacct_assets.sources import sources_root

    extra = settings.extra_feeds_dir
    feed = load_feed(options.name, extra_feeds_dir=extra)
    folder = sql_folder(feed.name, sources_root(), extra)
    if options.check:
        problems = compare_files(feed, folder)
        for problem in problems:
            show_error(problem)
        if not problems:
            show(f"The SQL in {folder} is that of feed {feed.name}.")
        return FAILED if problems else OK
    for line in write_files(feed, folder):
        show(line)
    show("Next: `xacct deploy` applies the SQL.")
    return OK
