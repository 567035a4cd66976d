"""Crawlers: their definitions, runs and history.

A crawl is a thread that works under the crawler role's own credentials. A crawler's definition is
kept by the emulator; its runs, its history and what it remembers of S3 are kept here.
States and errors are those of the Glue API reference.
"""

from __future__ import annotations

import threading
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from xacct_sandbox import clients, emulator
from xacct_sandbox.credentials import Credentials
from xacct_sandbox.daemon import latency
from xacct_sandbox.emulator.paging import page
from xacct_sandbox.faults import daemon as planned_faults
from xacct_sandbox.glue.crawler.changes import Changes
from xacct_sandbox.glue.crawler.crawl import Crawl, CrawlFailed, CrawlStopped
from xacct_sandbox.glue.crawler.s3_listing import S3Denied, S3Failed, S3Reader
from xacct_sandbox.glue.crawler.settings import (
    CRAWL_NEW_FOLDERS_ONLY,
    CrawlerSettings,
    InvalidCrawler,
)
from xacct_sandbox.service_errors import ServiceError

GLUE = "glue.amazonaws.com"
LOG_GROUP = "/aws-glue/crawlers"
SESSION_NAME = "AWS-Crawler"
MAX_ERROR = 2048
CRAWLS_PAGE, CRAWLS_DEFAULT = 100, 20
CRAWLERS_PAGE = 100
# Older crawls are forgotten; AWS keeps twelve months.
MAX_HISTORY = 1000
# A crawl works with 2 DPUs unless it is large; used for DPUHour only.
DPUS = 2

Request = dict[str, Any]
_Key = tuple[str, str, str]


@dataclass
class _Run:
    """A crawl under way in this process."""

    crawl_id: str
    started: float
    stop: threading.Event = field(default_factory=threading.Event)
    at_least: float = 0
    """Seconds: how long it is shown as running."""


_runs: dict[_Key, _Run] = {}
_lock = threading.RLock()


def install() -> None:
    """Put these operations in the place of the emulator's."""
    emulator.add_glue_operations(
        {
            "CreateCrawler": create_crawler,
            "UpdateCrawler": update_crawler,
            "DeleteCrawler": delete_crawler,
            "GetCrawler": get_crawler,
            "GetCrawlers": get_crawlers,
            "BatchGetCrawlers": batch_get_crawlers,
            "ListCrawlers": list_crawlers,
            "StartCrawler": start_crawler,
            "StopCrawler": stop_crawler,
            "ListCrawls": list_crawls,
            "GetCrawlerMetrics": get_crawler_metrics,
        }
    )


# -- definitions -----------------------------------------------------------------------------


def create_crawler(request: Request) -> dict[str, Any]:
    """CreateCrawler; options the crawler does not act on are refused."""
    definition = {**request, "Role": emulator.role_arn(request.get("Role") or "")}
    _settings(definition)
    return emulator.emulated_glue("CreateCrawler", definition)


def update_crawler(request: Request) -> dict[str, Any]:
    """UpdateCrawler: what the request leaves out stays."""
    name = request["Name"]
    with _lock:
        current = _definition(name)
        if _running(name):
            raise _running_error(name, "cannot be updated while it is running")
        changed = dict(request)
        if changed.get("Role"):
            changed["Role"] = emulator.role_arn(changed["Role"])
        before, after = current, {**current, **changed}
        _settings(after)
        recrawl = (before.get("RecrawlPolicy") or {}).get("RecrawlBehavior")
        if recrawl == CRAWL_NEW_FOLDERS_ONLY and before["Targets"] != after["Targets"]:
            raise ServiceError(
                "InvalidInputException",
                "The Amazon S3 targets of a crawler that crawls new folders only cannot be changed",
            )
        return emulator.emulated_glue("UpdateCrawler", changed)


def delete_crawler(request: Request) -> dict[str, Any]:
    """DeleteCrawler, with its history and memory."""
    name = request["Name"]
    with _lock:
        _definition(name)
        if _running(name):
            raise _running_error(name, "cannot be deleted while it is running")
        answer = emulator.emulated_glue("DeleteCrawler", {"Name": name})
        for state in (_outcomes(), _history(), _memories()):
            state.pop(name, None)
        return answer


def get_crawler(request: Request) -> dict[str, Any]:
    """GetCrawler."""
    return {"Crawler": _described(_definition(request["Name"]))}


def get_crawlers(request: Request) -> dict[str, Any]:
    """GetCrawlers."""
    found, token = page(_definitions(), request, limit=CRAWLERS_PAGE)
    return _with_token({"Crawlers": [_described(crawler) for crawler in found]}, token)


def batch_get_crawlers(request: Request) -> dict[str, Any]:
    """BatchGetCrawlers."""
    by_name = {crawler["Name"]: crawler for crawler in _definitions()}
    names = request["CrawlerNames"]
    return {
        "Crawlers": [_described(by_name[name]) for name in names if name in by_name],
        "CrawlersNotFound": [name for name in names if name not in by_name],
    }


def list_crawlers(request: Request) -> dict[str, Any]:
    """ListCrawlers; filtering by Tags is refused."""
    if request.get("Tags"):
        raise ServiceError("InvalidInputException", "Tags is not supported by the sandbox")
    found, token = page(_definitions(), request, limit=CRAWLERS_PAGE)
    return _with_token({"CrawlerNames": [crawler["Name"] for crawler in found]}, token)


# -- runs ------------------------------------------------------------------------------------


def start_crawler(request: Request) -> dict[str, Any]:
    """StartCrawler: begins a crawl and returns."""
    name = request["Name"]
    with _lock:
        definition = _definition(name)
        settings = _settings(definition)
        if not _running(name):
            busy = planned_faults.inject("glue", "StartCrawler", name, "crawler_busy")
            _begin(settings, definition["Role"], at_least=busy.seconds if busy else 0)
            if busy is None:
                return {}
        raise _running_error(name, "has already started")


def _begin(settings: CrawlerSettings, role: str, *, at_least: float) -> None:
    name = settings.name
    run = _Run(crawl_id=str(uuid.uuid4()), started=time.time(), at_least=at_least)
    _runs[_key(name)] = run
    _record(
        name,
        {
            "CrawlId": run.crawl_id,
            "State": "RUNNING",
            "StartTime": run.started,
            "LogGroup": LOG_GROUP,
            "LogStream": name,
            "MessagePrefix": run.crawl_id,
        },
    )
    emulator.start_thread(_work, settings, role, run, name=f"crawler-{name[:40]}")


def stop_crawler(request: Request) -> dict[str, Any]:
    """StopCrawler: the crawl ends at its next step."""
    name = request["Name"]
    with _lock:
        _definition(name)
        run = _running(name)
        if run is None:
            raise ServiceError(
                "CrawlerNotRunningException", f"Crawler with name {name} isn't running"
            )
        if run.stop.is_set():
            raise ServiceError(
                "CrawlerStoppingException", f"Crawler with name {name} is already stopping"
            )
        run.stop.set()
    return {}


def list_crawls(request: Request) -> dict[str, Any]:
    """ListCrawls, the newest first, with Filters and paging."""
    name = request["CrawlerName"]
    _definition(name)
    _running(name)  # closes a crawl that an earlier process left open
    tests = [_filter(entry) for entry in request.get("Filters") or []]
    crawls = [crawl for crawl in _history().get(name, []) if all(test(crawl) for test in tests)]
    found, token = page(crawls, request, limit=CRAWLS_PAGE, default=CRAWLS_DEFAULT)
    return _with_token({"Crawls": found}, token)


def get_crawler_metrics(request: Request) -> dict[str, Any]:
    """GetCrawlerMetrics, from the history."""
    wanted = request.get("CrawlerNameList")
    names = [crawler["Name"] for crawler in _definitions()]
    metrics = []
    for name in names:
        if wanted and name not in wanted:
            continue
        ended = [crawl for crawl in _history().get(name, []) if "EndTime" in crawl]
        seconds = sorted(crawl["EndTime"] - crawl["StartTime"] for crawl in ended)
        totals = _outcomes().get(name, {}).get("tables", {})
        metrics.append(
            {
                "CrawlerName": name,
                "TimeLeftSeconds": 0.0,
                "StillEstimating": _running(name) is not None,
                "LastRuntimeSeconds": (
                    ended[0]["EndTime"] - ended[0]["StartTime"] if ended else 0.0
                ),
                "MedianRuntimeSeconds": seconds[len(seconds) // 2] if seconds else 0.0,
                "TablesCreated": totals.get("ADD", 0),
                "TablesUpdated": totals.get("UPDATE", 0),
                "TablesDeleted": totals.get("DELETE", 0),
            }
        )
    return {"CrawlerMetricsList": metrics}


# -- the work --------------------------------------------------------------------------------


def _work(settings: CrawlerSettings, role: str, run: _Run) -> None:
    name = settings.name

    def log(message: str) -> None:
        emulator.write_log(LOG_GROUP, name, [f"[{run.crawl_id}] {message}"])

    log(f"BENCHMARK : Running Start Crawl for Crawler {name}")
    changes, memory = Changes(), dict(_memories().get(name, {}))
    status, error, began = "SUCCEEDED", None, time.monotonic()
    try:
        if planned_faults.inject("glue", "Crawl", name, "crawl_failed"):
            raise CrawlFailed("Internal Service Exception")
        credentials = _assume(role, name)
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
        hold = run.started + run.at_least - time.time()
        if hold > 0 and run.stop.wait(hold):
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
            _memories()[name] = memory
        log("BENCHMARK : Crawler has finished running and is in state READY")
        _finish(name, run, status, error, changes)


def _assume(role: str, name: str) -> Credentials:
    try:
        return emulator.assume_service_role(
            GLUE, role, source_arn=_arn(name), session_name=SESSION_NAME
        )
    except ServiceError as refusal:
        raise CrawlFailed(
            "Service is unable to assume provided role. Please verify role's TrustPolicy. "
            f"({refusal.message})"
        ) from refusal


def _finish(name: str, run: _Run, status: str, error: str | None, changes: Changes) -> None:
    ended = time.time()
    failure = {"ErrorMessage": error[:MAX_ERROR]} if error else {}
    place = {"LogGroup": LOG_GROUP, "LogStream": name, "MessagePrefix": run.crawl_id}
    with _lock:
        _record(
            name,
            {
                "CrawlId": run.crawl_id,
                "State": {"SUCCEEDED": "COMPLETED", "CANCELLED": "STOPPED"}.get(status, "FAILED"),
                "StartTime": run.started,
                "EndTime": ended,
                "Summary": changes.summary(),
                "DPUHour": round((ended - run.started) * DPUS / 3600, 6),
                **place,
                **failure,
            },
        )
        totals = dict(_outcomes().get(name, {}).get("tables", {}))
        for action in ("ADD", "UPDATE", "DELETE"):
            totals[action] = totals.get(action, 0) + changes.count("TABLE", action)
        _outcomes()[name] = {
            "last_crawl": {"Status": status, "StartTime": run.started, **place, **failure},
            "elapsed": int((ended - run.started) * 1000),
            "tables": totals,
        }
        # READY only now: whoever sees it finds the crawl's outcome beside it.
        del _runs[_key(name)]


# -- state -----------------------------------------------------------------------------------


def _outcomes() -> Any:
    return emulator.scoped_state("glue-crawler-outcomes")


def _history() -> Any:
    return emulator.scoped_state("glue-crawls")


def _memories() -> Any:
    return emulator.scoped_state("glue-crawler-memory")


def _record(name: str, crawl: dict[str, Any]) -> None:
    """Add a crawl to the history, or put its end in the place of its beginning."""
    others = [other for other in _history().get(name, []) if other["CrawlId"] != crawl["CrawlId"]]
    _history()[name] = [crawl, *others][:MAX_HISTORY]


def _key(name: str) -> _Key:
    return emulator.account_id(), emulator.region(), name


def _running(name: str) -> _Run | None:
    """The crawl under way. One that an earlier process did not end is closed as failed."""
    run = _runs.get(_key(name))
    if run is not None:
        return run
    with _lock:
        crawls = _history().get(name, [])
        if crawls and crawls[0]["State"] == "RUNNING" and _key(name) not in _runs:
            lost = _Run(crawls[0]["CrawlId"], crawls[0]["StartTime"])
            _runs[_key(name)] = lost
            _finish(
                name,
                lost,
                "FAILED",
                "Internal Service Exception: the sandbox was stopped during the crawl",
                Changes(),
            )
    return None


def _definition(name: str) -> dict[str, Any]:
    """The crawler as it was defined; EntityNotFoundException without one."""
    return emulator.emulated_glue("GetCrawler", {"Name": name})["Crawler"]


def _definitions() -> list[dict[str, Any]]:
    crawlers = emulator.emulated_glue("GetCrawlers", {})["Crawlers"]
    return sorted(crawlers, key=lambda crawler: crawler["Name"])


def _described(definition: Mapping[str, Any]) -> dict[str, Any]:
    name = definition["Name"]
    run = _running(name)
    outcome = _outcomes().get(name, {})
    described = {
        **{key: value for key, value in definition.items() if value not in (None, "")},
        "State": "READY" if run is None else "STOPPING" if run.stop.is_set() else "RUNNING",
        "CrawlElapsedTime": (
            outcome.get("elapsed", 0) if run is None else int((time.time() - run.started) * 1000)
        ),
    }
    described.pop("LastCrawl", None)
    if outcome.get("last_crawl"):
        described["LastCrawl"] = outcome["last_crawl"]
    settings = _settings(definition)
    described["RecrawlPolicy"] = {"RecrawlBehavior": settings.recrawl}
    described["SchemaChangePolicy"] = {
        "UpdateBehavior": settings.update_behavior,
        "DeleteBehavior": settings.delete_behavior,
    }
    return described


def _settings(definition: Mapping[str, Any]) -> CrawlerSettings:
    try:
        return CrawlerSettings.from_definition(definition)
    except InvalidCrawler as problem:
        raise ServiceError("InvalidInputException", str(problem)) from problem


def _arn(name: str) -> str:
    return f"arn:aws:glue:{emulator.region()}:{emulator.account_id()}:crawler/{name}"


def _principal(role: str) -> str:
    account, role_name = role.split(":")[4], role.rpartition("/")[2]
    return f"arn:aws:sts::{account}:assumed-role/{role_name}/{SESSION_NAME}"


def _running_error(name: str, what: str) -> ServiceError:
    return ServiceError("CrawlerRunningException", f"Crawler with name {name} {what}")


def _with_token(answer: dict[str, Any], token: str | None) -> dict[str, Any]:
    return {**answer, "NextToken": token} if token else answer


# -- filters of ListCrawls -------------------------------------------------------------------

_FIELDS = {
    "CRAWL_ID": ("CrawlId", str),
    "STATE": ("State", str),
    # "The epoch timestamp in milliseconds"
    "START_TIME": ("StartTime", lambda text: float(text) / 1000),
    "END_TIME": ("EndTime", lambda text: float(text) / 1000),
    "DPU_HOUR": ("DPUHour", float),
}
_TESTS = {
    "GT": lambda a, b: a > b,
    "GE": lambda a, b: a >= b,
    "LT": lambda a, b: a < b,
    "LE": lambda a, b: a <= b,
    "EQ": lambda a, b: a == b,
    "NE": lambda a, b: a != b,
}


def _filter(entry: Mapping[str, str]) -> Any:
    try:
        name, convert = _FIELDS[entry["FieldName"]]
        test = _TESTS[entry["FilterOperator"]]
        wanted = convert(entry["FieldValue"])
    except (KeyError, ValueError) as problem:
        raise ServiceError(
            "InvalidInputException", f"Filter {dict(entry)} cannot be read: {problem}"
        ) from problem
    return lambda crawl: name in crawl and test(crawl[name], wanted)
