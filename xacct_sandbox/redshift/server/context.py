"""What all sessions of the server share."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.redshift.server.faults import FaultSignal
from xacct_sandbox.redshift.server.registry import SessionRegistry
from xacct_sandbox.redshift.sql.system_catalog import SystemCatalog


@dataclass(frozen=True)
class ServerContext:
    """What all sessions of the server share.

    Attributes:
        socket_path: PostgreSQL's unix socket.
        catalog: The sandbox's own connection to the database.
        faults: Says whether faults are planned.
        sessions: The open connections.
    """

    config: SandboxConfig
    socket_path: Path
    catalog: SystemCatalog
    faults: FaultSignal
    sessions: SessionRegistry = field(default_factory=SessionRegistry)
