"""Classifies how the pipeline handled each fault, by what the steps running then did next.

Several steps may run at once, and several faults may be injected into one. A fault is attributed to
the steps that make such calls, and to the feed that its resource names, if it names one. Of several
steps, the worst outcome counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

import dagster as dg

from tools.chaos.schedule import FEEDS

Outcome = Literal["success", "retried", "failed", "cut off"]

HARMLESS = "harmless"
WITHIN = "retried within the step"
STEP = "step retried"
RUN = "run failed and redone"
ATTACHED = "attached to remote work"
TICK = "left to the next tick"
WAYS = (WITHIN, STEP, RUN, ATTACHED, TICK, HARMLESS)

_HARMLESS = {"slow", "duplicate_notification", "reordered_notification"}
_STARTS = {"StartJobRun", "StartCrawler", "ExecuteStatement", "BatchExecuteStatement"}
# The steps that call an operation. Operations that are not listed are called by several steps.
_STEPS = {
    "StartCrawler": ("catalog_table",),
    "GetCrawler": ("catalog_table",),
    "ListCrawls": ("catalog_table",),
    "Crawl": ("catalog_table",),
    "BatchGetPartition": ("catalog_table", "staging_table"),
    "StartJobRun": ("staging_table",),
    "GetJobRun": ("staging_table",),
    "GetJobRuns": ("staging_table",),
    "JobRun": ("staging_table",),
    "GetLogEvents": ("staging_table",),
    "Copy": ("staging_table",),
    "ExecuteStatement": ("fact_table",),
    "BatchExecuteStatement": ("s3_export",),
    "Unload": ("s3_export",),
}
_ENDS: dict[dg.DagsterEventType, Outcome] = {
    dg.DagsterEventType.STEP_SUCCESS: "success",
    dg.DagsterEventType.STEP_UP_FOR_RETRY: "retried",
    dg.DagsterEventType.STEP_FAILURE: "failed",
}
_BEGINS = (dg.DagsterEventType.STEP_START, dg.DagsterEventType.STEP_RESTARTED)
# The log of faults and Dagster's events are written by two processes.
SLACK_SECONDS = 0.5


@dataclass(frozen=True)
class Attempt:
    """One attempt at a step; times in seconds since the epoch."""

    feed: str
    step: str
    began: float
    ended: float
    outcome: Outcome


def attempts_of(instance: dg.DagsterInstance) -> list[Attempt]:
    """Every attempt at every step of every run."""
    attempts = []
    for record in instance.get_run_records():
        begun: dict[str, float] = {}
        for entry in instance.all_logs(record.dagster_run.run_id):
            event = entry.dagster_event
            if event is None or event.step_key is None:
                continue
            if event.event_type in _BEGINS:
                begun[event.step_key] = entry.timestamp
            elif event.event_type in _ENDS and event.step_key in begun:
                began = begun.pop(event.step_key)
                attempts.append(
                    _attempt(event.step_key, began, entry.timestamp, _ENDS[event.event_type])
                )
        end = record.end_time or datetime.now().timestamp()
        attempts += [_attempt(step, began, end, "cut off") for step, began in begun.items()]
    return attempts


def _attempt(step_key: str, began: float, ended: float, outcome: Outcome) -> Attempt:
    feed, _, step = step_key.partition("__")
    return Attempt(feed, step, began, ended, outcome)


def absorbed(
    injected: Iterable[Mapping[str, Any]], attempts: Sequence[Attempt]
) -> list[dict[str, str]]:
    """Classify the injected faults.

    Args:
        injected: entries of the sandbox's fault log.
        attempts: every attempt at every step.

    Returns:
        Kind, operation and way ("way" is one of WAYS) of each fault.
    """
    return [
        {
            "kind": fault["kind"],
            "operation": f"{fault['service']}:{fault['operation']}",
            "way": _way(fault, attempts),
        }
        for fault in injected
    ]


def _way(fault: Mapping[str, Any], attempts: Sequence[Attempt]) -> str:
    at = datetime.fromisoformat(fault["at"]).timestamp()
    outcomes = {attempt.outcome for attempt in _suspects(fault, at, attempts)}
    if outcomes & {"failed", "cut off"}:
        return RUN
    if "retried" in outcomes:
        return STEP
    if fault["kind"] in _HARMLESS:
        return HARMLESS
    if not outcomes:
        return TICK
    if fault["kind"] == "lost_answer" and fault["operation"] in _STARTS:
        return ATTACHED
    return WITHIN


def _suspects(fault: Mapping[str, Any], at: float, attempts: Sequence[Attempt]) -> list[Attempt]:
    found = [
        attempt
        for attempt in attempts
        if attempt.began - SLACK_SECONDS <= at <= attempt.ended + SLACK_SECONDS
    ]
    named = [feed for feed in FEEDS if feed in fault["resource"]]
    if named:
        found = [attempt for attempt in found if attempt.feed in named]
    steps = _STEPS.get(fault["operation"])
    return [attempt for attempt in found if steps is None or attempt.step in steps]
