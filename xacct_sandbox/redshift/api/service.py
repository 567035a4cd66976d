"""Redshift Serverless in the daemon: its APIs, its CloudFormation types and its process."""

from __future__ import annotations

import functools
from dataclasses import dataclass

from xacct_sandbox import emulator
from xacct_sandbox.daemon import latency
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.redshift import process
from xacct_sandbox.redshift.api import cloudformation
from xacct_sandbox.redshift.api.control import Control
from xacct_sandbox.redshift.api.data_api import DataApi, Metadata
from xacct_sandbox.redshift.api.data_api.connections import WireDatabase
from xacct_sandbox.redshift.api.data_api.results import ResultStore
from xacct_sandbox.redshift.api.data_api.statements import RETENTION_SECONDS
from xacct_sandbox.redshift.api.data_folders import DataFolders
from xacct_sandbox.redshift.api.serverless import Serverless
from xacct_sandbox.redshift.api.wire_client import trust_own_authority


@dataclass
class _Parts:
    control: Control
    database: WireDatabase
    serverless: Serverless
    results: ResultStore


_parts: _Parts | None = None


def install(config: SandboxConfig) -> None:
    """Register the APIs and CloudFormation types with the emulator."""
    global _parts
    trust_own_authority(config)
    control = Control(config)
    database = WireDatabase(config)

    def disconnect() -> None:
        database.close()
        control.close()

    serverless = Serverless(config, control, DataFolders(config, disconnect))
    results = ResultStore(config.home / "redshift-data")
    data_api = DataApi(
        serverless,
        database,
        results,
        take_time=functools.partial(latency.wait, config, "statement"),
    )
    metadata = Metadata(database, data_api.find_login)
    emulator.add_service(
        "redshift-serverless",
        "RedshiftServerless",
        "redshift-serverless",
        serverless.operations(),
        serverless.checks,
    )
    emulator.add_service(
        "redshift-data",
        "RedshiftData",
        "redshift-data",
        {**data_api.operations(), **metadata.operations()},
        data_api.checks,
    )
    cloudformation.install(serverless)
    _parts = _Parts(control, database, serverless, results)


def start(config: SandboxConfig) -> None:
    """Start the Redshift process and write the namespace to its database.

    Raises:
        SandboxError: It does not start.
    """
    parts = _installed()
    parts.serverless.recover_before_start()
    process.start(config)
    parts.results.drop_older(RETENTION_SECONDS)
    parts.serverless.publish_after_start()


def stop() -> None:
    """Close the daemon's sessions, then end the process."""
    parts = _installed()
    parts.database.close()
    parts.control.close()
    process.stop()


def healthy() -> bool:
    """Whether the endpoint answers."""
    return process.healthy()


def problem() -> str | None:
    """Why the endpoint does not answer, if waiting does not help."""
    return process.problem()


def _installed() -> _Parts:
    if _parts is None:
        raise RuntimeError("redshift.service.install() comes first")
    return _parts
