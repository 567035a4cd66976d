"""One sandbox for all integration tests of a session, on its own ports, in its own folder.

``bare_sandbox`` has the services and the two accounts; ``sandbox`` is the same one after
``xacct deploy``. pytest loads this module in every session, so boto3 and Dagster are imported only
where they are used.
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

import pytest

from tests.support.project import EXTRA_FEEDS_DIR
from xacct_sandbox.daemon import env_file
from xacct_sandbox.daemon.config import (
    AWS_PORT_VARIABLE,
    HOME_VARIABLE,
    REDSHIFT_PORT_VARIABLE,
    SandboxConfig,
)

if TYPE_CHECKING:
    import boto3
    import dagster as dg

    from tests.support.pipeline import Pipeline

# The ports that Redshift Serverless allows, without 5439, which `make run` may be using. Each xdist
# worker uses its own share, so that two workers cannot choose the same free port.
WIRE_PORTS = (*range(8191, 8216), *range(5431, 5439), *range(5440, 5456))
WORKER = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").removeprefix("gw"))
WORKERS = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))


@dataclass(frozen=True)
class RunningSandbox:
    """A running sandbox, and everything that is written while it is used.

    At the end, the sandbox's secrets and the canaries are searched in all that was written.

    Attributes:
        config: home, ports and accounts.
        folder: working directory of commands; the ``.env`` is written here.
        extra_settings: environment variables of the daemon beyond its home and ports.
        clients: boto3 clients by profile and service; creating one takes 0.25 s.
        instances: Dagster instances with runs on the sandbox.
        folders: folders that Dagster's processes write to.
        outputs: commands, and what they printed.
        canaries: secrets that tests put into the sandbox.
        deployed: by the folder of extra feeds: the stacks after the deployment of those feeds.
    """

    config: SandboxConfig
    folder: Path
    extra_settings: dict[str, str] = field(default_factory=dict)
    clients: dict[tuple[str, str], Any] = field(default_factory=dict, compare=False, repr=False)
    instances: list[dg.DagsterInstance] = field(default_factory=list, compare=False, repr=False)
    folders: list[Path] = field(default_factory=list, compare=False)
    outputs: list[tuple[str, str]] = field(default_factory=list, compare=False, repr=False)
    canaries: set[str] = field(default_factory=set, compare=False, repr=False)
    deployed: dict[str, Any] = field(default_factory=dict, compare=False, repr=False)

    @property
    def environment(self) -> dict[str, str]:
        """The complete environment of a subprocess that uses this sandbox."""
        inherited = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith(("AWS_", "XACCT_"))
        }
        return {**inherited, **self.variables, **self.sandbox_variables}

    @property
    def variables(self) -> dict[str, str]:
        """The variables of its ``.env``."""
        return env_file.variables(self.config)

    @property
    def sandbox_variables(self) -> dict[str, str]:
        """The variables that configure `xacct-sandbox`."""
        return {
            HOME_VARIABLE: str(self.config.home),
            AWS_PORT_VARIABLE: str(self.config.aws_port),
            REDSHIFT_PORT_VARIABLE: str(self.config.redshift_port),
            **self.extra_settings,
        }

    def session(self, profile: str) -> boto3.Session:
        """A boto3 session of account-a-admin, account-b-admin, developer or orchestrator."""
        import boto3

        from xacct_sandbox.daemon import profiles

        if profile != "orchestrator":
            return profiles.session(self.config, profile)
        credentials = self.client("developer", "sts").assume_role(
            RoleArn=self.config.orchestrator_role_arn, RoleSessionName="tests"
        )["Credentials"]
        return boto3.Session(
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            region_name=self.config.region,
        )

    def client(self, profile: str, service: str) -> Any:
        """The boto3 client of a profile for a service, created once."""
        if (profile, service) not in self.clients:
            self.clients[profile, service] = self.client_of(self.session(profile), service)
        return self.clients[profile, service]

    def client_of(self, session: boto3.Session, service: str, **options: Any) -> Any:
        """A new boto3 client of a session, with the endpoint of this sandbox."""
        return session.client(
            service,
            endpoint_url=self.config.endpoint_url,
            verify=str(self.config.ca_pem),
            **options,
        )

    def deploy(self) -> None:
        """`xacct deploy`, unless no stack was changed since it deployed the same feeds.

        Every deployment of other feeds changes stacks: the policies of roles name the databases of
        the feeds, and each feed has a stack.
        """
        feeds = self.extra_settings.get("XACCT_EXTRA_FEEDS_DIR", "")
        if self.deployed.get(feeds) != self.stacks():
            self.run("xacct_assets.operations.cli", "--no-env-file", "deploy", "--yes")
            self.deployed[feeds] = self.stacks()

    def stacks(self) -> list[tuple[str, str, str]]:
        """Id, status and time of the last change of each stack in both accounts."""
        return [
            (
                stack["StackId"],
                stack["StackStatus"],
                str(stack.get("LastUpdatedTime", stack["CreationTime"])),
            )
            for profile in ("account-a-admin", "account-b-admin")
            for stack in self.client(profile, "cloudformation").describe_stacks()["Stacks"]
        ]

    def run(self, *command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a Python module in a subprocess, e.g. ``run("xacct_sandbox.cli", "status")``.

        Args:
            command: module and arguments.
            check: whether the test fails if the exit code is not 0.
        """
        completed = subprocess.run(
            [sys.executable, "-m", *command],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        self.outputs.append((" ".join(command), completed.stdout + completed.stderr))
        if check and completed.returncode:
            pytest.fail(
                f"{' '.join(command)} ended with {completed.returncode}\n"
                f"{completed.stdout}\n{completed.stderr}"
            )
        return completed


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def free_aws_port() -> int:
    """A free port whose next one, the console's, is free as well."""
    while True:
        with socket.socket() as first, socket.socket() as second:
            first.bind(("127.0.0.1", 0))
            port = int(first.getsockname()[1])
            try:
                second.bind(("127.0.0.1", port + 1))
            except (OSError, OverflowError):
                continue
            return port


def free_wire_port() -> int:
    ports = WIRE_PORTS[WORKER::WORKERS]
    # In random order: a second test session on this machine searches the same ports.
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
    """A temporary folder for a sandbox.

    pytest's own folders do not serve: each pytest session makes them inaccessible to other users,
    and as root the sandbox runs PostgreSQL as another user.
    """
    with tempfile.TemporaryDirectory(prefix="xacct-tests-") as folder:
        yield Path(folder)


@contextmanager
def running_sandbox(**settings: str) -> Iterator[RunningSandbox]:
    """A sandbox with nothing deployed. At its end, everything written is searched for its secrets.

    Args:
        settings: environment variables of the daemon.
    """
    from tests.support import secret_scan

    with sandbox_folder() as folder:
        config = SandboxConfig(
            home=folder / "home", aws_port=free_aws_port(), redshift_port=free_wire_port()
        )
        running = RunningSandbox(config, folder, extra_settings=settings)
        try:
            running.run("xacct_sandbox.cli", "up", "--no-deploy")
            yield running
            written = list(secret_scan.written_by(running))
        finally:
            running.run("xacct_sandbox.cli", "down")
        # The sandbox writes all of its state to files only when it stops.
        secret_scan.require_none(secret_scan.leaks_of(running, written))


@contextmanager
def own_sandbox() -> Iterator[RunningSandbox]:
    """A sandbox for tests that stop or kill it, without a Spark worker started in advance."""
    with running_sandbox(XACCT_SANDBOX_SPARK_WARM="0") as running:
        yield running


@pytest.fixture(scope="session")
def bare_sandbox() -> Iterator[RunningSandbox]:
    """The services and the two accounts, with nothing deployed unless ``sandbox`` was used."""
    with running_sandbox() as running:
        yield running


@pytest.fixture(scope="session")
def sandbox(bare_sandbox: RunningSandbox) -> RunningSandbox:
    """The sandbox after `xacct deploy`, as `xacct-sandbox up` leaves it."""
    bare_sandbox.deploy()
    return bare_sandbox


@pytest.fixture(scope="module")
def feeds_sandbox(sandbox: RunningSandbox) -> RunningSandbox:
    """The same sandbox with the feeds of ``tests/feeds`` deployed too.

    For each module again if another has deployed other feeds: S3 then notifies nobody.
    """
    settings = {**sandbox.extra_settings, "XACCT_EXTRA_FEEDS_DIR": str(EXTRA_FEEDS_DIR)}
    with_feeds = replace(sandbox, extra_settings=settings)
    with_feeds.deploy()
    return with_feeds


@pytest.fixture(scope="session")
def one_pipeline(sandbox: RunningSandbox) -> Pipeline:
    """The pipeline on the sandbox, with one Dagster instance for the whole session."""
    from tests.support.pipeline import Pipeline

    return Pipeline(sandbox)


@pytest.fixture(scope="module")
def pipeline(one_pipeline: Pipeline) -> Pipeline:
    """The same pipeline, deployed again if another module has deployed other feeds.

    The roles then have no right on the catalog database of this one.
    """
    one_pipeline.sandbox.deploy()
    return one_pipeline
