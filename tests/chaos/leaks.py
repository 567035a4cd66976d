"""Looks for the sandbox's passwords and keys in everything that a seed has written."""

from __future__ import annotations

import base64
import configparser
import json
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path
from urllib.parse import quote, quote_plus, unquote, urlsplit

from tests.chaos.leftovers import job_runs, statements
from tests.chaos.oracle import Problem
from tests.chaos.world import World, objects

SHORTEST = 8


def secrets_of(world: World) -> dict[str, str]:
    """Every secret of the sandbox that can be known from outside, by what it is."""
    config = world.sandbox.config
    known = {"the sandbox's token": config.token_path.read_text().strip()}
    profiles = configparser.RawConfigParser()
    profiles.read(config.aws_credentials_file, encoding="utf-8")
    for profile in profiles.sections():
        known[f"secret key of {profile}"] = profiles[profile]["aws_secret_access_key"]
    manager = world.sandbox.client("account-b-admin", "secretsmanager")
    for page in manager.get_paginator("list_secrets").paginate():
        for entry in page["SecretList"]:
            text = manager.get_secret_value(SecretId=entry["ARN"])["SecretString"]
            known[f"password in {entry['Name']}"] = _password(text)
    return known


def _password(text: str) -> str:
    """The password of a JSON secret or of a connection URI."""
    if text.lstrip().startswith("{"):
        return str(json.loads(text)["password"])
    return unquote(urlsplit(text).password or "")


def leaks(world: World, home: Path, since: datetime) -> Iterator[Problem]:
    """Secrets in Dagster's storage and logs, in the sandbox's logs, and in what AWS was told.

    Args:
        home: of the Dagster instance: its databases, and what each run's process said.
        since: when the seed began.
    """
    needles = {name: _spellings(secret) for name, secret in secrets_of(world).items()}
    for where, text in _everything(world, home, since):
        for name, spellings in needles.items():
            if any(spelling in text for spelling in spellings):
                yield Problem("secret", where, f"{name} is in there")


def _spellings(secret: str) -> set[bytes]:
    """How it may be written; too short a secret would be found everywhere."""
    assert len(secret) >= SHORTEST, "a secret of the sandbox is too short to be looked for"
    forms = {secret, quote(secret), quote(secret, safe=""), quote_plus(secret)}
    forms |= {json.dumps(secret)[1:-1], repr(secret)[1:-1]}
    return {form.encode() for form in forms} | {base64.b64encode(secret.encode())}


def _everything(world: World, home: Path, since: datetime) -> Iterator[tuple[str, bytes]]:
    for root in (home, world.sandbox.config.log_dir):
        for path in sorted(root.rglob("*")):
            if path.is_file():
                yield path.relative_to(root.parent).as_posix(), path.read_bytes()
    history = "SELECT query_text FROM sandbox_internal.query_history WHERE start_time >= %s"
    for (text,) in world.sql(history, (since.replace(tzinfo=None),)):
        yield "SQL text", str(text).encode()
    for statement in statements(world, since):
        yield f"statement {statement['Id']}", json.dumps(statement, default=str).encode()
    for feed in world.feeds:
        for run in job_runs(world, feed, since):
            yield f"job run {run['Id']}", json.dumps(run, default=str).encode()
            prefix = f"pipes/{feed}/{run['Arguments']['--work_id']}/"
            yield from objects(world.processing, world.processing_bucket, prefix).items()
    yield from _cloudwatch(world, since)


def _cloudwatch(world: World, since: datetime) -> Iterator[tuple[str, bytes]]:
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
