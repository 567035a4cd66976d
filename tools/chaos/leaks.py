"""Searches everything that a seed wrote for the sandbox's passwords and keys."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from tests.support import secret_scan
from tools.chaos.accounts import Accounts, objects
from tools.chaos.leftovers import job_runs, statements
from tools.chaos.oracle import Problem


def leaks(accounts: Accounts, home: Path, since: datetime) -> Iterator[Problem]:
    """Find secrets in Dagster's storage and logs, the sandbox's logs, and requests to AWS.

    Args:
        accounts: the accounts of the seed.
        home: of the Dagster instance, with its databases and the output of each run.
        since: start of the seed.
    """
    secrets = secret_scan.secrets_of(accounts.sandbox.config.home)
    for leak in secret_scan.leaks(_everything(accounts, home, since), secrets):
        yield Problem("secret", leak.location, f"{leak.secret} is in there")


def _everything(accounts: Accounts, home: Path, since: datetime) -> Iterator[secret_scan.Piece]:
    for root in (home, accounts.sandbox.config.log_dir):
        for location, piece in secret_scan.files_below(root):
            yield f"{root.name}/{location}", piece
    yield from secret_scan.written_by(accounts.sandbox)
    for statement in statements(accounts, since):
        yield f"statement {statement['Id']}", json.dumps(statement, default=str).encode()
    for feed in accounts.feeds:
        for run in job_runs(accounts, feed, since):
            yield f"job run {run['Id']}", json.dumps(run, default=str).encode()
            prefix = f"pipes/{feed}/{run['Arguments']['--load_id']}/"
            yield from objects(accounts.processing, accounts.processing_bucket, prefix).items()
    yield from _cloudwatch(accounts, since)


def _cloudwatch(accounts: Accounts, since: datetime) -> Iterator[secret_scan.Piece]:
    logs = accounts.sandbox.client("account-b-admin", "logs")
    start = int(since.timestamp() * 1000)
    for page in logs.get_paginator("describe_log_groups").paginate():
        for group in page["logGroups"]:
            name = group["logGroupName"]
            events = logs.get_paginator("filter_log_events").paginate(
                logGroupName=name, startTime=start
            )
            for found in events:
                for event in found["events"]:
                    yield f"log group {name}", event["message"].encode()
