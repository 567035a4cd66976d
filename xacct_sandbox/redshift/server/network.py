"""Asks the daemon whether the deployed network lets a connection through."""

from __future__ import annotations

import asyncio
import logging

from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.daemon.control_client import NETWORK_PATH, call_daemon
from xacct_sandbox.network.waiting import unreachable_seconds
from xacct_sandbox.redshift.api.wire_client import APPLICATION
from xacct_sandbox.redshift.server.identity import Identity
from xacct_sandbox.redshift.sql.errors import RedshiftError

logger = logging.getLogger(__name__)

_UNABLE_TO_CONNECT = "08001"


async def refused_connection(config: SandboxConfig, identity: Identity) -> RedshiftError | None:
    """Before a client is let in: after a while, the time-out of one that is out of reach.

    The sandbox's own connections, the Data API's among them, need no way through the network.
    """
    if identity.is_superuser or identity.application == APPLICATION:
        return None
    missing = await _missing(config, {"application": identity.application})
    if missing is None:
        return None
    logger.warning("%s is out of reach; missing: %s", identity.application or "a client", missing)
    await asyncio.sleep(unreachable_seconds())
    return RedshiftError("connection timed out", sqlstate=_UNABLE_TO_CONNECT)


async def require_way_to_s3(config: SandboxConfig) -> None:
    """Before COPY and UNLOAD.

    Raises:
        RedshiftError: after a while, as Redshift writes it when S3 does not answer.
    """
    missing = await _missing(config, {"to": "s3"})
    if missing is None:
        return
    logger.warning("the workgroup does not reach S3; missing: %s", missing)
    seconds = unreachable_seconds()
    await asyncio.sleep(seconds)
    raise RedshiftError(
        f"S3CurlException: Connection timed out after {seconds * 1000:.0f} milliseconds, "
        "CurlError 28, multiCurlError 0, CanRetry 1, UserError 0"
    )


async def _missing(config: SandboxConfig, request: dict[str, str]) -> str | None:
    try:
        answer = await asyncio.to_thread(call_daemon, config, NETWORK_PATH, request)
    except SandboxError as silent:
        # Without the daemon, which keeps it, there is no network: a database by itself.
        logger.info("the network is not asked: %s", silent)
        return None
    missing: str | None = answer["missing"]
    return missing
