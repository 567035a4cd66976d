"""One crawl that is surely ours, and surely began after we asked for it.

A crawl that was already running when we asked may have listed the day's folder before its files
were there, so it counts only if the caller can see its day in the catalog; else we wait for it and
start another. Our own is told from others by the ids that ListCrawls knew before (the service's
LastCrawl can be somebody else's).
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import Any

from xacct_assets.aws.errors import CrawlFailed, WaitTimeout, aws_call, denial_in, error_code
from xacct_assets.aws.waiting import Backoff, Waiter, quietly

logger = logging.getLogger(__name__)

#: Seconds. A small crawl takes about a minute on AWS; ask quickly at first for the sake of the
#: sandbox, where it takes a second.
BACKOFF = Backoff(first=0.3, factor=1.4, cap=8.0)
#: Seconds for ListCrawls to show a crawl that the crawler's state says has ended.
HISTORY_LAG = 60.0
#: The Date header counts whole seconds and is written after the work.
CLOCK_GRAIN = timedelta(seconds=3)
_BUSY = "CrawlerRunningException"


@dataclass(frozen=True)
class CrawlResult:
    """A crawl that completed.

    Attributes:
        crawl_id: Glue's id for it.
        summary: Glue's account of tables and partitions added, updated and deleted.
        dpu_hours: what it cost, if Glue says so.
        joined: True if it was another's crawl that turned out to cover what was needed.
        log_group, log_stream: where its log is.
    """

    crawl_id: str
    state: str
    started: datetime | None
    ended: datetime | None
    summary: dict[str, Any] = field(default_factory=dict)
    dpu_hours: float | None = None
    joined: bool = False
    log_group: str | None = None
    log_stream: str | None = None


class Crawler:
    """Runs crawlers. `glue` is boto3's client; `sleep` and `clock` are for tests."""

    def __init__(
        self,
        glue: Any,
        *,
        backoff: Backoff = BACKOFF,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._glue = glue
        self._backoff = backoff
        self._sleep = sleep
        self._clock = clock

    def crawl(
        self,
        name: str,
        timeout: float,
        *,
        covered: Callable[[], bool] | None = None,
        on_tick: Callable[[float], None] | None = None,
    ) -> CrawlResult:
        """Crawl, and wait until that crawl has ended.

        Args:
            name: the crawler.
            timeout: seconds for all of it, waiting for another's crawl included.
            covered: asked after another's crawl has ended; True makes our own unnecessary.
            on_tick: called while waiting with the seconds waited.

        Raises:
            CrawlFailed: the crawl failed or was stopped, with Glue's message.
            WaitTimeout: not ended in time; our own crawl is stopped then.
            NotFound: there is no such crawler.
        """
        deadline = self._clock() + timeout
        waiter = Waiter(self._backoff, on_tick=on_tick, sleep=self._sleep, clock=self._clock)
        while True:
            known = {crawl["CrawlId"] for crawl in self._history(name)}
            not_before = self._start(name)
            if not_before is not None:
                return self._follow(name, known, not_before, waiter, deadline)
            logger.info("crawler %s is busy with another crawl; waiting for it", name)
            self._wait_idle(name, waiter, deadline)
            if covered is not None and covered():
                latest = next(iter(self._history(name)), None)
                if latest is not None:
                    return _result(latest, joined=True)
            if self._clock() >= deadline:
                raise WaitTimeout(
                    f"crawler {name} was busy with other crawls for {timeout:.0f} s",
                    fix="limit how many runs crawl at once, or give the feed more time",
                )

    def stop(self, name: str) -> None:
        """Stop the crawler's present crawl; no error if there is none."""
        with aws_call(
            "glue:StopCrawler",
            f"crawler {name}",
            passing=("CrawlerNotRunningException", "CrawlerStoppingException"),
        ):
            try:
                self._glue.stop_crawler(Name=name)
            except Exception as error:
                if error_code(error) in ("CrawlerNotRunningException", "CrawlerStoppingException"):
                    return
                raise

    def _start(self, name: str) -> datetime | None:
        """A time before which the started crawl cannot have begun; None if the crawler is busy."""
        with aws_call("glue:StartCrawler", f"crawler {name}", passing=(_BUSY,)):
            try:
                answer = self._glue.start_crawler(Name=name)
            except Exception as error:
                if error_code(error) == _BUSY:
                    return None
                raise
        # By the service's clock, not by ours.
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if not date:
            return datetime.min.replace(tzinfo=UTC)
        return parsedate_to_datetime(date) - CLOCK_GRAIN

    def _follow(
        self,
        name: str,
        known: set[str],
        not_before: datetime,
        waiter: Waiter,
        deadline: float,
    ) -> CrawlResult:
        """Wait for the end of the first crawl that was not known before ours was started."""
        idle_since: list[float] = []

        def poll() -> dict[str, Any] | None:
            state = self._state(name)
            if state != "READY":
                idle_since.clear()
                return None
            new = [
                crawl
                for crawl in self._history(name)
                if crawl["CrawlId"] not in known and crawl["StartTime"] >= not_before
            ]
            ours = min(new, key=lambda crawl: crawl["StartTime"], default=None)
            if ours is not None and ours.get("State") != "RUNNING":
                return ours
            idle_since.append(self._clock())
            if self._clock() - idle_since[0] > HISTORY_LAG:
                raise CrawlFailed(
                    f"the crawl of {name} that was started left no trace",
                    reason=f"the crawler is idle and ListCrawls shows no new crawl after "
                    f"{HISTORY_LAG:.0f} s",
                    retryable=True,
                    fix="materialize the day again",
                )
            return None

        try:
            crawl = waiter.until(
                poll,
                what=f"the end of the crawl of {name}",
                timeout=max(0.0, deadline - self._clock()),
                fix="look at the crawler's log; a crawl of many files may need more time",
            )
        except BaseException:
            quietly(lambda: self.stop(name), f"stopping crawler {name}")
            raise
        if crawl["State"] == "COMPLETED":
            return _result(crawl)
        where = "/".join(filter(None, (crawl.get("LogGroup"), crawl.get("LogStream"))))
        stopped = crawl["State"] == "STOPPED"
        advice = {
            "fix": "somebody stopped it: materialize again"
            if stopped
            else f"read the crawl's log ({where or '/aws-glue/crawlers'}); a denial there is about "
            "the crawler's own role"
        }
        raise CrawlFailed(
            f"crawl {crawl['CrawlId']} of {name} ended as {crawl['State']}",
            reason=crawl.get("ErrorMessage") or "Glue gives no message",
            retryable=stopped,
            **{**advice, **denial_in(crawl.get("ErrorMessage"))},
        )

    def _wait_idle(self, name: str, waiter: Waiter, deadline: float) -> None:
        waiter.until(
            lambda: True if self._state(name) == "READY" else None,
            what=f"crawler {name} to become idle",
            timeout=max(0.0, deadline - self._clock()),
        )

    def _state(self, name: str) -> str:
        with aws_call("glue:GetCrawler", f"crawler {name}"):
            return str(self._glue.get_crawler(Name=name)["Crawler"]["State"])

    def _history(self, name: str) -> list[dict[str, Any]]:
        """The newest crawls, newest first. One page is enough: a crawler runs one at a time."""
        with aws_call("glue:ListCrawls", f"crawler {name}"):
            crawls = self._glue.list_crawls(CrawlerName=name, MaxResults=20).get("Crawls", [])
        return sorted(crawls, key=lambda crawl: crawl["StartTime"], reverse=True)


def _result(crawl: dict[str, Any], *, joined: bool = False) -> CrawlResult:
    text = crawl.get("Summary") or "{}"
    summary = _unfolded(text)
    return CrawlResult(
        crawl_id=crawl["CrawlId"],
        state=crawl["State"],
        started=crawl.get("StartTime"),
        ended=crawl.get("EndTime"),
        summary=summary if isinstance(summary, dict) else {"text": text},
        dpu_hours=crawl.get("DPUHour"),
        joined=joined,
        log_group=crawl.get("LogGroup"),
        log_stream=crawl.get("LogStream"),
    )


def _unfolded(value: Any) -> Any:
    """What JSON text says, and the JSON texts in it: Glue's summaries are wrapped three deep."""
    if isinstance(value, str):
        try:
            return _unfolded(json.loads(value))
        except ValueError:
            return value
    if isinstance(value, dict):
        return {name: _unfolded(part) for name, part in value.items()}
    return value
