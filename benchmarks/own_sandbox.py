"""A sandbox of a benchmark's own: free ports, a folder that goes away, both accounts deployed."""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from xacct_sandbox.daemon import lifecycle, ports
from xacct_sandbox.daemon.config import (
    AWS_PORT_VARIABLE,
    HOST,
    REDSHIFT_PORT_VARIABLE,
    SandboxConfig,
)

#: The ports that Redshift Serverless allows, less the usual one.
_WIRE_PORTS = (*range(8191, 8216), *range(5431, 5439), *range(5440, 5456))


class SandboxFailed(Exception):
    """The benchmark's sandbox did not come up."""


class Progress:
    """Lines with the time since the start."""

    def __init__(self) -> None:
        self._began = time.monotonic()

    @property
    def seconds(self) -> float:
        return time.monotonic() - self._began

    def __call__(self, text: str) -> None:
        sys.stdout.write(f"[{self.seconds:6.1f} s] {text}\n")
        sys.stdout.flush()


@contextmanager
def own_sandbox(
    say: Callable[[str], None], settings: Mapping[str, str] | None = None
) -> Iterator[SandboxConfig]:
    """A running, deployed sandbox, gone afterwards.

    Args:
        say: called with progress messages.
        settings: more variables for its daemon. All ``XACCT_`` and ``AWS_`` variables of this
            shell are dropped from this process first: a benchmark measures nobody else's sandbox.

    Raises:
        SandboxFailed: no port is free, or the accounts cannot be deployed.
    """
    with fresh_home() as config:
        os.environ.update(settings or {})
        folder = config.home.parent
        try:
            lifecycle.start(config, say)
            deployed = subprocess.run(
                [
                    sys.executable,
                    "-m",
                    "xacct_assets.operations.cli",
                    "--no-env-file",
                    "deploy",
                    "--yes",
                ],
                env=lifecycle.client_environment(config),
                cwd=folder,
                capture_output=True,
                text=True,
                check=False,
            )
            if deployed.returncode:
                raise SandboxFailed(f"`xacct deploy` failed:\n{deployed.stdout}{deployed.stderr}")
            say("both accounts are deployed")
            yield config
        finally:
            lifecycle.stop(config, say)


@contextmanager
def fresh_home() -> Iterator[SandboxConfig]:
    """A folder and ports for a sandbox that is not started yet."""
    aws_port = int(os.environ.get(AWS_PORT_VARIABLE) or free_port())
    redshift_port = int(os.environ.get(REDSHIFT_PORT_VARIABLE) or _free_wire_port())
    for name in [name for name in os.environ if name.startswith(("XACCT_", "AWS_"))]:
        del os.environ[name]
    with tempfile.TemporaryDirectory(prefix="xacct-bench-") as folder:
        yield SandboxConfig(
            home=Path(folder) / "home", aws_port=aws_port, redshift_port=redshift_port
        )


@contextmanager
def environment(variables: Mapping[str, str]) -> Iterator[None]:
    """Point boto3 somewhere: clients that are made in here stay there."""
    before = dict(os.environ)
    os.environ.update(variables)
    try:
        yield
    finally:
        os.environ.clear()
        os.environ.update(before)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return int(probe.getsockname()[1])


def _free_wire_port() -> int:
    # In any order: what starts beside this one looks for the first free port as well.
    tried = random.sample(_WIRE_PORTS, len(_WIRE_PORTS))
    free = next((port for port in tried if ports.is_free(port)), None)
    if free is None:
        raise SandboxFailed(f"no port for Redshift is free (set {REDSHIFT_PORT_VARIABLE})")
    return free
