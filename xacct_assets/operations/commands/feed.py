"""`xacct feed`: its actions; `retire` is here."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from typing import TYPE_CHECKING

from xacct_assets.operations.commands import feed_evolve, feed_new, feed_sql
from xacct_assets.operations.terminal import (
    OK,
    USAGE,
    Progress,
    confirmed,
    show,
    show_error,
)

if TYPE_CHECKING:
    from xacct_assets.operations.deployment.retired import RetiredFeed
    from xacct_assets.settings import Settings


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    feed = commands.add_parser("feed", help="make a feed from sample files, change it, retire it")
    actions = feed.add_subparsers(required=True, metavar="ACTION")
    for action in (feed_new, feed_evolve, feed_sql):
        action.add_parser(actions)
    retire = actions.add_parser(
        "retire",
        help="delete the stack of a feed that left the settings; its files and tables stay",
    )
    retire.add_argument("name", metavar="NAME", help="name of the feed, as `xacct doctor` gives it")
    retire.add_argument("--yes", action="store_true", help="do not ask")
    retire.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Retire a feed; the exit code."""
    from xacct_assets.feed.loader import DEFS_FOLDER, load_feeds
    from xacct_assets.operations.deployment.accounts import Accounts
    from xacct_assets.operations.deployment.retired import find_retired
    from xacct_assets.operations.deployment.retirement import Retirement

    feeds = load_feeds(extra_feeds_dir=settings.extra_feeds_dir)
    folders = f"{DEFS_FOLDER} and {settings.extra_feeds_dir or 'XACCT_EXTRA_FEEDS_DIR (not set)'}"
    if options.name in {feed.name for feed in feeds}:
        show_error(
            f"feed {options.name} is in the settings; nothing was deleted. To retire it, remove "
            f"its defs.yaml from {folders} first."
        )
        return USAGE
    accounts = Accounts(settings)
    accounts.verify("b")
    sessions = accounts.sessions["b"]
    retired = find_retired(sessions.client("cloudformation"), settings.suffix, feeds)
    feed = next((feed for feed in retired if feed.name == options.name), None)
    if feed is None:
        show_error(_unknown(options.name, retired, settings))
        return USAGE
    retirement = Retirement(feed, sessions)
    show(f"{feed.describe()}, in account {settings.account_b}.")
    show(f"No defs.yaml under {folders} has a feed of this name.")
    show("\n  - ".join(["This is deleted:", *retirement.goes()]))
    show("\n  - ".join(["This stays:", *retirement.stays()]))
    if not options.yes and not confirmed(f"Retire feed {feed.name}?"):
        show_error("nothing was deleted; answer y, or add --yes")
        return USAGE
    retirement.run(Progress())
    show(f"Feed {feed.name} is retired.")
    return OK


def _unknown(name: str, retired: Sequence[RetiredFeed], settings: Settings) -> str:
    names = ", ".join(feed.name for feed in retired) or "none"
    return (
        f"installation {settings.suffix} has no stack of a retired feed {name}; retired feeds that "
        f"have one: {names}"
    )
