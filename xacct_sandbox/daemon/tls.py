"""The sandbox's own certificate authority, and the certificate that its two ports present.

Both ports speak TLS because bucket policies deny plain http and ``redshift_connector`` verifies
the server. The authority's private key is discarded once it has signed the certificate.
"""

from __future__ import annotations

import os
from pathlib import Path

import certifi
import trustme

from xacct_sandbox.daemon.config import SandboxConfig

_NAMES = ("127.0.0.1", "localhost", "::1")


def ensure_certificates(config: SandboxConfig) -> None:
    """Creates the certificates at the first start; renews the CA bundle at every start."""
    config.tls_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
    if not (config.ca_pem.exists() and config.server_pem.exists() and config.server_key.exists()):
        authority = trustme.CA(organization_name="xacct sandbox", organization_unit_name="local")
        leaf = authority.issue_cert(*_NAMES)
        _write_private(config.server_key, leaf.private_key_pem.bytes())
        chain = b"".join(blob.bytes() for blob in leaf.cert_chain_pems)
        config.server_pem.write_bytes(chain)
        config.ca_pem.write_bytes(authority.cert_pem.bytes())
    public_authorities = Path(certifi.where()).read_bytes()
    config.ca_bundle.write_bytes(public_authorities.rstrip() + b"\n\n" + config.ca_pem.read_bytes())


def _write_private(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
