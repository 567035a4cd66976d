"""`xacct deploy`."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from xacct_assets.operations.terminal import (
    OK,
    USAGE,
    Progress,
    confirmed,
    show,
    show_error,
)

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.settings import Settings


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "deploy",
        help="deploy both accounts, all feeds, the job script and the SQL; shows the changes, asks",
    )
    parser.add_argument("--yes", action="store_true", help="do not ask")
    parser.add_argument(
        "--allow-data-loss",
        action="append",
        default=[],
        metavar="NAME",
        help="the namespace, bucket or secret of this name may be replaced or deleted",
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
        "--image",
        metavar="IMAGE",
        help="image of Dagster's tasks on ECS, with a tag that stays or a digest; later "
        "deployments keep it",
    )
    parser.add_argument(
        "--sql-over",
        choices=("wire", "data-api"),
        default="wire",
        help="how SQL is sent to Redshift; data-api needs no network path to a private workgroup",
    )
    parser.add_argument(
        "--account",
        choices=("a", "b"),
        help="deploy one account only, with rights in that one only if it is b; b comes first",
    )
    parser.add_argument(
        "--print",
        nargs="?",
        const="xacct-account-a",
        metavar="FOLDER",
        help="with --account a: deploy nothing; write template, parameters and a summary for the "
        "administrator of account A into FOLDER (default: %(const)s)",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Deploy; the exit code."""
    from xacct_assets.feed.loader import load_feeds
    from xacct_assets.feed.sql_files.differences import refuse_differences
    from xacct_assets.operations.deployment import image, plan
    from xacct_assets.operations.deployment.deploy import Deployment
    from xacct_assets.sources import sources_root

    overrides = {}
    for text in options.parameter:
        name, separator, value = text.partition("=")
        if not separator or not name.isalnum():
            show_error(f"--parameter {text!r} is not NAME=VALUE")
            return USAGE
        overrides[name] = value
    if options.image is not None:
        problem = image.problem_of(options.image)
        if settings.orchestrator != "create":
            problem = "it is for tasks on ECS, and XACCT_ORCHESTRATOR is own: leave one of them out"
        if problem:
            show_error(f"--image: {problem}")
            return USAGE
        overrides[image.PARAMETER] = options.image
    if options.print is not None and options.account != "a":
        show_error("--print is for account A, of another team: add --account a")
        return USAGE
    feeds = load_feeds(extra_feeds_dir=settings.extra_feeds_dir)
    if options.print is not None:
        return _print_account_a(Path(options.print), settings, feeds, overrides)
    refuse_differences(feeds, settings.extra_feeds_dir)
    progress = Progress()
    deployment = Deployment(
        settings,
        feeds,
        sources_root(),
        progress,
        lambda question: options.yes or confirmed(question),
        overrides=overrides,
        allowed_losses=options.allow_data_loss,
    )
    accounts = plan.ACCOUNTS if options.account is None else (options.account,)
    outcome = deployment.run(sql_over=options.sql_over, accounts=accounts)
    if outcome == "declined":
        show_error("no more was changed; answer y, or add --yes")
        return USAGE
    progress(outcome)
    if options.account == "b":
        show(
            "Next: account A. With rights there: `xacct deploy --account a`; for its own "
            "administrator: `xacct deploy --account a --print`."
        )
    else:
        show("Next: `xacct doctor` checks every connection; `dg dev` starts the UI.")
    if options.account != "a" and settings.orchestrator == "create":
        _show_image(settings)
    return OK


def _show_image(settings: Settings) -> None:
    from xacct_assets.operations.deployment import image
    from xacct_assets.operations.deployment.accounts import Accounts

    for line in image.how_to_give_one(settings, Accounts(settings).sessions["b"]):
        show(line)


def _print_account_a(
    folder: Path, settings: Settings, feeds: list[FeedSpec], overrides: dict[str, str]
) -> int:
    from xacct_assets.operations.deployment import account_a_files, plan
    from xacct_assets.operations.deployment.accounts import Accounts
    from xacct_assets.sources import sources_root

    accounts = Accounts(settings)
    accounts.verify("b")
    outputs_b = account_a_files.outputs_of_b(settings, accounts)
    planned = plan.account_a(settings, sources_root(), outputs_b, feeds)
    planned = plan.with_overrides(planned, overrides)
    for path in account_a_files.write_files(folder, settings, planned, feeds):
        show(str(path))
    show(
        f"Next: send the folder to the administrator of account {settings.account_a}, whose "
        f"{account_a_files.SUMMARY} says what to review and how to apply it; then `xacct doctor`."
    )
    return OK
