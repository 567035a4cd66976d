"""A test for which a Python is missing fails and says which; none passes by being skipped."""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import clone
from tests.support.clone import python_311, python_311_for
from tests.support.project import ROOT

OWN, SHARED = "/root/bin/python3.11", "/usr/bin/python3.11"


@pytest.fixture
def own(monkeypatch: pytest.MonkeyPatch) -> None:
    """The only Python of the machine is one that its owner alone can run."""
    monkeypatch.setattr(clone, "pythons", lambda _minor: {"3.11.9": OWN})
    monkeypatch.setattr(clone, "_runs_for", lambda _user, path: path != OWN)


@pytest.mark.usefixtures("own")
def test_another_user_gets_the_python_that_it_can_run(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clone, "pythons", lambda _minor: {"3.11.9": OWN, "3.11.2": SHARED})
    assert python_311_for("nobody") == SHARED


@pytest.mark.usefixtures("own")
def test_without_a_python_for_the_user_the_test_fails_with_the_repair() -> None:
    with pytest.raises(pytest.fail.Exception, match="install one for all users"):
        python_311_for("nobody")


@pytest.mark.usefixtures("own")
@pytest.mark.parametrize("version", ["3.11.2", None])
def test_without_the_wanted_python_the_test_fails_with_the_repair(version: str | None) -> None:
    with pytest.raises(pytest.fail.Exception, match=r"pyenv install 3\.11"):
        python_311(version)


def test_a_user_runs_what_it_may_enter_only(tmp_path: Path) -> None:
    me = pwd.getpwuid(os.geteuid()).pw_name
    closed = tmp_path / "python3.11"
    closed.symlink_to(sys.executable)
    assert clone._runs_for(me, str(closed))
    tmp_path.chmod(0)
    try:
        assert not clone._runs_for("nobody", str(closed))
    finally:
        tmp_path.chmod(0o700)


def test_no_test_is_skipped() -> None:
    marks = ("pytest" + ".skip(", "mark" + ".skip", "importorskip" + "(")
    listed = subprocess.run(
        ["git", "ls-files", "tests/"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    found = [
        name
        for name in listed.stdout.splitlines()
        if name.endswith(".py") and any(mark in (ROOT / name).read_text() for mark in marks)
    ]
    assert found == []
