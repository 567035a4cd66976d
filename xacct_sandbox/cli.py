"""`xacct-sandbox`: a two-account AWS on this machine, from the terminal."""

from __future__ import annotations

import argparse
import io
import os
import sys
import time
from collections.abc import Sequence
from datetime import date, datetime
from pathlib import Path

from xacct_sandbox import broken_files, commands, demo, landing
from xacct_sandbox.daemon import latency, proxies, request_log
from xacct_sandbox.daemon.config import SandboxError
from xacct_sandbox.faults import cli as faults_cli
from xacct_sandbox.service_errors import ServiceError


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs one command. Returns its exit code."""
    options = _parser().parse_args(arguments)
    # AWS settings of this shell point elsewhere and must have no effect on the sandbox.
    for variable in [name for name in os.environ if name.startswith("AWS_")]:
        del os.environ[variable]
    os.environ.update(proxies.direct(os.environ))
    for stream in (sys.stdout, sys.stderr):
        # A terminal that is not UTF-8 gets a replacement for what it cannot show.
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")
    try:
        return int(options.run(options) or 0)
    except (SandboxError, ServiceError) as problem:
        print(f"xacct-sandbox {options.command}: {problem}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print(f"xacct-sandbox {options.command}: interrupted", file=sys.stderr)
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="xacct-sandbox", description=__doc__)
    subparsers = parser.add_subparsers(dest="command", required=True)
    _add_lifecycle_commands(subparsers)
    _add_data_commands(subparsers)
    _add_service_commands(subparsers)
    return parser


def _add_lifecycle_commands(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    up = subparsers.add_parser("up", help="start it, deploy both accounts, write .env")
    up.add_argument("--no-deploy", action="store_true", help="start the services only")
    up.set_defaults(run=commands.up)

    whole = subparsers.add_parser("demo", help="up, a few days through the whole pipeline, the UI")
    whole.add_argument(
        "--days", type=_positive, default=3, help="number of days up to yesterday (default 3)"
    )
    whole.add_argument("--rows", type=_count, default=commands.DEFAULT_ROWS, help="rows per day")
    whole.add_argument("--no-ui", action="store_true", help="end after the reconciliation table")
    whole.add_argument("--ui-port", type=_port, default=3000, help="port of the Dagster UI")
    whole.set_defaults(run=demo.run)

    down = subparsers.add_parser("down", help="stop everything; the stored data is kept")
    down.set_defaults(run=commands.down)

    status = subparsers.add_parser("status", help="show ports, parts, stacks and sizes")
    status.add_argument("--json", action="store_true", help="print JSON")
    status.set_defaults(run=commands.status)

    reset = subparsers.add_parser("reset", help="stop everything and delete the stored data")
    reset.add_argument("--yes", action="store_true", help="do not ask for confirmation")
    reset.set_defaults(run=commands.reset)


def _add_data_commands(subparsers: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    land = subparsers.add_parser(
        "land",
        help="put files into account A's raw bucket",
        description="Without --file, generates products. Without --date, the last day is "
        "yesterday.",
    )
    land.add_argument("--date", type=_date, help="the first day, YYYY-MM-DD")
    land.add_argument("--days", type=_positive, default=1, help="number of days (default 1)")
    land.add_argument("--rows", type=_count, help=f"rows per day (default {commands.DEFAULT_ROWS})")
    land.add_argument("--files", type=_positive, help="files per day (default 1)")
    land.add_argument("--file", type=Path, help="land this file unchanged")
    land.add_argument("--feed", default=landing.GENERATED_FEED, help="folder in the bucket")
    land.add_argument("--key", help="name of the object in the day's folder")
    land.add_argument(
        "--broken", choices=sorted(broken_files.KINDS), help="land a file with this mistake"
    )
    land.add_argument("--seed", type=int, help="seed of the generated products (default 1)")
    land.set_defaults(run=commands.land)


def _add_service_commands(
    subparsers: argparse._SubParsersAction[argparse.ArgumentParser],
) -> None:
    calls = subparsers.add_parser(
        "calls",
        help="show which AWS operations were called, and by whom",
        description="Shows the requests since the daemon started, "
        f"at most the newest {request_log.CAPACITY:,}.",
    )
    calls.add_argument(
        "--since", type=_moment, default=0.0, help="an ISO time, or seconds ago as in 90s"
    )
    calls.add_argument("--json", action="store_true", help="print every request, as JSON")
    calls.set_defaults(run=commands.calls)

    alerts = subparsers.add_parser(
        "alerts",
        help="show what was sent to the owners of the feeds",
        description="Shows the messages that were published to the topic for alerts.",
    )
    alerts.add_argument(
        "--since", type=_moment, default=0.0, help="an ISO time, or seconds ago as in 90s"
    )
    alerts.add_argument("--json", action="store_true", help="print JSON, with the attributes")
    alerts.set_defaults(run=commands.alerts)

    times = subparsers.add_parser(
        "times",
        help="fix how long crawls, job runs and statements take",
        description="Without arguments, shows the current setting. The work is still done; if it "
        f"takes longer, the daemon's log says so. {latency.VARIABLE} sets it at the start.",
    )
    times.add_argument(
        "times",
        nargs="*",
        metavar="crawl=5",
        help="seconds for crawl, job or statement; or `true`: as long as it takes",
    )
    times.set_defaults(run=commands.times)

    faults_cli.add_command(subparsers)

    env = subparsers.add_parser("env", help="print exports that point any AWS client at it")
    env.add_argument("--as", dest="role", choices=commands.ROLES, required=True, help="the role")
    env.set_defaults(run=commands.env)


# -- argument types ----------------------------------------------------------------------------


def _moment(text: str) -> float:
    """Seconds since the epoch."""
    if text.endswith("s") and text[:-1].replace(".", "", 1).isdecimal():
        return time.time() - float(text[:-1])
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a time like 2026-01-31T12:00:00 nor seconds ago like 90s"
        ) from problem
    return moment.astimezone().timestamp()


def _date(text: str) -> date:
    try:
        return date.fromisoformat(text)
    except ValueError as problem:
        raise argparse.ArgumentTypeError(f"{text!r} is not a day like 2026-01-31") from problem


def _port(text: str) -> int:
    number = _positive(text)
    if number > 65535:
        raise argparse.ArgumentTypeError("must be a port number (1-65535)")
    return number


def _positive(text: str) -> int:
    number = _count(text)
    if number == 0:
        raise argparse.ArgumentTypeError("must be at least 1")
    return number


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number, 0 or more")
    return int(text)


if __name__ == "__main__":
    raise SystemExit(main())
