"""Client of the daemon's control endpoint: ``/_sandbox/...`` on the AWS port.

Without boto3, so that the Redshift process and tools that only plan faults start quickly.
"""

from __future__ import annotations

import json
import ssl
import urllib.error
import urllib.request
from typing import Any

from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.service_errors import ServiceError

TOKEN_HEADER = "x-sandbox-token"  # noqa: S105 -- the name of a header

HEALTH_PATH = "/_sandbox/health"
SERVICE_ROLE_PATH = "/_sandbox/service-role"
CALLS_PATH = "/_sandbox/calls"
PUBLICATIONS_PATH = "/_sandbox/publications"
FAULTS_PATH = "/_sandbox/faults"
NETWORK_PATH = "/_sandbox/network"


def call_daemon(
    config: SandboxConfig,
    path: str,
    body: dict[str, Any] | None = None,
    *,
    timeout: float = 30,
) -> dict[str, Any]:
    """Sends one request to the control endpoint: GET without a body, POST with one.

    Args:
        config: the sandbox to call.
        path: one of the paths above, with a query string if needed.
        body: sent as JSON.
        timeout: in seconds.

    Raises:
        ServiceError: the daemon refused the request.
        SandboxError: the daemon does not respond.
    """
    request = urllib.request.Request(  # noqa: S310 -- the scheme is always https
        f"{config.endpoint_url}{path}",
        data=None if body is None else json.dumps(body).encode(),
        headers={
            TOKEN_HEADER: config.token_path.read_text(encoding="ascii").strip(),
            "Content-Type": "application/json",
        },
    )
    context = ssl.create_default_context(cafile=str(config.ca_pem))
    opener = urllib.request.build_opener(
        urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=context)
    )
    try:
        with opener.open(request, timeout=timeout) as response:
            return dict(json.load(response))
    except urllib.error.HTTPError as refusal:
        document = json.loads(refusal.read() or b"{}")
        raise ServiceError(
            document.get("__type", "SandboxRefused"),
            document.get("message", str(refusal)),
            refusal.code,
        ) from refusal
    except OSError as problem:
        raise SandboxError(
            f"the sandbox does not respond at {config.endpoint_url} ({problem}); "
            "start it with `xacct-sandbox up`"
        ) from problem


def health(config: SandboxConfig) -> dict[str, Any]:
    """The answer of ``ControlEndpoint.health``.

    Raises:
        SandboxError: the daemon does not respond, or was never started here.
    """
    if not (config.token_path.exists() and config.ca_pem.exists()):
        raise SandboxError(
            f"no sandbox was ever started in {config.home}; start one with `xacct-sandbox up`"
        )
    return call_daemon(config, HEALTH_PATH, timeout=10)


def running_sandbox() -> SandboxConfig:
    """The configuration of the sandbox in the current home.

    Raises:
        SandboxError: it is not running.
    """
    config = SandboxConfig.load()
    health(config)
    return config
