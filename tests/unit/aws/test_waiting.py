"""Waiting: adaptive, bounded, deaf to passing trouble and to nothing else."""

import itertools

import pytest

from xacct_assets.aws.errors import AccessDenied, Unavailable, WaitTimeout
from xacct_assets.aws.waiting import Backoff, Waiter, quietly


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


def test_passing_failures_count_as_not_yet(clock):
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


def test_a_failure_that_waiting_does_not_mend_is_raised_at_once(clock):
    def poll():
        raise AccessDenied("no")

    with pytest.raises(AccessDenied):
        waiter(clock).until(poll, what="it", timeout=60)
    assert clock.slept == []


def test_a_failed_clean_up_is_logged_and_not_raised(caplog):
    def broken():
        raise Unavailable("no way out")

    quietly(broken, "stopping it")
    assert "stopping it failed" in caplog.text


def test_a_question_is_asked_again_while_it_fails_for_what_passes(clock):
    answers = iter([Unavailable("gone"), Unavailable("gone"), None])

    def ask():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert waiter(clock).patiently(ask, what="it") is None


def test_a_question_that_fails_through_a_whole_outage_fails(clock):
    def ask():
        raise Unavailable("gone")

    with pytest.raises(Unavailable):
        waiter(clock, tolerated_outage=30).patiently(ask, what="it")
    assert 30 <= clock.now < 60
