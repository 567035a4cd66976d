"""The options and the help of `xacct-sandbox fault`."""

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


def test_the_options_of_add_become_a_fault() -> None:
    assert cli.fault_of(_parsed("add", "throttle")) == Fault("throttle")
    words = (
        "add slow --service s3 --operation GetObject --count 0 --probability 0.5 --after 2 "
        "--seconds 1.5 --match a.csv --seed 7 --principal role/x"
    )
    assert cli.fault_of(_parsed(*words.split())) == Fault(
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


def test_every_command_in_the_documentation_plans_a_possible_fault() -> None:
    lines = [line for line in DOCUMENT.read_text().splitlines() if line.startswith(ADD)]
    assert len(lines) >= 4
    for line in lines:
        words = shlex.split(line, comments=True)[2:]
        check(cli.fault_of(_parsed(*words)))


def test_the_documentation_names_every_kind() -> None:
    text = DOCUMENT.read_text()
    assert [kind for kind in KINDS if f"`{kind}`" not in text] == []


def test_the_help_of_add_lists_every_kind(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        _parsed("add", "--help")
    help_text = capsys.readouterr().out
    for name, kind in KINDS.items():
        assert f"  {name} " in help_text
        assert kind.what in help_text
