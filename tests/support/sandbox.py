"""One sandbox for all integration tests: its own ports, its own home, always ended.

``bare_sandbox`` is the services and the two accounts; ``sandbox`` is the same one after
``xacct deploy``. Both give boto3 clients by profile and the environment for subprocesses.
"""

from __future__ import annotations

import os
import random
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import boto3
import dagster as dg
import pytest

from tests.support import secret_scan
from xacct_sandbox.daemon import env_file, profiles
from xacct_sandbox.daemon.config import (
    AWS_PORT_VARIABLE,
    HOME_VARIABLE,
    REDSHIFT_PORT_VARIABLE,
    SandboxConfig,
)

if TYPE_CHECKING:
    from tests.support.pipeline import Pipeline

# Feeds that are added by YAML and SQL alone.
EXTRA_FEEDS_DIR = Path(__file__).parents[1] / "feeds"
# Redshift Serverless allows these ports only; the usual 5439 may be a running `make run`.
# Workers that test side by side take turns through them, so that none takes what another just saw
# to be free.
WIRE_PORTS = (*range(8191, 8216), *range(5431, 5439), *range(5440, 5456))
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


@dataclass(frozen=True)
class RunningSandbox:
    """A sandbox that answers. ``folder`` is where its ``.env`` was written."""

    config: SandboxConfig
    folder: Path
    more: dict[str, str] = field(default_factory=dict)
    """Settings of the daemon beyond its home and ports."""
    made: dict[tuple[str, str], Any] = field(default_factory=dict, compare=False, repr=False)
    """Clients by profile and service: boto3 takes a quarter of a second to make one."""
    instances: list[dg.DagsterInstance] = field(default_factory=list, compare=False, repr=False)
    """Event logs of the runs on it."""
    folders: list[Path] = field(default_factory=list, compare=False)
    """Where Dagster's processes on it write."""
    printed: list[tuple[str, str]] = field(default_factory=list, compare=False, repr=False)
    """Commands, and what they said."""
    canaries: set[str] = field(default_factory=set, compare=False, repr=False)
    """Secrets that tests planted in it. None of them, nor any of its own, may be in all that."""

    @property
    def environment(self) -> dict[str, str]:
        """The whole environment of a subprocess that works with this sandbox."""
        ours = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "XACCT_"))
        }
        return {**ours, **self.variables, **self.sandbox_variables}

    @property
    def variables(self) -> dict[str, str]:
        """What its ``.env`` says."""
        return env_file.variables(self.config)

    @property
    def sandbox_variables(self) -> dict[str, str]:
        """What `xacct-sandbox` itself is told by."""
        return {
            HOME_VARIABLE: str(self.config.home),
            AWS_PORT_VARIABLE: str(self.config.aws_port),
            REDSHIFT_PORT_VARIABLE: str(self.config.redshift_port),
            **self.more,
        }

    def session(self, profile: str) -> boto3.Session:
        """A session of account-a-admin, account-b-admin, developer or orchestrator."""
        if profile != "orchestrator":
            return profiles.session(self.config, profile)
        given = self.client("developer", "sts").assume_role(
            RoleArn=self.config.orchestrator_role_arn, RoleSessionName="tests"
        )["Credentials"]
        return boto3.Session(
            aws_access_key_id=given["AccessKeyId"],
            aws_secret_access_key=given["SecretAccessKey"],
            aws_session_token=given["SessionToken"],
            region_name=self.config.region,
        )

    def client(self, profile: str, service: str) -> Any:
        """A client of one of those users; asked for again, the same one."""
        if (profile, service) not in self.made:
            self.made[profile, service] = self.client_of(self.session(profile), service)
        return self.made[profile, service]

    def client_of(self, session: boto3.Session, service: str, **options: Any) -> Any:
        """A client of any session, pointed at this sandbox."""
        return session.client(
            service,
            endpoint_url=self.config.endpoint_url,
            verify=str(self.config.ca_bundle),
            **options,
        )

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """A module of ours in a subprocess, e.g. ``run("xacct_sandbox.cli", "status")``."""
        done = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self.printed.append((" ".join(command), done.stdout + done.stderr))
        if check and done.returncode:
            pytest.fail(
                f"{' '.join(command)} ended with {done.returncode}\n{done.stdout}\n{done.stderr}"
            )
        return done


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_wire_port() -> int:
    ports = WIRE_PORTS[WORKER::WORKERS]
    # In any order: a suite that starts beside this one looks for the first free port as well.
    for port in random.sample(ports, len(ports)):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise RuntimeError(f"none of the ports {WIRE_PORTS[WORKER::WORKERS]} is free")


@contextmanager
def sandbox_folder() -> Iterator[Path]:
    """A folder of its own, gone afterwards.

    Not pytest's: each pytest that starts takes away others' way into its folders, and run by root
    the sandbox's PostgreSQL is another user.
    """
    with tempfile.TemporaryDirectory(prefix="xacct-tests-") as folder:
        yield Path(folder)


@contextmanager
def running_sandbox(**settings: str) -> Iterator[RunningSandbox]:
    """A sandbox with nothing deployed, always ended; ``settings`` are further variables.

    Whatever was done with it: none of its secrets may have been written down.
    """
    with sandbox_folder() as folder:
        config = SandboxConfig(
            home=folder / "home", aws_port=free_port(), redshift_port=free_wire_port()
        )
        running = RunningSandbox(config, folder, more=settings)
        try:
            running.run("xacct_sandbox.cli", "up", "--no-deploy")
            yield running
            said = list(secret_scan.written_by(running))
        finally:
            running.run("xacct_sandbox.cli", "down")
        # After its end: only then all of its state is in files.
        secret_scan.require_none(secret_scan.leaks_of(running, said))


@contextmanager
def own_sandbox() -> Iterator[RunningSandbox]:
    """A sandbox for tests that stop or kill it; they have no use for a Spark that warms up."""
    with running_sandbox(XACCT_SANDBOX_SPARK_WARM="0") as running:
        yield running


@pytest.fixture(scope="session")
def bare_sandbox() -> Iterator[RunningSandbox]:
    """The services and the two accounts, nothing deployed (unless ``sandbox`` was asked for)."""
    with running_sandbox() as running:
        yield running


@pytest.fixture(scope="session")
def sandbox(bare_sandbox: RunningSandbox) -> RunningSandbox:
    """Both accounts deployed with `xacct deploy`, as `xacct-sandbox up` does."""
    bare_sandbox.run("xacct_assets.operations.cli", "deploy")
    return bare_sandbox


@pytest.fixture(scope="session")
def feeds_sandbox(sandbox: RunningSandbox) -> RunningSandbox:
    """The same sandbox, with the feeds of ``tests/feeds`` deployed beside products."""
    more = replace(sandbox, more={**sandbox.more, "XACCT_EXTRA_FEEDS_DIR": str(EXTRA_FEEDS_DIR)})
    more.run("xacct_assets.operations.cli", "--no-env-file", "deploy")
    return more


@pytest.fixture(scope="session")
def pipeline(sandbox: RunningSandbox) -> Pipeline:
    """The pipeline on that sandbox, with one Dagster instance for the whole session."""
    from tests.support.pipeline import Pipeline

    return Pipeline(sandbox)
