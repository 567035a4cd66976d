"""`xacct feed evolve` and `xacct feed sql`: what they say, write and return."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.support.project import EXTRA_FEEDS_DIR
from xacct_assets.operations import cli

HEADER = "order_id,line_no,sku,quantity,amount,gift,note,ordered_at"
ROW = "1,1,A,2,9.50,true,x,2026-01-01 10:00:00"
Run = Callable[..., tuple[int, str, str]]


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The folder of feed orders, which the commands work on."""
    monkeypatch.chdir(tmp_path)
    for name, value in {
        "XACCT_ACCOUNT_A": "111111111111",
        "XACCT_ACCOUNT_B": "222222222222",
        "XACCT_SUFFIX": "local",
        "AWS_REGION": "us-east-1",
        "XACCT_EXTRA_FEEDS_DIR": str(tmp_path / "feeds"),
    }.items():
        monkeypatch.setenv(name, value)
    shutil.copytree(EXTRA_FEEDS_DIR / "orders", tmp_path / "feeds" / "orders")
    return tmp_path / "feeds" / "orders"


@pytest.fixture
def run(folder: Path, capsys: pytest.CaptureFixture[str]) -> Run:
    def call(*arguments: str) -> tuple[int, str, str]:
        code = cli.main(["--no-env-file", "feed", *arguments])
        shown = capsys.readouterr()
        return code, shown.out, shown.err

    return call


def sample(header: str = HEADER, *rows: str) -> str:
    Path("sample.csv").write_text("\n".join([header, *(rows or (ROW,))]) + "\n", encoding="utf-8")
    return "sample.csv"


def test_a_file_as_the_feed_says_changes_nothing(run: Run) -> None:
    code, shown, _ = run("evolve", "orders", "--from", sample())
    assert code == 0
    assert "nothing to change" in shown


def test_nothing_is_written_before_somebody_agreed(run: Run, folder: Path) -> None:
    before = {path.name: path.read_text() for path in folder.iterdir()}
    code, shown, error = run("evolve", "orders", "--from", sample(f"{HEADER},colour", f"{ROW},red"))
    assert code == 2
    assert "new: colour varchar(16) ('colour') 'red'" in shown
    assert "nothing was written; answer y, or add --yes" in error
    assert {path.name: path.read_text() for path in folder.iterdir()} == before


def test_what_was_agreed_to_is_written_and_checked(run: Run, folder: Path) -> None:
    given = sample(f"{HEADER},colour", f"{ROW},red")
    code, shown, _ = run("evolve", "orders", "--from", given, "--yes")
    assert code == 0
    assert "Next: `xacct deploy`" in shown
    assert (folder / "migrations" / "0001-new-colour.sql").is_file()
    assert run("sql", "orders", "--check")[0] == 0
    assert run("evolve", "orders", "--from", given)[0] == 0


def test_rows_without_a_value_change_nothing_unless_they_are_admitted(
    run: Run, folder: Path
) -> None:
    given = sample(HEADER, ROW, "2,1,,2,9.50,true,x,2026-01-01 10:00:00")
    code, shown, _ = run("evolve", "orders", "--from", given, "--yes")
    assert code == 0
    assert "empty: sku has rows without a value" in shown
    assert "nothing was written" in shown
    code, shown, _ = run("evolve", "orders", "--from", given, "--nullable", "sku", "--yes")
    assert "in the tables: nullable: sku may be NULL" in shown


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--drop", "note"), "it is no column that is gone (none is)"),
        (("--rename", "note"), "write COLUMN=HEADER"),
        (("--nullable", "order_id"), "it is no column of the feed, or of its key"),
    ],
)
def test_a_wrong_flag_is_refused_with_the_reason(
    run: Run, arguments: tuple[str, ...], said: str
) -> None:
    code, _, error = run("evolve", "orders", "--from", sample(), *arguments)
    assert code == 1
    assert said in error


def test_a_date_that_may_be_read_twice_is_asked_for(run: Run) -> None:
    given = sample(f"{HEADER},sent", f"{ROW},03/04/2026", f"{ROW},05/06/2026")
    code, _, error = run("evolve", "orders", "--from", given)
    assert code == 2
    assert "--date-order dmy" in error
    code, _, _ = run("evolve", "orders", "--from", given, "--date-order", "dmy", "--yes")
    assert code == 0


def test_sql_that_is_not_what_would_be_written_is_named(run: Run, folder: Path) -> None:
    (folder / "fact.sql").unlink()
    code, _, error = run("sql", "orders", "--check")
    assert code == 1
    assert "fact.sql does not exist: xacct feed sql orders" in error
    assert run("sql", "orders")[0] == 0
    assert run("sql", "orders", "--check")[0] == 0
    code, _, error = run("sql", "nothing")
    assert code == 2
    assert "There is no feed 'nothing'" in error
