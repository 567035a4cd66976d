"""`xacct doctor`."""

from __future__ import annotations

import argparse
import json
import logging
import os
import re
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING

from xacct_assets.operations.terminal import FAILED, OK, USAGE, confirmed, show, show_error

if TYPE_CHECKING:
    from xacct_assets.feed.spec import FeedSpec
    from xacct_assets.operations.doctor.findings import Check, Finding, Outcome
    from xacct_assets.settings import Settings

_WORDS: Mapping[Outcome, str] = {
    "ok": "passed",
    "warn": "warned",
    "FAIL": "failed",
    "skipped": "skipped",
}
# What `--fix` may run: these commands show what they change, and lose no data unasked.
_SAFE = re.compile(r"`(xacct deploy(?: --account [ab])?)`")


def add_parser(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    """Declare the command and its arguments."""
    parser = commands.add_parser(
        "doctor", help="walk the chain from the settings to an export; name the cause and the fix"
    )
    parser.add_argument("--json", action="store_true", help="print the findings as JSON")
    parser.add_argument(
        "--feed", action="append", default=[], metavar="FEED", help="check this feed only"
    )
    parser.add_argument(
        "--only",
        action="append",
        default=[],
        metavar="CHECK",
        help="make this check only, and those that it needs",
    )
    parser.add_argument(
        "--fix",
        action="store_true",
        help="offer to run the repairs that `xacct deploy` can make; each is asked about",
    )
    parser.set_defaults(run=run)


def run(options: argparse.Namespace, settings: Settings) -> int:
    """Check the installation; the exit code."""
    from xacct_assets.feed.loader import load_feeds
    from xacct_assets.operations.doctor.runner import NoSuchCheck, Runner, select

    # The findings say it all: what the clients log about a failure would be printed between them.
    logging.getLogger("xacct_assets").addHandler(logging.NullHandler())
    feeds = load_feeds(extra_feeds_dir=settings.extra_feeds_dir)
    unknown = set(options.feed) - {feed.name for feed in feeds}
    if unknown:
        known = ", ".join(feed.name for feed in feeds)
        show_error(f"there is no feed {', '.join(sorted(unknown))}; the feeds are {known}")
        return USAGE
    checks = checks_of(settings, feeds, options.feed)
    if options.only:
        try:
            checks = select(checks, options.only)
        except NoSuchCheck as problem:
            show_error(str(problem))
            return USAGE
    runner = Runner(checks, (lambda _: None) if options.json else _show_finding)
    findings = runner.run()
    if options.json:
        show(json.dumps([asdict(finding) for finding in findings], indent=2))
    else:
        show(f"\n{_count(findings)}. Next: {_next_step(findings)}")
    failed = [finding for finding in findings if finding.outcome == "FAIL"]
    if failed and options.fix:
        return _fix(options, settings, failed)
    code = FAILED if failed else OK
    if runner.abandoned:
        # A check hangs in a request: its threads would keep this process for minutes.
        sys.stdout.flush()
        os._exit(code)
    return code


def checks_of(
    settings: Settings, feeds: Sequence[FeedSpec], checked: Sequence[str] = ()
) -> list[Check]:
    """The checks of an installation, with those of the named feeds, or of all."""
    from xacct_assets.aws_clients import AwsClients
    from xacct_assets.operations.doctor.chain import checks
    from xacct_assets.operations.doctor.installation import Installation
    from xacct_assets.operations.doctor.warehouse import ANSWER_TIMEOUT

    # It reports what is: it does not wait for the end of a rotation.
    aws = AwsClients(settings, rotation_window=0, answer_within=ANSWER_TIMEOUT)
    return checks(Installation(aws, feeds, checked))


def _fix(options: argparse.Namespace, settings: Settings, failed: Sequence[Finding]) -> int:
    """Offer the commands of the fixes that are safe, then check again; the exit code."""
    from xacct_assets.operations.commands import deploy

    texts = [finding.fix or "" for finding in failed]
    commands = list(dict.fromkeys(match for text in texts for match in _SAFE.findall(text)[:1]))
    if not commands:
        show("None of the fixes can be made by this command.")
        return FAILED
    parser = argparse.ArgumentParser()
    deploy.add_parser(parser.add_subparsers())
    for command in commands:
        if not confirmed(f"Run `{command}`?"):
            show(f"not run: {command}")
            return FAILED
        code = deploy.run(parser.parse_args(command.split()[1:]), settings)
        if code != OK:
            return code
    options.fix = False
    return run(options, settings)


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
    if finding.fix and finding.fix.replace("`", "") not in finding.detail:
        show(f"         fix: {finding.fix}")
