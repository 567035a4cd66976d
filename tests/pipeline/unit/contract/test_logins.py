"""A login that is refused while its password is rotated is tried again, for a bounded time."""

import pytest

from tests.support.fakes.clock import Clock
from xacct_assets.contract.logins import (
    ROTATION_WINDOW,
    is_login_refused,
    login_fix,
    refused_user,
    retry_refused_login,
)


class Refused(Exception):
    pass


@pytest.mark.parametrize(
    "text",
    [
        "{'S': 'FATAL', 'C': '28000', 'M': 'password authentication failed for user \"etl\"'}",
        'FATAL: password authentication failed for user "etl"',
        "java.sql.SQLException: [Amazon](500310) Invalid operation: password authentication failed"
        ' for user "etl";\n\tat com.amazon.redshift.client',
    ],
    ids=["python driver", "Data API", "JDBC"],
)
def test_a_refused_login_is_recognised_with_its_user_whoever_reports_it(text):
    assert is_login_refused(text)
    assert refused_user(text) == "etl"


@pytest.mark.parametrize(
    "text",
    [
        None,
        "",
        "permission denied for relation products",
        'no pg_hba.conf entry for host "::ffff:10.0.0.9", user "etl", database "dev", SSL off',
        "AccessDenied: not authorized to perform: secretsmanager:GetSecretValue",
    ],
)
def test_other_refusals_are_not_taken_for_one(text):
    assert not is_login_refused(text)


def test_a_login_that_succeeds_waits_for_nothing():
    clock = Clock()
    assert retry_refused_login(lambda: 7, lambda _: True, sleep=clock.sleep, clock=clock) == 7
    assert clock.now == 0


def test_an_old_password_is_replaced_without_a_pause():
    clock, answers = Clock(), iter([Refused(), 7])

    def log_in():
        answer = next(answers)
        if isinstance(answer, Exception):
            raise answer
        return answer

    assert retry_refused_login(log_in, lambda _: True, sleep=clock.sleep, clock=clock) == 7
    assert clock.now == 0


@pytest.mark.parametrize("gap", [0.5, 10, 60, ROTATION_WINDOW - 5])
def test_a_rotation_of_usual_length_is_waited_out(gap):
    clock = Clock()

    def log_in():
        if clock.now < gap:
            raise Refused
        return clock.now

    ended = retry_refused_login(log_in, lambda _: True, sleep=clock.sleep, clock=clock)
    assert gap <= ended <= gap + 5


def test_a_refusal_that_stays_is_raised_at_the_end_of_the_window(caplog):
    clock, attempts = Clock(), []

    def log_in():
        attempts.append(clock.now)
        raise Refused

    with pytest.raises(Refused):
        retry_refused_login(log_in, lambda _: True, sleep=clock.sleep, clock=clock)
    assert ROTATION_WINDOW - 5 <= attempts[-1] <= ROTATION_WINDOW
    (warning,) = caplog.records
    assert "90 s" in warning.getMessage()


def test_without_a_window_the_secret_is_read_once_more_and_nothing_is_waited_for(caplog):
    clock, attempts = Clock(), []

    def log_in():
        attempts.append(clock.now)
        raise Refused

    with pytest.raises(Refused):
        retry_refused_login(log_in, lambda _: True, window=0, sleep=clock.sleep, clock=clock)
    assert attempts == [0, 0]
    assert caplog.records == []


def test_a_failure_of_another_kind_is_not_repeated():
    attempts = []

    def log_in():
        attempts.append(1)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        retry_refused_login(log_in, lambda failure: isinstance(failure, Refused))
    assert len(attempts) == 1


def test_the_fix_names_where_the_password_is_kept():
    assert "secret arn:secret" in login_fix("arn:secret")
    assert "XACCT_REDSHIFT_*" in login_fix(None)
