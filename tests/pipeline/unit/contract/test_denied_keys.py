"""A denial of KMS that names no key: the key is asked for, and named."""

from __future__ import annotations

from typing import Any

import boto3
import pytest
from botocore.stub import Stubber

from xacct_assets.aws.denials import parse_denial
from xacct_assets.contract.denied_keys import (
    name_denied_keys,
    name_denied_secret_keys,
    name_secrets_key,
)

KEY = "arn:aws:kms:us-east-1:111111111111:key/1234"
UNNAMED = (
    "User: arn:aws:sts::222222222222:assumed-role/glue/x is not authorized to perform: kms:Decrypt "
    "on the resource associated with this ciphertext because the resource does not exist in this "
    "Region, no resource-based policies allow access, or a resource-based policy explicitly denies "
    "access"
)
OBJECT = {"Bucket": "raw", "Key": "a.csv", "ExpectedBucketOwner": "111111111111"}


@pytest.fixture
def s3() -> Any:
    client = boto3.client(
        "s3", region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    name_denied_keys(client)
    return client


def message_of(s3: Any, stubber: Stubber, **request: Any) -> str:
    with stubber, pytest.raises(s3.exceptions.ClientError) as denied:
        s3.get_object(**{**OBJECT, "Range": "bytes=0-0", **request})
    return str(denied.value.response["Error"]["Message"])


@pytest.mark.parametrize("version", [{}, {"VersionId": "v1"}])
def test_the_key_of_the_object_and_of_its_version_is_named(s3: Any, version: Any) -> None:
    stubber = Stubber(s3)
    stubber.add_client_error("get_object", "AccessDenied", UNNAMED, 403)
    stubber.add_response("head_object", {"SSEKMSKeyId": KEY}, {**OBJECT, **version})
    message = message_of(s3, stubber, **version)
    assert f"kms:Decrypt on resource: {KEY} because" in message
    stubber.assert_no_pending_responses()


def test_without_the_right_to_ask_the_denial_stays_as_it_is(s3: Any) -> None:
    stubber = Stubber(s3)
    stubber.add_client_error("get_object", "AccessDenied", UNNAMED, 403)
    stubber.add_client_error("head_object", "403", "Forbidden", 403)
    assert message_of(s3, stubber) == UNNAMED


@pytest.mark.parametrize("message", ["Access Denied", f"kms:Decrypt on resource: {KEY}"])
def test_for_another_denial_nothing_is_asked(s3: Any, message: str) -> None:
    stubber = Stubber(s3)
    stubber.add_client_error("get_object", "AccessDenied", message, 403)
    assert message_of(s3, stubber) == message


@pytest.mark.parametrize(
    ("service", "operation", "request_"),
    [
        ("secretsmanager", "get_secret_value", {"SecretId": "login"}),
        (
            "redshift-data",
            "execute_statement",
            {"SecretArn": "login", "Sql": "SELECT 1", "Database": "dev"},
        ),
        (
            "redshift-data",
            "batch_execute_statement",
            {"SecretArn": "login", "Sqls": ["SELECT 1"], "Database": "dev"},
        ),
    ],
)
def test_whoever_reads_a_secret_names_its_key(
    service: str, operation: str, request_: dict[str, Any]
) -> None:
    client = boto3.client(
        service, region_name="us-east-1", aws_access_key_id="x", aws_secret_access_key="x"
    )
    name_denied_secret_keys(
        client, service, lambda: Secrets(KmsKeyId=KEY), lambda: "arn:aws:iam::2:role/x"
    )
    stubber = Stubber(client)
    text = "Access to KMS is not allowed"
    stubber.add_client_error(operation, "AccessDeniedException", text, 400)
    with stubber, pytest.raises(client.exceptions.ClientError) as denied:
        getattr(client, operation)(**request_)
    found = parse_denial(denied.value.response["Error"]["Message"])
    assert found is not None
    assert (found.principal, found.action) == ("arn:aws:iam::2:role/x", "kms:Decrypt")
    assert found.resource == KEY


class Secrets:
    def __init__(self, **answer: str) -> None:
        self.answer = answer

    def describe_secret(self, SecretId: str) -> dict[str, str]:
        assert SecretId == "login"
        return self.answer


@pytest.mark.parametrize(
    ("answer", "named"), [({"KmsKeyId": KEY}, KEY), ({}, "the KMS key of secret login")]
)
def test_the_key_of_a_secret_is_named(answer: dict[str, str], named: str) -> None:
    text = name_secrets_key(
        Secrets(**answer), "login", lambda: "arn:role", "x: Access to KMS is not allowed"
    )
    assert text is not None
    assert "User: arn:role is not authorized to perform: kms:Decrypt" in text
    assert f"on resource: {named}" in text


def test_another_refusal_of_a_secret_is_no_denial_of_its_key() -> None:
    assert name_secrets_key(Secrets(), "login", lambda: "x", "Access Denied") is None
