"""The command `xacct`: deploy an installation, check it, reconcile its days, remove it or a feed.

Exit codes: 0 success; 1 a check, a day or a deployment failed, and the output says which; 2 the
arguments or the settings are not usable; 130 interrupted.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from xacct_assets.operations.commands import (
    days,
    deploy,
    destroy,
    doctor,
    feed,
    feeds,
    reconcile,
)
from xacct_assets.operations.day_arguments import NoSuchDays
from xacct_assets.operations.env_file import EnvFileError, load_env_file
from xacct_assets.operations.terminal import FAILED, INTERRUPTED, OK, USAGE, show_error
from xacct_assets.settings import Settings, SettingsError


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command.

    Args:
        arguments: by default those of the process.

    Returns:
        The exit code.
    """
    from xacct_assets.aws.errors import AwsFailure
    from xacct_assets.feed.loader import FeedFileError

    options = _parser().parse_args(arguments)
    try:
        if not options.no_env_file:
            load_env_file(options.env_file)
        run: Callable[[argparse.Namespace, Settings], int] = options.run
        return run(options, Settings.load())
    except (SettingsError, EnvFileError, FeedFileError, NoSuchDays) as problem:
        show_error(str(problem))
        return USAGE
    except AwsFailure as failure:
        show_error(str(failure))
        return FAILED
    except KeyboardInterrupt:
        show_error("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader of the output (head, less) has closed it.
        sys.stderr.close()
        return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xacct",
        description="The cross-account pipeline from the terminal. Settings are read from .env in "
        "the current directory, which takes precedence as with `dg dev`, and from the "
        "environment.",
    )
    env_file = parser.add_mutually_exclusive_group()
    env_file.add_argument("--env-file", type=Path, metavar="FILE", help="read this instead of .env")
    env_file.add_argument(
        "--no-env-file", action="store_true", help="read no .env: use the environment only"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    for command in (deploy, destroy, doctor, reconcile, days, feeds, feed):
        command.add_parser(commands)
    return parser


if __name__ == "__main__":
    sys.exit(main())
