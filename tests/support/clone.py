"""A clone of this repository as a user has it: its own folder, `make`, its own ports."""

from __future__ import annotations

import functools
import logging
import os
import pwd
import re
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from tests.support.project import ROOT

logger = logging.getLogger(__name__)

DEBIAN_12 = "3.11.2"
"""The version of Debian 12's own Python."""

PROXIES = re.compile(r"(http|https|all|no)_proxy", re.IGNORECASE)
# What this test session has in its environment and a user's shell has not.
OURS = re.compile(
    r"(AWS|XACCT|DAGSTER|PYTEST)_.*|VIRTUAL_ENV|MAKE.*|MFLAGS|PYTHON|no_proxy|NO_PROXY"
)
TAIL_LINES = 60


@dataclass(frozen=True)
class Clone:
    """A clone, and how its user works in it.

    Attributes:
        folder: of the clone.
        python: the Python that `make setup` is told to use.
        aws_port: of its sandbox.
        redshift_port: of its sandbox.
        user: runs everything; None: the user of the tests.
        umask: of everything that runs.
        variables: of everything that runs.
        without: names of variables that nothing that runs has.
    """

    folder: Path
    python: str
    aws_port: int
    redshift_port: int
    user: str | None = None
    umask: int = 0o022
    variables: Mapping[str, str] = field(default_factory=dict)
    without: tuple[str, ...] = ()

    @classmethod
    def create(cls, folder: Path, *, user: str | None = None, **settings: object) -> Clone:
        """Clones what is committed into ``folder``."""
        subprocess.run(["git", "clone", "--quiet", str(ROOT), str(folder)], check=True)
        if user is not None:
            subprocess.run(["chown", "-R", user, str(folder)], check=True)
        return cls(folder, user=user, **settings)  # type: ignore[arg-type]

    def environment(self, variables: Mapping[str, str]) -> dict[str, str]:
        """The environment of a command: a user's shell with these variables.

        If one of them is a proxy, it is the only one.
        """
        shell = {name: value for name, value in os.environ.items() if not OURS.fullmatch(name)}
        if any(PROXIES.fullmatch(name) for name in variables):
            shell = {name: value for name, value in shell.items() if not PROXIES.fullmatch(name)}
        shell = {name: value for name, value in shell.items() if name not in self.without}
        return {
            **shell,
            "XACCT_SANDBOX_PORT": str(self.aws_port),
            "XACCT_SANDBOX_REDSHIFT_PORT": str(self.redshift_port),
            **self.variables,
            **variables,
        }

    def start(self, *command: str, **variables: str) -> subprocess.Popen[str]:
        """Starts a command in the clone, as its user."""
        account = None if self.user is None else pwd.getpwnam(self.user)
        return subprocess.Popen(
            command,
            cwd=self.folder,
            env=self.environment(variables),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            umask=self.umask,
            user=None if account is None else account.pw_uid,
            group=None if account is None else account.pw_gid,
            extra_groups=None if account is None else [],
        )

    def run(self, *command: str, **variables: str) -> str:
        """Runs a command to its end.

        Returns:
            What it printed.

        Raises:
            AssertionError: it failed; with the end of what it printed.
        """
        logger.info("%s: %s %s", self.folder.name, " ".join(command), variables or "")
        return finished(self.start(*command, **variables))

    def make(self, *targets: str, **variables: str) -> str:
        """Runs `make` with the clone's Python."""
        return self.run("make", f"PYTHON={self.python}", *targets, **variables)

    def reset(self) -> None:
        """Stops the sandbox and deletes its state, so that the next `make run` starts anew."""
        if (self.folder / ".venv" / "ready").exists():
            self.run(".venv/bin/xacct-sandbox", "reset", "--yes")

    def remove(self) -> None:
        """Ends everything that was started in the clone, and deletes it."""
        self.reset()
        shutil.rmtree(self.folder)


def finished(process: subprocess.Popen[str]) -> str:
    """Waits for a command. Returns what it printed.

    Raises:
        AssertionError: it failed; with the end of what it printed.
    """
    output, _ = process.communicate()
    if process.returncode != 0:
        tail = "\n".join(output.splitlines()[-TAIL_LINES:])
        raise AssertionError(f"{process.args} ended with {process.returncode}:\n{tail}")
    return output


@functools.cache
def pythons(minor: str) -> dict[str, str]:
    """The Pythons of a minor version that can make virtual environments: version -> path."""
    found: dict[str, str] = {}
    for candidate in _candidates(minor):
        probe = subprocess.run(
            [
                candidate,
                "-c",
                "import ensurepip, venv, platform, sys;"
                "print(platform.python_version(), sys.executable)",
            ],
            capture_output=True,
            text=True,
            check=False,
        )
        if probe.returncode == 0:
            version, path = probe.stdout.strip().split(" ", 1)
            found.setdefault(version, path)
    return found


def newest(minor: str) -> str | None:
    """The version of the newest Python of a minor version."""
    return max(
        pythons(minor), key=lambda text: [int(n) for n in re.findall(r"\d+", text)], default=None
    )


def python_311(version: str | None) -> str:
    """The path of a Python 3.11. Without it nothing is proven, so the test fails."""
    found = pythons("3.11")
    if version not in found:
        wanted = version or "3.11"
        pytest.fail(
            f"Python {wanted} with ensurepip and venv is not on this machine (found: "
            f"{list(found)}); install it, for instance by `pyenv install {wanted}`"
        )
    return found[str(version)]


def python_311_for(user: str) -> str:
    """The path of a Python 3.11 that a user can run. Without one the test fails.

    Those that root has installed by pyenv are in a folder that only root may enter.
    """
    found = pythons("3.11")
    python = next((path for path in found.values() if _runs_for(user, path)), None)
    if python is None:
        pytest.fail(
            f"no Python 3.11 that {user} can run (found: {found}); install one for all users"
            " (Debian: `apt-get install python3.11-venv`), or do not run the tests as root"
        )
    return python


def _runs_for(user: str, python: str) -> bool:
    other = {"user": user} if os.geteuid() == 0 else {}
    command = [python, "-c", "import ensurepip, venv, ssl"]
    try:
        done = subprocess.run(command, capture_output=True, check=False, **other)
    except PermissionError:
        return False
    return done.returncode == 0


def _candidates(minor: str) -> Iterator[str]:
    for folder in os.get_exec_path():
        if (path := Path(folder) / f"python{minor}").exists():
            yield str(path)
    versions = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv")) / "versions"
    yield from map(str, sorted(versions.glob(f"{minor}.*/bin/python{minor}")))
