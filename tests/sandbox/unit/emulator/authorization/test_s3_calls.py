"""S3 calls are judged for all that they need, with the keys that S3 gives them."""

from __future__ import annotations

from typing import Any

import pytest
from botocore.credentials import Credentials

from tests.sandbox.unit.emulator.authorization.support import (
    ALL,
    allow,
    bucket_policy,
    deny,
    session,
    when,
)
from tests.sandbox.unit.emulator.conftest import A, Answer, B, InProcess
from xacct_sandbox import emulator

# -- what an operation needs (API reference: PutObject, CopyObject, GetObjectAttributes) ---------


@pytest.mark.parametrize(
    ("headers", "action"),
    [
        ({"x-amz-acl": "private"}, "s3:PutObjectAcl"),
        ({"x-amz-grant-read": 'id="x"'}, "s3:PutObjectAcl"),
        ({"x-amz-tagging": "a=b"}, "s3:PutObjectTagging"),
        ({"x-amz-object-lock-legal-hold": "ON"}, "s3:PutObjectLegalHold"),
    ],
)
@pytest.mark.parametrize("query", [{}, {"uploads": ""}])
def test_a_put_with_more_needs_more(
    aws: InProcess, bucket: str, headers: dict[str, str], action: str, query: dict[str, str]
) -> None:
    method = "POST" if query else "PUT"

    def put(who: Credentials) -> Answer:
        return aws.send(who, "s3", method, f"/{bucket}/new", query=query, headers=headers)

    assert not put(session(aws, allow("s3:PutObject", on=ALL))).allowed
    assert put(session(aws, allow("s3:PutObject", action, on=ALL))).allowed


def test_a_hoisted_header_counts_as_the_header(aws: InProcess, bucket: str) -> None:
    who = session(aws, allow("s3:PutObject", on=ALL))
    source = {"x-amz-copy-source": f"/{bucket}/key"}
    for presigned in (False, True):
        answer = aws.send(who, "s3", "PUT", f"/{bucket}/new", query=source, presigned=presigned)
        assert not answer.allowed


def test_attributes_need_the_right_to_read(aws: InProcess, bucket: str) -> None:
    def read(*actions: str) -> bool:
        who = session(aws, allow(*actions, on=ALL))
        headers = {"x-amz-object-attributes": "ETag"}
        return aws.send(
            who, "s3", "GET", f"/{bucket}/key", query={"attributes": ""}, headers=headers
        ).allowed

    assert not read("s3:GetObjectAttributes")
    assert not read("s3:GetObject")
    assert read("s3:GetObject", "s3:GetObjectAttributes")


@pytest.mark.parametrize("selector", ["policy", "location", "acl&policy", "uploads"])
def test_a_wrong_subresource_is_no_other_request(
    aws: InProcess, bucket: str, selector: str
) -> None:
    query = dict.fromkeys(selector.split("&"), "")
    answer = aws.send(aws.keys[B], "s3", "GET", f"/{bucket}/key", query=query)
    assert answer.status == 405


def test_an_action_in_the_query_of_s3_means_nothing(aws: InProcess, bucket: str) -> None:
    query = {"Action": "ListAllMyBuckets"}
    lister = session(aws, allow("s3:ListAllMyBuckets"))
    assert not aws.send(lister, "s3", "GET", f"/{bucket}/key", query=query).allowed
    reader = session(aws, allow("s3:GetObject", on=ALL))
    assert aws.send(reader, "s3", "GET", f"/{bucket}/key", query=query).body == b"1"


# -- copies (API reference, CopyObject) ---------------------------------------------------------


def copy(aws: InProcess, who: Credentials, source: str, target: str, **headers: str) -> Answer:
    return aws.send(who, "s3", "PUT", target, headers={"x-amz-copy-source": source, **headers})


def test_a_copy_reads_its_source_as_its_caller(aws: InProcess, bucket: str, foreign: str) -> None:
    role = f"arn:aws:iam::{B}:role/judged"
    who = session(aws, allow("s3:*"))
    whole = f"arn:aws:s3:::{foreign}/*"
    assert not copy(aws, who, f"/{foreign}/data", f"/{bucket}/copied").allowed
    bucket_policy(aws, A, foreign, allow("s3:Get*", on=whole, Principal={"AWS": role}))
    assert copy(aws, who, f"/{foreign}/data", f"/{bucket}/copied").status == 200
    copied = aws.send(who, "s3", "GET", f"/{bucket}/copied")
    assert copied.body == b"hello"
    tags = aws.send(who, "s3", "GET", f"/{bucket}/copied", query={"tagging": ""})
    assert b"<Key>a</Key><Value>b</Value>" in tags.body
    bucket_policy(
        aws,
        A,
        foreign,
        allow("s3:Get*", on=whole, Principal={"AWS": f"arn:aws:iam::{B}:root"}),
        deny("s3:GetObject", on=whole, Principal={"AWS": role}),
    )
    assert not copy(aws, who, f"/{foreign}/data", f"/{bucket}/copied").allowed
    assert (
        copy(
            aws,
            session(aws, allow("s3:*"), name="judged-2"),
            f"/{foreign}/data",
            f"/{bucket}/copied",
        ).status
        == 200
    )


def test_a_deny_on_the_source_within_the_account_holds(aws: InProcess, bucket: str) -> None:
    who = session(aws, allow("s3:*"))
    role = f"arn:aws:iam::{B}:role/judged"
    assert copy(aws, who, f"/{bucket}/key", f"/{bucket}/copied").status == 200
    bucket_policy(aws, B, bucket, deny("s3:GetObject", on=f"{ALL[0]}/key", Principal={"AWS": role}))
    assert not copy(aws, who, f"/{bucket}/key", f"/{bucket}/copied").allowed


def test_a_copy_of_tags_needs_the_right_to_read_and_write_them(aws: InProcess, bucket: str) -> None:
    who = session(aws, allow("s3:GetObject", "s3:PutObject", on=ALL))
    assert not copy(aws, who, f"/{bucket}/key", f"/{bucket}/copied").allowed
    replace = {"x-amz-tagging-directive": "REPLACE"}
    assert copy(aws, who, f"/{bucket}/key", f"/{bucket}/copied", **replace).status == 200


def test_a_part_is_copied_across_accounts(aws: InProcess, bucket: str, foreign: str) -> None:
    admin = aws.keys[B]
    bucket_policy(
        aws,
        A,
        foreign,
        allow("s3:GetObject", on=f"arn:aws:s3:::{foreign}/*", Principal={"AWS": B}),
    )
    started = aws.send(admin, "s3", "POST", f"/{bucket}/parts", query={"uploads": ""}).body.decode()
    upload = started.partition("<UploadId>")[2].partition("<")[0]
    part = aws.send(
        admin,
        "s3",
        "PUT",
        f"/{bucket}/parts",
        query={"partNumber": "1", "uploadId": upload},
        headers={"x-amz-copy-source": f"/{foreign}/data", "x-amz-copy-source-range": "bytes=1-3"},
    )
    assert b"CopyPartResult" in part.body


# -- condition keys (service authorization reference; IAM user guide, global keys) ---------------

DENYING_KEYS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "s3:TlsVersion": ("NumericLessThan", "9", {}),
    "s3:signatureversion": ("StringEquals", "AWS4-HMAC-SHA256", {}),
    "s3:authType": ("StringEquals", "REST-HEADER", {}),
    "s3:ExistingObjectTag/kind": ("StringEquals", "secret", {}),
    "aws:UserAgent": ("StringLike", "test/*", {"headers": {"User-Agent": "test/1"}}),
    "s3:signatureAge": ("NumericGreaterThan", "-1", {}),
}


@pytest.mark.parametrize("key", DENYING_KEYS)
@pytest.mark.parametrize("account", [A, B])
def test_a_key_of_a_read_is_there(
    aws: InProcess, bucket: str, foreign: str, key: str, account: str
) -> None:
    operator, value, request = DENYING_KEYS[key]
    name, path = (foreign, "data") if account == A else (bucket, "key")
    if account == A:
        bucket_policy(
            aws, A, foreign, allow("s3:*", on=f"arn:aws:s3:::{foreign}/*", Principal={"AWS": B})
        )
        value = "b" if key.startswith("s3:Existing") else value
        key = key.replace("/kind", "/a")
    emulator.tls_version.set("1.3")
    reading = allow("s3:GetObject")
    who = session(aws, reading)
    assert aws.send(who, "s3", "GET", f"/{name}/{path}", **request).status == 200
    who = session(aws, reading, deny("s3:GetObject", **when(operator, key, value)))
    assert not aws.send(who, "s3", "GET", f"/{name}/{path}", **request).allowed


def test_the_version_of_an_object_is_a_key(aws: InProcess) -> None:
    admin, bucket = aws.keys[B], "judged-versions"
    aws.send(admin, "s3", "PUT", f"/{bucket}")
    enabled = "<VersioningConfiguration><Status>Enabled</Status></VersioningConfiguration>"
    aws.send(admin, "s3", "PUT", f"/{bucket}", query={"versioning": ""}, body=enabled)
    versions = []
    for text in (b"one", b"two"):
        aws.send(admin, "s3", "PUT", f"/{bucket}/versioned", body=text)
        listed = aws.send(admin, "s3", "GET", f"/{bucket}", query={"versions": ""}).body.decode()
        versions.append(listed.partition("<VersionId>")[2].partition("<")[0])
    denied = deny("s3:*", **when("StringEquals", "s3:VersionId", versions[0]))
    who = session(aws, allow("s3:GetObject*"), denied)
    allowed = [
        aws.send(who, "s3", "GET", f"/{bucket}/versioned", query={"versionId": version}).allowed
        for version in versions
    ]
    assert allowed == [False, True]
    assert aws.send(who, "s3", "GET", f"/{bucket}/versioned").body == b"two"


def test_a_presigned_request_has_its_own_kind_of_authentication(
    aws: InProcess, bucket: str
) -> None:
    only = when("StringEquals", "s3:authType", "REST-QUERY-STRING")
    who = session(aws, allow("s3:GetObject", **only))
    assert not aws.send(who, "s3", "GET", f"/{bucket}/key").allowed
    assert aws.send(who, "s3", "GET", f"/{bucket}/key", presigned=True).body == b"1"


def test_the_tags_of_a_new_object_are_keys(aws: InProcess, bucket: str) -> None:
    tagged = when("StringEquals", "s3:RequestObjectTag/kind", "public")
    who = session(aws, allow("s3:PutObject*", **tagged))

    def put(**headers: str) -> bool:
        return aws.send(who, "s3", "PUT", f"/{bucket}/new", headers=headers).allowed

    assert not put()
    assert not put(**{"x-amz-tagging": "kind=secret"})
    assert put(**{"x-amz-tagging": "kind=public"})


def test_a_key_that_the_sandbox_cannot_know_refuses_the_call_by_name(
    aws: InProcess, bucket: str
) -> None:
    who = session(aws, allow("s3:*"), deny("s3:GetObject", **when("StringEquals", "ec2:Vpc", "x")))
    answer = aws.send(who, "s3", "GET", f"/{bucket}/key")
    assert answer.status == 403
    assert b"ec2:vpc" in answer.body


def test_the_stage_of_a_secret_and_its_tags_are_keys(aws: InProcess) -> None:
    admin = aws.keys[B]
    aws.json_call(
        admin,
        "secretsmanager.CreateSecret",
        Name="keys",
        SecretString="x",
        Tags=[{"Key": "team", "Value": "data"}],
    )

    def read(**condition: Any) -> bool:
        who = session(
            aws, allow("secretsmanager:*"), deny("secretsmanager:GetSecretValue", **condition)
        )
        return aws.json_call(who, "secretsmanager.GetSecretValue", SecretId="keys").allowed

    assert not read(**when("StringEquals", "secretsmanager:VersionStage", "AWSCURRENT"))
    assert read(**when("StringEquals", "secretsmanager:VersionStage", "AWSPREVIOUS"))
    assert not read(**when("StringEquals", "aws:ResourceTag/team", "data"))
    assert not read(**when("StringEquals", "secretsmanager:ResourceTag/team", "data"))
    assert read(**when("StringEquals", "aws:ResourceTag/team", "other"))
