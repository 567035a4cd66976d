"""Starts, stops and checks the Redshift process, for the daemon.

The child reads its standard input, whose other end only the daemon holds. When the daemon ends, the
child sees the end of the file and shuts PostgreSQL down.
"""

from __future__ import annotations

import os
import select
import socket
import subprocess
import sys
import time

from xacct_sandbox.daemon.config import (
    AWS_PORT_VARIABLE,
    HOME_VARIABLE,
    REDSHIFT_PORT_VARIABLE,
    SandboxConfig,
    SandboxError,
)

START_SECONDS = 120.0
STOP_SECONDS = 30.0
# Threads pass large blocks to each other. Freed memory goes back to the system, not to their pools.
MEMORY_VARIABLES = {"MALLOC_ARENA_MAX": "2", "ARROW_DEFAULT_MEMORY_POOL": "system"}

_process: subprocess.Popen[bytes] | None = None
_config: SandboxConfig | None = None


def start(config: SandboxConfig) -> None:
    """Start the process and wait until it accepts connections.

    Raises:
        SandboxError: It does not start; the text has the end of its error output.
    """
    global _process, _config
    if _process is not None and _process.poll() is None:
        return
    config.log_dir.mkdir(parents=True, exist_ok=True)
    with (config.log_dir / "redshift.err").open("ab") as errors:
        process = subprocess.Popen(
            [sys.executable, "-m", "xacct_sandbox.redshift"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=errors,
            env={
                **os.environ,
                HOME_VARIABLE: str(config.home),
                AWS_PORT_VARIABLE: str(config.aws_port),
                REDSHIFT_PORT_VARIABLE: str(config.redshift_port),
                **MEMORY_VARIABLES,
            },
            start_new_session=True,
        )
    _process, _config = process, config
    assert process.stdout is not None
    deadline = time.monotonic() + START_SECONDS
    while True:
        ready, _, _ = select.select([process.stdout], [], [], 0.5)
        if ready:
            line = process.stdout.readline()
            if line:
                return
            process.wait(10)
            output = (config.log_dir / "redshift.err").read_bytes()[-2000:]
            text = output.decode("utf-8", "replace").strip()
            _process = None
            raise SandboxError(f"the Redshift process did not start: {text}")
        if time.monotonic() > deadline:
            stop()
            raise SandboxError(
                f"the Redshift process was not ready after {START_SECONDS:.0f} s; see"
                f" {config.log_dir / 'redshift.log'}"
            )


def stop() -> None:
    """End the process: sessions are closed, and PostgreSQL is shut down."""
    global _process
    process, _process = _process, None
    if process is None:
        return
    if process.poll() is None:
        process.terminate()
        try:
            process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
    for pipe in (process.stdin, process.stdout):
        if pipe is not None:
            pipe.close()


def problem() -> str | None:
    """That the process has ended by itself, and where it says why; None if it has not."""
    if _process is None or _config is None or (code := _process.poll()) is None:
        return None
    return f"the Redshift process ended with exit code {code}; see {_config.log_dir}/redshift.err"


def healthy() -> bool:
    """Whether the process runs and accepts connections."""
    if _process is None or _process.poll() is not None or _config is None:
        return False
    try:
        with socket.create_connection((_config.host, _config.redshift_port), timeout=1):
            return True
    except OSError:
        return False
