"""`xacct-sandbox fault`: what it takes, what it says."""

from __future__ import annotations

import argparse
import shlex

import pytest

from tests.support.project import ROOT
from xacct_sandbox.faults import Fault, cli
from xacct_sandbox.faults.kinds import KINDS, check

DOCUMENT = ROOT / "docs" / "sandbox.md"
ADD = "xacct-sandbox fault add"


def _parsed(*words: str) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    cli.add_command(parser.add_subparsers())
    return parser.parse_args(["fault", *words])


def test_an_added_fault_is_what_its_options_say() -> None:
    assert cli.planned(_parsed("add", "throttle")) == Fault("throttle")
    words = (
        "add slow --service s3 --operation GetObject --count 0 --probability 0.5 --after 2 "
        "--seconds 1.5 --match a.csv --seed 7 --principal role/x"
    )
    assert cli.planned(_parsed(*words.split())) == Fault(
        "slow",
        service="s3",
        operation="GetObject",
        count=None,
        probability=0.5,
        after=2,
        seconds=1.5,
        match="a.csv",
        seed=7,
        principal="role/x",
    )


def test_every_command_in_the_documentation_plans_something_that_can_strike() -> None:
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith(ADD)]
    assert len(lines) >= 4
    for line in lines:
        words = shlex.split(line, comments=True)[2:]
        check(cli.planned(_parsed(*words)))


def test_the_documentation_names_every_kind() -> None:
    text = DOCUMENT.read_text()
    assert [kind for kind in KINDS if f"`{kind}`" not in text] == []


def test_help_says_every_kind_and_where_it_strikes(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parsed("add", "--help")
    said = capsys.readouterr().out
    for name, kind in KINDS.items():
        assert f"  {name} " in said
        assert kind.what in said
