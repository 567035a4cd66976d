"""Every single misconfiguration is named first, alone and in time, with a repair that mends it.

With ``WRITE_DOCS=1`` in the environment it writes the table of docs/doctor.md.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.misconfigurations import catalogue, keys
from tests.support.misconfigurations.case import Case, Hands
from tests.support.misconfigurations.trial import (
    Trial,
    examine,
    failures,
    heal,
    left_behind,
    try_out,
)
from tests.support.sandbox import RunningSandbox, own_sandbox

#: At least so many, and this share of them must be named and mended.
LEAST, SHARE = 120, 0.95


@pytest.fixture(scope="module")
def installation() -> Iterator[RunningSandbox]:
    """A sandbox of its own, with what the package deploys, under keys of its own."""
    with own_sandbox() as bare:
        running = replace(bare, extra_settings={**bare.extra_settings, **keys.SETTINGS})
        running.run("xacct_assets.operations.cli", "--no-env-file", "deploy", "--yes")
        yield running


@pytest.fixture(scope="module")
def trials() -> list[Trial]:
    return []


def test_a_healthy_installation_has_no_failure(installation: RunningSandbox) -> None:
    findings, _ = examine(Hands(installation))
    assert failures(findings) == []


@pytest.mark.parametrize("entry", catalogue.ALL, ids=catalogue.name_of)
def test_it_is_named_first_and_alone_and_its_repair_mends_it(
    installation: RunningSandbox, trials: list[Trial], entry: tuple[str, Case]
) -> None:
    hands = Hands(installation)
    trial = try_out(hands, entry[1])
    trials.append(trial)
    problems = trial.problems()
    if problems:
        heal(hands, entry[1])
    assert problems == []


def test_nothing_is_left_behind(installation: RunningSandbox) -> None:
    assert left_behind(Hands(installation)) == []


def test_enough_were_tried_and_the_table_says_so(trials: list[Trial]) -> None:
    assert len(trials) == len(catalogue.ALL), "run the whole file: only some were tried"
    good = [trial for trial in trials if not trial.problems()]
    assert len(trials) >= LEAST
    assert len(good) >= SHARE * len(trials)
    table = catalogue.table({trial.case.name: catalogue.repair_text(trial) for trial in trials})
    if os.environ.get("WRITE_DOCS"):
        catalogue.WRITTEN.write(table)
    assert catalogue.WRITTEN.read() == table
