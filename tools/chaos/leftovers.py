"""Work that nobody waits for any more, and work that was done twice at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

import dagster as dg
from dagster_pipes import decode_param

from tools.chaos.oracle import Problem
from tools.chaos.world import World

LIVE_STATEMENTS = ("SUBMITTED", "PICKED", "STARTED")
ENDED_JOB_RUNS = ("STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED")
# Sessions of the database that are in the middle of a transaction, less the one that asks.
OPEN_TRANSACTIONS = (
    "SELECT usename, state, query FROM pg_stat_activity "
    "WHERE datname = 'dev' AND pid <> pg_backend_pid() AND backend_type = 'client backend' "
    "AND (state LIKE 'idle in transaction%%' OR (state = 'active' AND xact_start IS NOT NULL))"
)


def leftovers(world: World, instance: dg.DagsterInstance, since: datetime) -> Iterator[Problem]:
    """What is still under way although everything is at rest.

    Args:
        since: when the seed began; earlier job runs and statements are other seeds'.
    """
    for name in world.feeds:
        runs = job_runs(world, name, since)
        for run in runs:
            if run["JobRunState"] not in ENDED_JOB_RUNS:
                text = f"Glue job run {run['Id']} is {run['JobRunState']}"
                yield Problem("orphaned", name, text)
        spans = [_span(world, run) for run in runs if "CompletedOn" in run]
        for text in twice_at_once(spans):
            yield Problem("twice at once", name, text)
        crawler = world.job_name(name)
        state = world.glue.get_crawler(Name=crawler)["Crawler"]["State"]
        if state != "READY":
            yield Problem("orphaned", name, f"crawler {crawler} is {state}")
    for statement in statements(world, since):
        if statement["Status"] in LIVE_STATEMENTS:
            text = f"statement {statement['Id']} is {statement['Status']}"
            yield Problem("orphaned", "Data API", text)
    for user, state, query in world.sql(OPEN_TRANSACTIONS):
        yield Problem("orphaned", "Redshift", f"a session of {user} is {state}: {query}")
    for run in instance.get_runs():
        if not run.is_finished:
            yield Problem("orphaned", "Dagster", f"run {run.run_id} is {run.status.value}")
    storage = instance.event_log_storage
    for pool in storage.get_concurrency_keys():
        if taken := storage.get_concurrency_info(pool).active_run_ids:
            yield Problem("orphaned", "Dagster", f"pool {pool} is held by {sorted(taken)}")


def job_runs(world: World, feed: str, since: datetime) -> list[dict[str, Any]]:
    """The feed's Glue job runs since then."""
    pages = world.glue.get_paginator("get_job_runs").paginate(JobName=world.job_name(feed))
    return [run for page in pages for run in page["JobRuns"] if run["StartedOn"] >= since]


def statements(world: World, since: datetime) -> list[dict[str, Any]]:
    """Statements of the Data API since then."""
    client = world.sandbox.client("account-b-admin", "redshift-data")
    pages = client.get_paginator("list_statements").paginate(Status="ALL", RoleLevel=False)
    return [one for page in pages for one in page["Statements"] if one["CreatedAt"] >= since]


@dataclass(frozen=True)
class JobRunSpan:
    """From when until when a job run was at work on which days."""

    run_id: str
    days: frozenset[str]
    began: datetime
    ended: datetime


def twice_at_once(spans: Sequence[JobRunSpan]) -> Iterator[str]:
    """In words: job runs that were at work on the same day at the same moment."""
    for one, other in combinations(spans, 2):
        both = one.days & other.days
        if both and one.began < other.ended and other.began < one.ended:
            yield f"job runs {one.run_id} and {other.run_id} were both at work on {sorted(both)}"


def _span(world: World, run: dict[str, Any]) -> JobRunSpan:
    # A short context is in the arguments themselves, a long one where they say.
    told = decode_param(run["Arguments"]["--dagster-pipes-context"])
    if "data" not in told:
        found = world.processing.get_object(Bucket=told["bucket"], Key=told["key"])
        told = {"data": json.loads(found["Body"].read())}
    days = frozenset(item["day"] for item in told["data"]["extras"]["days"])
    return JobRunSpan(run["Id"], days, run["StartedOn"], run["CompletedOn"])
