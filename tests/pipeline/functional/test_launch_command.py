"""`dg launch` with days that are none of the feed: refused by name, without a traceback."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import click
import dagster as dg
import pytest

from tests.support.project import ROOT
from xacct_assets.feed.component import feed_definitions
from xacct_assets.feed.launch_command import refuse_other_days
from xacct_assets.feed.loader import load_feed

SETTINGS = {
    "XACCT_ACCOUNT_A": "111111111111",
    "XACCT_ACCOUNT_B": "222222222222",
    "XACCT_SUFFIX": "test",
    "AWS_REGION": "us-east-1",
}
PRODUCTS = {"assets": "group:products"}


@pytest.fixture(scope="module")
def definitions() -> dg.Definitions:
    return feed_definitions(load_feed("products"))


def refusal(definitions: dg.Definitions, command: str = "launch", **options: str) -> str | None:
    """The message with which the command is refused, if it is."""
    context = click.Context(click.Command(command), info_name=command)
    context.params = dict(options)
    with context:
        try:
            refuse_other_days(definitions, [load_feed("products")])
        except click.UsageError as refused:
            return refused.message
    return None


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        ({"partition": "2025-12-31"}, "2025-12-31 is not a day of feed products (it starts"),
        ({"partition": "9999-12-31"}, "9999-12-31 is not a day of feed products"),
        ({"partition": "31.12.2026"}, "neither a day (2026-01-31) nor a range"),
        ({"partition": "2026-01-01...2026-01-02"}, "give --partition-range 2026-01-01...2026-01"),
        ({"partition_range": "2026-01-01"}, "give --partition 2026-01-01"),
        ({"partition_range": "2025-12-31...2026-01-02"}, "2025-12-31 is not a day of feed prod"),
        ({"partition_range": "2026-01-02...2026-01-01"}, "ends before it starts"),
        ({"partition_range": "2026-01-02..2026-01-03"}, "neither a day"),
    ],
)
@pytest.mark.parametrize(
    "target", [PRODUCTS, {"assets": "key:products/s3_export"}, {"job": "products_day"}]
)
def test_days_that_are_none_of_the_launched_feed_are_refused(
    definitions: dg.Definitions, target: dict[str, str], options: dict[str, str], reason: str
) -> None:
    message = refusal(definitions, **target, **options)
    assert message is not None
    assert reason in message
    assert message.endswith(". Nothing was run.")


@pytest.mark.parametrize(
    "options",
    [
        {**PRODUCTS, "partition": "2026-01-01"},
        {**PRODUCTS, "partition_range": "2026-01-01...2026-01-03"},
        {"job": "products_day", "partition": "2026-01-01"},
        {"assets": "key:another/asset", "partition": "1999-01-01"},
        {"job": "another", "partition": "1999-01-01"},
        {"assets": "key:another/asset"},
    ],
)
def test_days_of_the_feed_and_other_assets_are_left_to_dagster(
    definitions: dg.Definitions, options: dict[str, str]
) -> None:
    assert refusal(definitions, **options) is None


def test_other_commands_are_left_alone(definitions: dg.Definitions) -> None:
    assert refusal(definitions, "list", **PRODUCTS, partition="2025-12-31") is None
    assert refusal(definitions, "materialize", select="group:products", partition="2025-12-31")


@pytest.mark.parametrize(
    "command",
    [
        ("dg", "launch", "--assets", "group:products"),
        ("dagster", "asset", "materialize", "--select", "group:products", "-m"),
    ],
    ids=["dg", "dagster"],
)
def test_the_command_ends_with_the_message_alone(command: tuple[str, ...]) -> None:
    module = ["xacct_assets.definitions"] if command[-1] == "-m" else []
    answer = subprocess.run(
        [
            *(str(Path(sys.executable).with_name(command[0])), *command[1:], *module),
            *("--partition", "2025-12-31"),
        ],
        cwd=ROOT,
        env={**os.environ, **SETTINGS},
        capture_output=True,
        text=True,
        check=False,
    )
    assert answer.returncode == 2, answer.stderr
    assert "2025-12-31 is not a day of feed products (it starts 2026-01-01 and" in answer.stderr
    assert "Traceback" not in answer.stderr + answer.stdout
