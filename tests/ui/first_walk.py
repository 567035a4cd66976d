"""`make run` as a new user runs it, and the commands that it prints at its end."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.support.project import ROOT
from tests.support.sandbox import free_aws_port, free_port, free_wire_port, sandbox_folder
from xacct_sandbox.daemon.config import (
    AWS_PORT_VARIABLE,
    HOME_VARIABLE,
    REDSHIFT_PORT_VARIABLE,
    SandboxConfig,
)

COMMANDS = Path(sys.executable).parent
STARTED_WITHIN = 600
# Of a checkout, what `make run` writes itself.
WRITTEN = (".env", ".xacct", "build")


@dataclass(frozen=True)
class FirstWalk:
    """The demo, with its UI served.

    Attributes:
        folder: a checkout.
        config: of its sandbox.
        url: of the UI.
        log: what `make run` has printed until now.
    """

    folder: Path
    config: SandboxConfig
    url: str
    log: Path

    @property
    def printed(self) -> str:
        return self.log.read_text(encoding="utf-8")

    @property
    def next_commands(self) -> list[str]:
        """The commands among the closing lines, in their order."""
        lines = self.printed.partition("in a second terminal")[2].splitlines()
        commands = [line.partition(" #")[0].strip() for line in lines if line.startswith("  ")]
        assert commands[0] == ". .venv/bin/activate", self.printed
        return commands[1:]

    def run(self, command: str) -> str:
        """Run a printed command in a shell of that checkout. Returns what it prints."""
        done = subprocess.run(
            ["bash", "-c", command],
            cwd=self.folder,
            env=environment(self.config),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{command}\n{done.stdout}\n{done.stderr}"
        return done.stdout


def environment(config: SandboxConfig) -> dict[str, str]:
    """A user's shell with an activated environment, and ports of its own for the sandbox."""
    own = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("AWS_", "XACCT_", "DAGSTER_", "PYTHON"))
    }
    return {
        **own,
        "PATH": f"{COMMANDS}:{own['PATH']}",
        HOME_VARIABLE: str(config.home),
        AWS_PORT_VARIABLE: str(config.aws_port),
        REDSHIFT_PORT_VARIABLE: str(config.redshift_port),
    }


@contextmanager
def first_walk(log: Path, *options: str) -> Iterator[FirstWalk]:
    """What `make run` runs, until its closing lines are printed; all ended afterwards."""
    with sandbox_folder() as parent:
        folder = parent / "clone"
        folder.mkdir()
        for path in ROOT.iterdir():
            if path.name not in WRITTEN and not path.name.startswith(".git"):
                (folder / path.name).symlink_to(path)
        config = SandboxConfig(
            home=folder / ".xacct", aws_port=free_aws_port(), redshift_port=free_wire_port()
        )
        port = free_port()
        command = [str(COMMANDS / "xacct-sandbox"), "demo", "--ui-port", str(port), *options]
        with (
            log.open("wb") as output,
            subprocess.Popen(
                command,
                cwd=folder,
                env=environment(config),
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            ) as process,
        ):
            try:
                _wait_for_closing_lines(process, log)
                yield FirstWalk(folder, config, f"http://127.0.0.1:{port}", log)
            finally:
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGINT)
                with suppress(subprocess.TimeoutExpired):
                    process.wait(60)
                process.kill()
                subprocess.run(
                    [str(COMMANDS / "xacct-sandbox"), "down"],
                    cwd=folder,
                    env=environment(config),
                    capture_output=True,
                    check=False,
                )


def _wait_for_closing_lines(process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + STARTED_WITHIN
    while not re.search(r"^Ctrl-C ends the UI", log.read_text(), re.MULTILINE):
        if process.poll() is not None or time.monotonic() > deadline:
            pytest.fail(f"`make run` did not serve the UI:\n{log.read_text()}")
        time.sleep(0.25)
