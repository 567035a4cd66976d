"""`xacct doctor` on a sandbox: some of the misconfigurations of tests/long/test_doctor.py."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.support.misconfigurations import catalogue
from tests.support.misconfigurations.case import Case, Hands
from tests.support.misconfigurations.trial import (
    LONGEST,
    examine,
    failures,
    heal,
    left_behind,
    try_out,
)
from tests.support.sandbox import RunningSandbox, own_sandbox


@pytest.fixture(scope="module")
def installation() -> Iterator[RunningSandbox]:
    """A sandbox of its own: its tests break it."""
    with own_sandbox() as running:
        running.run("xacct_assets.operations.cli", "--no-env-file", "deploy", "--yes")
        yield running


def doctor(hands: Hands, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    """Run the command as its users do."""
    command = ("xacct_assets.operations.cli", "--no-env-file", "doctor", *arguments)
    settings = {**hands.sandbox.extra_settings, **variables}
    return replace(hands.sandbox, extra_settings=settings).run(*command, check=False)


def outcomes(answer: subprocess.CompletedProcess[str]) -> dict[str, str]:
    findings: list[dict[str, Any]] = json.loads(answer.stdout)
    return {finding["check"]: finding["outcome"] for finding in findings}


def test_a_healthy_installation_has_no_failure(installation: RunningSandbox) -> None:
    answer = doctor(Hands(installation), "--json")
    assert answer.returncode == 0
    assert set(outcomes(answer).values()) == {"ok"}


def test_without_rights_in_account_a_it_is_proven_by_doing(installation: RunningSandbox) -> None:
    answer = doctor(Hands(installation), "--json", XACCT_ACCOUNT_A_PROFILE="")
    found = outcomes(answer)
    assert answer.returncode == 0
    unproven = {name for name, outcome in found.items() if outcome == "skipped"}
    assert unproven == {
        *("RoleA", "policy of the raw bucket", "policy of the export bucket"),
        "encryption of the buckets in A",
    }
    assert found["UNLOAD to A"] == found["COPY in B"] == "ok"


def test_one_check_is_made_with_what_it_needs(installation: RunningSandbox) -> None:
    answer = doctor(Hands(installation), "--json", "--only", "crawler")
    assert "products: crawler" in outcomes(answer)
    assert "UNLOAD to A" not in outcomes(answer)


def test_an_unknown_check_or_feed_is_an_error_of_use(installation: RunningSandbox) -> None:
    hands = Hands(installation)
    assert doctor(hands, "--only", "nothing").returncode == 2
    assert doctor(hands, "--feed", "nothing").returncode == 2


@pytest.mark.parametrize("entry", catalogue.SOME, ids=catalogue.name_of)
def test_it_is_named_first_and_alone_and_its_repair_mends_it(
    installation: RunningSandbox, entry: tuple[str, Case]
) -> None:
    hands = Hands(installation)
    trial = try_out(hands, entry[1])
    problems = trial.problems()
    if problems:
        heal(hands, entry[1])
    assert problems == []


def test_the_process_ends_in_time_though_the_warehouse_never_answers(
    installation: RunningSandbox,
) -> None:
    hands = Hands(installation)
    case = catalogue.GROUPS["A warehouse that does not answer"][0]
    case.make(hands)
    started = time.monotonic()
    try:
        answer = doctor(hands, "--json")
    finally:
        seconds = time.monotonic() - started
        heal(hands, case)
    failed = [name for name, outcome in outcomes(answer).items() if outcome == "FAIL"]
    assert failed == [case.check]
    assert answer.returncode == 1
    assert seconds < LONGEST


@pytest.mark.parametrize("sid", ["WriteExports", "ReplaceExports", "ListExports"])
def test_nothing_is_left_behind_after_a_failure_of_the_probe(
    installation: RunningSandbox, sid: str
) -> None:
    """Also where account A's policies cannot be read, so that the UNLOAD is tried."""
    hands = Hands(installation)
    case = next(case for _, case in catalogue.ALL if case.name == f"RoleA: {sid} removed")
    case.make(hands)
    try:
        hands.changed["XACCT_ACCOUNT_A_PROFILE"] = ""
        failed = failures(examine(hands)[0])
        assert [one.check for one in failed] == ["UNLOAD to A"]
        assert sid in (failed[0].fix or "")
    finally:
        hands.changed.clear()
        heal(hands, case)
    if sid == "ReplaceExports":
        # Nobody but account A may delete it then; doctor says what is left.
        assert "is left" in failed[0].detail
        (key,) = left_behind(hands)
        bucket, _, key = key.partition("/")
        hands.a("s3").delete_object(Bucket=bucket, Key=key)
    assert left_behind(hands) == []
