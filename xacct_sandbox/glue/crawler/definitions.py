"""Crawler definitions, which the emulator stores, and how GetCrawler describes them."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from xacct_sandbox import emulator
from xacct_sandbox.glue.crawler import history, runs
from xacct_sandbox.glue.crawler.settings import CrawlerSettings, InvalidCrawler
from xacct_sandbox.glue.responses import invalid_input

Definition = dict[str, Any]


def find(name: str) -> Definition:
    """The definition of a crawler.

    Raises:
        ServiceError: EntityNotFoundException.
    """
    definition: Definition = emulator.emulated_glue("GetCrawler", {"Name": name})["Crawler"]
    return definition


def find_all() -> list[Definition]:
    """All definitions, by name."""
    crawlers = emulator.emulated_glue("GetCrawlers", {})["Crawlers"]
    return sorted(crawlers, key=lambda crawler: crawler["Name"])


def settings_of(definition: Mapping[str, Any]) -> CrawlerSettings:
    """The settings in a definition.

    Raises:
        ServiceError: InvalidInputException naming the field, the reason and the fix.
    """
    try:
        return CrawlerSettings.from_definition(definition)
    except InvalidCrawler as problem:
        raise invalid_input(str(problem)) from problem


def describe(definition: Mapping[str, Any]) -> dict[str, Any]:
    """The crawler as GetCrawler returns it: its definition, state and last crawl."""
    name = definition["Name"]
    run = runs.running(name)
    outcome = history.outcome(name)
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
    settings = settings_of(definition)
    described["RecrawlPolicy"] = {"RecrawlBehavior": settings.recrawl}
    described["SchemaChangePolicy"] = {
        "UpdateBehavior": settings.update_behavior,
        "DeleteBehavior": settings.delete_behavior,
    }
    return described
