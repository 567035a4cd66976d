"""Requests signed by hand, however they are written, and the connection that sends them as such."""

from __future__ import annotations

import http.client
import ssl
from dataclasses import dataclass
from urllib.parse import quote, urlencode

from botocore.auth import S3SigV4Auth, S3SigV4QueryAuth, SigV4Auth, SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

REGION = "us-east-1"


@dataclass(frozen=True)
class Answer:
    status: int
    body: bytes

    @property
    def allowed(self) -> bool:
        """Whether the request got past authentication and IAM; its operation may have failed."""
        refused = (
            b"AccessDenied",
            b"not authorized",
            b"InvalidClientTokenId",
            b"MissingAuthenticationToken",
            b"SignatureDoesNotMatch",
            b"The sandbox",
        )
        return self.status < 400 or not any(text in self.body for text in refused)


@dataclass(frozen=True)
class Signed:
    """A request as it goes over the wire.

    Attributes:
        target: path and query, percent-encoded.
        headers: in their order.
    """

    method: str
    target: str
    headers: list[tuple[str, str]]
    body: bytes


def sign(
    who: Credentials | None,
    service: str,
    method: str = "POST",
    path: str = "/",
    *,
    host: str,
    query: dict[str, str] | list[tuple[str, str]] | None = None,
    headers: dict[str, str] | None = None,
    body: bytes | str = b"",
    presigned: bool = False,
) -> Signed:
    """A request with the signature of ``who``; without one if that is None."""
    body = body.encode() if isinstance(body, str) else body
    url = f"https://{host}{quote(path)}"
    if query:
        url += "?" + urlencode(query, quote_via=quote)
    request = AWSRequest(method, url, headers={"Host": host, **(headers or {})}, data=body)
    if who is not None:
        is_s3 = service == "s3"
        if presigned:
            kind = S3SigV4QueryAuth if is_s3 else SigV4QueryAuth
        else:
            kind = S3SigV4Auth if is_s3 else SigV4Auth
        kind(who, service, REGION).add_auth(request)
    prepared = request.prepare()
    target = prepared.url.removeprefix(f"https://{host}")
    by_name = {name.lower(): str(value) for name, value in prepared.headers.items()}
    by_name["content-length"] = str(len(body))
    return Signed(method, target, list(by_name.items()), body)


class Wire:
    """A TLS connection to a sandbox that is kept open, and changes nothing of what it is given.

    Args:
        port: of the AWS APIs.
        ca_bundle: file with the certificate authority.
    """

    def __init__(self, port: int, ca_bundle: str) -> None:
        self.host = f"127.0.0.1:{port}"
        context = ssl.create_default_context(cafile=ca_bundle)
        self._connection = http.client.HTTPSConnection("127.0.0.1", port, context=context)

    def send(self, request: Signed) -> Answer:
        """Send a request, return the answer."""
        connection = self._connection
        connection.putrequest(
            request.method, request.target, skip_host=True, skip_accept_encoding=True
        )
        for name, value in request.headers:
            connection.putheader(name, value)
        connection.endheaders(request.body)
        response = connection.getresponse()
        return Answer(response.status, response.read())

    def close(self) -> None:
        """Close the connection."""
        self._connection.close()
