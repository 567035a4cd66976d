"""A role without policies may call GetCallerIdentity and nothing else, however it writes a request.

"By default, all requests are implicitly denied" (IAM user guide, "How AWS enforcement code logic
evaluates requests to allow or deny access"); "No permissions are required to perform this
operation" (STS API reference, GetCallerIdentity).
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import urlencode

import botocore.session
import pytest
from botocore.credentials import Credentials

from tests.sandbox.unit.emulator.conftest import InProcess, policy
from xacct_sandbox import emulator
from xacct_sandbox.emulator.authorization.calls import JSON_TARGETS, QUERY_SERVICES
from xacct_sandbox.emulator.request_parsing import _s3_rules

A, B = "111111111111", "222222222222"
FORM = "application/x-www-form-urlencoded; charset=utf-8"
JSON = "application/x-amz-json-1.1"
BUCKET = "empty-role"


@pytest.fixture(scope="module")
def nobody(aws: InProcess) -> Credentials:
    """A session of a role without policies, in an account with one of everything."""
    aws.role("empty")
    admin = aws.keys[B]
    assert aws.send(admin, "s3", "PUT", f"/{BUCKET}").status == 200
    assert aws.send(admin, "s3", "PUT", f"/{BUCKET}/key", body=b"1").status == 200
    assert aws.query_call(admin, "sqs", Action="CreateQueue", QueueName="empty").status == 200
    assert (
        aws.json_call(admin, "secretsmanager.CreateSecret", Name="empty", SecretString="x").status
        == 200
    )
    emulator.iam(B, "CreateUser", UserName="someone")
    return aws.become(aws.role("empty"))


def parameters(service: str) -> dict[str, str]:
    return {
        "RoleName": "empty",
        "UserName": "someone",
        "PolicyName": "p",
        "PolicyDocument": policy({"Effect": "Allow", "Action": "*", "Resource": "*"}),
        "RoleArn": f"arn:aws:iam::{B}:role/empty",
        "RoleSessionName": "again",
        "QueueUrl": f"https://127.0.0.1:4566/{B}/empty",
        "QueueName": "another",
        "MessageBody": "x",
        "StackName": "stack",
        "TemplateBody": "{}",
        "Version": "2012-11-05" if service == "sqs" else "2010-05-08",
        "SecretId": "empty",
        "Name": "xx",
    }


def operations(service: str) -> list[str]:
    return list(botocore.session.get_session().get_service_model(service).operation_names)


def query_requests(service: str, operation: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Ways to write a request of the query protocol, right and wrong ones."""
    form = urlencode({"Action": operation, **parameters(service)})
    harmless = "Action=GetCallerIdentity&Version=2011-06-15"
    prefix = {
        "iam": "IAMService",
        "sts": "AWSSecurityTokenServiceV20110615",
        "sqs": "AmazonSQS",
    }.get(service, "CloudFormation_20100515")
    target = {"X-Amz-Target": f"{prefix}.{operation}"}
    as_json = json.dumps(parameters(service))
    yield "form", {"headers": {"Content-Type": FORM}, "body": form}
    yield "form with another type", {"headers": {"Content-Type": "text/plain"}, "body": form}
    yield "form without a type", {"headers": {}, "body": form}
    yield "form as JSON", {"headers": {"Content-Type": JSON}, "body": form}
    yield "form with a put", {"method": "PUT", "headers": {"Content-Type": FORM}, "body": form}
    yield "query", {"method": "GET", "query": {"Action": operation, **parameters(service)}}
    yield (
        "presigned",
        {
            "method": "GET",
            "query": {"Action": operation, **parameters(service)},
            "presigned": True,
        },
    )
    yield "query with a post", {"query": {"Action": operation, **parameters(service)}}
    yield (
        "harmless query",
        {
            "query": {"Action": "GetCallerIdentity"},
            "headers": {"Content-Type": FORM},
            "body": form,
        },
    )
    yield (
        "harmless body",
        {
            "query": {"Action": operation, **parameters(service)},
            "headers": {"Content-Type": FORM},
            "body": harmless,
        },
    )
    for first, second in ((form, harmless), (harmless, form)):
        yield "two actions", {"headers": {"Content-Type": FORM}, "body": f"{first}&{second}"}
    yield "target", {"headers": {"Content-Type": JSON, **target}, "body": as_json}
    yield "target and form", {"headers": {"Content-Type": FORM, **target}, "body": form}
    yield (
        "harmless target",
        {
            "headers": {
                "Content-Type": FORM,
                "X-Amz-Target": "AWSSecurityTokenServiceV20110615.GetCallerIdentity",
            },
            "body": form,
        },
    )
    yield "another path", {"path": "/x/y", "headers": {"Content-Type": FORM}, "body": form}
    yield "queue path", {"path": f"/{B}/empty", "headers": {"Content-Type": FORM}, "body": form}
    yield (
        "compressed",
        {
            "headers": {"Content-Type": FORM, "Content-Encoding": "gzip"},
            "body": form,
        },
    )


@pytest.mark.parametrize("service", sorted(QUERY_SERVICES))
def test_no_query_request_succeeds(aws: InProcess, nobody: Credentials, service: str) -> None:
    succeeded = []
    for operation in operations(service):
        for way, request in query_requests(service, operation):
            for signed_for in (service, "s3"):
                answer = aws.send(nobody, signed_for, **request)
                if answer.status < 400:
                    succeeded.append((operation, way, signed_for))
    assert {name for name, _, _ in succeeded} <= {"GetCallerIdentity"}


def test_who_one_is_may_be_asked_in_three_ways(aws: InProcess, nobody: Credentials) -> None:
    requests = dict(query_requests("sts", "GetCallerIdentity"))
    for way in ("form", "query", "presigned"):
        assert aws.send(nobody, "sts", **requests[way]).status == 200, way


@pytest.mark.parametrize("prefix", sorted(JSON_TARGETS))
def test_no_json_request_succeeds(aws: InProcess, nobody: Credentials, prefix: str) -> None:
    service, succeeded = JSON_TARGETS[prefix], []
    for operation in operations(service):
        target = {"X-Amz-Target": f"{prefix}.{operation}"}
        body = json.dumps(parameters(service))
        ways: dict[str, dict[str, Any]] = {
            "json": {"headers": {"Content-Type": JSON, **target}, "body": body},
            "json 1.0": {"headers": {"Content-Type": JSON[:-1] + "0", **target}, "body": body},
            "plain": {"headers": {"Content-Type": "text/plain", **target}, "body": body},
            "no type": {"headers": target, "body": body},
            "get": {"method": "GET", "headers": {"Content-Type": JSON, **target}},
            "presigned": {"method": "GET", "headers": target, "presigned": True},
            "harmless action": {
                "query": {"Action": "ListSecrets"},
                "headers": {"Content-Type": JSON, **target},
                "body": body,
            },
            "harmless form": {
                "headers": {"Content-Type": FORM, **target},
                "body": "Action=GetCallerIdentity",
            },
            "a path": {"path": "/a/b", "headers": {"Content-Type": JSON, **target}, "body": body},
            "action": {"headers": {"Content-Type": FORM}, "body": f"Action={operation}"},
            "hoisted": {
                "query": {"x-amz-target": f"{prefix}.{operation}"},
                "headers": {"Content-Type": JSON},
                "body": body,
            },
        }
        for way, request in ways.items():
            for signed_for in (service, "s3", "sts"):
                if aws.send(nobody, signed_for, **request).status < 400:
                    succeeded.append((operation, way, signed_for))
    assert succeeded == []


def s3_requests() -> Iterator[tuple[str, dict[str, Any]]]:
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


def test_no_s3_request_succeeds(aws: InProcess, nobody: Credentials) -> None:
    succeeded = []
    for operation, request in s3_requests():
        for presigned in (False, True):
            if aws.send(nobody, "s3", presigned=presigned, **request).status < 400:
                succeeded.append((operation, request, presigned))
        if aws.send(None, "s3", **request).status < 400:
            succeeded.append((operation, request, "anonymous"))
    assert succeeded == []


@pytest.mark.parametrize("service", ["dynamodb", "ec2", "kms", "lambda", "sns", "states"])
def test_a_service_that_the_sandbox_does_not_serve_is_refused_by_name(
    aws: InProcess, service: str
) -> None:
    answer = aws.query_call(aws.keys[B], service, Action="CreateTopic", Name="x")
    assert answer.status == 400
    assert f"does not serve {service}".encode() in answer.body
