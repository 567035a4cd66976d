"""`xacct doctor`."""

from __future__ import annotations

import argparse
import json
from dataclasses import asdict
from typing import TYPE_CHECKING

from xacct_assets.operations.terminal import FAILED, OK, show

if TYPE_CHECKING:
    from xacct_assets.operations.doctor import Finding
    from xacct_assets.settings import Settings


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "doctor", help="check every connection and resource, one line each, with the fix"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Check the installation; the exit code."""
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.feed.loader import load_feeds
    from xacct_assets.operations.doctor import Doctor

    if not options.json:
        show(
            f"ok       settings: accounts {settings.account_a} and {settings.account_b}, "
            f"{settings.region}, suffix {settings.suffix}"
        )
    feeds = load_feeds(extra_feeds_dir=settings.extra_feeds_dir)
    report = (lambda finding: None) if options.json else _show_finding
    findings = Doctor(AwsClients(settings), feeds, report).run()
    failed = [finding for finding in findings if finding.outcome == "FAIL"]
    if options.json:
        show(json.dumps([asdict(finding) for finding in findings], indent=2))
    elif failed:
        show(f"\n{len(failed)} of {len(findings)} checks failed. Next: the fixes above, in order.")
    else:
        show(f"\n{len(findings)} checks passed. Next: `dagster dev`, or `xacct reconcile`.")
    return FAILED if failed else OK


def _show_finding(finding: Finding) -> None:
    show(f"{finding.outcome:8} {finding.check}: {finding.detail} ({finding.seconds:.1f} s)")
    if finding.fix:
        show(f"         fix: {finding.fix}")
