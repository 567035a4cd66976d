"""The configuration of a sandbox: its home folder, its ports, its accounts, its files.

Home and ports come from the environment. A process that joins a running sandbox reads the rest
from ``sandbox.json``, which the daemon writes into the home.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

HOME_VARIABLE = "XACCT_SANDBOX_HOME"
AWS_PORT_VARIABLE = "XACCT_SANDBOX_PORT"
REDSHIFT_PORT_VARIABLE = "XACCT_SANDBOX_REDSHIFT_PORT"

HOST = "127.0.0.1"
DEFAULT_AWS_PORT = 4566
DEFAULT_REDSHIFT_PORT = 5439
REDSHIFT_PORTS = (*range(5431, 5456), *range(8191, 8216))
"""Ports that a workgroup of Redshift Serverless may have (API reference, ``CreateWorkgroup``)."""
DEFAULT_REGION = "us-east-1"
DEFAULT_ACCOUNT_A = "111111111111"
DEFAULT_ACCOUNT_B = "222222222222"
DEFAULT_SUFFIX = "local"


class SandboxError(Exception):
    """A problem that the user can fix; the message has the thing, the reason and the fix."""


@dataclass(frozen=True)
class SandboxConfig:
    """One sandbox: its folder, its two ports, its two accounts. Immutable, shared by all parts."""

    home: Path
    aws_port: int = DEFAULT_AWS_PORT
    redshift_port: int = DEFAULT_REDSHIFT_PORT
    region: str = DEFAULT_REGION
    account_a: str = DEFAULT_ACCOUNT_A
    account_b: str = DEFAULT_ACCOUNT_B
    suffix: str = DEFAULT_SUFFIX

    @classmethod
    def from_environment(cls, environment: Mapping[str, str] | None = None) -> SandboxConfig:
        """The sandbox that ``up`` would start.

        Args:
            environment: instead of ``os.environ``.

        Raises:
            SandboxError: a variable has an unusable value.
        """
        env = os.environ if environment is None else environment
        home = _home(env)
        aws_port = _port(env, AWS_PORT_VARIABLE, DEFAULT_AWS_PORT)
        redshift_port = _port(env, REDSHIFT_PORT_VARIABLE, DEFAULT_REDSHIFT_PORT)
        if redshift_port not in REDSHIFT_PORTS:
            raise SandboxError(
                f"{REDSHIFT_PORT_VARIABLE}={redshift_port}: Redshift Serverless allows the ports "
                "5431-5455 and 8191-8215 only; choose one of them"
            )
        if aws_port == redshift_port:
            raise SandboxError(
                f"{AWS_PORT_VARIABLE} and {REDSHIFT_PORT_VARIABLE} are both {aws_port}: "
                "the AWS APIs and Redshift each need a port of their own; change one of them"
            )
        if redshift_port == aws_port + 1 or aws_port == 65535:
            raise SandboxError(
                f"{AWS_PORT_VARIABLE}={aws_port} leaves no port for the console, which is served "
                f"on the next one; choose another, e.g. {AWS_PORT_VARIABLE}={DEFAULT_AWS_PORT}"
            )
        return cls(home=home, aws_port=aws_port, redshift_port=redshift_port)

    @classmethod
    def load(cls, environment: Mapping[str, str] | None = None) -> SandboxConfig:
        """The sandbox in the home, by its ``sandbox.json``; without one, ``from_environment``.

        Args:
            environment: instead of ``os.environ``.

        Raises:
            SandboxError: the file cannot be read.
        """
        env = os.environ if environment is None else environment
        config = cls(home=_home(env))
        if not config.sandbox_json.exists():
            return cls.from_environment(env)
        document = read_sandbox_json(config.sandbox_json)
        try:
            fields = {
                name: document[name]
                for name in (
                    "aws_port",
                    "redshift_port",
                    "region",
                    "account_a",
                    "account_b",
                    "suffix",
                )
            }
        except KeyError as missing:
            raise SandboxError(
                f"{config.sandbox_json} has no {missing}: it was written by another version; "
                "run `xacct-sandbox down`, delete the file, then `xacct-sandbox up`"
            ) from missing
        return cls(home=config.home, **fields)

    def document(self) -> dict[str, Any]:
        """The content of ``sandbox.json``, to which the daemon adds its process id."""
        return {
            **asdict(self),
            "home": str(self.home),
            "endpoint_url": self.endpoint_url,
            "token_path": str(self.token_path),
            "ca_bundle": str(self.ca_bundle),
        }

    # -- addresses -------------------------------------------------------------------------

    @property
    def host(self) -> str:
        return HOST

    @property
    def endpoint_url(self) -> str:
        """The endpoint of all AWS APIs."""
        return f"https://{HOST}:{self.aws_port}"

    @property
    def console_port(self) -> int:
        """The port of the console: the one after that of the AWS APIs."""
        return self.aws_port + 1

    @property
    def console_url(self) -> str:
        """The address of the console."""
        return f"http://{HOST}:{self.console_port}"

    # -- files -----------------------------------------------------------------------------

    @property
    def sandbox_json(self) -> Path:
        return self.home / "sandbox.json"

    @property
    def token_path(self) -> Path:
        return self.home / "token"

    @property
    def tls_dir(self) -> Path:
        return self.home / "tls"

    @property
    def ca_pem(self) -> Path:
        """The sandbox's CA, for AWS clients: each loads the file, and certifi's takes 20 ms."""
        return self.tls_dir / "ca.pem"

    @property
    def ca_bundle(self) -> Path:
        """The sandbox's CA and certifi's, for clients that also connect to other hosts."""
        return self.tls_dir / "ca-bundle.pem"

    @property
    def server_pem(self) -> Path:
        return self.tls_dir / "server.pem"

    @property
    def server_key(self) -> Path:
        return self.tls_dir / "server.key"

    @property
    def aws_dir(self) -> Path:
        return self.home / "aws"

    @property
    def aws_config_file(self) -> Path:
        return self.aws_dir / "config"

    @property
    def aws_credentials_file(self) -> Path:
        return self.aws_dir / "credentials"

    @property
    def log_dir(self) -> Path:
        return self.home / "log"

    @property
    def daemon_log(self) -> Path:
        return self.log_dir / "daemon.log"

    @property
    def ministack_dir(self) -> Path:
        return self.home / "ministack"

    @property
    def postgres_dir(self) -> Path:
        return self.home / "postgres"

    @property
    def spark_dir(self) -> Path:
        return self.home / "spark"

    @property
    def ui_pid_file(self) -> Path:
        """The process id of the ``dg dev`` that the demo started."""
        return self.home / "dagster-dev.pid"

    @property
    def fault_log(self) -> Path:
        """Every injected fault, one JSON object per line."""
        return self.home / "faults.jsonl"

    @property
    def fault_signal(self) -> Path:
        """See ``faults/signal_file.py``."""
        return self.home / "faults.signal"

    # -- names of the deployed resources -----------------------------------------------------

    @property
    def orchestrator_role_arn(self) -> str:
        return f"arn:aws:iam::{self.account_b}:role/xacct-orchestrator-{self.suffix}"

    @property
    def glue_role_arn(self) -> str:
        return f"arn:aws:iam::{self.account_b}:role/xacct-glue-{self.suffix}"

    @property
    def input_bucket(self) -> str:
        return f"sample-inp-bucket-etl-{self.suffix}"

    @property
    def export_bucket(self) -> str:
        return f"sample-opt-bucket-etl-{self.suffix}"

    @property
    def processing_bucket(self) -> str:
        return f"xacct-processing-{self.suffix}"


def read_sandbox_json(path: Path) -> dict[str, Any]:
    """Reads a ``sandbox.json``.

    Raises:
        SandboxError: the file cannot be read, or is not a JSON object.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, json.JSONDecodeError) as problem:
        raise SandboxError(
            f"{path} cannot be read ({problem}); delete it and run `xacct-sandbox up`"
        ) from problem
    if not isinstance(document, dict):
        raise SandboxError(f"{path} is not a JSON object; delete it and run `xacct-sandbox up`")
    return document


def _home(env: Mapping[str, str]) -> Path:
    try:
        return Path(env.get(HOME_VARIABLE) or ".xacct").expanduser().resolve()
    except (RuntimeError, FileNotFoundError) as problem:  # no home for "~"; no current directory
        raise SandboxError(
            f"the folder of the sandbox cannot be found ({problem}); "
            f"set {HOME_VARIABLE} to an absolute path"
        ) from problem


def _port(env: Mapping[str, str], variable: str, default: int) -> int:
    text = env.get(variable) or str(default)
    try:
        port = int(text)
    except ValueError as problem:
        raise SandboxError(f"{variable}={text!r} is not a port number (1-65535)") from problem
    if not 0 < port < 65536:
        raise SandboxError(f"{variable}={port} is not a port number (1-65535)")
    return port
