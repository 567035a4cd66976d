"""A server that died, or a path to it that was cut, is noticed soon, however long statements take.

A statement may be silent for many minutes on a server that is well, so that silence alone says
little. TCP can tell: the machine at the other end answers keepalive probes as long as it lives.
"""

from __future__ import annotations

import socket
from typing import Any

#: Seconds of silence before the first probe, between probes, and probes without an answer.
IDLE, INTERVAL, COUNT = 15, 5, 3
#: Seconds after which a dead peer is given up.
DEAD_AFTER = IDLE + INTERVAL * COUNT
#: What `redshift_connector.connect` takes of it; it knows the options' names on each system.
DRIVER_OPTIONS: dict[str, Any] = {
    "tcp_keepalive": True,
    "tcp_keepalive_idle": IDLE,
    "tcp_keepalive_interval": INTERVAL,
    "tcp_keepalive_count": COUNT,
}


def watch(connection: Any, statement_timeout: float) -> None:
    """Set what the driver has no option for, once it has logged in.

    Keepalive does not probe while something that we sent is not acknowledged: of a peer that dies
    then, Linux would send it again for some 15 minutes, unless TCP_USER_TIMEOUT says otherwise.

    Args:
        connection: redshift_connector's.
        statement_timeout: seconds that a statement may be silent from here on.
    """
    sock = connection._usock  # noqa: SLF001 -- the driver shows its socket nowhere else
    sock.settimeout(statement_timeout)
    if hasattr(socket, "TCP_USER_TIMEOUT"):  # Linux
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, DEAD_AFTER * 1000)
