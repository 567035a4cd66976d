"""The sandbox's Redshift process without the AWS services, for tests that need no S3."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import redshift_connector
from redshift_connector import Connection, Cursor

from tests.support.environment import environment
from xacct_sandbox.daemon.config import (
    AWS_PORT_VARIABLE,
    HOME_VARIABLE,
    REDSHIFT_PORT_VARIABLE,
    SandboxConfig,
)
from xacct_sandbox.daemon.tls import ensure_certificates

ADMIN, PASSWORD = "admin", "Abcdef123"


@contextmanager
def trusting(bundle: Path) -> Iterator[None]:
    """Trust the sandbox's certificate authority through SSL_CERT_FILE, as its ``.env`` does."""
    with environment({"SSL_CERT_FILE": str(bundle)}):
        yield


def connect(config: SandboxConfig, user: str, password: str, **options: Any) -> Connection:
    """A connection with the options that the pipeline uses."""
    with trusting(config.ca_bundle):
        return redshift_connector.connect(
            host=config.host,
            port=config.redshift_port,
            user=user,
            password=password,
            database="dev",
            sslmode="verify-full",
            **options,
        )


@dataclass
class Warehouse:
    """A Redshift process and its connections."""

    config: SandboxConfig
    process: subprocess.Popen[bytes] | None = None
    opened: list[Connection] = field(default_factory=list)

    def start(self) -> None:
        """Start the process and wait until it accepts connections."""
        self.config.log_dir.mkdir(parents=True, exist_ok=True)
        self.process = subprocess.Popen(
            [sys.executable, "-m", "xacct_sandbox.redshift"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env={
                **os.environ,
                HOME_VARIABLE: str(self.config.home),
                AWS_PORT_VARIABLE: str(self.config.aws_port),
                REDSHIFT_PORT_VARIABLE: str(self.config.redshift_port),
            },
        )
        assert self.process.stdout is not None
        assert self.process.stdout.readline() == b"ready\n"

    def end(self, number: signal.Signals = signal.SIGTERM) -> None:
        assert self.process is not None
        self.process.send_signal(number)
        self.process.wait(30)
        for pipe in (self.process.stdin, self.process.stdout):
            assert pipe is not None
            pipe.close()
        self.process = None

    @property
    def token(self) -> str:
        return self.config.token_path.read_text()

    def connect(self, user: str = ADMIN, password: str = PASSWORD, **options: Any) -> Connection:
        connection = connect(self.config, user, password, **options)
        self.opened.append(connection)
        return connection

    def cursor(self, user: str = ADMIN, password: str = PASSWORD) -> Cursor:
        """A cursor of a new connection in autocommit mode."""
        connection = self.connect(user, password)
        connection.autocommit = True
        return connection.cursor()

    def make_namespace(self) -> None:
        """Create the namespace and its admin user, as the redshift-serverless API does."""
        cursor = self.cursor("rdsdb", self.token)
        cursor.execute(
            "INSERT INTO sandbox_internal.namespace (account_id, region, namespace_id,"
            " namespace_name, iam_roles) VALUES ('222222222222', 'us-east-1', 'id', 'n', '')"
        )
        cursor.execute(f"CREATE USER {ADMIN} PASSWORD '{PASSWORD}' CREATEUSER")

    def postgres_pid(self) -> int:
        lines = (self.config.postgres_dir / "data" / "postmaster.pid").read_text().splitlines()
        return int(lines[0])


@contextmanager
def running_warehouse(folder: Path, aws_port: int, wire_port: int) -> Iterator[Warehouse]:
    """A Redshift process with a namespace, ended when the context closes."""
    config = SandboxConfig(home=folder / "home", aws_port=aws_port, redshift_port=wire_port)
    config.home.mkdir(parents=True)
    ensure_certificates(config)
    config.token_path.write_text(secrets.token_urlsafe(32))
    warehouse = Warehouse(config)
    warehouse.start()
    try:
        warehouse.make_namespace()
        yield warehouse
    finally:
        if warehouse.process is not None:
            warehouse.end()
