"""`xacct destroy`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from xacct_assets.operations.terminal import (
    FAILED,
    OK,
    USAGE,
    Progress,
    confirmed,
    show,
    show_error,
)

if TYPE_CHECKING:
    from xacct_assets.settings import Settings


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "destroy", help="delete the stacks and what they created; buckets with objects stay"
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--delete-data",
        action="append",
        default=[],
        metavar="BUCKET",
        help="delete this bucket with all its objects, if a stack created it",
    )
    parser.add_argument(
        "--no-final-snapshot",
        action="store_true",
        help="take no snapshot of the warehouse before it is deleted",
    )
    parser.add_argument(
        "--account",
        choices=("a", "b"),
        help="remove the part of one account only, with rights in that one only; a comes first",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Remove the installation; the exit code."""
    from xacct_assets.feed.loader import load_feeds
    from xacct_assets.operations.deployment.destroy import Removal
    from xacct_assets.operations.deployment.plan import ACCOUNTS

    feeds = load_feeds(extra_feeds_dir=settings.extra_feeds_dir)
    progress = Progress()
    removal = Removal(
        settings,
        feeds,
        progress,
        delete_data=options.delete_data,
        final_snapshot=not options.no_final_snapshot,
        accounts=ACCOUNTS if options.account is None else (options.account,),
    )
    plan = removal.plan()
    foreign = removal.foreign_buckets(plan)
    if foreign:
        show_error(
            f"nothing was deleted: no stack of installation {settings.suffix} created bucket "
            f"{', '.join(foreign)}. Leave out --delete-data {foreign[0]}."
        )
        return USAGE
    where = {
        None: f"accounts {settings.account_a} and {settings.account_b}",
        "a": f"account {settings.account_a} (account B's part stays)",
        "b": f"account {settings.account_b} (account A's part stays)",
    }[options.account]
    show(f"Installation {settings.suffix} in {where}:")
    for line in removal.describe(plan):
        show(line)
    if not plan.stacks:
        show("There is nothing to delete.")
        return OK
    if not options.yes and not confirmed("Delete this?"):
        show_error("nothing was deleted; answer y, or add --yes")
        return USAGE
    not_removed = removal.run(plan)
    if not not_removed:
        progress("the installation is removed")
        for line in plan.left:
            show(f"left: {line}")
        return OK
    progress(f"{len(not_removed)} resources are left")
    for problem in not_removed:
        show_error(problem)
    show("Next: apply the fixes above, then run the same command again.")
    return FAILED
