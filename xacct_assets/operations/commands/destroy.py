"""`xacct destroy`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from xacct_assets.operations.terminal import FAILED, OK, USAGE, Progress, show, show_error

if TYPE_CHECKING:
    from xacct_assets.settings import Settings


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser("destroy", help="delete stacks and buckets with ALL their data")
    parser.add_argument("--yes", action="store_true", help="confirm the deletion")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Remove the installation; the exit code."""
    from xacct_assets.feed.loader import load_feeds
    from xacct_assets.operations.deployment.destroy import Removal

    if not options.yes:
        show_error(
            f"this deletes the installation {settings.suffix!r} from accounts "
            f"{settings.account_a} and {settings.account_b}: the buckets {settings.input_bucket}, "
            f"{settings.export_bucket} and {settings.processing_bucket} with all versions, the "
            "warehouse, the secret. Nothing was deleted; add --yes to delete it."
        )
        return USAGE
    feeds = load_feeds(extra_feeds_dir=settings.extra_feeds_dir)
    progress = Progress()
    not_removed = Removal(settings, feeds, progress).run()
    if not not_removed:
        progress("all removed")
        return OK
    progress(f"{len(not_removed)} resources are left")
    for problem in not_removed:
        show_error(problem)
    show("Next: apply the fixes above, then run `xacct destroy --yes` again.")
    return FAILED
