"""The error responses of AWS services for refused calls, each in the service's own encoding.

The error codes come from the "Common errors" page of each service's API reference, and from the
codes that botocore's retry modes recognise.
"""

from __future__ import annotations

import json
import uuid
from xml.sax.saxutils import escape

Response = tuple[int, dict[str, str], bytes]

_EXPIRED = "The security token included in the request is expired"

# kind -> (status, code, message), for services that are not listed in _BY_SERVICE.
_DEFAULT = {
    "throttle": (400, "ThrottlingException", "Rate exceeded"),
    "server_error": (500, "InternalFailure", "The request failed because of an internal error."),
    "expired_token": (400, "ExpiredTokenException", _EXPIRED),
}
_QUERY = {
    "throttle": (400, "Throttling", "Rate exceeded"),
    "server_error": (500, "InternalFailure", "The request failed because of an internal error."),
    "expired_token": (403, "ExpiredToken", _EXPIRED),
}
_BY_SERVICE = {
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

REFUSALS = frozenset(_DEFAULT)
"""The kinds of faults that are an error response."""


def refusal(kind: str, service: str, method: str, resource: str) -> Response:
    """The response with which the service refuses a call.

    Args:
        kind: one of ``REFUSALS``.
        service: botocore's name of the service.
        method: the HTTP method of the call.
        resource: what the call is for; S3 repeats it.

    Returns:
        Status, headers and body.
    """
    status, code, message = _BY_SERVICE.get(service, {}).get(kind) or _DEFAULT[kind]
    request_id = str(uuid.uuid4())
    if service == "s3":
        return status, *_s3_refusal(method, code, message, resource, request_id)
    if _BY_SERVICE.get(service) is _QUERY:
        side = "Receiver" if status >= 500 else "Sender"
        text = (
            f"<ErrorResponse><Error><Type>{side}</Type><Code>{code}</Code>"
            f"<Message>{escape(message)}</Message></Error>"
            f"<RequestId>{request_id}</RequestId></ErrorResponse>"
        )
        return status, {"content-type": "text/xml"}, text.encode()
    headers = {
        "content-type": "application/x-amz-json-1.1",
        "x-amzn-requestid": request_id,
        "x-amzn-errortype": code,
    }
    if service == "sqs":  # for clients of its older query protocol
        side = "Receiver" if status >= 500 else "Sender"
        headers["x-amzn-query-error"] = f"{code};{side}"
    return status, headers, json.dumps({"__type": code, "message": message}).encode()


def _s3_refusal(
    method: str, code: str, message: str, resource: str, request_id: str
) -> tuple[dict[str, str], bytes]:
    headers = {"content-type": "application/xml", "x-amz-request-id": request_id}
    if method == "HEAD":  # responses to HEAD have no body
        return headers, b""
    text = (
        f'<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>{code}</Code>'
        f"<Message>{escape(message)}</Message><Resource>/{escape(resource)}</Resource>"
        f"<RequestId>{request_id}</RequestId></Error>"
    )
    return headers, text.encode()
