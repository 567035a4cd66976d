"""boto3 clients of the sandbox's own parts, under the credentials of the role they act for.

For threads of the daemon, the Redshift process and the Spark worker: all find the daemon through
``sandbox.json`` in ``XACCT_SANDBOX_HOME``.
"""

from __future__ import annotations

import functools
import json
import ssl
import threading
import urllib.error
import urllib.request
from datetime import datetime
from typing import Any

import boto3
import botocore.loaders
import botocore.session
from botocore.config import Config

from xacct_sandbox.credentials import Credentials
from xacct_sandbox.daemon.config import SandboxConfig, SandboxError
from xacct_sandbox.service_errors import ServiceError

TOKEN_HEADER = "x-sandbox-token"  # noqa: S105 -- a header's name

INTERNAL_AGENT = "xacct-sandbox-part"
"""Marks the calls that the sandbox makes as a service of AWS; no fault strikes them."""

_CONFIG = Config(
    user_agent_extra=INTERNAL_AGENT,
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=16,
    # The connection is TLS to this machine: digests of every body would only cost time.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    s3={"addressing_style": "path", "payload_signing_enabled": False},
)
_creating = threading.Lock()
# The services' descriptions, read from disk once, not for every session: a client then costs 3 ms,
# not 50, and COPY and UNLOAD make two or three under credentials of their own.
_descriptions = botocore.loaders.create_loader()


@functools.cache
def sandbox() -> SandboxConfig:
    """The sandbox this process belongs to."""
    return SandboxConfig.load()


def client(service: str, credentials: Credentials, region: str) -> Any:
    """A boto3 client of the sandbox under these credentials. Clients may be shared by threads."""
    config = sandbox()
    with _creating:  # making sessions and clients is not safe in several threads at once
        core = botocore.session.Session()
        core.register_component("data_loader", _descriptions)
        session = boto3.Session(
            botocore_session=core,
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            aws_session_token=credentials.session_token,
            region_name=region,
        )
        return session.client(
            service,
            endpoint_url=config.endpoint_url,
            verify=str(config.ca_bundle),
            config=_CONFIG,
        )


def service_role(
    service: str,
    role_arn: str,
    *,
    source_arn: str,
    session_name: str,
    source_account: str | None = None,
) -> Credentials:
    """What ``ministack.assume_service_role`` gives, asked for from another process.

    Raises:
        ServiceError: AccessDenied naming principal, action and resource.
        SandboxError: the daemon does not answer.
    """
    answer = ask_daemon(
        "/_sandbox/service-role",
        {
            "service": service,
            "role_arn": role_arn,
            "source_arn": source_arn,
            "session_name": session_name,
            "source_account": source_account,
        },
    )
    return Credentials(
        access_key_id=answer["access_key_id"],
        secret_access_key=answer["secret_access_key"],
        session_token=answer["session_token"],
        expiration=datetime.fromisoformat(answer["expiration"]),
    )


def ask_daemon(
    path: str,
    body: dict[str, Any] | None = None,
    *,
    config: SandboxConfig | None = None,
    timeout: float = 30,
) -> dict[str, Any]:
    """Call one of the daemon's own doors: GET without a body, POST with one.

    Raises:
        ServiceError: the daemon refused.
        SandboxError: it does not answer.
    """
    config = config or sandbox()
    request = urllib.request.Request(  # noqa: S310 -- always https to ourselves
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
            f"the sandbox does not answer at {config.endpoint_url} ({problem}); "
            "start it with `xacct-sandbox up`"
        ) from problem
