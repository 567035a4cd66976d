"""The package as production has it: its wheel in a virtual environment without this checkout."""

from __future__ import annotations

import itertools
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from tests.support.project import ROOT

PYTHONS = ("3.11", "3.12", "3.13")
# Records each module of this project that any process of the environment imports.
IMPORT_LOG = "COMPAT_IMPORT_LOG"
IMPORT_RECORDER = f"""
import os, sys

class Recorder:
    def find_spec(self, name, path=None, target=None):
        log = os.environ.get("{IMPORT_LOG}")
        if log and name.startswith("xacct_"):
            with open(log, "a", encoding="utf-8") as lines:
                lines.write(name + "\\n")
        return None

sys.meta_path.insert(0, Recorder())
"""


@dataclass(frozen=True)
class Release:
    """Which Dagster an installation gets.

    Attributes:
        name: "lowest" or "highest".
        requirements: what pip is asked for beside the wheel.
    """

    name: str
    requirements: tuple[str, ...]


@dataclass(frozen=True)
class Case:
    """One combination.

    Attributes:
        number: makes the month of the case's days, so that no two cases share a day.
    """

    number: int
    python: str
    interpreter: str
    release: Release

    def day(self, number: int) -> str:
        """A day of the case's month."""
        return f"2026-{self.number:02}-{number:02}"


@dataclass(frozen=True)
class Installation:
    """A virtual environment with the wheel, `dagster-webserver` and `dagster-postgres`.

    Attributes:
        folder: of the environment.
    """

    folder: Path

    @property
    def commands(self) -> Path:
        """The folder of the environment's commands."""
        return self.folder / "bin"

    @property
    def import_log(self) -> Path:
        """Names of this project's modules that the environment's processes imported."""
        return self.folder / "imports"

    @property
    def versions(self) -> dict[str, str]:
        """Installed distributions: name -> version."""
        lines = self.run("pip", "freeze", "--all").splitlines()
        return dict(line.split("==") for line in lines if "==" in line)

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """The environment of its processes: ``variables``, nothing of the repository's own."""
        ours = {"PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV"}
        kept = {name: value for name, value in variables.items() if name not in ours}
        return {**kept, IMPORT_LOG: str(self.import_log)}

    def run(self, command: str, *arguments: str, variables: Mapping[str, str] = os.environ) -> str:
        """What one of its commands prints.

        Raises:
            AssertionError: the command failed; with what it printed.
        """
        completed = subprocess.run(
            [str(self.commands / command), *arguments],
            cwd=self.folder,
            env=self.environment(variables),
            capture_output=True,
            text=True,
            check=False,
        )
        assert completed.returncode == 0, f"{command}: {completed.stdout}\n{completed.stderr}"
        return completed.stdout


def build_wheel(folder: Path) -> Path:
    """Builds the wheel of this checkout into ``folder``."""
    subprocess.run(
        [sys.executable, "-m", "pip", "wheel", "-q", "--no-deps", "-w", str(folder), str(ROOT)],
        check=True,
    )
    (wheel,) = folder.glob("xacct_assets-*.whl")
    return wheel


def install(
    folder: Path,
    python: str,
    wheel: Path,
    release: Release,
    extras: str = "webserver,postgres",
) -> Installation:
    """Makes the environment and installs into it."""
    subprocess.run([python, "-m", "venv", str(folder)], check=True)
    installation = Installation(folder)
    installation.run("pip", "install", "-q", f"{wheel}[{extras}]", *release.requirements)
    packages = next((folder / "lib").glob("python3*")) / "site-packages"
    (packages / "compat_import_recorder.py").write_text(IMPORT_RECORDER, encoding="utf-8")
    (packages / "compat_import_recorder.pth").write_text(
        "import compat_import_recorder\n", encoding="utf-8"
    )
    return installation


def releases() -> list[Release]:
    """The lowest Dagster that the project allows, and the highest that can be installed."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    extras = project["optional-dependencies"]
    ranges = [*project["dependencies"], *extras["webserver"], *extras["postgres"]]
    lowest = [
        f"{match['name']}=={match['version']}"
        for text in ranges
        if (match := re.fullmatch(r"(?P<name>dagster[\w-]*)>=(?P<version>[\d.]+),<[\d.]+", text))
    ]
    return [Release("lowest", tuple(lowest)), Release("highest", ())]


def pythons() -> dict[str, str]:
    """The supported Pythons on this machine: version -> the interpreter's path."""
    return {
        version: path
        for version in PYTHONS
        if (path := next((path for path in _candidates(version) if _works(path)), None))
    }


def cases() -> list[Case]:
    """Each Python with each release."""
    combinations = itertools.product(pythons().items(), releases())
    return [
        Case(number, python, interpreter, release)
        for number, ((python, interpreter), release) in enumerate(combinations, start=1)
    ]


def _candidates(version: str) -> Iterator[str]:
    if found := shutil.which(f"python{version}"):
        yield found
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from map(str, sorted(versions.glob(f"{version}.*/bin/python{version}")))


def _works(python: str) -> bool:
    """True if it can make virtual environments (a pyenv shim or a Debian package may not)."""
    probe = [python, "-c", "import ensurepip, venv"]
    return subprocess.run(probe, capture_output=True, check=False).returncode == 0
