"""`xacct deploy`."""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from xacct_assets.operations.terminal import OK, USAGE, Progress, show, show_error

if TYPE_CHECKING:
    from xacct_assets.settings import Settings


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "deploy",
        help="deploy both accounts, all feeds, the job script and the SQL; deploys only changes",
    )
    parser.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a template parameter (e.g. WarehouseSubnetIds=subnet-1,subnet-2); later deployments "
        "keep it",
    )
    parser.add_argument(
        "--sql-over",
        choices=("wire", "data-api"),
        default="wire",
        help="how SQL is sent to Redshift; data-api needs no network path to a private workgroup",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Deploy; the exit code."""
    from xacct_assets.feed.loader import load_feeds
    from xacct_assets.operations.deployment.deploy import Deployment
    from xacct_assets.operations.deployment.sources import sources_root

    overrides = {}
    for text in options.parameter:
        name, separator, value = text.partition("=")
        if not separator or not name.isalnum():
            show_error(f"--parameter {text!r} is not NAME=VALUE")
            return USAGE
        overrides[name] = value
    feeds = load_feeds(extra_feeds_dir=settings.extra_feeds_dir)
    progress = Progress()
    deployment = Deployment(settings, feeds, sources_root(), progress, overrides)
    changed = deployment.run(sql_over=options.sql_over)
    progress("deployed" if changed else "up to date")
    show("Next: `xacct doctor` checks every connection; `dg dev` starts the UI.")
    return OK
