"""`xacct reconcile`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from typing import TYPE_CHECKING

from xacct_assets.operations.terminal import FAILED, OK, show, show_error

if TYPE_CHECKING:
    from xacct_assets.feed.reconciliation.equation import DayReconciliation
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.settings import Settings

# Field of DayReconciliation -> column title.
_COLUMNS = {
    "partition": "day",
    "raw_files": "files",
    "raw_rows": "raw",
    "staged_rows": "staged",
    "rejected_rows": "rejected",
    "fact_rows": "fact",
    "exported_rows": "exported",
    "manifest": "manifest",
}
_TEXT_COLUMNS = {"feed", "day", "manifest", "ok"}


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "reconcile", help="compare the row counts of every day, from raw files to export"
    )
    parser.add_argument(
        "--feed", action="append", metavar="NAME", help="only this feed (can be repeated)"
    )
    parser.add_argument(
        "--partition",
        action="append",
        type=_parse_days,
        metavar="DAY",
        help="2026-01-31, or a range 2026-01-01...2026-01-31 (can be repeated); "
        "default: every day that has any data",
    )
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Reconcile the days; the exit code."""
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.deployment import FeedNotDeployed, naming_what_is_not_deployed
    from xacct_assets.feed.loader import load_feed, load_feeds
    from xacct_assets.feed.reconciliation.collection import reconcile
    from xacct_assets.feed.reconciliation.discover_partitions import discover_partitions

    extra_feeds_dir = settings.extra_feeds_dir
    feeds = (
        [load_feed(name, extra_feeds_dir=extra_feeds_dir) for name in options.feed]
        if options.feed
        else load_feeds(extra_feeds_dir=extra_feeds_dir)
    )
    aws = AwsClients(settings)
    requested = sorted({day for days in options.partition or [] for day in days})
    results: list[tuple[FeedSpec, DayReconciliation]] = []
    undeployed: list[FeedNotDeployed] = []
    for feed in feeds:
        try:
            with naming_what_is_not_deployed(feed, aws):
                days = requested or discover_partitions(feed, aws)
                results += [(feed, verdict) for verdict in reconcile(feed, aws, days)]
        except FeedNotDeployed as problem:
            # The other feeds are shown; standard output may be JSON.
            undeployed.append(problem)
            show_error(str(problem))
    wrong = [verdict for _, verdict in results if not verdict.ok]
    if options.json:
        rows = [{"feed": feed.name, **verdict.as_dict()} for feed, verdict in results]
        show(json.dumps(rows, indent=2))
    elif not results and not undeployed:
        show("There is nothing yet. Next: upload files, then materialize their days.")
    elif results:
        _show_table(results)
        if wrong:
            show(f"\n{len(wrong)} of {len(results)} days are wrong.")
            show("Next: materialize these days again, as each line says.")
        else:
            show(f"\n{len(results)} days are right.")
    return FAILED if wrong or undeployed else OK


def _show_table(results: Sequence[tuple[FeedSpec, DayReconciliation]]) -> None:
    titles = ["feed", *_COLUMNS.values(), "ok"]
    lines = [titles]
    for feed, verdict in results:
        values = verdict.as_dict()
        cells = ["-" if values[name] is None else str(values[name]) for name in _COLUMNS]
        lines.append([feed.name, *cells, "ok" if verdict.ok else "WRONG"])
    widths = [max(len(line[i]) for line in lines) for i in range(len(titles))]
    for line in lines:
        cells = [
            cell.ljust(width) if title in _TEXT_COLUMNS else cell.rjust(width)
            for cell, width, title in zip(line, widths, titles, strict=True)
        ]
        show("  ".join(cells).rstrip())
    for feed, verdict in results:
        for problem in verdict.problems:
            show(f"{feed.name} {verdict.partition}: {problem}")
        for note in verdict.notes:
            show(f"{feed.name} {verdict.partition}: note: {note}")


def _parse_days(text: str) -> list[date]:
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
