"""boto3 sessions and clients for the sandbox's users: the two admins and the developer."""

from __future__ import annotations

import configparser
from typing import Any

import boto3
from botocore.config import Config

from xacct_sandbox.daemon.config import SandboxConfig, SandboxError


def session(config: SandboxConfig, profile: str) -> boto3.Session:
    """A boto3 session with the keys of a profile.

    Args:
        config: of the sandbox.
        profile: ``account-a-admin``, ``account-b-admin`` or ``developer``.

    Raises:
        SandboxError: the profile does not exist yet.
    """
    parser = configparser.RawConfigParser()
    parser.read(config.aws_credentials_file, encoding="utf-8")
    if not parser.has_section(profile):
        raise SandboxError(
            f"{config.aws_credentials_file} has no profile {profile}; run `xacct-sandbox up`"
        )
    return boto3.Session(
        aws_access_key_id=parser[profile]["aws_access_key_id"],
        aws_secret_access_key=parser[profile]["aws_secret_access_key"],
        region_name=config.region,
    )


def client(config: SandboxConfig, profile: str, service: str) -> Any:
    """A boto3 client of the sandbox with the keys of a profile.

    Raises:
        SandboxError: the profile does not exist yet.
    """
    # The stubs know literal service names only.
    return session(config, profile).client(  # type: ignore[call-overload]
        service,
        endpoint_url=config.endpoint_url,
        verify=str(config.ca_pem),
        config=Config(proxies={}),  # the sandbox is on this machine
    )
