"""A role without policies may call GetCallerIdentity and nothing else, however it writes a request.

"By default, all requests are implicitly denied" (IAM user guide, "How AWS enforcement code logic
evaluates requests to allow or deny access"); "No permissions are required to perform this
operation" (STS API reference, GetCallerIdentity).
"""

from __future__ import annotations

import pytest
from botocore.credentials import Credentials

from tests.sandbox.unit.emulator.conftest import B, InProcess
from tests.support.written_requests import (
    BUCKET,
    json_requests,
    operations,
    query_requests,
    s3_requests,
)
from xacct_sandbox import emulator
from xacct_sandbox.emulator.authorization.calls import JSON_TARGETS, QUERY_SERVICES


@pytest.fixture(scope="module")
def nobody(aws: InProcess) -> Credentials:
    """A session of a role without policies, in an account with one of everything."""
    aws.role("empty")
    admin = aws.keys[B]
    assert aws.send(admin, "s3", "PUT", f"/{BUCKET}").status == 200
    assert aws.send(admin, "s3", "PUT", f"/{BUCKET}/key", body=b"1").status == 200
    assert aws.query_call(admin, "sqs", Action="CreateQueue", QueueName="empty").status == 200
    assert aws.query_call(admin, "sns", Action="CreateTopic", Name="empty").status == 200
    assert (
        aws.json_call(admin, "secretsmanager.CreateSecret", Name="empty", SecretString="x").status
        == 200
    )
    emulator.iam(B, "CreateUser", UserName="someone")
    return aws.become(aws.role("empty"))


@pytest.mark.parametrize("service", sorted(QUERY_SERVICES))
def test_no_query_request_succeeds(aws: InProcess, nobody: Credentials, service: str) -> None:
    succeeded = []
    for number, operation in enumerate(operations(service)):
        for position, (way, request) in enumerate(query_requests(service, operation)):
            for signed_for in signed_for_services(service, number + position):
                answer = aws.send(nobody, signed_for, **request)
                if answer.status < 400:
                    succeeded.append((operation, way, signed_for))
    assert {name for name, _, _ in succeeded} <= {"GetCallerIdentity"}


def signed_for_services(service: str, number: int) -> list[str]:
    """The service, and now and then another one, which is refused before the operation is read."""
    others = ("s3", "sts", "secretsmanager", "glue", "ec2", "")
    return [service, *([others[number // 8 % len(others)]] if number % 8 == 0 else [])]


def test_who_one_is_may_be_asked_in_three_ways(aws: InProcess, nobody: Credentials) -> None:
    requests = dict(query_requests("sts", "GetCallerIdentity"))
    for way in ("form", "query", "presigned"):
        assert aws.send(nobody, "sts", **requests[way]).status == 200, way


@pytest.mark.parametrize("prefix", sorted(JSON_TARGETS))
def test_no_json_request_succeeds(aws: InProcess, nobody: Credentials, prefix: str) -> None:
    service, succeeded = JSON_TARGETS[prefix], []
    for number, operation in enumerate(operations(service)):
        for position, (way, request) in enumerate(json_requests(prefix, operation)):
            for signed_for in signed_for_services(service, number + position):
                if aws.send(nobody, signed_for, **request).status < 400:
                    succeeded.append((operation, way, signed_for))
    assert succeeded == []


def test_no_s3_request_succeeds(aws: InProcess, nobody: Credentials) -> None:
    succeeded = []
    for number, (operation, request) in enumerate(s3_requests()):
        presigned, who = number % 4 == 1, None if number % 4 == 2 else nobody
        if aws.send(who, "s3", presigned=presigned, **request).status < 400:
            succeeded.append((operation, request, who, presigned))
    assert succeeded == []


@pytest.mark.parametrize("service", ["dynamodb", "batch", "lambda", "kinesis", "states"])
def test_a_service_that_the_sandbox_does_not_serve_is_refused_by_name(
    aws: InProcess, service: str
) -> None:
    answer = aws.query_call(aws.keys[B], service, Action="CreateThing", Name="x")
    assert answer.status == 400
    assert f"does not serve {service}".encode() in answer.body
