"""Polling: adaptive, bounded, and tolerant of transient failures only."""

import itertools

import pytest

from xacct_assets.aws.errors import AccessDenied, Unavailable, WaitTimeout
from xacct_assets.aws.polling import AdaptivePolling, Backoff, Waiter, suppress_and_log


def waiter(clock, **options):
    return Waiter(Backoff(1.0, 2.0, 8.0, jitter=0), sleep=clock.sleep, clock=clock, **options)


def test_delays_grow_to_the_cap():
    delays = Backoff(0.5, 2.0, 3.0, jitter=0).delays()
    assert list(itertools.islice(delays, 5)) == [0.5, 1.0, 2.0, 3.0, 3.0]


def test_jitter_never_leaves_its_share():
    for delay in itertools.islice(Backoff(1.0, 1.0, 1.0, jitter=0.1).delays(), 200):
        assert 0.9 <= delay <= 1.1


def test_the_first_answer_ends_the_wait_without_a_sleep(clock):
    assert waiter(clock).until(lambda: "there", what="it", timeout=10) == "there"
    assert clock.slept == []


def test_a_wait_ends_at_its_timeout_and_names_what_did_not_happen(clock):
    with pytest.raises(WaitTimeout, match="the moon did not happen within 10 s"):
        waiter(clock).until(lambda: None, what="the moon", timeout=10)
    assert clock.now == pytest.approx(10)


def test_transient_failures_count_as_not_yet(clock):
    answers = iter([Unavailable("gone"), Unavailable("gone"), "back"])

    def poll():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert waiter(clock).until(poll, what="it", timeout=60) == "back"


def test_an_outage_that_stays_is_raised(clock):
    def poll():
        raise Unavailable("gone")

    with pytest.raises(Unavailable):
        waiter(clock, tolerated_outage=30).until(poll, what="it", timeout=3600)
    assert 30 <= clock.now < 60


def test_a_permanent_failure_is_raised_at_once(clock):
    def poll():
        raise AccessDenied("no")

    with pytest.raises(AccessDenied):
        waiter(clock).until(poll, what="it", timeout=60)
    assert clock.slept == []


def test_a_failed_clean_up_is_logged_and_not_raised(caplog):
    def broken():
        raise Unavailable("no way out")

    suppress_and_log(broken, "stopping it")
    assert "stopping it failed" in caplog.text


def test_a_request_is_repeated_while_it_fails_for_transient_reasons(clock):
    answers = iter([Unavailable("gone"), Unavailable("gone"), None])

    def ask():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert waiter(clock).retry_transient(ask, what="it") is None


def test_a_request_that_fails_for_the_whole_tolerated_outage_fails(clock):
    def ask():
        raise Unavailable("gone")

    with pytest.raises(Unavailable):
        waiter(clock, tolerated_outage=30).retry_transient(ask, what="it")
    assert 30 <= clock.now < 60


def looks_until(pace: AdaptivePolling, seconds: float) -> tuple[int, float]:
    """How many looks a wait of that length takes, and how late its end is seen."""
    waited, looks = 0.0, 0
    for delay in pace.delays():
        waited, looks = waited + delay, looks + 1
        if waited >= seconds:
            return looks, waited - seconds
    raise AssertionError("delays are endless")


@pytest.mark.parametrize("seconds", [0.4, 4.0, 45.0])
def test_work_of_usual_length_takes_one_poll(seconds):
    looks, late = looks_until(AdaptivePolling((seconds, seconds * 1.5), Backoff()), seconds)
    assert looks == 1
    assert late <= max(0.5, 0.05 * seconds)


@pytest.mark.parametrize("seconds", [300.0, 3600.0])
def test_a_long_wait_is_polled_on_the_way_so_that_an_early_end_is_noticed(seconds):
    pace = AdaptivePolling((seconds,), Backoff())
    looks, late = looks_until(pace, seconds)
    assert looks <= 70
    assert late <= 0.1 * seconds
    for early in (20.0, 0.3 * seconds, 0.8 * seconds):
        assert looks_until(pace, early)[1] <= 60


def test_work_that_takes_longer_than_usual_is_noticed_within_a_share_of_the_wait():
    assert looks_until(AdaptivePolling((4.0,), Backoff()), 60.0)[1] <= 0.1 * 60
    assert looks_until(AdaptivePolling((4.0,), Backoff()), 4.6)[1] <= 0.5


def test_without_past_durations_polls_are_frequent_at_first_and_then_slower():
    backoff = Backoff(first=0.3, factor=1.4, cap=10.0, jitter=0.0)
    delays = AdaptivePolling((), backoff).delays()
    assert [next(delays) for _ in range(2)] == [0.3, pytest.approx(0.42)]


def test_the_first_poll_can_wait(clock):
    asked = []
    waiter = Waiter(AdaptivePolling((10.0,), Backoff()), sleep=clock.sleep, clock=clock)
    waiter.until(lambda: asked.append(clock()) or True, what="x", timeout=60, pause_first=True)
    assert asked == [pytest.approx(10, abs=1)]
