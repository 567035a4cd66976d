"""Every way to write a request of each service: as AWS's protocols prescribe, and otherwise.

Each request is a dictionary of arguments of ``signed_requests.sign``. What an operation gets is
enough for its handler, so that a request which is not refused does something.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import botocore.session

from xacct_sandbox.emulator.authorization.calls import JSON_TARGETS
from xacct_sandbox.emulator.request_parsing import _s3_rules

A, B = "111111111111", "222222222222"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
JSON = "application/x-amz-json-1.1"
BUCKET = "empty-role"
"""With the object ``key``; beside it are the role and the queue ``empty``, the user ``someone``."""

Request = dict[str, Any]


_EVERYTHING = {"Effect": "Allow", "Action": "*", "Resource": "*"}


#: botocore's names of services that are signed for under other names.
_CLIENTS = {"monitoring": "cloudwatch", "servicequotas": "service-quotas"}


def parameters(service: str) -> dict[str, str]:
    return {
        "RoleName": "empty",
        "UserName": "someone",
        "PolicyName": "p",
        "PolicyDocument": json.dumps({"Version": "2012-10-17", "Statement": [_EVERYTHING]}),
        "RoleArn": f"arn:aws:iam::{B}:role/empty",
        "RoleSessionName": "again",
        "QueueUrl": f"https://127.0.0.1:4566/{B}/empty",
        "QueueName": "another",
        "MessageBody": "x",
        "StackName": "stack",
        "TemplateBody": "{}",
        "Version": "2012-11-05" if service == "sqs" else "2010-05-08",
        "SecretId": "empty",
        "TopicArn": f"arn:aws:sns:us-east-1:{B}:empty",
        "Message": "x",
        "Name": "xx",
    }


def operations(service: str) -> list[str]:
    """The operations of a service, which is named as requests are signed for it."""
    name = _CLIENTS.get(service, service)
    return list(botocore.session.get_session().get_service_model(name).operation_names)


def query_requests(service: str, operation: str) -> Iterator[tuple[str, Request]]:
    """Ways to write a request of the query protocol, right and wrong ones."""
    given = {"Action": operation, **parameters(service)}
    form = urlencode(given)
    typed = {"Content-Type": FORM}
    yield "form", {"headers": typed, "body": form}
    yield "form with another type", {"headers": {"Content-Type": "text/plain"}, "body": form}
    yield "form without a type", {"headers": {}, "body": form}
    yield "form as JSON", {"headers": {"Content-Type": JSON}, "body": form}
    yield "form with a put", {"method": "PUT", "headers": typed, "body": form}
    yield "query", {"method": "GET", "query": given}
    yield "presigned", {"method": "GET", "query": given, "presigned": True}
    yield "query with a post", {"query": given}
    yield "another path", {"path": "/x/y", "headers": typed, "body": form}
    yield "queue path", {"path": f"/{B}/empty", "headers": typed, "body": form}
    yield "compressed", {"headers": {**typed, "Content-Encoding": "gzip"}, "body": form}
    yield from _two_actions(service, operation, given)


def _two_actions(
    service: str, operation: str, given: dict[str, str]
) -> Iterator[tuple[str, Request]]:
    """Requests that name an operation in two places."""
    form, typed = urlencode(given), {"Content-Type": FORM}
    harmless = "Action=GetCallerIdentity&Version=2011-06-15"
    asking = {"Action": "GetCallerIdentity"}
    yield "harmless query", {"query": asking, "headers": typed, "body": form}
    yield "harmless body", {"query": given, "headers": typed, "body": harmless}
    for first, second in ((form, harmless), (harmless, form)):
        yield "two actions", {"headers": typed, "body": f"{first}&{second}"}
    prefix = _TARGETS.get(service, "CloudFormation_20100515")
    target = {"X-Amz-Target": f"{prefix}.{operation}"}
    as_json = json.dumps(parameters(service))
    yield "target", {"headers": {"Content-Type": JSON, **target}, "body": as_json}
    yield "target and form", {"headers": {**typed, **target}, "body": form}
    ask = {"X-Amz-Target": f"{_TARGETS['sts']}.GetCallerIdentity"}
    yield "harmless target", {"headers": {**typed, **ask}, "body": form}


_TARGETS = {
    "iam": "IAMService",
    "sns": "AmazonSNS",
    "sqs": "AmazonSQS",
    "sts": "AWSSecurityTokenServiceV20110615",
}


def json_requests(prefix: str, operation: str) -> Iterator[tuple[str, Request]]:
    """Ways to write a request with a target header, right and wrong ones."""
    target = {"X-Amz-Target": f"{prefix}.{operation}"}
    body = json.dumps(parameters(JSON_TARGETS[prefix]))
    yield "json", {"headers": {"Content-Type": JSON, **target}, "body": body}
    yield "json 1.0", {"headers": {"Content-Type": JSON[:-1] + "0", **target}, "body": body}
    yield "plain", {"headers": {"Content-Type": "text/plain", **target}, "body": body}
    yield "no type", {"headers": target, "body": body}
    yield "get", {"method": "GET", "headers": {"Content-Type": JSON, **target}}
    yield "presigned", {"method": "GET", "headers": target, "presigned": True}
    yield (
        "harmless action",
        {
            "query": {"Action": "ListSecrets"},
            "headers": {"Content-Type": JSON, **target},
            "body": body,
        },
    )
    yield (
        "harmless form",
        {"headers": {"Content-Type": FORM, **target}, "body": "Action=GetCallerIdentity"},
    )
    yield (
        "a path",
        {"path": "/a/b", "headers": {"Content-Type": JSON, **target}, "body": body},
    )
    yield "action", {"headers": {"Content-Type": FORM}, "body": f"Action={operation}"}
    yield (
        "hoisted",
        {
            "query": {"x-amz-target": f"{prefix}.{operation}"},
            "headers": {"Content-Type": JSON},
            "body": body,
        },
    )


def s3_requests() -> Iterator[tuple[str, Request]]:
    """Every S3 operation with other sub-resources, methods and paths; paths of other services."""
    for rule in _s3_rules():
        method, has_bucket, has_key = rule.shape
        path = f"/{BUCKET}/key" if has_key else f"/{BUCKET}" if has_bucket else "/"
        query = {name: value or "1" for name, value in rule.arguments.items()}
        headers = dict.fromkeys(rule.headers, f"/{BUCKET}/key")
        yield rule.operation, {"method": method, "path": path, "query": query, "headers": headers}
        for more in ({"Action": "ListAllMyBuckets"}, {"location": ""}, {"policy": ""}, {"acl": ""}):
            yield (
                rule.operation,
                {
                    "method": method,
                    "path": path,
                    "query": {**query, **more},
                    "headers": headers,
                },
            )
        for other in ("PATCH", "POST", "GET", "PUT", "DELETE", "HEAD", "OPTIONS"):
            yield (
                rule.operation,
                {"method": other, "path": path, "query": query, "headers": headers},
            )
        for written in (f"//{BUCKET}/key", f"/{BUCKET}//key", f"/{BUCKET}/../{BUCKET}/key"):
            yield rule.operation, {"method": method, "path": written, "query": query}
    for path in (
        "/iceberg/v1/config",
        "/v20180820/accesspoint",
        "/Execute",
        "/health",
        "/WriteGetObjectResponse",
        "/oauth2/authorize",
        "/v2/email/identities",
        "/latest/meta-data",
    ):
        for method in ("GET", "POST"):
            yield path, {"method": method, "path": path}
