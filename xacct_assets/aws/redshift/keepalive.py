"""TCP keepalive: detects a dead server, or a cut network path, during a long statement.

A healthy server may be silent for many minutes during a statement. Its TCP stack still answers
keepalive probes.
"""

from __future__ import annotations

import socket
from typing import Any

#: Seconds of silence before the first probe, seconds between probes, probes without an answer.
IDLE, INTERVAL, COUNT = 15, 5, 3
#: Seconds after which a dead server is given up.
DEAD_AFTER = IDLE + INTERVAL * COUNT
#: Arguments for `redshift_connector.connect`, which knows the options of each operating system.
DRIVER_OPTIONS: dict[str, Any] = {
    "tcp_keepalive": True,
    "tcp_keepalive_idle": IDLE,
    "tcp_keepalive_interval": INTERVAL,
    "tcp_keepalive_count": COUNT,
}


def set_timeouts(connection: Any, statement_timeout: float) -> None:
    """Set the socket options for which the driver has no argument, after the login.

    Keepalive sends no probes while sent data is unacknowledged. If the server dies then, Linux
    would retransmit for about 15 minutes, unless TCP_USER_TIMEOUT is set.

    Args:
        connection: redshift_connector's.
        statement_timeout: seconds without a byte from the server during a statement.
    """
    sock = connection._usock  # noqa: SLF001 -- the driver has no public way to its socket
    sock.settimeout(statement_timeout)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER * 1000)
