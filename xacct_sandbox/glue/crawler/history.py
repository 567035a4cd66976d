"""What is stored of a crawler's crawls: their records, the last outcome, and the crawl memory.

All of it belongs to the current account and region, and is saved with the emulator's state.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, MutableMapping
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.glue.crawler.changes import Changes
from xacct_sandbox.glue.crawler.classification import Memory
from xacct_sandbox.glue.responses import invalid_input

MAX_HISTORY = 1000
"""Crawls kept per crawler; AWS keeps twelve months."""

CrawlRecord = dict[str, Any]
"""A crawl as ListCrawls returns it."""

Outcome = dict[str, Any]
"""The crawler's ``last_crawl``, its ``elapsed`` milliseconds, and counts of changed ``tables``."""


def crawls(name: str) -> list[CrawlRecord]:
    """The crawls of a crawler, the newest first."""
    found: list[CrawlRecord] = _crawls().get(name, [])
    return found


def record(name: str, crawl: CrawlRecord) -> None:
    """Add a crawl, or replace its earlier record."""
    others = [other for other in crawls(name) if other["CrawlId"] != crawl["CrawlId"]]
    _crawls()[name] = [crawl, *others][:MAX_HISTORY]


def outcome(name: str) -> Outcome:
    """The outcome of the crawler's last crawl; empty before the first."""
    found: Outcome = _outcomes().get(name, {})
    return found


def record_outcome(
    name: str, *, last_crawl: Mapping[str, Any], elapsed: int, changes: Changes
) -> None:
    """Store how a crawl ended, and add its changes to the crawler's totals.

    Args:
        name: of the crawler.
        last_crawl: as GetCrawler returns it.
        elapsed: milliseconds that the crawl took.
        changes: of the catalog by this crawl.
    """
    totals = dict(outcome(name).get("tables", {}))
    for action in ("ADD", "UPDATE", "DELETE"):
        totals[action] = totals.get(action, 0) + changes.count("TABLE", action)
    _outcomes()[name] = {"last_crawl": dict(last_crawl), "elapsed": elapsed, "tables": totals}


def memory(name: str) -> Memory:
    """A copy of what the crawler's last successful crawl found in S3."""
    return dict(_memories().get(name, {}))


def save_memory(name: str, found: Memory) -> None:
    """Store what a successful crawl found in S3."""
    _memories()[name] = found


def delete(name: str) -> None:
    """Delete everything stored of a crawler's crawls."""
    for state in (_outcomes(), _crawls(), _memories()):
        state.pop(name, None)


def metrics(name: str, *, running: bool) -> dict[str, Any]:
    """The crawler's entry in GetCrawlerMetrics."""
    ended = [crawl for crawl in crawls(name) if "EndTime" in crawl]
    seconds = [crawl["EndTime"] - crawl["StartTime"] for crawl in ended]
    totals = outcome(name).get("tables", {})
    return {
        "CrawlerName": name,
        "TimeLeftSeconds": 0.0,
        "StillEstimating": running,
        "LastRuntimeSeconds": seconds[0] if seconds else 0.0,
        "MedianRuntimeSeconds": sorted(seconds)[len(seconds) // 2] if seconds else 0.0,
        "TablesCreated": totals.get("ADD", 0),
        "TablesUpdated": totals.get("UPDATE", 0),
        "TablesDeleted": totals.get("DELETE", 0),
    }


# -- filters of ListCrawls -------------------------------------------------------------------


def _milliseconds(text: str) -> float:
    """Glue API reference, CrawlsFilter: "The epoch timestamp in milliseconds"."""
    return float(text) / 1000


_FIELDS: dict[str, tuple[str, Callable[[str], Any]]] = {
    "CRAWL_ID": ("CrawlId", str),
    "STATE": ("State", str),
    "START_TIME": ("StartTime", _milliseconds),
    "END_TIME": ("EndTime", _milliseconds),
    "DPU_HOUR": ("DPUHour", float),
}
_OPERATORS: dict[str, Callable[[Any, Any], bool]] = {
    "GT": operator.gt,
    "GE": operator.ge,
    "LT": operator.lt,
    "LE": operator.le,
    "EQ": operator.eq,
    "NE": operator.ne,
}


def crawl_filter(entry: Mapping[str, str]) -> Callable[[CrawlRecord], bool]:
    """A test for crawls, from an entry of ListCrawls' Filters.

    Raises:
        ServiceError: InvalidInputException naming the entry.
    """
    try:
        field, convert = _FIELDS[entry["FieldName"]]
        compare = _OPERATORS[entry["FilterOperator"]]
        operand = convert(entry["FieldValue"])
    except (KeyError, ValueError) as problem:
        raise invalid_input(f"Filter {dict(entry)} cannot be read: {problem}") from problem
    return lambda crawl: field in crawl and compare(crawl[field], operand)


# -- state -----------------------------------------------------------------------------------


def _crawls() -> MutableMapping[str, Any]:
    return emulator.scoped_state("glue-crawls")


def _outcomes() -> MutableMapping[str, Any]:
    return emulator.scoped_state("glue-crawler-outcomes")


def _memories() -> MutableMapping[str, Any]:
    return emulator.scoped_state("glue-crawler-memory")
