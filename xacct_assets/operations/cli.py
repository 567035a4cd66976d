"""`xacct`: deploy an installation, look it over, reconcile its days, take it out again.

Exit codes: 0 all is well; 1 something is wrong (a check, a day, a deployment), said on the way;
2 the command was not understood or the settings are not usable; 130 interrupted.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from xacct_assets.operations.env_file import EnvFileError, load_env_file
from xacct_assets.settings import Settings, SettingsError

if TYPE_CHECKING:
    from xacct_assets.feed.reconciliation.equation import DayReconciliation
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.operations.doctor import Finding

OK, WRONG, USAGE, INTERRUPTED = 0, 1, 2, 130


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; its exit code."""
    from xacct_assets.aws.errors import AwsFailure
    from xacct_assets.feed.loader import FeedFileError

    options = _parser().parse_args(arguments)
    try:
        if not options.no_env_file:
            load_env_file(options.env_file)
        run: Callable[[argparse.Namespace, Settings], int] = options.run
        return run(options, Settings.load())
    except (SettingsError, EnvFileError, FeedFileError) as problem:
        _error(str(problem))
        return USAGE
    except AwsFailure as failure:
        _error(str(failure))
        return WRONG
    except KeyboardInterrupt:
        _error("interrupted")
        return INTERRUPTED
    except BrokenPipeError:
        # The reader (head, less) has had enough.
        sys.stderr.close()
        return OK


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="xacct",
        description="The cross-account pipeline from the terminal. Settings come from .env in the "
        "current directory (which wins, as for `dagster dev`) and from the environment.",
    )
    where = parser.add_mutually_exclusive_group()
    where.add_argument("--env-file", type=Path, metavar="FILE", help="read this instead of .env")
    where.add_argument(
        "--no-env-file", action="store_true", help="read no .env: take the environment as it is"
    )
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    deploy = commands.add_parser(
        "deploy",
        help="deploy both accounts, all feeds, the job script and the SQL; again: what changed",
    )
    deploy.add_argument(
        "--parameter",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="a template parameter (e.g. WarehouseSubnetIds=subnet-1,subnet-2); kept from then on",
    )
    deploy.add_argument(
        "--sql-over",
        choices=("wire", "data-api"),
        default="wire",
        help="how SQL gets to Redshift; data-api needs no network path to a private workgroup",
    )
    deploy.set_defaults(run=_deploy)

    destroy = commands.add_parser("destroy", help="delete stacks and buckets with ALL their data")
    destroy.add_argument("--yes", action="store_true", help="really do it")
    destroy.set_defaults(run=_destroy)

    doctor = commands.add_parser("doctor", help="check every hop, one line each, with the fix")
    doctor.add_argument("--json", action="store_true", help="findings as JSON")
    doctor.set_defaults(run=_doctor)

    reconcile = commands.add_parser(
        "reconcile", help="does every day add up, from raw files to export?"
    )
    reconcile.add_argument(
        "--feed", action="append", metavar="NAME", help="only this feed (can be repeated)"
    )
    reconcile.add_argument(
        "--partition",
        action="append",
        type=_days,
        metavar="DAY",
        help="2026-01-31, or a range 2026-01-01...2026-01-31 (can be repeated); "
        "default: every day that has anything",
    )
    reconcile.add_argument("--json", action="store_true", help="verdicts as JSON")
    reconcile.set_defaults(run=_reconcile)
    return parser


def _deploy(options: argparse.Namespace, settings: Settings) -> int:
    from xacct_assets.feed.loader import load_feeds
    from xacct_assets.operations.deployment.deploy import Deployment
    from xacct_assets.operations.deployment.sources import sources_root

    overrides = {}
    for text in options.parameter:
        name, separator, value = text.partition("=")
        if not separator or not name.isalnum():
            _error(f"--parameter {text!r} is not NAME=VALUE")
            return USAGE
        overrides[name] = value
    with _progress() as say:
        deployment = Deployment(
            settings, load_feeds(more=settings.extra_feeds_dir), sources_root(), say, overrides
        )
        changed = deployment.run(sql_over=options.sql_over)
        say("deployed" if changed else "up to date")
    print("Next: `xacct doctor` checks every hop; `dagster dev` serves the UI.")
    return OK


def _destroy(options: argparse.Namespace, settings: Settings) -> int:
    from xacct_assets.feed.loader import load_feeds
    from xacct_assets.operations.deployment.destroy import Removal

    if not options.yes:
        _error(
            f"this deletes the installation {settings.suffix!r} from accounts "
            f"{settings.account_a} and {settings.account_b}: the buckets {settings.input_bucket}, "
            f"{settings.export_bucket} and {settings.processing_bucket} with all versions, the "
            "warehouse, the secret. Nothing was done; add --yes to do it."
        )
        return USAGE
    with _progress() as say:
        left = Removal(settings, load_feeds(more=settings.extra_feeds_dir), say).run()
        say("all removed" if not left else f"{len(left)} things are left")
    for leftover in left:
        _error(leftover)
    if left:
        print("Next: mend what is said above, then `xacct destroy --yes` again.")
    return WRONG if left else OK


def _doctor(options: argparse.Namespace, settings: Settings) -> int:
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.loader import load_feeds
    from xacct_assets.operations.doctor import Doctor

    show = (lambda finding: None) if options.json else _show_finding
    if not options.json:
        print(
            f"ok       settings: accounts {settings.account_a} and {settings.account_b}, "
            f"{settings.region}, suffix {settings.suffix}"
        )
    findings = Doctor(AwsClients(settings), load_feeds(more=settings.extra_feeds_dir), show).run()
    failed = [finding for finding in findings if finding.outcome == "FAIL"]
    if options.json:
        print(json.dumps([asdict(finding) for finding in findings], indent=2))
    elif failed:
        print(f"\n{len(failed)} of {len(findings)} checks failed. Next: the fixes above, in order.")
    else:
        print(f"\n{len(findings)} checks passed. Next: `dagster dev`, or `xacct reconcile`.")
    return WRONG if failed else OK


def _show_finding(finding: Finding) -> None:
    print(f"{finding.outcome:8} {finding.check}: {finding.detail} ({finding.seconds:.1f} s)")
    if finding.fix:
        print(f"         fix: {finding.fix}")
    sys.stdout.flush()


def _reconcile(options: argparse.Namespace, settings: Settings) -> int:
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.loader import load_feed, load_feeds
    from xacct_assets.feed.reconciliation.equation import reconcile
    from xacct_assets.operations.discover_partitions import discover_partitions

    more = settings.extra_feeds_dir
    feeds = (
        [load_feed(name, more=more) for name in options.feed]
        if options.feed
        else load_feeds(more=more)
    )
    aws = AwsClients(settings)
    asked = sorted({day for days in options.partition or [] for day in days})
    rows: list[tuple[FeedSpec, DayReconciliation]] = []
    for feed in feeds:
        days = asked or discover_partitions(feed, aws)
        rows += [(feed, verdict) for verdict in reconcile(feed, aws, days)]
    wrong = [verdict for _, verdict in rows if not verdict.ok]
    if options.json:
        print(json.dumps([{"feed": f.name, **v.as_dict()} for f, v in rows], indent=2))
    else:
        _show_table(rows)
        if wrong:
            print(f"\n{len(wrong)} of {len(rows)} days are wrong.")
            print("Next: materialize these days again, as each line says.")
        elif rows:
            print(f"\n{len(rows)} days are right.")
        else:
            print("There is nothing yet. Next: land files, then materialize their days.")
    return WRONG if wrong else OK


_COLUMNS: tuple[tuple[str, str], ...] = (
    ("partition", "day"),
    ("raw_files", "files"),
    ("raw_rows", "raw"),
    ("staged_rows", "staged"),
    ("rejected_rows", "rejected"),
    ("fact_rows", "fact"),
    ("exported_rows", "exported"),
    ("manifest", "manifest"),
)


def _show_table(rows: Sequence[tuple[FeedSpec, DayReconciliation]]) -> None:
    if not rows:
        return
    lines = [["feed", *(title for _, title in _COLUMNS), "ok"]]
    for feed, verdict in rows:
        values = verdict.as_dict()
        cells = ["-" if values[name] is None else str(values[name]) for name, _ in _COLUMNS]
        lines.append([feed.name, *cells, "ok" if verdict.ok else "WRONG"])
    widths = [max(len(line[i]) for line in lines) for i in range(len(lines[0]))]
    left = {0, 1, len(widths) - 2, len(widths) - 1}
    for line in lines:
        cells = [
            cell.ljust(width) if i in left else cell.rjust(width)
            for i, (cell, width) in enumerate(zip(line, widths, strict=True))
        ]
        print("  ".join(cells).rstrip())
    for feed, verdict in rows:
        for problem in verdict.problems:
            print(f"{feed.name} {verdict.partition}: {problem}")


def _days(text: str) -> list[date]:
    """`2026-01-31` or `2026-01-01...2026-01-31` as days."""
    first, _, last = text.partition("...")
    try:
        start = date.fromisoformat(first)
        end = date.fromisoformat(last or first)
    except ValueError:
        raise argparse.ArgumentTypeError(
            f"{text!r} is neither a day (2026-01-31) nor a range (2026-01-01...2026-01-31)"
        ) from None
    if end < start:
        raise argparse.ArgumentTypeError(f"{text!r} ends before it starts")
    if end > datetime.now(UTC).date() + timedelta(days=366):
        raise argparse.ArgumentTypeError(f"{text!r} ends more than a year from now")
    return [start + timedelta(days=n) for n in range((end - start).days + 1)]


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Lines that begin with the seconds since the start."""
    started = time.monotonic()

    def say(text: str) -> None:
        print(f"[{time.monotonic() - started:6.1f} s] {text}", flush=True)

    yield say


def _error(text: str) -> None:
    print(f"xacct: {text}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
