"""`xacct doctor`'s runner: one cause is one failure, and nothing takes longer than it may."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from xacct_assets.aws.errors import AccessDenied, NotFound
from xacct_assets.operations.doctor.findings import Caution, Check, Finding, NotProven
from xacct_assets.operations.doctor.runner import NoSuchCheck, Runner, select


def passes() -> str:
    return "found"


def fails() -> str:
    raise NotFound("there is none", reason="it was deleted", fix="`xacct deploy`")


def unproven() -> str:
    raise NotProven("no profile of account A", "set one")


def hangs() -> str:
    threading.Event().wait(30)
    return "too late"


def check(name: str, run: Callable[[], str | Caution] = passes, **more: object) -> Check:
    return Check(name, "it is there", run, **more)  # type: ignore[arg-type]


def examine(*checks: Check, each: float = 5.0, total: float = 10.0) -> dict[str, Finding]:
    shown: list[Finding] = []
    findings = Runner(checks, shown.append, each=each, total=total).run()
    assert findings == shown
    assert [finding.check for finding in findings] == [one.name for one in checks]
    return {finding.check: finding for finding in findings}


def outcomes(found: dict[str, Finding]) -> dict[str, str]:
    return {name: finding.outcome for name, finding in found.items()}


def test_a_check_that_passes_reports_what_it_found() -> None:
    assert examine(check("a"))["a"].detail == "found"


def test_a_failure_has_reason_and_fix() -> None:
    found = examine(check("a", fails))["a"]
    assert (found.outcome, found.detail, found.fix) == (
        "FAIL",
        "there is none: it was deleted",
        "`xacct deploy`",
    )


def test_a_denial_names_the_principal() -> None:
    def denied() -> str:
        raise AccessDenied("s3:ListBucket was denied", principal="arn:me", fix="let it")

    assert "arn:me" in examine(check("a", denied))["a"].detail


def test_what_needs_a_failed_check_is_skipped_by_the_name_of_the_first_cause() -> None:
    found = examine(
        check("a", fails), check("b", needs=("a",)), check("c", needs=("b",)), check("d")
    )
    assert outcomes(found) == {"a": "FAIL", "b": "skipped", "c": "skipped", "d": "ok"}
    assert found["c"].detail == "needs 'a', which failed"
    assert (found["b"].cause, found["c"].cause) == ("a", "a")


def test_what_is_not_proven_is_no_failure_and_stops_nothing() -> None:
    found = examine(check("a", unproven), check("b", needs=("a",)))
    assert outcomes(found) == {"a": "skipped", "b": "ok"}
    assert found["a"].detail == "not proven here: no profile of account A"
    assert found["a"].fix == "set one"


def test_an_effect_of_a_failed_check_is_no_second_failure() -> None:
    found = examine(
        check("policy", fails),
        check("files", fails, explained_by=("policy",)),
        check("other files", explained_by=("policy",)),
        check("behind", needs=("files",)),
    )
    assert outcomes(found) == {
        "policy": "FAIL",
        "files": "skipped",
        "other files": "ok",
        "behind": "skipped",
    }
    assert "'policy'" in found["files"].detail
    assert found["files"].fix is None
    assert found["behind"].cause == "policy"


def test_a_failure_without_a_failed_cause_is_reported() -> None:
    found = examine(check("policy"), check("files", fails, explained_by=("policy",)))
    assert outcomes(found) == {"policy": "ok", "files": "FAIL"}


def test_an_explanation_that_is_itself_an_effect_names_the_first_cause() -> None:
    found = examine(
        check("a", fails),
        check("b", fails, explained_by=("a",)),
        check("c", fails, explained_by=("b",)),
    )
    assert outcomes(found) == {"a": "FAIL", "b": "skipped", "c": "skipped"}
    assert found["c"].cause == "a"


def test_a_check_that_does_not_end_fails_in_time_and_skips_what_needs_it() -> None:
    started = time.monotonic()
    found = examine(
        check("a", hangs, if_silent="restart it"), check("b", needs=("a",)), check("c"), each=0.2
    )
    assert time.monotonic() - started < 2
    assert outcomes(found) == {"a": "FAIL", "b": "skipped", "c": "ok"}
    assert found["a"].fix == "restart it"
    assert "no answer within" in found["a"].detail


def test_two_that_hang_for_one_reason_are_one_failure() -> None:
    found = examine(check("a", hangs), check("b", hangs, explained_by=("a",)), each=0.2)
    assert outcomes(found) == {"a": "FAIL", "b": "skipped"}


def test_several_that_hang_are_one_failure() -> None:
    found = examine(check("a", hangs), check("b", hangs), check("c", fails), each=0.2)
    assert outcomes(found) == {"a": "FAIL", "b": "skipped", "c": "FAIL"}
    assert found["b"].cause == "a"


def test_checks_run_beside_each_other() -> None:
    meeting = threading.Barrier(3, timeout=5)

    def meets() -> str:
        meeting.wait()
        return "met"

    assert set(outcomes(examine(*(check(name, meets) for name in "abc"))).values()) == {"ok"}


def test_all_of_them_end_in_time_although_each_is_within_its_own() -> None:
    def slow() -> str:
        time.sleep(0.3)
        return "slow"

    names = [f"c{number}" for number in range(8)]
    chain = [
        check(name, slow, needs=(names[number - 1],) if number else ())
        for number, name in enumerate(names)
    ]
    started = time.monotonic()
    found = examine(*chain, total=0.8)
    assert time.monotonic() - started < 1.5
    assert list(outcomes(found).values()).count("FAIL") == 1
    assert "were over" in found["c7"].detail


def test_an_error_of_a_check_itself_is_reported_and_the_others_go_on() -> None:
    def broken() -> str:
        raise KeyError("x")

    found = examine(check("a", broken), check("b"))
    assert outcomes(found) == {"a": "FAIL", "b": "ok"}
    assert "KeyError" in found["a"].detail


def test_a_caution_warns() -> None:
    found = examine(check("a", lambda: Caution("nearly full", "make room")))["a"]
    assert (found.outcome, found.detail, found.fix) == ("warn", "nearly full", "make room")


CHAIN = [
    check("settings"),
    check("one: crawler", needs=("settings",)),
    check("two: crawler", needs=("settings",)),
    check("network", needs=("settings",)),
    check("login", needs=("network",)),
]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["login"], ["settings", "network", "login"]),
        (["crawler"], ["settings", "one: crawler", "two: crawler"]),
        (["two: crawler"], ["settings", "two: crawler"]),
        (["settings"], ["settings"]),
    ],
)
def test_one_check_is_made_with_what_it_needs(names: list[str], expected: list[str]) -> None:
    assert [one.name for one in select(CHAIN, names)] == expected


def test_an_unknown_check_is_refused_with_those_that_there_are() -> None:
    with pytest.raises(NoSuchCheck, match=r"'loggin'.*network, login"):
        select(CHAIN, ["loggin"])
