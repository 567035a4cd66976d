"""Tests the network path and TLS to Redshift, before and beside the driver."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

from xacct_assets.aws.errors import ConnectionFailed
from xacct_assets.aws.redshift.database_errors import database_errors

#: The PostgreSQL protocol's SSLRequest: its length, then the request code 80877103.
_SSL_REQUEST = (8).to_bytes(4) + (80877103).to_bytes(4)
_TIMEOUT_FIX = (
    "nothing answers there from this network. Check, in this order: (1) the VPC peering or route "
    "between this machine and the Redshift subnets, (2) the route tables of both sides, (3) the "
    "workgroup's security group: inbound TCP on the port from here, (4) the workgroup's "
    "'publicly accessible' setting, (5) host and port in the secret. `xacct doctor` tests each hop"
)


def probe(host: str, port: int, timeout: float) -> None:
    """Open and close a TCP connection, to find out why there is no network path.

    The driver has one time-out for connecting and for statements; connecting must fail much sooner.

    Args:
        host, port: of the workgroup's endpoint.
        timeout: seconds.

    Raises:
        ConnectionFailed: saying whether the name, the route or the port is the cause.
    """
    what = f"no connection to Redshift at {host}:{port}"
    try:
        # The driver uses IPv4 only.
        (*_, address), *_ = socket.getaddrinfo(host, port, socket.AF_INET, socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        raise ConnectionFailed(
            what,
            reason=f"the host name is not known here ({error})",
            fix="check the host in the secret; a workgroup that is not publicly accessible is "
            "known only inside its VPC (peering: allow DNS resolution on both sides)",
        ) from error
    try:
        with socket.create_connection((str(address[0]), port), timeout=timeout):
            return
    except TimeoutError as error:
        raise ConnectionFailed(
            what, reason=f"Connection Timeout after {timeout:.0f} s", fix=_TIMEOUT_FIX
        ) from error
    except ConnectionRefusedError as error:
        raise ConnectionFailed(
            what,
            reason="connection refused: the machine answers, but nothing listens on the port",
            fix="check the port in the secret and that the workgroup is AVAILABLE "
            "(in the sandbox: `xacct-sandbox down`, then `xacct-sandbox up`)",
        ) from error
    except OSError as error:
        raise ConnectionFailed(what, reason=str(error), fix=_TIMEOUT_FIX) from error


def probe_tls(host: str, port: int, timeout: float) -> str:
    """Open a verified TLS session as the driver does, and close it.

    Returns:
        The names in the certificate.

    Raises:
        ConnectionFailed: there is no path, no TLS, or no certificate that is valid for the host.
    """
    import redshift_connector

    probe(host, port, timeout)
    # The driver trusts the system's authorities and a bundle of its own.
    context = ssl.create_default_context()
    bundle = Path(redshift_connector.__file__).parent / "files" / "redshift-ca-bundle.crt"
    context.load_verify_locations(bundle)
    where = f"{host}:{port}"
    with database_errors(where), socket.create_connection((host, port), timeout=timeout) as plain:
        plain.sendall(_SSL_REQUEST)
        if plain.recv(1) != b"S":
            raise ConnectionFailed(
                f"Redshift at {where} refuses TLS",
                retryable=False,
                fix="check that the port is Redshift's and that no proxy stands in between",
            )
        with context.wrap_socket(plain, server_hostname=host) as secured:
            certificate = secured.getpeercert() or {}
    names = [str(entry[1]) for entry in certificate.get("subjectAltName", ())]
    return ", ".join(names) or "no name"
