"""Connections of the daemon to the sandbox's Redshift endpoint: TLS, with the host name checked."""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Mapping
from typing import Any

import redshift_connector
from redshift_connector.error import Error as DriverError

from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.redshift.server.protocol import CANCEL_REQUEST

APPLICATION = "xacct-sandbox"
PID_QUERY = "SELECT pg_catalog.pg_backend_pid()"
ALIVE_QUERY = "SELECT 1"
HOUSEKEEPING = frozenset({PID_QUERY, ALIVE_QUERY})
"""Statements of the daemon itself, for which no fault is injected."""


class DatabaseError(Exception):
    """The database refused. The text is what the Data API returns as a statement's Error."""

    def __init__(self, text: str, sqlstate: str = "") -> None:
        super().__init__(text)
        self.sqlstate = sqlstate


class ConnectionLost(DatabaseError):
    """The connection broke: the endpoint is down, or the session was ended."""


def trust_own_authority(config: SandboxConfig) -> None:
    """Let the driver, which loads only the default certificates, find the sandbox's CA."""
    os.environ["SSL_CERT_FILE"] = str(config.ca_pem)


def connect(config: SandboxConfig, *, database: str, user: str, password: str) -> Any:
    """A connection in autocommit mode.

    Raises:
        DatabaseError: The endpoint refused; the text is its own.
        ConnectionLost: Nothing answers.
    """
    try:
        connection = redshift_connector.connect(
            host=config.host,
            port=config.redshift_port,
            database=database,
            user=user,
            password=password,
            ssl=True,
            sslmode="verify-full",
            application_name=APPLICATION,
            # Statements are rarely repeated, and a prepared one can outlive its table.
            max_prepared_statements=0,
        )
    except (DriverError, OSError) as problem:
        raise as_database_error(problem, connecting=True) from problem
    connection.autocommit = True
    return connection


def cancel(config: SandboxConfig, connection: Any) -> None:
    """Cancel what the connection runs, with a CancelRequest on a second connection.

    ``pg_cancel_backend`` would not do: a COPY or UNLOAD may be waiting for S3.
    """
    key = connection._backend_key_data  # noqa: SLF001 -- the driver itself cannot cancel
    with socket.create_connection((config.host, config.redshift_port), timeout=10) as second:
        second.sendall(struct.pack("!ii", 8 + len(key), CANCEL_REQUEST) + key)
        second.recv(1)  # the endpoint closes the connection when it has acted


def as_database_error(problem: Exception, *, connecting: bool = False) -> DatabaseError:
    """The driver's exception with the text of Redshift's JDBC driver, which the Data API uses.

    ``ERROR: message``, then ``Detail:``, ``Hint:`` and ``Position:``, each on its own line.
    """
    fields = problem.args[0] if problem.args else None
    if not isinstance(fields, Mapping):
        return ConnectionLost(f"Connection to the database failed: {problem}")
    severity = fields.get("S", "FATAL" if connecting else "ERROR")
    lines = [f"{severity}: {fields.get('M', '')}"]
    for key, label in (("D", "Detail"), ("H", "Hint"), ("P", "Position")):
        if fields.get(key):
            lines.append(f"  {label}: {fields[key]}")
    text = "\n".join(lines)
    kind = ConnectionLost if severity == "FATAL" and not connecting else DatabaseError
    return kind(text, fields.get("C", ""))
