"""Reads which operation a request is, from the same place as its handler, or refuses the request.

ministack finds operation and parameters in the target header, the query and the body, whichever is
there, and its handlers each look elsewhere. Here a request has one way to be written, that of AWS's
protocols (botocore's models name them): JSON with a target header, a form in the body, the query of
a GET, S3's REST. A request that is written otherwise, or twice, is refused.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs

from xacct_sandbox.emulator.authorization.s3_calls import s3_operation

JSON_TARGETS = {
    "AWSGlue": "glue",
    "AmazonEC2ContainerRegistry_V20150921": "ecr",
    "AmazonEC2ContainerServiceV20141113": "ecs",
    "AmazonSQS": "sqs",
    "GraniteServiceVersion20100801": "monitoring",
    "Logs_20140328": "logs",
    "RedshiftData": "redshift-data",
    "RedshiftServerless": "redshift-serverless",
    "Route53AutoNaming_v20170314": "servicediscovery",
    "ServiceQuotasV20190624": "servicequotas",
    "TrentService": "kms",
    "secretsmanager": "secretsmanager",
}
"""Services with a JSON protocol, by the prefix of their target header."""

QUERY_SERVICES = frozenset(
    {"cloudformation", "ec2", "iam", "monitoring", "rds", "sns", "sqs", "sts"}
)
"""Services with the query protocol."""

SERVICES = frozenset({*JSON_TARGETS.values(), *QUERY_SERVICES, "s3"})
"""The services of the sandbox, by the name that their requests are signed for."""

_JSON_TYPES = re.compile(r"application/x-amz-json-1\.[01](;\s*charset=utf-8)?", re.IGNORECASE)
_FORM_TYPE = re.compile(r"application/x-www-form-urlencoded(;\s*charset=utf-8)?", re.IGNORECASE)
_OPERATION = re.compile(r"[A-Za-z][A-Za-z0-9]*")
_HEADER_SCOPE = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=[^/,\s]+/\d{8}/[^/,\s]+/([^/,\s]+)/aws4_request\s*,", re.ASCII
)
_QUERY_SCOPE = re.compile(r"[^/]+/\d{8}/[^/]+/([^/]+)/aws4_request", re.ASCII)
_SIGNATURE_V2 = re.compile(r"AWS [^:\s]+:\S+")
_SIGNING_PARAMETERS = frozenset(
    {
        "x-amz-algorithm",
        "x-amz-credential",
        "x-amz-date",
        "x-amz-expires",
        "x-amz-security-token",
        "x-amz-signature",
        "x-amz-signedheaders",
    }
)
_SIGNATURE_V2_PARAMETERS = frozenset({"awsaccesskeyid", "signature"})
_QUEUE_PATH = re.compile(r"/\d{12}/[A-Za-z0-9_.-]+")


class Refused(Exception):
    """A request that is refused before any policy is looked at.

    Attributes:
        service: whose error format to use.
    """

    def __init__(self, service: str, code: str, message: str, status: int = 400) -> None:
        super().__init__(message)
        self.service, self.code, self.message, self.status = service, code, message, status


@dataclass(frozen=True)
class HttpRequest:
    """A request as ministack hands it to a service.

    Attributes:
        headers: names in lower case.
        query: from ``parse_qs(..., keep_blank_values=True)``.
    """

    method: str
    path: str
    headers: Mapping[str, str]
    query: Mapping[str, Sequence[str]]
    body: bytes = b""


@dataclass(frozen=True)
class Call:
    """A recognized request.

    Attributes:
        service: the name that it is signed for.
        operation: as botocore names it.
        parameters: of a JSON or query request; {} for S3.
        http: the request.
        signature: ``AWS4-HMAC-SHA256``, ``AWS`` for version 2, "" for an anonymous request.
        presigned: whether the signature is in the query.
        action: for S3, the IAM action; the others derive it from the operation.
    """

    service: str
    operation: str
    parameters: Mapping[str, Any]
    http: HttpRequest
    signature: str
    presigned: bool
    action: str = field(default="")


def read_call(http: HttpRequest) -> Call:
    """Recognizes a request.

    Raises:
        Refused: it is not written as AWS's protocols prescribe, or for another service.
    """
    service, signature, presigned = _signed_for(http)
    target = http.headers.get("x-amz-target")
    if target is not None:
        prefix, _, operation = target.partition(".")
        named = JSON_TARGETS.get(prefix)
        if named is None:
            raise Refused(service or "glue", *_unserved(target))
        _require_scope(service, named)
        parameters = _json_parameters(named, http, operation)
        return Call(named, operation, parameters, http, signature, presigned)
    if service == "s3" or (not service and not _is_form_for_root(http)):
        operation, action = s3_operation(http.method, http.path, http.headers, http.query)
        if not operation:
            raise Refused("s3", "MethodNotAllowed", f"The sandbox has no S3 request {action}.", 405)
        return Call("s3", operation, {}, http, signature, presigned, f"s3:{action}")
    if not service:
        raise Refused(
            "sts", "MissingAuthenticationToken", "Request is missing Authentication Token", 403
        )
    if service not in QUERY_SERVICES:
        if service in SERVICES:
            raise Refused(
                service, "UnknownOperationException", "The x-amz-target header is missing."
            )
        raise Refused(service, *_unserved(service))
    parameters = _query_parameters(service, http)
    operation = str(parameters.pop("Action"))
    return Call(service, operation, parameters, http, signature, presigned)


def _unserved(name: str) -> tuple[str, str]:
    return (
        "UnknownOperationException",
        f"The sandbox does not serve {name}; it serves {', '.join(sorted(SERVICES))}.",
    )


def _is_form_for_root(http: HttpRequest) -> bool:
    return http.path in ("", "/") and (http.method == "POST" or "Action" in http.query)


# -- signatures --------------------------------------------------------------------------------


def _signed_for(http: HttpRequest) -> tuple[str, str, bool]:
    """The service that a request is signed for, the signature's version, and whether presigned."""
    authorization = http.headers.get("authorization")
    names = {name.lower() for name in http.query}
    in_query = names & (_SIGNING_PARAMETERS | _SIGNATURE_V2_PARAMETERS)
    credentials = in_query - {"x-amz-date", "x-amz-expires", "x-amz-security-token"}
    if authorization is not None:
        if credentials:
            raise Refused(
                "s3",
                "InvalidArgument",
                "Only one auth mechanism allowed; only the X-Amz-Algorithm query parameter, "
                "Signature query string parameter or the Authorization header should be specified",
            )
        scope = _HEADER_SCOPE.match(authorization)
        if scope:
            return scope[1], "AWS4-HMAC-SHA256", False
        if _SIGNATURE_V2.fullmatch(authorization):
            return "s3", "AWS", False
        raise _unsupported_signature()
    if not credentials:
        return "", "", False
    return _signed_in_query(http, names)


def _signed_in_query(http: HttpRequest, names: set[str]) -> tuple[str, str, bool]:
    for name, values in http.query.items():
        known = name.lower() in _SIGNING_PARAMETERS | _SIGNATURE_V2_PARAMETERS
        if known and (len(values) > 1 or [n.lower() for n in http.query].count(name.lower()) > 1):
            raise Refused("s3", "InvalidArgument", f"The query has several {name}.")
    if names & _SIGNATURE_V2_PARAMETERS:
        if names & (_SIGNING_PARAMETERS - {"x-amz-security-token"}):
            raise _unsupported_signature()
        if not {"awsaccesskeyid", "signature", "expires"} <= names:
            raise _unsupported_signature()
        return "s3", "AWS", True
    algorithm = http.query.get("X-Amz-Algorithm", [""])[0]
    scope = _QUERY_SCOPE.fullmatch(http.query.get("X-Amz-Credential", [""])[0])
    if algorithm != "AWS4-HMAC-SHA256" or not scope or not http.query.get("X-Amz-Signature"):
        raise _unsupported_signature()
    return scope[1], "AWS4-HMAC-SHA256", True


def _unsupported_signature() -> Refused:
    return Refused(
        "s3",
        "InvalidRequest",
        "The authorization mechanism you have provided is not supported. "
        "Please use AWS4-HMAC-SHA256.",
    )


def _require_scope(signed_for: str, service: str) -> None:
    if not signed_for:
        raise Refused(
            service,
            "MissingAuthenticationToken",
            "Request is missing Authentication Token",
            403,
        )
    if signed_for != service:
        raise Refused(
            service,
            "SignatureDoesNotMatch",
            f"Credential should be scoped to correct service: '{service}'.",
            403,
        )


# -- parameters --------------------------------------------------------------------------------


def _json_parameters(service: str, http: HttpRequest, operation: str) -> dict[str, Any]:
    if not _OPERATION.fullmatch(operation):
        raise Refused(service, "UnknownOperationException", "The x-amz-target names no operation.")
    if http.method != "POST" or http.path != "/" or http.query:
        raise Refused(
            service,
            "UnknownOperationException",
            "A request with x-amz-target must be a POST to / without a query.",
        )
    if not _JSON_TYPES.fullmatch(http.headers.get("content-type", "")):
        raise Refused(
            service,
            "SerializationException",
            "A request with x-amz-target must have the Content-Type application/x-amz-json-1.1.",
        )
    _require_plain(service, http)
    try:
        document = json.loads(http.body) if http.body else {}
    except (ValueError, RecursionError):
        raise Refused(service, "SerializationException", "The body is not JSON.") from None
    if not isinstance(document, dict):
        raise Refused(service, "SerializationException", "The body is not a JSON object.")
    return document


def _require_plain(service: str, http: HttpRequest) -> None:
    if http.headers.get("content-encoding"):
        raise Refused(
            service,
            "SerializationException",
            f"The sandbox does not support a Content-Encoding for {service}.",
        )


def _query_parameters(service: str, http: HttpRequest) -> dict[str, Any]:
    _require_plain(service, http)
    path_is_queue = service == "sqs" and _QUEUE_PATH.fullmatch(http.path)
    if http.path not in ("", "/") and not path_is_queue:
        raise Refused(service, "InvalidAction", f"{service} has no path {http.path}.")
    if http.method == "POST":
        if http.query:
            raise Refused(
                service,
                "InvalidQueryParameter",
                "The parameters of a POST belong in its body; the query must be empty.",
            )
        if not _FORM_TYPE.fullmatch(http.headers.get("content-type", "")):
            raise Refused(
                service,
                "InvalidAction",
                "A POST must have the Content-Type application/x-www-form-urlencoded.",
            )
        given = parse_qs(http.body.decode("utf-8", "replace"), keep_blank_values=True)
    elif http.method == "GET":
        if http.body:
            raise Refused(service, "InvalidAction", "A GET must have no body.")
        given = {
            name: list(values)
            for name, values in http.query.items()
            if name.lower() not in _SIGNING_PARAMETERS
        }
    else:
        raise Refused(service, "InvalidAction", f"{service} has no method {http.method}.", 405)
    twice = sorted(name for name, values in given.items() if len(values) > 1)
    if twice:
        raise Refused(service, "MalformedQueryString", f"{', '.join(twice)} is given twice.")
    parameters = {name: values[0] for name, values in given.items()}
    if not _OPERATION.fullmatch(parameters.get("Action", "")):
        raise Refused(service, "MissingAction", "The request has no valid Action.")
    if path_is_queue and parameters.setdefault("QueueUrl", http.path) != http.path:
        raise Refused(service, "InvalidParameterValue", "The path and QueueUrl name two queues.")
    return parameters
