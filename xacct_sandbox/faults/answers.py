"""The refusals of AWS's services, as each words and encodes them.

Codes are those of each API reference's list of errors, and those that botocore's retries know.
"""

from __future__ import annotations

import json
import uuid
from xml.sax.saxutils import escape

Answer = tuple[int, dict[str, str], bytes]

_EXPIRED = "The security token included in the request is expired"

# kind -> (status, code, message); JSON services unless named below.
_USUAL = {
    "throttle": (400, "ThrottlingException", "Rate exceeded"),
    "server_error": (500, "InternalFailure", "The request failed because of an internal error."),
    "expired_token": (400, "ExpiredTokenException", _EXPIRED),
}
_QUERY = {
    "throttle": (400, "Throttling", "Rate exceeded"),
    "server_error": (500, "InternalFailure", "The request failed because of an internal error."),
    "expired_token": (403, "ExpiredToken", _EXPIRED),
}
_OWN = {
    "s3": {
        "throttle": (503, "SlowDown", "Please reduce your request rate."),
        "server_error": (
            500,
            "InternalError",
            "We encountered an internal error. Please try again.",
        ),
        "expired_token": (400, "ExpiredToken", "The provided token has expired."),
    },
    "cloudformation": _QUERY,
    "iam": _QUERY,
    "sns": _QUERY,
    "sts": _QUERY,
    "sqs": {"throttle": (403, "RequestThrottled", "The request was denied due to throttling.")},
    "glue": {"server_error": (500, "InternalServiceException", "An internal error occurred.")},
    "logs": {"server_error": (500, "ServiceUnavailableException", "The service is unavailable.")},
    "redshift-data": {
        "server_error": (500, "InternalServerException", "Internal server error."),
    },
    "redshift-serverless": {
        "server_error": (500, "InternalServerException", "Internal server error."),
    },
    "secretsmanager": {
        "server_error": (500, "InternalServiceError", "An error occurred on the server side."),
    },
}

REFUSALS = frozenset(_USUAL)
"""Kinds of faults that are an answer."""


def refusal(kind: str, service: str, method: str, resource: str) -> Answer:
    """Status, headers and body with which the service refuses."""
    status, code, message = _OWN.get(service, {}).get(kind) or _USUAL[kind]
    request = str(uuid.uuid4())
    if service == "s3":
        return status, *_s3(method, code, message, resource, request)
    if _OWN.get(service) is _QUERY:
        side = "Receiver" if status >= 500 else "Sender"
        text = (
            f"<ErrorResponse><Error><Type>{side}</Type><Code>{code}</Code>"
            f"<Message>{escape(message)}</Message></Error>"
            f"<RequestId>{request}</RequestId></ErrorResponse>"
        )
        return status, {"content-type": "text/xml"}, text.encode()
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "x-amzn-requestid": request,
        "x-amzn-errortype": code,
    }
    if service == "sqs":  # it speaks for clients of its older protocol too
        side = "Receiver" if status >= 500 else "Sender"
        headers["x-amzn-query-error"] = f"{code};{side}"
    return status, headers, json.dumps({"__type": code, "message": message}).encode()


def _s3(
    method: str, code: str, message: str, resource: str, request: str
) -> tuple[dict[str, str], bytes]:
    headers = {"content-type": "application/xml", "x-amz-request-id": request}
    if method == "HEAD":  # its answers have no body: clients see the status alone
        return headers, b""
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
        f"<Message>{escape(message)}</Message><Resource>/{escape(resource)}</Resource>"
        f"<RequestId>{request}</RequestId></Error>"
    )
    return headers, text.encode()
