"""One crawl that covers what is needed: our own, or another's that makes ours unnecessary.

Another's may have listed a folder before its files were there, so it counts only if the caller can
see all it needs in the catalog. Two kinds are looked at: one that runs when we ask, which is waited
for; and one that ended while we waited for our turn, or while the process that had started it was
dead. Else we start a crawl, and tell it from others by the ids that ListCrawls knew before and by
the service's own clock (its LastCrawl can be somebody else's).
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
from typing import Any, Literal

from xacct_assets.aws.botocore_errors import aws_call, error_code, retries_before
from xacct_assets.aws.denials import denial_in
from xacct_assets.aws.errors import (
    CrawlFailed,
    Unavailable,
    WaitTimeout,
)
from xacct_assets.aws.polling import AdaptivePolling, Backoff, Waiter, suppress_and_log
from xacct_assets.aws.transient_errors import is_transient

logger = logging.getLogger(__name__)

#: Seconds. A small crawl takes about a minute on AWS; ask quickly at first for the sake of the
#: sandbox, where it takes a second.
BACKOFF = Backoff(first=0.3, factor=1.4, cap=8.0)
#: So many crawls before ours say how long it may take.
LIKE = 10
#: Seconds for ListCrawls to show a crawl that the crawler's state says has ended.
HISTORY_LAG = 60.0
#: The Date header counts whole seconds and is written after the work.
CLOCK_GRAIN = timedelta(seconds=3)
#: Seconds that a crawl which was told to stop is given to end.
STOP_TIMEOUT = 60.0
#: S3 counts the time an object landed in whole seconds.
LANDING_GRAIN = timedelta(seconds=1)
_BUSY = "CrawlerRunningException"
_IDLE = ("CrawlerNotRunningException", "CrawlerStoppingException")


@dataclass(frozen=True)
class CrawlRequirement:
    """What a crawl is wanted for, so that another's can be known to have done it.

    Attributes:
        landed: when the newest file landed, by S3's clock; a crawl that began before may have
            passed its folder earlier.
        since: when the crawl was first wanted. One that ended before belongs to the past: whoever
            runs a day again on purpose has it crawled again.
        is_there: whether all that is needed can be seen in the catalog.
    """

    landed: datetime
    since: datetime
    is_there: Callable[[], bool]

    def may_be_met_by(self, crawl: Mapping[str, Any]) -> bool:
        """Whether the crawl (as ListCrawls tells it) is one to look at the catalog for."""
        ended = crawl.get("EndTime")
        return (
            crawl.get("State") == "COMPLETED"
            and crawl["StartTime"] >= self.landed + LANDING_GRAIN
            and ended is not None
            and ended >= self.since
        )


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
        needed: CrawlRequirement | None = None,
        on_tick: Callable[[float], None] | None = None,
    ) -> CrawlResult:
        """Crawl, and wait until that crawl has ended.

        Args:
            name: the crawler.
            timeout: seconds for all of it, waiting for another's crawl included.
            needed: what another's crawl must have done to make our own unnecessary.
            on_tick: called while waiting with the seconds waited.

        Raises:
            CrawlFailed: the crawl failed or was stopped, with Glue's message.
            WaitTimeout: not ended in time; our own crawl is stopped then.
            NotFound: there is no such crawler.
        """
        deadline = self._clock() + timeout
        waiter = Waiter(self._backoff, on_tick=on_tick, sleep=self._sleep, clock=self._clock)
        while True:
            crawls, now = waiter.retry_transient(
                lambda: self._history(name), what=f"the crawls of {name}"
            )
            if needed is not None:
                earlier = next(filter(needed.may_be_met_by, crawls), None)
                if earlier is not None and needed.is_there():
                    return _result(earlier, joined=True)
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
                latest = next(iter(self._history(name)[0]), None)
                # Begun after we asked, it saw what we would have seen.
                if (
                    latest is not None
                    and latest["State"] == "COMPLETED"
                    and (mark.precedes(latest) or (needed is not None and needed.is_there()))
                ):
                    return _result(latest, joined=True)
            if self._clock() >= deadline:
                raise WaitTimeout(
                    f"crawler {name} was busy with other crawls for {timeout:.0f} s",
                    fix="limit how many runs crawl at once, or give the feed more time",
                )

    def stop(self, name: str) -> None:
        """Stop the crawler's present crawl and wait until it has ended; no error if there is none.

        Raises:
            WaitTimeout: it has not ended in time.
        """

        def ended() -> bool | None:
            state = self._state(name)
            if state == "RUNNING":
                # Asked again as long as it runs on: one request may be lost.
                with aws_call("glue:StopCrawler", f"crawler {name}", expected_codes=_IDLE):
                    try:
                        self._glue.stop_crawler(Name=name)
                    except Exception as error:
                        if error_code(error) not in _IDLE:
                            raise
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
            # One that has just begun may not be shown yet; one that is, is somebody else's.
            running = all(crawl["State"] != "RUNNING" for crawl in crawls)
        else:
            running = ours["State"] == "RUNNING"
        if running:
            self.stop(name)

    def _start(self, name: str) -> Literal["ours", "busy", "unknown"]:
        """Ask for a crawl. It is unknown whether ours began if an answer was lost on the way."""
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
            # botocore asks again where no answer came, and is then told of its own crawl.
            return "unknown" if retries_before(error) else "busy"
        return "ours"

    def _follow(
        self, name: str, mark: _Mark, waiter: Waiter, deadline: float, *, certain: bool
    ) -> CrawlResult | None:
        """Wait for the end of the first crawl that began after the mark; None if there is none.

        Args:
            certain: a crawl was started, so that it is an error if none is found.
        """
        idle_since: list[float] = []

        def poll() -> tuple[dict[str, Any] | None] | None:
            # The history tells the end of a crawl that it shows; the crawler need not be asked.
            ours = mark.first_after(self._history(name)[0])
            if ours is not None and ours.get("State") != "RUNNING":
                return (ours,)
            if ours is not None or self._state(name) != "READY":
                idle_since.clear()
                return None
            idle_since.append(self._clock())
            return (None,) if self._clock() - idle_since[0] > HISTORY_LAG else None

        pace = AdaptivePolling(mark.past, self._backoff)
        waiter = Waiter(pace, on_tick=waiter.on_tick, sleep=self._sleep, clock=self._clock)
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
            return crawl and _result(crawl)
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
        """The newest crawls, newest first, and the service's time when it was asked.

        One page is enough: a crawler runs one at a time.
        """
        with aws_call("glue:ListCrawls", f"crawler {name}"):
            answer = self._glue.list_crawls(CrawlerName=name, MaxResults=20)
        crawls = sorted(
            answer.get("Crawls", []), key=lambda crawl: crawl["StartTime"], reverse=True
        )
        # By the service's clock, not by ours.
        date = answer.get("ResponseMetadata", {}).get("HTTPHeaders", {}).get("date")
        if not date:
            return crawls, datetime.min.replace(tzinfo=UTC)
        return crawls, parsedate_to_datetime(date) - CLOCK_GRAIN


@dataclass(frozen=True)
class _Mark:
    """A moment, and the crawls there had been by then: what began later is told by both.

    ``past`` says how long the last of them took, in seconds.
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
        return cls(frozenset(crawl["CrawlId"] for crawl in crawls), now, tuple(past[:LIKE]))

    def precedes(self, crawl: Mapping[str, Any]) -> bool:
        """True if the crawl began later."""
        return crawl["CrawlId"] not in self.known and crawl["StartTime"] >= self.time

    def first_after(self, crawls: Sequence[dict[str, Any]]) -> dict[str, Any] | None:
        """The first crawl that began later: the one that was asked for."""
        new = [crawl for crawl in crawls if self.precedes(crawl)]
        return min(new, key=lambda crawl: crawl["StartTime"], default=None)


def _failure(name: str, crawl: Mapping[str, Any]) -> CrawlFailed:
    where = "/".join(filter(None, (crawl.get("LogGroup"), crawl.get("LogStream"))))
    message = crawl.get("ErrorMessage")
    stopped = crawl["State"] == "STOPPED"
    advice = {
        "fix": "somebody stopped it: materialize again"
        if stopped
        else f"read the crawl's log ({where or '/aws-glue/crawlers'}); a denial there is about "
        "the crawler's own role"
    }
    return CrawlFailed(
        f"crawl {crawl['CrawlId']} of {name} ended as {crawl['State']}",
        reason=message or "Glue gives no message",
        retryable=stopped or is_transient(message),
        **{**advice, **denial_in(message)},
    )


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
