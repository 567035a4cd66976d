"""The faults of a schedule and their weights. Delays are short, because a seed is."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

from xacct_sandbox.faults import Fault

# The roles whose calls get faults. The suite itself works with other users, without faults.
_PIPELINE = "xacct-orchestrator"
_JOB = "xacct-glue"

# Calls of the pipeline and their weights.
_CALLS = {
    ("s3", "ListObjectsV2"): 4,
    ("s3", "GetObject"): 4,
    ("s3", "PutObject"): 2,
    ("glue", "StartCrawler"): 4,
    ("glue", "GetCrawler"): 2,
    ("glue", "ListCrawls"): 1,
    ("glue", "BatchGetPartition"): 2,
    ("glue", "StartJobRun"): 5,
    ("glue", "GetJobRun"): 3,
    ("glue", "GetJobRuns"): 2,
    ("redshift-data", "ExecuteStatement"): 3,
    ("redshift-data", "BatchExecuteStatement"): 3,
    ("redshift-data", "DescribeStatement"): 3,
    ("redshift-data", "GetStatementResult"): 1,
    ("secretsmanager", "GetSecretValue"): 1,
    ("logs", "GetLogEvents"): 1,
}
_REFUSALS = ("throttle", "server_error", "timeout", "lost_answer", "slow", "expired_token")
_JOB_ENDS = ("job_failed", "job_error", "job_timeout", "job_expired", "job_killed_in_copy")


def _api(random: Random) -> Fault:
    service, operation = random.choices(list(_CALLS), list(_CALLS.values()))[0]
    kind = random.choices(_REFUSALS, (5, 5, 2, 4, 2, 2))[0]
    seconds = {"timeout": 1.0, "slow": 1.5}.get(kind, 0.0)
    return Fault(
        kind,
        service=service,
        operation=operation,
        count=random.choice((1, 1, 2, 3)),
        after=random.choice((0, 0, 1, 3)),
        seconds=seconds,
        principal=_PIPELINE,
    )


def _any_api(random: Random) -> Fault:
    """A fault of any call of a service, with a low probability."""
    return Fault(
        random.choice(("throttle", "server_error", "lost_answer")),
        service=random.choice(("glue", "s3", "redshift-data")),
        count=3,
        probability=0.15,
        principal=random.choice((_PIPELINE, _PIPELINE, _JOB)),
        seed=random.randrange(1 << 30),
    )


def _job(random: Random) -> Fault:
    kind = random.choices(_JOB_ENDS, (2, 2, 1, 1, 3))[0]
    takes_seconds = kind in ("job_failed", "job_error", "job_timeout")
    return Fault(
        kind,
        service="glue",
        operation="JobRun",
        after=random.choice((0, 1)),
        seconds=random.choice((0.0, 1.0)) if takes_seconds else 0.0,
    )


def _crawl(random: Random) -> Fault:
    if random.random() < 0.5:
        return Fault("crawl_failed", service="glue", operation="Crawl")
    return Fault("crawler_busy", service="glue", operation="StartCrawler", seconds=1.5)


def _database(random: Random) -> Fault:
    kind, operation = random.choices(
        (
            ("connection_reset", "Statement"),
            ("connection_reset", "Copy"),
            ("connection_reset", "Unload"),
            ("connection_reset", "Commit"),
            ("serialization_conflict", "Statement"),
            ("serialization_conflict", "Commit"),
            ("serialization_conflict", "Copy"),
            ("commit_lost", "Commit"),
            ("unload_dies", "Unload"),
            ("workgroup_paused", "Connect"),
        ),
        (3, 2, 2, 2, 3, 2, 1, 4, 4, 1),
    )[0]
    return Fault(
        kind,
        service="redshift",
        operation=operation,
        after=random.choice((0, 0, 1, 2, 5)),
        seconds=2.0 if kind == "workgroup_paused" else 0.0,
    )


def _notification(random: Random) -> Fault:
    return Fault(
        random.choice(("duplicate_notification", "reordered_notification")),
        service="sqs",
        operation="ReceiveMessage",
        count=2,
    )


_WEIGHTS: dict[Callable[[Random], Fault], int] = {
    _api: 10,
    _any_api: 3,
    _job: 3,
    _crawl: 2,
    _database: 6,
    _notification: 1,
}


def draw(random: Random, count: int) -> tuple[Fault, ...]:
    """Draw a number of faults."""
    makers = random.choices(list(_WEIGHTS), list(_WEIGHTS.values()), k=count)
    return tuple(make(random) for make in makers)
