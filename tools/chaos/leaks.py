"""Looks for the sandbox's passwords and keys in everything that a seed has written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

from tests.support import secret_scan
from tools.chaos.leftovers import job_runs, statements
from tools.chaos.oracle import Problem
from tools.chaos.world import World, objects


def leaks(world: World, home: Path, since: datetime) -> Iterator[Problem]:
    """Secrets in Dagster's storage and logs, in the sandbox's logs, and in what AWS was told.

    Args:
        home: of the Dagster instance: its databases, and what each run's process said.
        since: when the seed began.
    """
    secrets = secret_scan.secrets_of(world.sandbox.config.home)
    for leak in secret_scan.leaks(_everything(world, home, since), secrets):
        yield Problem("secret", leak.place, f"{leak.secret} is in there")


def _everything(world: World, home: Path, since: datetime) -> Iterator[secret_scan.Piece]:
    for root in (home, world.sandbox.config.log_dir):
        for place, piece in secret_scan.files_below(root):
            yield f"{root.name}/{place}", piece
    yield from secret_scan.written_by(world.sandbox)
    for statement in statements(world, since):
        yield f"statement {statement['Id']}", json.dumps(statement, default=str).encode()
    for feed in world.feeds:
        for run in job_runs(world, feed, since):
            yield f"job run {run['Id']}", json.dumps(run, default=str).encode()
            prefix = f"pipes/{feed}/{run['Arguments']['--load_id']}/"
            yield from objects(world.processing, world.processing_bucket, prefix).items()
    yield from _cloudwatch(world, since)


def _cloudwatch(world: World, since: datetime) -> Iterator[secret_scan.Piece]:
    logs = world.sandbox.client("account-b-admin", "logs")
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
