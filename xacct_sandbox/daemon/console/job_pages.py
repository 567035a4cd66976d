"""The pages of Glue's job runs, crawlers and logs."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from xacct_sandbox.daemon.console import addresses, redaction
from xacct_sandbox.daemon.console.accounts import Accounts
from xacct_sandbox.daemon.console.html import (
    Cell,
    Markup,
    element,
    facts,
    link,
    moment,
    page,
    table,
)
from xacct_sandbox.daemon.console.request_pages import request_table
from xacct_sandbox.daemon.request_log import CALLER, Call, RequestLog

MAX_CRAWLS = 50
MAX_ROWS = 200
MAX_CHARACTERS = 400
"""Characters of a job argument that are shown."""

CRAWLER_LOGS = "/aws-glue/crawlers"


def index(accounts: Accounts) -> str:
    """The newest job runs, and the crawlers."""
    runs = [
        (
            link(addresses.job_run(run["JobName"], run["Id"]), run["Id"][:16]),
            run["JobName"],
            state(run["JobRunState"]),
            moment(run["StartedOn"]),
            run.get("ExecutionTime"),
        )
        for run in accounts.newest_job_runs(MAX_CRAWLS)
    ]
    crawlers = [(link(addresses.crawler(name), name),) for name in accounts.crawlers()]
    return page(
        "Sandbox console",
        element("p", "What Dagster's links to the AWS Console lead to, while the sandbox is used."),
        element("h2", "Job runs"),
        table(("run", "job", "state", "started", "seconds"), runs),
        element("h2", "Crawlers"),
        table(("crawler",), crawlers),
    )


def job_run(accounts: Accounts, log: RequestLog, job: str, run_id: str) -> str:
    """A job run: its state, its log, its arguments, the requests while it ran."""
    run = accounts.job_run(job, run_id)
    group = run.get("LogGroupName") or "/aws-glue/jobs"
    return page(
        f"Job run {run_id[:16]} of {job}",
        facts(
            [
                ("State", state(run["JobRunState"])),
                ("Error", run.get("ErrorMessage")),
                ("Started", moment(run.get("StartedOn"))),
                ("Ended", moment(run.get("CompletedOn"))),
                ("Seconds", run.get("ExecutionTime")),
                ("Workers", f"{run.get('NumberOfWorkers')} {run.get('WorkerType')}"),
                ("Run id", run_id),
            ]
        ),
        element("h2", "Output log"),
        log_lines(accounts.log_events(f"{group}/output", run_id)),
        element("h2", "Error log"),
        log_lines(accounts.log_events(f"{group}/error", run_id)),
        element("h2", "Arguments"),
        facts(
            (name, _shortened(redaction.argument(name, value)))
            for name, value in run.get("Arguments", {}).items()
        ),
        element("h2", "Requests by AWS services while it ran"),
        _requests_during(log, run),
    )


def crawler(accounts: Accounts, name: str, crawl_id: str) -> str:
    """The crawls of a crawler, and the log of one: the newest unless another is named."""
    crawls = accounts.crawls(name, MAX_CRAWLS)
    shown = crawl_id or (crawls[0]["CrawlId"] if crawls else "")
    rows = [
        (
            link(addresses.crawler(name, crawl["CrawlId"]), crawl["CrawlId"]),
            state(crawl["State"]),
            moment(crawl["StartTime"]),
            _seconds(crawl.get("StartTime"), crawl.get("EndTime")),
            crawl.get("ErrorMessage") or _changes(crawl.get("Summary", "{}")),
        )
        for crawl in crawls
    ]
    events = [
        event
        for event in accounts.log_events(CRAWLER_LOGS, name)
        if event["message"].startswith(f"[{shown}]")
    ]
    return page(
        f"Crawler {name}",
        table(("crawl", "state", "started", "seconds", "result"), rows),
        element("h2", f"Log of crawl {shown}" if shown else "Log"),
        log_lines(events),
    )


def log_stream(accounts: Accounts, group: str, stream: str) -> str:
    """The events of a log stream."""
    events = accounts.log_events(group, stream)
    if not events:
        # Glue makes a stream with its first line.
        return page(f"{group} {stream}", element("p", "Nothing was written to this log."))
    return page(f"{group} {stream}", log_lines(events))


def log_lines(events: Iterable[Mapping[str, Any]]) -> Markup:
    """Log events, one a line."""
    lines = [
        f"{_time(event['timestamp'] / 1000):%H:%M:%S}  {event['message'].rstrip()}"
        for event in events
    ]
    return element("pre", "\n".join(lines)) if lines else element("p", "Nothing was written.")


def state(name: str) -> Markup:
    """The state of a job run or crawl, coloured."""
    colours = {"SUCCEEDED": "good", "COMPLETED": "good"}
    bad = ("FAILED", "ERROR", "TIMEOUT", "STOPPED", "EXPIRED")
    return element("span", name, f"whole {colours.get(name, 'bad' if name in bad else '')}")


def _requests_during(log: RequestLog, run: Mapping[str, Any]) -> Markup:
    since = run["StartedOn"].timestamp()
    ended = run.get("CompletedOn")
    until = ended.timestamp() if ended else datetime.now(UTC).timestamp()
    calls: list[Call] = [
        call for call in log.since(since) if call.at <= until and call.origin != CALLER
    ]
    everything = addresses.requests(since=f"{since:.3f}", until=f"{until:.3f}")
    note = element("p", link(everything, "All requests of that time, those of other runs too"))
    return Markup(note + request_table(calls[:MAX_ROWS]))


def _shortened(text: str) -> Cell:
    if len(text) <= MAX_CHARACTERS:
        return text
    return f"{text[:MAX_CHARACTERS]} … ({len(text)} characters)"


def _changes(summary: str) -> str:
    """The changes of a crawl, from the JSON within JSON of ListCrawls: ``PARTITION ADD: a, b``."""
    changes = []
    for kind, actions in json.loads(summary).items():
        for action, text in json.loads(actions).items():
            change = json.loads(text)
            names = change.get("Details", {}).get("names") or [str(change.get("Count"))]
            changes.append(f"{kind} {action}: {', '.join(names)}")
    return "; ".join(changes) or "no changes"


def _seconds(start: datetime | None, end: datetime | None) -> str | None:
    return f"{(end - start).total_seconds():.1f}" if start and end else None


def _time(timestamp: float) -> datetime:
    return datetime.fromtimestamp(timestamp, UTC)
