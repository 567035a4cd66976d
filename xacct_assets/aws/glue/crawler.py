"""Starts a crawl, or reuses one that already covers the partitions.

A crawl of another run may have listed a folder before its files were there, so it is reused only if
the caller sees all that it needs in the catalog. Two kinds can be reused: one that is running at
the start, which is waited for; and one that ended while this one waited, or while the process that
had started it was dead. Otherwise a crawl is started. It is recognised by the ids that ListCrawls
showed before and by the service's clock, because the crawler's LastCrawl may be another one.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from xacct_assets.aws.botocore_errors import aws_call, error_code, ignore_codes, retries_before
from xacct_assets.aws.denials import denial_in
from xacct_assets.aws.errors import (
    CrawlFailed,
    Unavailable,
    WaitTimeout,
)
from xacct_assets.aws.polling import AdaptivePolling, Backoff, Waiter, suppress_and_log
from xacct_assets.aws.transient_errors import is_transient

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient

logger = logging.getLogger(__name__)

#: Seconds. A small crawl takes about a minute on AWS and a second in the sandbox: hence the quick
#: first polls.
BACKOFF = Backoff(first=0.3, factor=1.4, cap=8.0)
#: Number of past crawls used to estimate the duration.
PAST_CRAWLS = 10
#: Seconds within which ListCrawls must show a crawl that the crawler's state says has ended.
HISTORY_LAG = 60.0
#: The Date header has whole seconds and is written after the work.
CLOCK_GRAIN = timedelta(seconds=3)
#: Seconds within which a stopped crawl must end.
STOP_TIMEOUT = 60.0
#: S3 reports the last change of an object in whole seconds.
S3_CLOCK_GRAIN = timedelta(seconds=1)
#: S3's message for an archived object. AWS does not document whether such a file fails a crawl.
_ARCHIVED_FILE = "not valid for the object's storage class"
_BUSY = "CrawlerRunningException"
_IDLE = ("CrawlerNotRunningException", "CrawlerStoppingException")


@dataclass(frozen=True)
class CrawlRequirement:
    """What a crawl must have covered to be reused.

    Attributes:
        landed: last change of the newest file, by S3's clock; a crawl that began before it may have
            listed its folder too early.
        since: when the crawl was first requested. One that ended before is not reused: a day that
            is deliberately run again is crawled again.
        is_there: returns True if all that is needed is in the catalog.
    """

    landed: datetime
    since: datetime
    is_there: Callable[[], bool]

    def may_be_met_by(self, crawl: Mapping[str, Any]) -> bool:
        """True if the crawl (an entry of ListCrawls) may have covered it; the catalog decides."""
        ended = crawl.get("EndTime")
        return (
            crawl.get("State") == "COMPLETED"
            and crawl["StartTime"] >= self.landed + S3_CLOCK_GRAIN
            and ended is not None
            and ended >= self.since
        )


@dataclass(frozen=True)
class CrawlResult:
    """A crawl that ended; what it left out of the catalog is for the caller to find.

    Attributes:
        state: COMPLETED, or FAILED if it met an archived file.
        crawl_id: Glue's id for it.
        summary: tables and partitions added, updated and deleted, as Glue reports them.
        dpu_hours: its cost, if Glue reports it.
        reused: True if it was started by another run.
    """

    crawl_id: str
    state: str
    started: datetime | None
    ended: datetime | None
    summary: dict[str, Any] = field(default_factory=dict)
    dpu_hours: float | None = None
    reused: bool = False


class Crawler:
    """Runs crawlers.

    Args:
        glue: boto3's ``glue`` client.
        backoff, sleep, clock: for tests.
    """

    def __init__(
        self,
        glue: GlueClient,
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
        requirement: CrawlRequirement | None = None,
        on_tick: Callable[[float], None] | None = None,
    ) -> CrawlResult:
        """Crawl, and wait until that crawl has ended.

        Args:
            name: the crawler.
            timeout: seconds, including the wait for another crawl.
            requirement: what another crawl must have covered to be reused.
            on_tick: called while waiting with the seconds waited.

        Raises:
            CrawlFailed: the crawl failed or was stopped, with Glue's message.
            WaitTimeout: not ended in time; a crawl that was started here is stopped then.
            NotFound: there is no such crawler.
        """
        deadline = self._clock() + timeout
        waiter = Waiter(self._backoff, on_tick=on_tick, sleep=self._sleep, clock=self._clock)
        while True:
            crawls, now = waiter.retry_transient(
                lambda: self._history(name), what=f"the crawls of {name}"
            )
            earlier = _reusable(crawls, requirement)
            if earlier is not None:
                return _result(earlier, reused=True)
            mark = _Mark.of(crawls, now)
            try:
                started = self._start(name)
                if started != "busy":
                    found = self._follow(name, mark, waiter, deadline, certain=started == "ours")
                    if found is not None:
                        return found
            except BaseException:
                suppress_and_log(partial(self._stop_ours, name, mark), f"stopping crawler {name}")
                raise
            if started == "busy":
                logger.info("crawler %s is busy with another crawl; waiting for it", name)
                self._wait_idle(name, waiter, deadline)
                latest = self._covering(name, mark, requirement)
                if latest is not None:
                    return _result(latest, reused=True)
            if self._clock() >= deadline:
                raise WaitTimeout(
                    f"crawler {name} was busy with other crawls for {timeout:.0f} s",
                    fix="limit how many runs crawl at once, or give the feed more time",
                )

    def _covering(
        self, name: str, mark: _Mark, requirement: CrawlRequirement | None
    ) -> dict[str, Any] | None:
        """The crawl that was waited for, if it completed and covers what is needed."""
        latest = next(iter(self._history(name)[0]), None)
        if latest is None or latest["State"] != "COMPLETED":
            return None
        # A crawl that began after this call saw what a new one would see.
        covers = mark.precedes(latest) or (requirement is not None and requirement.is_there())
        return latest if covers else None

    def stop(self, name: str) -> None:
        """Stop the running crawl, if there is one, and wait until it has ended.

        Raises:
            WaitTimeout: it has not ended in time.
        """

        def ended() -> bool | None:
            state = self._state(name)
            if state == "RUNNING":
                # Repeated while it runs, because one request may be lost.
                with ignore_codes(*_IDLE), aws_call("glue:StopCrawler", f"crawler {name}"):
                    self._glue.stop_crawler(Name=name)
            return True if state == "READY" else None

        Waiter(self._backoff, sleep=self._sleep, clock=self._clock).until(
            ended,
            what=f"the crawl of {name} to stop",
            timeout=STOP_TIMEOUT,
            fix=f"stop it by hand: aws glue stop-crawler --name {name}",
        )

    def _stop_ours(self, name: str, mark: _Mark) -> None:
        crawls, _ = self._history(name)
        ours = mark.first_after(crawls)
        if ours is None:
            # A crawl that has just begun may not be shown yet. One that is shown is another run's.
            running = all(crawl["State"] != "RUNNING" for crawl in crawls)
        else:
            running = ours["State"] == "RUNNING"
        if running:
            self.stop(name)

    def _start(self, name: str) -> Literal["ours", "busy", "unknown"]:
        """Request a crawl; "unknown" if the answer was lost, so that it may have begun."""
        try:
            with aws_call("glue:StartCrawler", f"crawler {name}", expected_codes=(_BUSY,)):
                self._glue.start_crawler(Name=name)
        except Unavailable as lost:
            logger.warning(
                "starting crawler %s got no answer; looking for the crawl: %s", name, lost
            )
            return "unknown"
        except Exception as error:
            if error_code(error) != _BUSY:
                raise
            # botocore repeats a request without an answer, and is then refused by its own crawl.
            return "unknown" if retries_before(error) else "busy"
        return "ours"

    def _follow(
        self, name: str, mark: _Mark, waiter: Waiter, deadline: float, *, certain: bool
    ) -> CrawlResult | None:
        """Wait for the end of the first crawl that began after the mark; None if there is none.

        Args:
            certain: True if a crawl was started; then it is an error if none is found.
        """
        idle_since: list[float] = []

        def poll() -> tuple[dict[str, Any] | None] | None:
            # If the history shows the crawl, the crawler's own state is not needed.
            ours = mark.first_after(self._history(name)[0])
            if ours is not None and ours.get("State") != "RUNNING":
                return (ours,)
            if ours is not None or self._state(name) != "READY":
                idle_since.clear()
                return None
            idle_since.append(self._clock())
            return (None,) if self._clock() - idle_since[0] > HISTORY_LAG else None

        polling = AdaptivePolling(mark.past, self._backoff)
        waiter = Waiter(polling, on_tick=waiter.on_tick, sleep=self._sleep, clock=self._clock)
        (crawl,) = waiter.until(
            poll,
            what=f"the end of the crawl of {name}",
            timeout=max(0.0, deadline - self._clock()),
            fix="look at the crawler's log; a crawl of many files may need more time",
            pause_first=certain,
        )
        if crawl is None and certain:
            raise CrawlFailed(
                f"the crawl of {name} that was started left no trace",
                reason=f"the crawler is idle and ListCrawls shows no new crawl after "
                f"{HISTORY_LAG:.0f} s",
                retryable=True,
                fix="materialize the day again",
            )
        if crawl is None or crawl["State"] == "COMPLETED":
            return None if crawl is None else _result(crawl)
        if _ARCHIVED_FILE in (crawl.get("ErrorMessage") or "").lower():
            # Of a day that is none of the caller's, whose files can be read.
            logger.warning("crawl %s of %s met an archived file: %s", crawl["CrawlId"], name, crawl)
            return _result(crawl)
        raise _failure(name, crawl)

    def _wait_idle(self, name: str, waiter: Waiter, deadline: float) -> None:
        waiter.until(
            lambda: True if self._state(name) == "READY" else None,
            what=f"crawler {name} to become idle",
            timeout=max(0.0, deadline - self._clock()),
        )

    def _state(self, name: str) -> str:
        with aws_call("glue:GetCrawler", f"crawler {name}"):
            return str(self._glue.get_crawler(Name=name)["Crawler"]["State"])

    def _history(self, name: str) -> tuple[list[dict[str, Any]], datetime]:
        """The newest crawls, newest first, and the service's time.

        One page is enough: a crawler runs one at a time.
        """
        with aws_call("glue:ListCrawls", f"crawler {name}"):
            answer = self._glue.list_crawls(CrawlerName=name, MaxResults=20)
        crawls: list[Any] = sorted(
            answer.get("Crawls", []), key=lambda crawl: crawl["StartTime"], reverse=True
        )
        # The clock of this machine may differ from the service's.
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if not date:
            return crawls, datetime.min.replace(tzinfo=UTC)
        return crawls, parsedate_to_datetime(date) - CLOCK_GRAIN


@dataclass(frozen=True)
class _Mark:
    """A moment and the crawls known by then, to recognise crawls that began later.

    Attributes:
        known: ids of the crawls.
        time: the moment, by the service's clock.
        past: durations of the newest completed crawls, in seconds.
    """

    known: frozenset[str]
    time: datetime
    past: tuple[float, ...] = ()

    @classmethod
    def of(cls, crawls: Sequence[Mapping[str, Any]], now: datetime) -> _Mark:
        """The mark for this moment; the newest crawl comes first."""
        past = [
            (crawl["EndTime"] - crawl["StartTime"]).total_seconds()
            for crawl in crawls
            if crawl["State"] == "COMPLETED" and crawl.get("EndTime")
        ]
        return cls(frozenset(crawl["CrawlId"] for crawl in crawls), now, tuple(past[:PAST_CRAWLS]))

    def precedes(self, crawl: Mapping[str, Any]) -> bool:
        """True if the crawl began later."""
        return crawl["CrawlId"] not in self.known and crawl["StartTime"] >= self.time

    def first_after(self, crawls: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """The first crawl that began later: the one that was requested."""
        new = [crawl for crawl in crawls if self.precedes(crawl)]
        return min(new, key=lambda crawl: crawl["StartTime"], default=None)


def _reusable(
    crawls: Sequence[dict[str, Any]], requirement: CrawlRequirement | None
) -> dict[str, Any] | None:
    """The newest past crawl that covers what is needed."""
    if requirement is None:
        return None
    earlier = next(filter(requirement.may_be_met_by, crawls), None)
    return earlier if earlier is not None and requirement.is_there() else None


def _failure(name: str, crawl: Mapping[str, Any]) -> CrawlFailed:
    where = "/".join(filter(None, (crawl.get("LogGroup"), crawl.get("LogStream"))))
    message = crawl.get("ErrorMessage")
    stopped = crawl["State"] == "STOPPED"
    details = {
        "fix": "somebody stopped it: materialize again"
        if stopped
        else f"read the crawl's log ({where or '/aws-glue/crawlers'}); a denial there is about "
        "the crawler's own role"
    }
    return CrawlFailed(
        f"crawl {crawl['CrawlId']} of {name} ended as {crawl['State']}",
        reason=message or "Glue gives no message",
        retryable=stopped or is_transient(message),
        **{**details, **denial_in(message)},
    )


def _result(crawl: dict[str, Any], *, reused: bool = False) -> CrawlResult:
    text = crawl.get("Summary") or "{}"
    summary = _parse_nested_json(text)
    return CrawlResult(
        crawl_id=crawl["CrawlId"],
        state=crawl["State"],
        started=crawl.get("StartTime"),
        ended=crawl.get("EndTime"),
        summary=summary if isinstance(summary, dict) else {"text": text},
        dpu_hours=crawl.get("DPUHour"),
        reused=reused,
    )


def _parse_nested_json(value: Any) -> Any:
    """Parse JSON text and the JSON texts inside it: Glue nests its summaries three deep."""
    if isinstance(value, str):
        try:
            return _parse_nested_json(json.loads(value))
        except ValueError:
            return value
    if isinstance(value, dict):
        return {name: _parse_nested_json(part) for name, part in value.items()}
    return value
