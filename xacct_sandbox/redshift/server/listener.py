"""The wire front: the socket that Redshift's clients connect to, and what their sessions share."""

from __future__ import annotations

import asyncio
import ssl
from pathlib import Path

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.redshift.server.faults import FaultSignal
from xacct_sandbox.redshift.server.session import Session
from xacct_sandbox.redshift.sql.system_catalog import Internal


class RedshiftServer:
    """The listening socket and what all sessions share."""

    def __init__(self, config: SandboxConfig, socket_path: Path, internal: Internal) -> None:
        self.config = config
        self.socket_path = socket_path
        self.internal = internal
        self.sessions: set[Session] = set()
        self.by_key: dict[bytes, Session] = {}
        self.faults = FaultSignal(config)
        self._server: asyncio.Server | None = None
        self.tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self.tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self.tls.load_cert_chain(config.server_pem, config.server_key)

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: the port is taken.
        """
        loop = asyncio.get_running_loop()
        self._server = await loop.create_server(
            lambda: Session(self), self.config.host, self.config.redshift_port
        )

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
        for session in list(self.sessions):
            session.end()
        if self._server is not None:
            await self._server.wait_closed()
