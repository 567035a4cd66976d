"""boto3 clients for the emulated services themselves, under the role that they act for.

Used by threads of the daemon and by the Redshift process. Both find the daemon through
``sandbox.json`` in ``XACCT_SANDBOX_HOME``.
"""

from __future__ import annotations

import functools
import threading
from typing import Any

import boto3
import botocore.loaders
import botocore.session
from botocore.config import Config

from xacct_sandbox.credentials import Credentials
from xacct_sandbox.daemon import profiles
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.daemon.control_client import SERVICE_ROLE_PATH, call_daemon

INTERNAL_AGENT = "xacct-sandbox-part"
"""User agent of requests that the sandbox makes as an AWS service; no fault is injected there."""

_CONFIG = Config(
    user_agent_extra=INTERNAL_AGENT,
    proxies={},  # the sandbox is on this machine
    connect_timeout=5,
    read_timeout=60,
    retries={"mode": "standard", "total_max_attempts": 3},
    max_pool_connections=16,
    # Checksums of the bodies only cost time: the connection is TLS to this machine.
    request_checksum_calculation="when_required",
    response_checksum_validation="when_required",
    s3={"addressing_style": "path", "payload_signing_enabled": False},
)
_creation_lock = threading.Lock()
# Shared by all sessions, so that each service model is read from disk once. A client then takes
# 3 ms instead of 50 ms; COPY and UNLOAD create two or three each.
_model_loader = botocore.loaders.create_loader()


@functools.cache
def sandbox() -> SandboxConfig:
    """The configuration of the sandbox that this process belongs to."""
    return SandboxConfig.load()


def client(service: str, credentials: Credentials, region: str) -> Any:
    """Creates a boto3 client of the sandbox. Threads may share it."""
    with _creation_lock:  # boto3 sessions and clients must not be created concurrently
        core = botocore.session.Session()
        core.register_component("data_loader", _model_loader)
        session = boto3.Session(
            botocore_session=core,
            aws_access_key_id=credentials.access_key_id,
            aws_secret_access_key=credentials.secret_access_key,
            aws_session_token=credentials.session_token,
            region_name=region,
        )
        return _of_session(session, service)


def user_client(profile: str, service: str) -> Any:
    """Creates a boto3 client with the keys of a user. Threads may share it."""
    with _creation_lock:
        return _of_session(profiles.session(sandbox(), profile), service)


def _of_session(session: boto3.Session, service: str) -> Any:
    config = sandbox()
    # The stubs know literal service names only.
    return session.client(  # type: ignore[call-overload]
        service,
        endpoint_url=config.endpoint_url,
        verify=str(config.ca_pem),
        config=_CONFIG,
    )


def service_role(
    service: str,
    role_arn: str,
    *,
    source_arn: str,
    session_name: str,
    source_account: str | None = None,
    external_id: str | None = None,
) -> Credentials:
    """Calls ``emulator.assume_service_role`` in the daemon, from another process.

    Raises:
        ServiceError: AccessDenied, naming principal, action and resource.
        SandboxError: the daemon does not respond.
    """
    response = call_daemon(
        sandbox(),
        SERVICE_ROLE_PATH,
        {
            "service": service,
            "role_arn": role_arn,
            "source_arn": source_arn,
            "session_name": session_name,
            "source_account": source_account,
            "external_id": external_id,
        },
    )
    return Credentials.from_document(response)
