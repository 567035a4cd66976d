"""Crawls: a result is of a crawl that covers what was requested."""

from datetime import timedelta

import pytest

from tests.support.fakes.glue import NOON, FakeGlueCrawler
from tests.support.fakes.modelled_client import client_error
from xacct_assets.aws.errors import CrawlFailed, NotFound, WaitTimeout
from xacct_assets.aws.glue.crawler import Crawler, CrawlRequirement


@pytest.fixture
def glue():
    return FakeGlueCrawler


def crawler(fake, clock):
    return Crawler(fake.client, sleep=clock.sleep, clock=clock)


def test_a_crawl_is_started_and_followed_to_its_end(glue, clock):
    result = crawler(glue(), clock).crawl("c", 600)
    assert (result.crawl_id, result.state, result.reused) == ("crawl-1", "COMPLETED", False)
    assert result.summary == {"PARTITION": {"ADD": {"Count": 1}}}
    assert result.dpu_hours == 0.02


def test_a_crawl_of_usual_length_takes_three_calls(glue, clock):
    fake = glue(looks=1)
    fake.begin()
    fake.looks_left = 0
    begun = NOON - timedelta(hours=1)
    fake.crawls[0] |= {
        "State": "COMPLETED",
        "StartTime": begun,
        "EndTime": begun + timedelta(seconds=50),
    }
    assert crawler(fake, clock).crawl("c", 600).crawl_id == "crawl-2"
    asked = [name for name, _ in fake.client.calls]
    assert asked == ["list_crawls", "start_crawler", "list_crawls"]
    assert 50 < clock() < 53


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
    assert (result.crawl_id, result.reused) == ("crawl-2", False)


def needed(*, landed=NOON, since=NOON, is_there=True):
    return CrawlRequirement(landed, since, lambda: is_there)


def test_a_crawl_under_way_that_covered_our_day_is_enough(glue, clock):
    fake = glue()
    fake.begin()
    # It began before our file landed, and found it all the same.
    late = needed(landed=NOON + timedelta(hours=1))
    result = crawler(fake, clock).crawl("c", 600, requirement=late)
    assert (result.crawl_id, result.reused) == ("crawl-1", True)
    assert len(fake.crawls) == 1


def test_a_crawl_under_way_that_did_not_find_our_day_is_followed_by_our_own(glue, clock):
    fake = glue()
    fake.begin()
    result = crawler(fake, clock).crawl("c", 600, requirement=needed(is_there=False))
    assert (result.crawl_id, result.reused) == ("crawl-2", False)


def ended_crawl(fake, *, state="COMPLETED", ended=NOON + timedelta(minutes=5)):
    """A crawl that began at 12:01."""
    fake.begin()
    fake.looks_left = 0
    fake.crawls[0] |= {"State": state, **({"EndTime": ended} if ended else {})}


def test_a_crawl_that_ended_while_we_waited_for_our_turn_is_enough(glue, clock):
    fake = glue()
    ended_crawl(fake)
    result = crawler(fake, clock).crawl("c", 600, requirement=needed())
    assert (result.crawl_id, result.reused) == ("crawl-1", True)
    assert len(fake.crawls) == 1


@pytest.mark.parametrize(
    ("about", "wanted"),
    [
        pytest.param({}, {"is_there": False}, id="it-did-not-find-our-day"),
        pytest.param({}, {"landed": NOON + timedelta(minutes=1)}, id="it-began-before-our-file"),
        pytest.param({}, {"since": NOON + timedelta(minutes=6)}, id="it-ended-before-we-asked"),
        pytest.param({"state": "FAILED"}, {}, id="it-failed"),
        pytest.param({"state": "RUNNING", "ended": None}, {}, id="its-end-is-not-known"),
    ],
)
def test_a_crawl_that_may_have_missed_our_day_is_followed_by_our_own(glue, clock, about, wanted):
    fake = glue()
    ended_crawl(fake, **about)
    result = crawler(fake, clock).crawl("c", 600, requirement=needed(**wanted))
    assert (result.crawl_id, result.reused) == ("crawl-2", False)


def test_a_failed_crawl_has_glues_message(glue, clock):
    with pytest.raises(CrawlFailed, match="Access Denied") as caught:
        crawler(glue(outcome="FAILED"), clock).crawl("c", 600)
    assert "crawl-1" in str(caught.value)


def test_a_crawl_that_an_archived_file_of_another_day_ended_is_no_failure(glue, clock):
    fake = glue(outcome="FAILED")
    fake.error_message = (
        "The operation is not valid for the object's storage class (Service: Amazon S3; Status "
        "Code: 403; Error Code: InvalidObjectState)"
    )
    result = crawler(fake, clock).crawl("c", 600)
    assert (result.crawl_id, result.state) == ("crawl-1", "FAILED")


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


def test_another_ones_crawl_that_began_after_ours_ended_is_not_stopped(glue, clock):
    fake = glue(outcome="FAILED")
    fake.stop_errors = [AssertionError("stopped another's crawl")]

    def another(_waited):
        if fake.looks_left == 0:
            fake.begin()
            raise KeyboardInterrupt

    fake.lag = 5
    with pytest.raises(KeyboardInterrupt):
        crawler(fake, clock).crawl("c", 600, on_tick=another)
    assert fake.stopped == 0


def test_a_crawl_whose_starts_answer_was_lost_is_followed_and_not_started_again(glue, clock):
    fake = glue()
    fake.lost = ["after"]
    result = crawler(fake, clock).crawl("c", 600)
    assert (result.crawl_id, result.reused) == ("crawl-1", False)
    assert len(fake.crawls) == 1


def test_a_start_that_was_lost_on_its_way_is_made_again(glue, clock):
    fake = glue()
    fake.lost = ["before"]
    assert crawler(fake, clock).crawl("c", 600).crawl_id == "crawl-1"
    assert len(fake.client.named("start_crawler")) == 2


def test_a_crawl_that_botocore_started_and_was_then_refused_is_ours(glue, clock):
    fake = glue()

    def start(Name):
        fake.begin()
        error = client_error("CrawlerRunningException")
        error.response["ResponseMetadata"]["RetryAttempts"] = 1
        raise error

    fake.client._operations["start_crawler"] = start
    assert not crawler(fake, clock).crawl("c", 600).reused
    assert len(fake.crawls) == 1


def test_an_interrupt_while_the_start_is_out_stops_what_it_started(glue, clock):
    fake = glue(looks=10**6)

    def start(Name):
        fake.begin()
        raise KeyboardInterrupt

    fake.client._operations["start_crawler"] = start
    with pytest.raises(KeyboardInterrupt):
        crawler(fake, clock).crawl("c", 600)
    assert (fake.stopped, fake.crawls[0]["State"]) == (1, "STOPPED")


def test_a_crawl_that_began_after_we_asked_is_as_good_as_ours(glue, clock):
    fake = glue()

    def start(Name):
        fake.begin()
        raise client_error("CrawlerRunningException")

    fake.client._operations["start_crawler"] = start
    assert crawler(fake, clock).crawl("c", 600).reused
    assert len(fake.crawls) == 1


def test_another_ones_crawl_that_failed_is_not_enough_though_the_day_is_there(glue, clock):
    fake = glue(outcome="FAILED")
    fake.begin()

    def covered():
        raise AssertionError("a failed crawl covers nothing")

    with pytest.raises(CrawlFailed, match="crawl-2"):
        crawler(fake, clock).crawl("c", 600, requirement=CrawlRequirement(NOON, NOON, covered))


def test_a_stop_that_got_no_answer_is_asked_for_again(glue, clock):
    fake = glue(looks=10**6)
    fake.stop_errors = [client_error("OperationTimeoutException")]
    with pytest.raises(WaitTimeout):
        crawler(fake, clock).crawl("c", 60)
    assert (fake.stopped, fake.crawls[0]["State"]) == (2, "STOPPED")


@pytest.mark.parametrize("message", ["Internal Service Exception", "Rate exceeded"])
def test_a_crawl_that_failed_on_glues_side_can_be_retried(glue, clock, message):
    fake = glue(outcome="FAILED")
    fake.error_message = message
    with pytest.raises(CrawlFailed, match=message) as caught:
        crawler(fake, clock).crawl("c", 600)
    assert caught.value.retryable


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
