"""What the sandbox saw of a run: what AWS services did meanwhile, and who asked them what, when.

The same eyes for both systems: the sandbox's journal of calls, the services' own histories.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3

from benchmarks.redshift import redshift
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.daemon.profiles import client
from xacct_sandbox.daemon.request_log import CALLER, Call

CRAWL, JOB, STATEMENT, WIRE = "crawl", "job", "statement", "wire"

_FOLLOWED_BY = {
    CRAWL: ("glue", {"GetCrawler", "GetCrawlers", "ListCrawls", "GetCrawlerMetrics"}),
    JOB: ("glue", {"GetJobRun", "GetJobRuns"}),
    STATEMENT: (
        "redshift-data",
        {"DescribeStatement", "ExecuteStatement", "BatchExecuteStatement", "GetStatementResult"},
    ),
}


@dataclass(frozen=True)
class Work:
    """Something that a service did; seconds since the epoch."""

    kind: str
    began: float
    ended: float

    @property
    def seconds(self) -> float:
        return self.ended - self.began


def busy_seconds(work: Iterable[Work], began: float, ended: float) -> float:
    """How long, of a time, some service was at work; two at once count once."""
    total, until = 0.0, began
    for each in sorted(work, key=lambda one: one.began):
        start, end = max(each.began, until), min(each.ended, ended)
        if end > start:
            total += end - start
            until = end
    return total


def known_after(work: Iterable[Work], calls: Sequence[Call]) -> list[tuple[str, float, float]]:
    """(kind, seconds of work, seconds until its caller saw the end) of all work that was polled."""
    detected = []
    for each in work:
        service, operations = _FOLLOWED_BY.get(each.kind, ("", set()))
        answers = [
            call.until
            for call in calls
            if call.service == service
            and call.operation in operations
            # A statement's end is waited for in a call; of the rest a call tells how it is.
            and (call.until if each.kind == STATEMENT else call.at) >= each.ended
            and call.origin == CALLER
        ]
        if answers:
            detected.append((each.kind, each.seconds, min(answers) - each.ended))
    return detected


def asked(calls: Iterable[Call], data_bucket: str) -> list[Call]:
    """What a caller asked for, less the reading of the data files themselves."""
    return [
        call
        for call in calls
        if call.origin == CALLER
        and not (
            (call.service, call.operation) == ("s3", "GetObject")
            and call.resource.startswith(f"{data_bucket}/")
        )
    ]


class Services:
    """The services' own histories, looked at with rights that neither system has or needs."""

    def __init__(self, config: SandboxConfig, session: boto3.Session) -> None:
        """``session``: of the role that submits statements; it alone may list them."""
        self._config = config
        self._glue = client(config, "account-b-admin", "glue")
        self._data = session.client(
            "redshift-data", endpoint_url=config.endpoint_url, verify=str(config.ca_pem)
        )

    def work(self, crawler: str, job: str, since: float) -> list[Work]:
        """All that began since then and has ended."""
        return [
            *self._crawls(crawler, since),
            *self._jobs(job, since),
            *self._statements(since),
            *self._wire(since),
        ]

    def _crawls(self, crawler: str, since: float) -> list[Work]:
        crawls = self._glue.list_crawls(CrawlerName=crawler, MaxResults=100)["Crawls"]
        return [
            Work(CRAWL, crawl["StartTime"].timestamp(), crawl["EndTime"].timestamp())
            for crawl in crawls
            if "EndTime" in crawl and crawl["StartTime"].timestamp() >= since
        ]

    def _jobs(self, job: str, since: float) -> list[Work]:
        runs = self._glue.get_job_runs(JobName=job, MaxResults=200)["JobRuns"]
        return [
            Work(JOB, run["StartedOn"].timestamp(), run["CompletedOn"].timestamp())
            for run in runs
            if "CompletedOn" in run and run["StartedOn"].timestamp() >= since
        ]

    def _statements(self, since: float) -> list[Work]:
        found: list[Work] = []
        arguments: dict[str, Any] = {"Status": "ALL", "MaxResults": 100}
        while True:
            page = self._data.list_statements(**arguments)
            for statement in page["Statements"]:
                began, ended = (statement[name].timestamp() for name in ("CreatedAt", "UpdatedAt"))
                if began < since:
                    return found
                found.append(Work(STATEMENT, began, ended))
            if "NextToken" not in page:
                return found
            arguments["NextToken"] = page["NextToken"]

    def _wire(self, since: float) -> list[Work]:
        with redshift(self._config) as connection, connection.cursor() as cursor:
            cursor.execute(
                "SELECT start_time, end_time FROM sys_query_history WHERE start_time >= %s "
                "AND query_text NOT LIKE '%%sys_query_history%%'",
                (datetime.fromtimestamp(since, UTC).replace(tzinfo=None),),
            )
            rows = cursor.fetchall()
        return [
            Work(WIRE, began.replace(tzinfo=UTC).timestamp(), ended.replace(tzinfo=UTC).timestamp())
            for began, ended in rows
        ]
