"""`xacct doctor`."""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from xacct_assets.operations.terminal import FAILED, OK, show

if TYPE_CHECKING:
    from xacct_assets.operations.doctor import Finding, Outcome
    from xacct_assets.settings import Settings

_WORDS: Mapping[Outcome, str] = {
    "ok": "passed",
    "warn": "warned",
    "FAIL": "failed",
    "skipped": "skipped",
}


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

    feeds = load_feeds(extra_feeds_dir=settings.extra_feeds_dir)
    report = (lambda finding: None) if options.json else _show_finding
    # It reports what is: it does not wait for the end of a rotation.
    aws = AwsClients(settings, rotation_window=0)
    findings = Doctor(aws, feeds, report).run()
    failed = [finding for finding in findings if finding.outcome == "FAIL"]
    if options.json:
        show(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        show(f"\n{_count(findings)}. Next: {_next_step(findings)}")
    return FAILED if failed else OK


def _count(findings: Sequence[Finding]) -> str:
    """The findings in numbers: ``14 checks passed``, or how many of each outcome."""
    outcomes = Counter(finding.outcome for finding in findings)
    checks = f"{len(findings)} check{'' if len(findings) == 1 else 's'}"
    if len(outcomes) == 1:
        return f"{checks} {_WORDS[findings[0].outcome]}"
    words = [f"{outcomes[outcome]} {word}" for outcome, word in _WORDS.items()]
    return f"{checks}: {', '.join(word for word in words if not word.startswith('0 '))}"


def _next_step(findings: Sequence[Finding]) -> str:
    if any(finding.outcome == "FAIL" for finding in findings):
        return "the fixes above, in order."
    return "`dg dev`, or `xacct reconcile`."


def _show_finding(finding: Finding) -> None:
    show(f"{finding.outcome:8} {finding.check}: {finding.detail} ({finding.seconds:.1f} s)")
    if finding.fix and finding.fix not in finding.detail:
        show(f"         fix: {finding.fix}")
