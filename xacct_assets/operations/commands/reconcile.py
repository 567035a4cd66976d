"""`xacct reconcile`."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from datetime import date
from typing import TYPE_CHECKING

from xacct_assets.feed.partitions import in_words
from xacct_assets.operations.day_arguments import add_day_arguments, chosen_days, chosen_feeds
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
    add_day_arguments(parser, default="every day that has any data")
    parser.add_argument("--json", action="store_true", help="print the verdicts as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Reconcile the days; the exit code."""
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.deployment import FeedNotDeployed, naming_what_is_not_deployed
    from xacct_assets.feed.reconciliation.collection import reconcile
    from xacct_assets.feed.reconciliation.discover_partitions import discover_partitions

    feeds = chosen_feeds(options, settings)
    requested = chosen_days(options, feeds)
    aws = AwsClients(settings)
    results: list[tuple[FeedSpec, DayReconciliation]] = []
    undeployed: list[FeedNotDeployed] = []
    for feed in feeds:
        try:
            with naming_what_is_not_deployed(feed, aws):
                days = discover_partitions(feed, aws) if requested is None else requested[feed.name]
                results += [(feed, verdict) for verdict in reconcile(feed, aws, days)]
        except FeedNotDeployed as problem:
            # The other feeds are shown; standard output may be JSON.
            undeployed.append(problem)
            show_error(str(problem))
    if options.json:
        rows = [{"feed": feed.name, **verdict.as_dict()} for feed, verdict in results]
        show(json.dumps(rows, indent=2))
    elif not results and not undeployed:
        show("There is nothing yet. Next: upload files, then materialize their days.")
    elif results:
        counted = [result for result in results if result[1].raw_state != "not a day"]
        if counted:
            _show_table(counted)
        _show_findings(results)
        if counted:
            _show_summary([verdict for _, verdict in counted])
    return FAILED if undeployed or not all(verdict.ok for _, verdict in results) else OK


def _show_table(results: Sequence[tuple[FeedSpec, DayReconciliation]]) -> None:
    titles = ["feed", *_COLUMNS.values(), "ok"]
    lines = [titles]
    for feed, verdict in results:
        values = verdict.as_dict()
        cells = ["-" if values[name] is None else str(values[name]) for name in _COLUMNS]
        if verdict.raw_state in ("gone", "partly gone"):
            cells[list(_COLUMNS).index("raw_files")] = verdict.raw_state
        lines.append([feed.name, *cells, _outcome(verdict)])
    widths = [max(len(line[i]) for line in lines) for i in range(len(titles))]
    for line in lines:
        cells = [
            cell.ljust(width) if title in _TEXT_COLUMNS else cell.rjust(width)
            for cell, width, title in zip(line, widths, titles, strict=True)
        ]
        show("  ".join(cells).rstrip())


def _show_findings(results: Sequence[tuple[FeedSpec, DayReconciliation]]) -> None:
    """Show the problems and warnings; what is said of many days is said once."""
    said: dict[tuple[str, str], list[date]] = {}
    for feed, verdict in results:
        notes = [f"note: {note}" for note in verdict.notes]
        for text in (*verdict.problems, *verdict.warnings, *notes):
            said.setdefault((feed.name, text), []).append(date.fromisoformat(verdict.partition))
    for (name, text), days in said.items():
        show(f"{name} {in_words(days)}: {text}")


def _outcome(verdict: DayReconciliation) -> str:
    if not verdict.ok:
        return "WRONG"
    return "warning" if verdict.warnings else "ok"


def _show_summary(verdicts: Sequence[DayReconciliation]) -> None:
    wrong = sum(not verdict.ok for verdict in verdicts)
    warned = sum(verdict.ok and bool(verdict.warnings) for verdict in verdicts)
    if wrong:
        show(f"\n{wrong} of {len(verdicts)} days are wrong.")
        show("Next: for each day, what its line says.")
    else:
        if len(verdicts) == 1:
            show(f"\n1 day is right{', with a warning' if warned else ''}.")
            return
        more = f", {warned} of them with a warning" if warned else ""
        show(f"\n{len(verdicts)} days are right{more}.")
