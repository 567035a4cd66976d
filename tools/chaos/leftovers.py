"""Finds work that is still running after the end of a seed, and work that ran twice at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import combinations
from typing import Any

import dagster as dg
from dagster_pipes import decode_param

from tools.chaos.accounts import Accounts
from tools.chaos.oracle import Problem

LIVE_STATEMENTS = ("SUBMITTED", "PICKED", "STARTED")
ENDED_JOB_RUNS = ("STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED")
# Database sessions with an open transaction, without the session of this query.
OPEN_TRANSACTIONS = (
    "SELECT usename, state, query FROM pg_stat_activity "
    "WHERE datname = 'dev' AND pid <> pg_backend_pid() AND backend_type = 'client backend' "
    "AND (state LIKE 'idle in transaction%%' OR (state = 'active' AND xact_start IS NOT NULL))"
)


def leftovers(
    accounts: Accounts, instance: dg.DagsterInstance, since: datetime
) -> Iterator[Problem]:
    """Find work that is still running although nothing is launched any more.

    Args:
        accounts: the accounts of the seed.
        instance: Dagster instance of the seed.
        since: start of the seed; earlier job runs and statements belong to other seeds.
    """
    for name in accounts.feeds:
        runs = job_runs(accounts, name, since)
        for run in runs:
            if run["JobRunState"] not in ENDED_JOB_RUNS:
                text = f"Glue job run {run['Id']} is {run['JobRunState']}"
                yield Problem("orphaned", name, text)
        spans = [_span(accounts, run) for run in runs if "CompletedOn" in run]
        for text in twice_at_once(spans):
            yield Problem("twice at once", name, text)
        crawler = accounts.job_name(name)
        state = accounts.glue.get_crawler(Name=crawler)["Crawler"]["State"]
        if state != "READY":
            yield Problem("orphaned", name, f"crawler {crawler} is {state}")
    for statement in statements(accounts, since):
        if statement["Status"] in LIVE_STATEMENTS:
            text = f"statement {statement['Id']} is {statement['Status']}"
            yield Problem("orphaned", "Data API", text)
    for user, state, query in accounts.sql(OPEN_TRANSACTIONS):
        yield Problem("orphaned", "Redshift", f"a session of {user} is {state}: {query}")
    for run in instance.get_runs():
        if not run.is_finished:
            yield Problem("orphaned", "Dagster", f"run {run.run_id} is {run.status.value}")


def job_runs(accounts: Accounts, feed: str, since: datetime) -> list[dict[str, Any]]:
    """The feed's Glue job runs that started since then."""
    pages = accounts.glue.get_paginator("get_job_runs").paginate(JobName=accounts.job_name(feed))
    return [run for page in pages for run in page["JobRuns"] if run["StartedOn"] >= since]


def statements(accounts: Accounts, since: datetime) -> list[dict[str, Any]]:
    """Statements submitted to the Data API since then."""
    client = accounts.sandbox.client("account-b-admin", "redshift-data")
    pages = client.get_paginator("list_statements").paginate(Status="ALL", RoleLevel=False)
    return [one for page in pages for one in page["Statements"] if one["CreatedAt"] >= since]


@dataclass(frozen=True)
class JobRunSpan:
    """The days of a job run, and the time it ran."""

    run_id: str
    days: frozenset[str]
    began: datetime
    ended: datetime


def twice_at_once(spans: Sequence[JobRunSpan]) -> Iterator[str]:
    """Describe each pair of job runs that worked on the same day at the same time."""
    for one, other in combinations(spans, 2):
        both = one.days & other.days
        if both and one.began < other.ended and other.began < one.ended:
            yield f"job runs {one.run_id} and {other.run_id} both worked on {sorted(both)}"


def _span(accounts: Accounts, run: dict[str, Any]) -> JobRunSpan:
    # A short context is in the arguments, a long one in the S3 object they name.
    context = decode_param(run["Arguments"]["--dagster-pipes-context"])
    if "data" not in context:
        found = accounts.processing.get_object(Bucket=context["bucket"], Key=context["key"])
        context = {"data": json.loads(found["Body"].read())}
    days = frozenset(item["day"] for item in context["data"]["extras"]["days"])
    return JobRunSpan(run["Id"], days, run["StartedOn"], run["CompletedOn"])
