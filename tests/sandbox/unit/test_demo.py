"""What `make run` says, and what it refuses, without starting anything."""

from __future__ import annotations

import argparse
from datetime import date
from pathlib import Path

import pytest

from tests.support.project import ROOT
from xacct_sandbox import cli, demo
from xacct_sandbox.daemon import env_file
from xacct_sandbox.daemon.config import SandboxConfig, SandboxError

URL = "http://127.0.0.1:3000"
DAY = date(2026, 11, 28)


def commands() -> list[str]:
    """The commands among the closing lines, in their order."""
    lines = demo.next_steps(URL, DAY).splitlines()
    return [line.partition(" #")[0].strip() for line in lines if line.startswith("  ")]


def test_the_next_commands_are_those_of_the_readmes_first_walk() -> None:
    readme = (ROOT / "README.md").read_text(encoding="utf-8").replace("$day", str(DAY))
    walk = readme.partition("### The first walk")[2]
    at = 0
    for command in commands():
        at = walk.index(f"\n{command}", at) + 1
    assert f"<{URL}/assets/products/raw_partition?view=partitions>" in walk
    assert f"{URL}/assets/products/raw_partition?view=partitions" in demo.next_steps(URL, DAY)


def test_the_next_commands_exist_with_their_options() -> None:
    ours = [command for command in commands() if command.startswith("xacct-sandbox ")]
    assert len(ours) == 3
    parser = cli._parser()
    for command in ours:
        options = parser.parse_args(command.split()[1:])
        assert (options.command, options.date) == ("land", DAY)


def test_lines_fit_a_terminal() -> None:
    assert max(map(len, demo.next_steps(URL, DAY).splitlines())) <= 100


def test_a_users_own_env_file_is_refused_since_dagster_would_prefer_it(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    demo.check_env_file(path)
    env_file.write(SandboxConfig(home=tmp_path / "home"), tmp_path)
    demo.check_env_file(path)
    path.write_text("AWS_PROFILE=work\n")
    with pytest.raises(SandboxError, match="is your own"):
        demo.check_env_file(path)


@pytest.fixture
def served(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> list[int]:
    """The ports that the UI was served on; everything else of the demo is left out."""
    monkeypatch.chdir(tmp_path)
    ports: list[int] = []
    config = SandboxConfig(home=tmp_path / "home")
    monkeypatch.setattr(demo.commands, "start_and_deploy", lambda say: config)
    monkeypatch.setattr(demo, "days_without_files", lambda config, days: [])
    monkeypatch.setattr(demo.landing, "land_products", lambda *_, **__: None)
    monkeypatch.setattr(demo, "check_ui_port", lambda port, config: None)
    monkeypatch.setattr(demo, "serve_ui", lambda config, port, *_: ports.append(port) or 0)
    return ports


def options(*, no_ui: bool) -> argparse.Namespace:
    return argparse.Namespace(no_ui=no_ui, ui_port=3000, days=1, rows=10)


def test_the_ui_is_served_even_if_a_day_is_wrong(
    served: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A file that was broken yesterday must not keep anybody from looking at it today."""
    monkeypatch.setattr(demo, "run_days", lambda *_: False)
    assert demo.run(options(no_ui=False)) == 0
    assert served == [3000]
    with pytest.raises(SandboxError, match="a day is not right"):
        demo.run(options(no_ui=True))


def test_a_run_that_fails_does_not_keep_other_days_from_running(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    days = [date(2026, 1, 1), date(2026, 1, 3)]
    rows = [{"partition": str(day), "ok": False} for day in days]
    monkeypatch.setattr(demo, "reconciliation", lambda *_: rows)
    monkeypatch.setattr(demo, "show_reconciliation", lambda *_: 1)
    tried: list[date] = []

    def materialize(first: date, *_: object) -> None:
        tried.append(first)
        if first == days[0]:
            raise SandboxError("the file is broken")

    monkeypatch.setattr(demo, "materialize", materialize)
    config = SandboxConfig(home=tmp_path)
    assert not demo.run_days(config, days, {}, lambda text: None)
    assert tried == days
    assert "the file is broken" in capsys.readouterr().out
