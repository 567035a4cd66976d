"""The days of `land`, and command lines that are refused."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta

import pytest

from xacct_sandbox import cli
from xacct_sandbox.landing import days_to_land


def test_days_start_with_the_given_date() -> None:
    assert days_to_land(date(2026, 2, 27), 3) == [
        date(2026, 2, 27),
        date(2026, 2, 28),
        date(2026, 3, 1),
    ]


@pytest.mark.parametrize("count", [1, 3])
def test_without_a_date_they_end_yesterday(count: int) -> None:
    days = days_to_land(None, count)
    assert days[-1] == datetime.now(UTC).date() - timedelta(days=1)
    assert len(set(days)) == count
    assert days == sorted(days)


def test_the_help_says_which_day_the_date_is(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["land", "--help"])
    assert "--date DATE the first day" in " ".join(capsys.readouterr().out.split())


@pytest.mark.parametrize(
    "arguments",
    [
        ["land", "--days", "0"],
        ["land", "--rows", "-1"],
        ["land", "--date", "31.01.2026"],
        ["land", "--broken", "badly"],
        ["env"],
        ["env", "--as", "root"],
        ["fly"],
        [],
    ],
    ids=" ".join,
)
def test_an_invalid_command_line_is_refused_with_the_usage(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(arguments)
    assert ended.value.code == 2
    assert "usage: xacct-sandbox" in capsys.readouterr().err
