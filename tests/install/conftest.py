"""Clones to install and run in. Each is made when a test first needs it, and removed at the end."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from tests.support.clone import DEBIAN_12, Clone, newest, python_311, python_311_for, pythons
from tests.support.sandbox import free_port, free_wire_port, sandbox_folder

ODD_NAME = "it's my repo dir é"
UNPRIVILEGED = "nobody"
HOME_VARIABLES = ("HOME", "USER", "LOGNAME")

MakeClone = Callable[..., Clone]


@pytest.fixture(scope="session")
def make_clone() -> Iterator[MakeClone]:
    """Makes and installs clones with ports of their own."""
    with sandbox_folder() as folder:
        folder.chmod(0o755)  # another user's clone is in it
        made: list[Clone] = []

        def clone(name: str, python: str, **settings: object) -> Clone:
            used = {each.redshift_port for each in made}
            port = next(port for port in iter(free_wire_port, None) if port not in used)
            new = Clone.create(
                folder / name, python=python, aws_port=free_port(), redshift_port=port, **settings
            )
            made.append(new)
            # All that a test needs: some of them install nothing, as their proxy answers nobody.
            new.make("setup", ".venv/ready-test")
            return new

        try:
            yield clone
        finally:
            for each in made:
                each.remove()


@pytest.fixture(scope="session")
def plain(make_clone: MakeClone) -> Clone:
    """On the newest Python 3.11."""
    return make_clone("plain", python_311(newest("3.11")))


@pytest.fixture(scope="session")
def odd(make_clone: MakeClone) -> Clone:
    """In a folder with blanks, an apostrophe and an accent; on Debian 12's Python if it is here."""
    version = DEBIAN_12 if DEBIAN_12 in pythons("3.11") else newest("3.11")
    return make_clone(ODD_NAME, python_311(version))


@pytest.fixture(scope="session")
def private(make_clone: MakeClone) -> Clone:
    """Installed with `umask 077`."""
    return make_clone("private", python_311(newest("3.11")), umask=0o077)


@pytest.fixture(scope="session")
def unprivileged(
    make_clone: MakeClone, request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Clone:
    """Of a user who is not root and has no HOME."""
    if os.geteuid() != 0:
        return replace(request.getfixturevalue("plain"), without=HOME_VARIABLES)
    with sandbox_folder() as folder:
        folder.chmod(0o755)
        cache = _copy_of_pip_cache(folder)
        return make_clone(
            "unprivileged",
            python_311_for(UNPRIVILEGED),
            user=UNPRIVILEGED,
            without=HOME_VARIABLES,
            variables={"PIP_CACHE_DIR": str(cache)},
        )


def _copy_of_pip_cache(folder: Path) -> Path:
    """A copy that the other user may use, so that nothing is downloaded again."""
    shown = subprocess.run(
        [sys.executable, "-m", "pip", "cache", "dir"], capture_output=True, text=True, check=False
    )
    copy = folder / "pip-cache"
    source = Path(shown.stdout.strip() or "/nonexistent")
    if source.is_dir():
        shutil.copytree(source, copy)
    copy.mkdir(exist_ok=True)
    subprocess.run(["chown", "-R", UNPRIVILEGED, str(copy)], check=True)
    return copy
