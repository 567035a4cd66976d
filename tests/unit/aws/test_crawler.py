"""A crawl that is surely ours, and surely began after we asked for it."""

from datetime import UTC, datetime, timedelta
from email.utils import format_datetime

import pytest

from xacct_assets.aws.crawler import Crawler
from xacct_assets.aws.errors import CrawlFailed, NotFound, WaitTimeout

NOON = datetime(2026, 1, 1, 12, tzinfo=UTC)


class Glue:
    """A crawler whose crawls take some looks at it."""

    def __init__(self, modelled, refusal, *, looks=3, outcome="COMPLETED", lag=0):
        self.refusal = refusal
        self.crawls: list[dict] = []
        self.looks_left = 0
        self.looks, self.outcome, self.lag = looks, outcome, lag
        self.stopped = 0
        self.lag_from = 1
        self.client = modelled(
            "glue",
            start_crawler=self.start,
            get_crawler=self.get,
            list_crawls=self.list,
            stop_crawler=self.stop,
        )

    def begin(self):
        number = len(self.crawls) + 1
        self.crawls.append(
            {
                "CrawlId": f"crawl-{number}",
                "State": "RUNNING",
                "StartTime": NOON + timedelta(minutes=number),
            }
        )
        self.looks_left = self.looks

    def start(self, Name):
        if self.looks_left > 0:
            raise self.refusal("CrawlerRunningException")
        self.begin()
        return {"ResponseMetadata": {"HTTPHeaders": {"date": format_datetime(NOON, usegmt=True)}}}

    def get(self, Name):
        if self.looks_left > 0:
            self.looks_left -= 1
            if self.looks_left == 0:
                self.crawls[-1] |= {
                    "State": self.outcome,
                    "EndTime": NOON,
                    "DPUHour": 0.02,
                    "Summary": r'{"PARTITION": "{\"ADD\": \"{\\\"Count\\\": 1}\"}"}',
                    **({"ErrorMessage": "Access Denied"} if self.outcome == "FAILED" else {}),
                }
            return {"Crawler": {"Name": Name, "State": "RUNNING"}}
        return {"Crawler": {"Name": Name, "State": "READY"}}

    def list(self, CrawlerName, MaxResults):
        shown = self.crawls
        if len(self.crawls) >= self.lag_from and self.lag > 0 and self.looks_left == 0:
            self.lag -= 1
            shown = self.crawls[:-1]
        return {"Crawls": list(reversed(shown))}

    def stop(self, Name):
        self.stopped += 1
        if self.looks_left == 0:
            raise self.refusal("CrawlerNotRunningException")
        return {}


@pytest.fixture
def glue(modelled, refusal):
    return lambda **options: Glue(modelled, refusal, **options)


def crawler(fake, clock):
    return Crawler(fake.client, sleep=clock.sleep, clock=clock)


def test_a_crawl_is_started_and_followed_to_its_end(glue, clock):
    result = crawler(glue(), clock).crawl("c", 600)
    assert (result.crawl_id, result.state, result.joined) == ("crawl-1", "COMPLETED", False)
    assert result.summary == {"PARTITION": {"ADD": {"Count": 1}}}
    assert result.dpu_hours == 0.02


def test_an_earlier_crawl_is_not_taken_for_ours(glue, clock):
    fake = glue(lag=3)
    fake.lag_from = 2
    fake.begin()
    fake.looks_left = 0
    fake.crawls[0]["State"] = "COMPLETED"
    assert crawler(fake, clock).crawl("c", 600).crawl_id == "crawl-2"


def test_an_earlier_crawl_that_the_history_shows_late_is_not_taken_for_ours(glue, clock):
    fake = glue(lag=1)
    fake.begin()
    fake.looks_left = 0
    fake.crawls[0] |= {"State": "COMPLETED", "StartTime": NOON - timedelta(hours=1)}
    assert crawler(fake, clock).crawl("c", 600).crawl_id == "crawl-2"


def test_a_crawl_under_way_is_waited_for_and_then_our_own_is_made(glue, clock):
    fake = glue()
    fake.begin()
    result = crawler(fake, clock).crawl("c", 600)
    assert (result.crawl_id, result.joined) == ("crawl-2", False)


def test_a_crawl_under_way_that_covered_our_day_is_enough(glue, clock):
    fake = glue()
    fake.begin()
    result = crawler(fake, clock).crawl("c", 600, covered=lambda: True)
    assert (result.crawl_id, result.joined) == ("crawl-1", True)
    assert len(fake.crawls) == 1


def test_a_failed_crawl_is_told_in_glues_words(glue, clock):
    with pytest.raises(CrawlFailed, match="Access Denied") as caught:
        crawler(glue(outcome="FAILED"), clock).crawl("c", 600)
    assert "crawl-1" in str(caught.value)


def test_a_crawl_that_somebody_stopped_can_be_retried(glue, clock):
    with pytest.raises(CrawlFailed) as caught:
        crawler(glue(outcome="STOPPED"), clock).crawl("c", 600)
    assert caught.value.retryable


def test_a_crawl_that_takes_too_long_is_stopped(glue, clock):
    fake = glue(looks=10**6)
    with pytest.raises(WaitTimeout):
        crawler(fake, clock).crawl("c", 60)
    assert fake.stopped == 1


def test_another_ones_crawl_is_not_stopped_when_we_give_up(glue, clock):
    fake = glue(looks=10**6)
    fake.begin()
    with pytest.raises(WaitTimeout):
        crawler(fake, clock).crawl("c", 60)
    assert fake.stopped == 0


def test_an_interrupted_wait_stops_our_crawl(glue, clock):
    fake = glue(looks=10**6)

    def interrupt(_waited):
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        crawler(fake, clock).crawl("c", 600, on_tick=interrupt)
    assert fake.stopped == 1


def test_a_crawl_that_leaves_no_trace_is_not_taken_for_done(glue, clock):
    fake = glue(looks=1, lag=10**6)
    with pytest.raises(CrawlFailed, match="left no trace"):
        crawler(fake, clock).crawl("c", 600)


def test_a_missing_crawler_is_named(modelled, refusal, clock):
    def missing(**_):
        raise refusal("EntityNotFoundException", "Crawler c not found")

    fake = modelled("glue", list_crawls=missing)
    with pytest.raises(NotFound, match="crawler c"):
        Crawler(fake, sleep=clock.sleep, clock=clock).crawl("c", 600)
