"""Crawls under way: each is a thread that uses the crawler role's own credentials."""

from __future__ import annotations

import threading
import time
import uuid
from dataclasses import dataclass, field

from xacct_sandbox import clients, emulator
from xacct_sandbox.credentials import Credentials
from xacct_sandbox.daemon import latency
from xacct_sandbox.faults import daemon as planned_faults
from xacct_sandbox.glue.crawler import history
from xacct_sandbox.glue.crawler.changes import Changes
from xacct_sandbox.glue.crawler.crawl import Crawl, CrawlFailed, CrawlStopped
from xacct_sandbox.glue.crawler.s3_listing import S3Denied, S3Failed, S3Reader
from xacct_sandbox.glue.crawler.settings import CrawlerSettings
from xacct_sandbox.glue.responses import GLUE_PRINCIPAL
from xacct_sandbox.service_errors import ServiceError

LOG_GROUP = "/aws-glue/crawlers"
SESSION_NAME = "AWS-Crawler"
MAX_ERROR = 2048
"""Characters of LastCrawl.ErrorMessage."""
DPUS = 2
"""DPUs that a crawl uses unless it is large; for DPUHour only."""

_Key = tuple[str, str, str]
"""Account, region and name of a crawler."""


@dataclass
class CrawlRun:
    """A crawl under way in this process."""

    crawl_id: str
    started: float
    """Epoch seconds."""
    stop: threading.Event = field(default_factory=threading.Event)
    min_seconds: float = 0
    """The crawl is reported as running at least this long."""


_runs: dict[_Key, CrawlRun] = {}

lock = threading.RLock()
"""Held while it is decided whether a crawler is running, and what follows from that."""


def start(settings: CrawlerSettings, role: str, *, min_seconds: float) -> None:
    """Start a crawl in the background. The caller holds the lock; no crawl is running.

    Args:
        settings: of the crawler.
        role: the ARN of its role.
        min_seconds: the crawl is reported as running at least this long.
    """
    name = settings.name
    run = CrawlRun(crawl_id=str(uuid.uuid4()), started=time.time(), min_seconds=min_seconds)
    _runs[_key(name)] = run
    history.record(
        name,
        {
            "CrawlId": run.crawl_id,
            "State": "RUNNING",
            "StartTime": run.started,
            **_log_location(name, run),
        },
    )
    emulator.start_thread(_work, settings, role, run, name=f"crawler-{name[:40]}")


def running(name: str) -> CrawlRun | None:
    """The crawl under way. A crawl that an earlier process left open is closed as failed."""
    run = _runs.get(_key(name))
    if run is not None:
        return run
    with lock:
        crawls = history.crawls(name)
        if crawls and crawls[0]["State"] == "RUNNING" and _key(name) not in _runs:
            lost = CrawlRun(crawls[0]["CrawlId"], crawls[0]["StartTime"])
            _runs[_key(name)] = lost
            _finish(
                name,
                lost,
                "FAILED",
                "Internal Service Exception: the sandbox was stopped during the crawl",
                Changes(),
            )
    return None


def _work(settings: CrawlerSettings, role: str, run: CrawlRun) -> None:
    name = settings.name

    def log(message: str) -> None:
        emulator.write_log(LOG_GROUP, name, [f"[{run.crawl_id}] {message}"])

    log(f"BENCHMARK : Running Start Crawl for Crawler {name}")
    changes, memory = Changes(), history.memory(name)
    status, error, began = "SUCCEEDED", None, time.monotonic()
    try:
        if planned_faults.inject("glue", "Crawl", name, "crawl_failed"):
            raise CrawlFailed("Internal Service Exception")
        credentials = _assume_role(role, name)
        region = emulator.region()
        Crawl(
            settings=settings,
            reader=S3Reader(clients.client("s3", credentials, region), _principal(role)),
            glue=clients.client("glue", credentials, region),
            log=log,
            stopped=run.stop.is_set,
            memory=memory,
            changes=changes,
        ).run()
        latency.wait(clients.sandbox(), "crawl", name, began, run.stop.is_set)
        if run.stop.is_set():
            raise CrawlStopped
        log(f"BENCHMARK : Finished writing to Catalog: {changes.summary()}")
        remaining = run.started + run.min_seconds - time.time()
        if remaining > 0 and run.stop.wait(remaining):
            raise CrawlStopped
    except CrawlStopped:
        status = "CANCELLED"
        log("INFO : The crawl was stopped")
    except (CrawlFailed, S3Denied, S3Failed, ServiceError) as problem:
        status = "FAILED"
        error = problem.message if isinstance(problem, ServiceError) else str(problem)
        log(f"ERROR : {error}")
    except BaseException as problem:
        status, error = "FAILED", f"Internal Service Exception: {problem!r}"
        log(f"ERROR : {error}")
        raise
    finally:
        if status == "SUCCEEDED":
            history.save_memory(name, memory)
        log("BENCHMARK : Crawler has finished running and is in state READY")
        _finish(name, run, status, error, changes)


def _assume_role(role: str, name: str) -> Credentials:
    arn = f"arn:aws:glue:{emulator.region()}:{emulator.account_id()}:crawler/{name}"
    try:
        return emulator.assume_service_role(
            GLUE_PRINCIPAL, role, source_arn=arn, session_name=SESSION_NAME
        )
    except ServiceError as refusal:
        raise CrawlFailed(
            "Service is unable to assume provided role. Please verify role's TrustPolicy. "
            f"({refusal.message})"
        ) from refusal


def _finish(name: str, run: CrawlRun, status: str, error: str | None, changes: Changes) -> None:
    ended = time.time()
    failure = {"ErrorMessage": error[:MAX_ERROR]} if error else {}
    log_location = _log_location(name, run)
    with lock:
        history.record(
            name,
            {
                "CrawlId": run.crawl_id,
                "State": {"SUCCEEDED": "COMPLETED", "CANCELLED": "STOPPED"}.get(status, "FAILED"),
                "StartTime": run.started,
                "EndTime": ended,
                "Summary": changes.summary(),
                "DPUHour": round((ended - run.started) * DPUS / 3600, 6),
                **log_location,
                **failure,
            },
        )
        history.record_outcome(
            name,
            last_crawl={"Status": status, "StartTime": run.started, **log_location, **failure},
            elapsed=int((ended - run.started) * 1000),
            changes=changes,
        )
        # Last: a client that sees the crawler READY must find the outcome of the crawl.
        del _runs[_key(name)]


def _key(name: str) -> _Key:
    return emulator.account_id(), emulator.region(), name


def _log_location(name: str, run: CrawlRun) -> dict[str, str]:
    return {"LogGroup": LOG_GROUP, "LogStream": name, "MessagePrefix": run.crawl_id}


def _principal(role: str) -> str:
    account, role_name = role.split(":")[4], role.rpartition("/")[2]
    return f"arn:aws:sts::{account}:assumed-role/{role_name}/{SESSION_NAME}"
