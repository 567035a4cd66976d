"""The Redshift process: ``python -m xacct_sandbox.redshift``, a child of the sandbox's daemon.

It starts PostgreSQL, listens on the Redshift port and prints ``ready``. It ends on SIGTERM, and
when its standard input closes. The daemon holds the other end, so the process also ends when the
daemon is killed.
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
from xacct_sandbox.redshift.sql.errors import WRONG_CREDENTIALS, BackendError
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
        logger.error("%s", problem)  # noqa: TRY400 -- the text is complete, a traceback adds nothing
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
    # In the main thread: the kernel ends PostgreSQL when the thread that started it ends.
    cluster.start()
    catalog = SystemCatalog(cluster.socket_path, token)
    server: RedshiftServer | None = None
    try:
        await _set_up_database(cluster, catalog)
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


async def _set_up_database(cluster: PostgresCluster, catalog: SystemCatalog) -> None:
    try:
        await catalog.set_up()
    except BackendError as problem:
        if problem.sqlstate != WRONG_CREDENTIALS:
            raise
        logger.warning("home/token is new: it becomes the superuser's password")
        cluster.stop()
        cluster.set_superuser_password()
        cluster.start()
        await catalog.set_up()


def _await_parent_end(loop: asyncio.AbstractEventLoop, stop: asyncio.Event) -> None:
    """Stop the process when the daemon ends, which closes standard input. Runs in a thread."""
    while os.read(0, 1024):
        continue
    loop.call_soon_threadsafe(stop.set)


def _import_ahead() -> None:
    """Import what the first COPY or UNLOAD would wait for. Runs in a thread."""
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
