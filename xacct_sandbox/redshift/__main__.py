"""The Redshift process: ``python -m xacct_sandbox.redshift``, a child of the sandbox's daemon.

Starts PostgreSQL, listens on the wire port, says ``ready`` on stdout. It ends on SIGTERM, and when
its standard input closes: the daemon holds the other end, so it ends with the daemon, also if
that was killed.
"""

from __future__ import annotations

import asyncio
import logging
import os
import signal
import sys
import threading
from logging.handlers import RotatingFileHandler

from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.redshift.server.listener import RedshiftServer
from xacct_sandbox.redshift.sql.errors import BackendError
from xacct_sandbox.redshift.sql.system_catalog import SystemCatalog
from xacct_sandbox.redshift.storage.postgres import PostgresCluster

logger = logging.getLogger("xacct_sandbox.redshift")

READY_LINE = "ready"
LOG_BYTES = 5 << 20


def main() -> int:
    config = SandboxConfig.from_environment()
    _log_to_file(config)
    try:
        return asyncio.run(_serve(config))
    except SandboxError as problem:
        logger.error("%s", problem)  # noqa: TRY400 -- said in full, a trace adds nothing
        sys.stderr.write(f"{problem}\n")
        return 1


async def _serve(config: SandboxConfig) -> int:
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    threading.Thread(target=_await_parent_end, args=(loop, stop), daemon=True).start()

    token = config.token_path.read_text(encoding="ascii").strip()
    cluster = PostgresCluster(config.postgres_dir, token)
    # From the main thread: the kernel ends PostgreSQL with the thread that started it.
    cluster.start()
    catalog = SystemCatalog(cluster.socket_path, token)
    server: RedshiftServer | None = None
    try:
        try:
            await catalog.set_up()
        except BackendError as problem:
            if problem.sqlstate != "28P01":
                raise
            logger.warning("home/token is new: giving it to the database")
            cluster.stop()
            cluster.set_superuser_password()
            cluster.start()
            await catalog.set_up()
        server = RedshiftServer(config, cluster.socket_path, catalog)
        try:
            await server.start()
        except OSError as problem:
            raise SandboxError(
                f"port {config.redshift_port} cannot be used for Redshift ({problem.strerror});"
                " end what uses it, or set XACCT_SANDBOX_REDSHIFT_PORT"
            ) from problem
        threading.Thread(target=_import_ahead, daemon=True).start()
        sys.stdout.write(f"{READY_LINE}\n")
        sys.stdout.flush()
        logger.info("listening on %s:%s", config.host, config.redshift_port)
        while not stop.is_set():
            try:
                await asyncio.wait_for(stop.wait(), 1.0)
            except TimeoutError:
                if not cluster.running():
                    raise SandboxError(
                        "PostgreSQL ended unexpectedly; see home/postgres/postgres.log"
                    ) from None
    finally:
        if server is not None:
            await server.stop()
        if cluster.running():
            await catalog.close()
        cluster.stop()
    return 0


def _await_parent_end(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Standard input ends when the daemon does."""
    while os.read(0, 1024):
        continue
    loop.call_soon_threadsafe(stop.set)


def _import_ahead() -> None:
    """What the first COPY or UNLOAD would wait for."""
    import pyarrow.compute
    import pyarrow.csv  # noqa: F401

    from xacct_sandbox import clients  # noqa: F401


def _log_to_file(config: SandboxConfig) -> None:
    config.log_dir.mkdir(parents=True, exist_ok=True)
    handler = RotatingFileHandler(
        config.log_dir / "redshift.log", maxBytes=LOG_BYTES, backupCount=2, encoding="utf-8"
    )
    handler.setFormatter(logging.Formatter("%(asctime)s %(levelname)s %(name)s %(message)s"))
    root = logging.getLogger()
    root.addHandler(handler)
    root.setLevel(logging.INFO)
    logging.getLogger("botocore").setLevel(logging.WARNING)


if __name__ == "__main__":
    sys.exit(main())
