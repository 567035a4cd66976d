"""boto3's clients of the emulator in this process, without a port."""

from __future__ import annotations

import io
from typing import Any
from urllib.parse import unquote, urlsplit

import boto3
from botocore.awsrequest import AWSPreparedRequest, AWSResponse
from botocore.config import Config
from botocore.credentials import Credentials

from tests.sandbox.unit.emulator.conftest import HOST, B, InProcess


class Boto3Clients:
    """Clients whose requests go to the application of the emulator."""

    def __init__(self, aws: InProcess) -> None:
        self._aws = aws

    def client(self, service: str, who: Credentials | None = None) -> Any:
        """The client of a service; account B's admin calls unless another is given."""
        who = who or self._aws.keys[B]
        client = boto3.client(
            service,
            region_name="us-east-1",
            endpoint_url=f"https://{HOST}",
            aws_access_key_id=who.access_key,
            aws_secret_access_key=who.secret_key,
            aws_session_token=who.token,
            config=Config(s3={"addressing_style": "path"}, retries={"total_max_attempts": 1}),
        )
        client._endpoint.http_session = _Transport(self._aws)
        return client


class _Transport:
    """botocore's HTTP session."""

    def __init__(self, aws: InProcess) -> None:
        self._aws = aws

    def send(self, request: AWSPreparedRequest) -> AWSResponse:
        return self._aws.loop.run_until_complete(self._send(request))

    async def _send(self, request: AWSPreparedRequest) -> AWSResponse:
        body = request.body or b""
        body = body.encode() if isinstance(body, str) else body
        body = body if isinstance(body, bytes) else body.read()
        status, headers, parts = 0, {}, []

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": body, "more_body": False}

        async def send(message: dict[str, Any]) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                headers.update((k.decode(), v.decode()) for k, v in message.get("headers", []))
            else:
                parts.append(message.get("body", b""))

        await self._aws.app(_scope(request, body), receive, send)
        content = b"".join(parts)
        response = AWSResponse(request.url, status, headers, io.BytesIO(content))
        response._content = content
        return response


def _scope(request: AWSPreparedRequest, body: bytes) -> dict[str, Any]:
    address = urlsplit(request.url)
    headers = {"host": HOST, **{name.lower(): value for name, value in request.headers.items()}}
    headers["content-length"] = str(len(body))
    return {
        "type": "http",
        "method": request.method,
        "path": unquote(address.path),
        "raw_path": address.path.encode(),
        "query_string": address.query.encode(),
        "scheme": "https",
        "client": ("127.0.0.1", 50000),
        "headers": [
            (name.encode(), value if isinstance(value, bytes) else str(value).encode("latin-1"))
            for name, value in headers.items()
        ],
    }
