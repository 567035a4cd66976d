"""Defects of Airflow's GlueCrawlerSensor and of its Glue job hook, operator and sensor."""

from __future__ import annotations

from datetime import date, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from tests.support.fakes.glue import NOON, OPTIONS, FakeGlueCrawler, FakeGlueJob
from xacct_assets.aws.errors import CrawlFailed, JobRunFailed
from xacct_assets.aws.glue.crawler import Crawler
from xacct_assets.aws.glue.job import GlueJob
from xacct_assets.feed.assets import staging_table
from xacct_assets.feed.spec import FeedSpec


@pytest.mark.parametrize("lag", [0, 3])
def test_the_success_of_another_crawl_is_not_taken_for_ours(
    modelled: Any, refusal: Any, clock: Any, lag: int
) -> None:
    """GlueCrawlerSensor looks at the crawler's LastCrawl, which may be another run's: a crawl that
    failed, or is not shown yet, passes for the good one before it."""
    crawls = FakeGlueCrawler(outcome="FAILED", lag=lag)
    crawls.lag_from = 2
    crawls.begin()
    crawls.looks_left = 0
    crawls.crawls[0] |= {"State": "COMPLETED", "StartTime": NOON - timedelta(hours=1)}
    shown = crawls.client._operations["get_crawler"]

    def get_crawler(Name: str) -> dict[str, Any]:
        last = {"Status": "SUCCEEDED", "StartTime": NOON - timedelta(hours=1)}
        return {"Crawler": {**shown(Name)["Crawler"], "LastCrawl": last}}

    crawls.client._operations["get_crawler"] = get_crawler
    with pytest.raises(CrawlFailed, match="crawl-2"):
        Crawler(crawls.client, sleep=clock.sleep, clock=clock).crawl("c", 600)


@pytest.mark.parametrize("state", ["ERROR", "EXPIRED"])
def test_a_run_that_ends_in_a_rare_state_is_over(
    runs: FakeGlueJob, job: GlueJob, state: str
) -> None:
    """Airflow's synchronous polling does not know ERROR and EXPIRED, and polls for ever."""
    runs.plan = ["STARTING", "RUNNING", state]
    with pytest.raises(JobRunFailed) as caught:
        job.run("load", "work-1", {}, **OPTIONS)
    assert caught.value.result.state == state
    assert caught.value.retryable


def test_a_second_attempt_follows_the_run_that_the_first_one_started(
    runs: FakeGlueJob, job: GlueJob
) -> None:
    """A retry of Airflow's operator starts a second job run beside the first."""
    runs.add("work-1", ["RUNNING", "RUNNING", "SUCCEEDED"])  # the first attempt's process is gone
    result = job.run("load", "work-1", {}, **OPTIONS)
    assert (result.run_id, result.attached, runs.started) == ("jr_1", True, 0)


def test_every_attempt_at_the_same_work_goes_by_the_same_name(feed: FeedSpec) -> None:
    """Airflow names a run after nothing that a later attempt could look for."""
    raw = {date(2026, 1, 1): SimpleNamespace(data_version="v1")}

    def load_id(run_id: str, retry: int = 0, **run: Any) -> str:
        fields = {"run_id": run_id, "root_run_id": None, "tags": {}, **run}
        context = SimpleNamespace(run=SimpleNamespace(**fields), retry_number=retry)
        return staging_table._load_id(context, feed, raw)  # type: ignore[arg-type]

    first = load_id("run-1")
    resumed = {"dagster/is_resume_retry": "true"}
    assert load_id("run-1", retry=2) == first
    assert load_id("run-2", root_run_id="run-1", tags=resumed) == first
    assert load_id("run-3") != first, "materialized again on purpose, the days are loaded again"
