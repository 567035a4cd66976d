"""Connections to the sandbox's Redshift."""

from __future__ import annotations

import json
from typing import Any

import redshift_connector

from benchmarks.own_sandbox import environment
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.daemon.profiles import client


def redshift(config: SandboxConfig) -> Any:
    """A connection with the login of the pipeline, over verified TLS."""
    text = client(config, "account-b-admin", "secretsmanager").get_secret_value(
        SecretId=f"xacct/redshift-{config.suffix}"
    )["SecretString"]
    login = json.loads(text)
    with environment({"SSL_CERT_FILE": str(config.ca_bundle)}):
        return redshift_connector.connect(
            host=config.host,
            port=config.redshift_port,
            user=login["username"],
            password=login["password"],
            database=login["dbname"],
            sslmode="verify-full",
        )
