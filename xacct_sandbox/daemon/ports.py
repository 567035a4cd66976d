"""Finds out whether a TCP port is free, which process has it, and which other one is free."""

from __future__ import annotations

import errno
import os
import socket
from collections.abc import Iterable
from pathlib import Path

from xacct_sandbox.daemon.config import HOST

_LISTENING = "0A"
"""State of a listening socket in /proc/net/tcp."""


def is_free(port: int) -> bool:
    """Whether a server could listen on the port of 127.0.0.1 now."""
    return bind_problem(port) is None


def bind_problem(port: int) -> str | None:
    """Why a server cannot listen on the port of 127.0.0.1, or None if it can.

    A port in use is told with the process that has it, if that can be found out.
    """
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError as problem:
            if problem.errno == errno.EADDRINUSE:
                return f"in use by {listener(port) or 'another process'}"
            return problem.strerror or str(problem)
    return None


def first_free(candidates: Iterable[int]) -> int | None:
    """The first port that is free, or None."""
    return next((port for port in candidates if is_free(port)), None)


def listener(port: int) -> str | None:
    """The process that listens on the port, as "name (pid 12)".

    None if nothing listens, or if it cannot be found out (only Linux shows it, and only for
    processes of the same user).
    """
    inodes = {
        fields[9]
        for table in (Path("/proc/net/tcp"), Path("/proc/net/tcp6"))
        if table.exists()
        for fields in (line.split() for line in table.read_text().splitlines()[1:])
        if fields[3] == _LISTENING and int(fields[1].rpartition(":")[2], 16) == port
    }
    if not inodes:
        return None
    sockets = {f"socket:[{inode}]" for inode in inodes}
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if any(os.readlink(file) in sockets for file in (process / "fd").iterdir()):
                name = (process / "comm").read_text(encoding="utf-8").strip()
                return f"{name} (pid {process.name})"
        except OSError:
            continue  # another user's process, or one that has just ended
    return None
