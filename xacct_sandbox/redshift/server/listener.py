"""The server that Redshift's clients connect to."""

from __future__ import annotations

import asyncio
import functools
import ssl
from pathlib import Path

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.redshift.server.client_connection import ClientConnection
from xacct_sandbox.redshift.server.context import ServerContext
from xacct_sandbox.redshift.server.faults import FaultSignal
from xacct_sandbox.redshift.server.session import open_session
from xacct_sandbox.redshift.sql.system_catalog import SystemCatalog


class RedshiftServer:
    """The listening socket and its sessions."""

    def __init__(self, config: SandboxConfig, socket_path: Path, catalog: SystemCatalog) -> None:
        """``socket_path`` is PostgreSQL's unix socket."""
        self._context = ServerContext(config, socket_path, catalog, FaultSignal(config))
        self._server: asyncio.Server | None = None
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        self._tls.minimum_version = ssl.TLSVersion.TLSv1_2
        self._tls.load_cert_chain(config.server_pem, config.server_key)

    async def start(self) -> None:
        """Listen.

        Raises:
            OSError: The port is taken.
        """
        context = self._context
        log_in = functools.partial(open_session, context)
        self._server = await asyncio.get_running_loop().create_server(
            lambda: ClientConnection(self._tls, context.sessions, log_in),
            context.config.host,
            context.config.redshift_port,
        )

    async def stop(self) -> None:
        """Stop listening, and end every session."""
        if self._server is not None:
            self._server.close()
        self._context.sessions.end_all()
        if self._server is not None:
            await self._server.wait_closed()
