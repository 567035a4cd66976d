"""Keys decide like other permissions: by their policy, and by the caller's own across accounts.

KMS developer guide, "Key policies", "Allowing users in other accounts to use a KMS key", "Key
states of AWS KMS keys"; S3 user guide, "Using server-side encryption with AWS KMS keys".
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.credentials import Credentials

from tests.sandbox.unit.emulator.authorization.support import (
    BUCKET,
    Statement,
    allow,
    bucket_policy,
    deny,
    session,
    when,
)
from tests.sandbox.unit.emulator.conftest import A, Answer, B, InProcess, policy

JUDGED = f"arn:aws:iam::{B}:role/judged"
SSE = "x-amz-server-side-encryption"
KEY = f"{SSE}-aws-kms-key-id"


def own_account(account: str) -> Statement:
    return allow("kms:*", Principal={"AWS": f"arn:aws:iam::{account}:root"}, Sid="OwnAccount")


def make_key(aws: InProcess, account: str, *statements: Statement) -> str:
    answer = aws.json_call(
        aws.keys[account],
        "TrentService.CreateKey",
        Policy=policy(own_account(account), *statements),
    )
    assert answer.status == 200, answer.body
    return str(json.loads(answer.body)["KeyMetadata"]["Arn"])


def put_policy(aws: InProcess, key: str, *statements: Statement) -> None:
    account = key.split(":")[4]
    answer = aws.json_call(
        aws.keys[account], "TrentService.PutKeyPolicy", KeyId=key, Policy=policy(*statements)
    )
    assert answer.status == 200, answer.body


def named(*actions: str, **more: Any) -> Statement:
    return allow(*actions, Principal={"AWS": JUDGED}, **more)


def put(aws: InProcess, who: Credentials, key: str, bucket: str = BUCKET) -> Answer:
    headers = {SSE: "aws:kms", KEY: key}
    return aws.send(who, "s3", "PUT", f"/{bucket}/under-key", body=b"1", headers=headers)


def get(aws: InProcess, who: Credentials, bucket: str = BUCKET) -> Answer:
    return aws.send(who, "s3", "GET", f"/{bucket}/under-key")


def head_key(aws: InProcess, bucket: str, name: str) -> str:
    answer = aws.send(aws.keys[B], "s3", "GET", f"/{bucket}/{name}", query={"tagging": ""})
    assert answer.status == 200
    from xacct_sandbox.emulator.authorization.key_checks import stored_key
    from xacct_sandbox.emulator.loader import booted

    return stored_key(booted(), bucket, name)


# Within the account: statements of the caller, of the key, and whether it may read.
IN_ACCOUNT = {
    "named by the key alone": ([], [own_account(B), named("kms:Decrypt")], True),
    "by IAM, which the key enables": ([allow("kms:Decrypt")], [own_account(B)], True),
    "by IAM, which the key does not enable": (
        [allow("kms:Decrypt")],
        [allow("kms:PutKeyPolicy", Principal={"AWS": f"arn:aws:iam::{B}:user/admin"})],
        False,
    ),
    "named for another action": ([], [own_account(B), named("kms:GenerateDataKey")], False),
    "named by none": ([], [own_account(B)], False),
    "denied by IAM": ([deny("kms:Decrypt")], [own_account(B), named("kms:Decrypt")], False),
    "through S3 only": (
        [],
        [
            own_account(B),
            named(
                "kms:Decrypt",
                **when("StringEquals", "kms:ViaService", "s3.us-east-1.amazonaws.com"),
            ),
        ],
        True,
    ),
    "through another service only": (
        [],
        [
            own_account(B),
            named("kms:Decrypt", **when("StringEquals", "kms:ViaService", "x.amazonaws.com")),
        ],
        False,
    ),
    "by the alias of the key": (
        [
            allow(
                "kms:Decrypt",
                **when("ForAnyValue:StringEquals", "kms:ResourceAliases", "alias/one"),
            )
        ],
        [own_account(B)],
        True,
    ),
    "by the object in the encryption context": (
        [],
        [
            own_account(B),
            named(
                "kms:Decrypt",
                **when(
                    "StringEquals",
                    "kms:EncryptionContext:aws:s3:arn",
                    f"arn:aws:s3:::{BUCKET}/under-key",
                ),
            ),
        ],
        True,
    ),
}


@pytest.fixture
def key(aws: InProcess) -> Iterator[str]:
    """A key of account B with the alias ``one``."""
    arn = make_key(aws, B)
    made = aws.json_call(
        aws.keys[B], "TrentService.CreateAlias", AliasName="alias/one", TargetKeyId=arn
    )
    assert made.status == 200, made.body
    yield arn
    put_policy(aws, arn, own_account(B))
    aws.json_call(aws.keys[B], "TrentService.DeleteAlias", AliasName="alias/one")


@pytest.mark.parametrize("case", IN_ACCOUNT.values(), ids=IN_ACCOUNT)
def test_within_an_account_the_keys_policy_must_allow(
    aws: InProcess, bucket: str, key: str, case: tuple[list[Statement], list[Statement], bool]
) -> None:
    identity, of_key, allowed = case
    who = session(aws, allow("s3:*"), *identity)
    assert put(aws, aws.keys[B], key).status == 200
    put_policy(aws, key, *of_key)
    assert (get(aws, who).status == 200) is allowed


@pytest.mark.parametrize("own", [True, False], ids=["with its own right", "without"])
@pytest.mark.parametrize("of_key", [True, False], ids=["named by the key", "not named"])
def test_across_accounts_both_must_allow(
    aws: InProcess, foreign: str, own: bool, of_key: bool
) -> None:
    who = session(aws, allow("s3:*"), *([allow("kms:Decrypt")] if own else []))
    bucket_policy(
        aws, A, foreign, allow("s3:GetObject", on=f"arn:aws:s3:::{foreign}/*", Principal={"AWS": B})
    )
    key = make_key(aws, A, *([named("kms:Decrypt")] if of_key else []))
    assert put(aws, aws.keys[A], key, foreign).status == 200
    answer = get(aws, who, foreign)
    assert (answer.status == 200) is (own and of_key), answer.body
    if own and not of_key:
        # KMS does not tell which key it is.
        assert b"kms:Decrypt on the resource associated with this ciphertext" in answer.body
        assert b"<Code>AccessDenied</Code>" in answer.body
        assert key.encode() not in answer.body
    elif not own:
        assert f"kms:Decrypt on resource: {key} because no identity".encode() in answer.body


def test_a_write_needs_generate_data_key_also_under_the_buckets_default(
    aws: InProcess, bucket: str, key: str
) -> None:
    who = session(aws, allow("s3:*"))
    rule = (
        "<Rule><ApplyServerSideEncryptionByDefault><SSEAlgorithm>aws:kms</SSEAlgorithm>"
        f"<KMSMasterKeyID>{key.rpartition('/')[2]}</KMSMasterKeyID>"
        "</ApplyServerSideEncryptionByDefault></Rule>"
    )
    body = f"<ServerSideEncryptionConfiguration>{rule}</ServerSideEncryptionConfiguration>"
    path = f"/{bucket}/by-default"
    aws.send(aws.keys[B], "s3", "PUT", f"/{bucket}", query={"encryption": ""}, body=body)
    try:
        put_policy(aws, key, own_account(B), named("kms:Decrypt"))
        refused = aws.send(who, "s3", "PUT", path, body=b"1")
        assert refused.status == 403
        assert b"is not authorized to perform: kms:GenerateDataKey" in refused.body
        put_policy(aws, key, own_account(B), named("kms:GenerateDataKey"))
        assert aws.send(who, "s3", "PUT", path, body=b"1").status == 200
        # The object names its key by ARN, and what is written is not readable by that right.
        assert head_key(aws, bucket, "by-default") == key
        assert aws.send(who, "s3", "GET", path).status == 403
        # Another encryption in the request needs no right on the default's key.
        put_policy(aws, key, own_account(B))
        assert aws.send(who, "s3", "PUT", path, body=b"1", headers={SSE: "AES256"}).status == 200
        assert aws.send(who, "s3", "GET", path).status == 200
    finally:
        aws.send(aws.keys[B], "s3", "DELETE", f"/{bucket}", query={"encryption": ""})


@pytest.mark.parametrize("missing", ["kms:Decrypt", "kms:GenerateDataKey"])
def test_a_copy_needs_the_source_and_the_destination(
    aws: InProcess, bucket: str, key: str, missing: str
) -> None:
    assert put(aws, aws.keys[B], key).status == 200
    who = session(aws, allow("s3:*"))
    headers = {"x-amz-copy-source": f"/{bucket}/under-key", SSE: "aws:kms", KEY: key}
    for rights, status in (({"kms:Decrypt", "kms:GenerateDataKey"}, 200), ({missing}, 403)):
        put_policy(aws, key, own_account(B), named(*sorted(rights)))
        copied = aws.send(who, "s3", "PUT", f"/{bucket}/copy", headers=headers)
        assert copied.status == status, copied.body


def test_a_part_of_an_upload_needs_decrypt(aws: InProcess, bucket: str, key: str) -> None:
    who = session(aws, allow("s3:*"))
    put_policy(aws, key, own_account(B), named("kms:GenerateDataKey"))
    begun = aws.send(
        who,
        "s3",
        "POST",
        f"/{bucket}/large",
        query={"uploads": ""},
        headers={SSE: "aws:kms", KEY: key},
    )
    upload = begun.body.decode().partition("<UploadId>")[2].partition("<")[0]
    part = {"partNumber": "1", "uploadId": upload}
    refused = aws.send(who, "s3", "PUT", f"/{bucket}/large", query=part, body=b"1")
    assert refused.status == 403
    assert b"kms:Decrypt" in refused.body
    put_policy(aws, key, own_account(B), named("kms:GenerateDataKey", "kms:Decrypt"))
    assert aws.send(who, "s3", "PUT", f"/{bucket}/large", query=part, body=b"1").status == 200


@pytest.mark.parametrize(
    ("operation", "code", "text"),
    [
        ("DisableKey", "KMS.DisabledException", "is disabled"),
        ("ScheduleKeyDeletion", "KMS.KMSInvalidStateException", "is pending deletion"),
    ],
)
def test_a_key_that_cannot_be_used_is_refused_with_kms_text(
    aws: InProcess, bucket: str, key: str, operation: str, code: str, text: str
) -> None:
    assert put(aws, aws.keys[B], key).status == 200
    aws.json_call(aws.keys[B], f"TrentService.{operation}", KeyId=key)
    for answer in (get(aws, aws.keys[B]), put(aws, aws.keys[B], key)):
        assert answer.status == 400
        assert f"<Code>{code}</Code>".encode() in answer.body
        assert f"{key} {text}".encode() in answer.body
    # Who may not use it is not told of its state.
    who = session(aws, allow("s3:*"))
    assert get(aws, who).status == 403


def test_a_key_that_is_not_there_is_refused(aws: InProcess, bucket: str) -> None:
    absent = f"arn:aws:kms:us-east-1:{B}:key/00000000-0000-0000-0000-000000000000"
    answer = put(aws, aws.keys[B], absent)
    assert b"<Code>KMS.NotFoundException</Code>" in answer.body
    assert absent.encode() in answer.body


# -- secrets ---------------------------------------------------------------------------------------


def test_a_secret_under_a_key_is_read_with_the_right_on_the_key(aws: InProcess, key: str) -> None:
    made = aws.json_call(
        aws.keys[B],
        "secretsmanager.CreateSecret",
        Name=f"under-{key[-6:]}",
        SecretString="s",
        KmsKeyId=key,
    )
    secret = json.loads(made.body)["ARN"]
    who = session(aws, allow("secretsmanager:*"))
    refused = aws.json_call(who, "secretsmanager.GetSecretValue", SecretId=secret)
    assert not refused.allowed
    assert b"Access to KMS is not allowed" in refused.body
    assert b"AccessDeniedException" in refused.body
    # Its description needs no right on the key.
    assert aws.json_call(who, "secretsmanager.DescribeSecret", SecretId=secret).allowed
    put_policy(aws, key, own_account(B), named("kms:Decrypt"))
    assert aws.json_call(who, "secretsmanager.GetSecretValue", SecretId=secret).allowed
    written = aws.json_call(who, "secretsmanager.PutSecretValue", SecretId=secret, SecretString="t")
    assert b"Access to KMS is not allowed" in written.body
    aws.json_call(aws.keys[B], "TrentService.DisableKey", KeyId=key)
    unusable = aws.json_call(who, "secretsmanager.GetSecretValue", SecretId=secret)
    assert b"DecryptionFailure" in unusable.body


# -- KMS itself ------------------------------------------------------------------------------------


@pytest.mark.parametrize("operation", ["DescribeKey", "GenerateDataKey"])
def test_the_api_of_kms_decides_across_accounts_too(aws: InProcess, operation: str) -> None:
    target = f"TrentService.{operation}"
    who = session(aws)
    key = make_key(aws, A, named(f"kms:{operation}"))
    assert not aws.json_call(who, target, KeyId=key).allowed
    who = session(aws, allow(f"kms:{operation}"))
    put_policy(aws, key, own_account(A), named(f"kms:{operation}"))
    answer = aws.json_call(who, target, KeyId=key)
    assert answer.status == 200, answer.body
    put_policy(aws, key, own_account(A))
    refused = aws.json_call(who, target, KeyId=key)
    assert b"AccessDeniedException" in refused.body


WRONG_POLICIES = {
    "nobody may change": [named("kms:Decrypt")],
    "a role that does not exist": [
        own_account(B),
        allow("kms:Decrypt", Principal={"AWS": f"arn:aws:iam::{B}:role/nobody"}),
    ],
    "no principal": [own_account(B), allow("kms:Decrypt")],
}


@pytest.mark.parametrize("wrong", WRONG_POLICIES.values(), ids=WRONG_POLICIES)
def test_a_wrong_key_policy_is_refused(aws: InProcess, key: str, wrong: list[Statement]) -> None:
    aws.role("judged")
    answer = aws.json_call(
        aws.keys[B], "TrentService.PutKeyPolicy", KeyId=key, Policy=policy(*wrong)
    )
    assert b"MalformedPolicyDocumentException" in answer.body


def test_grants_are_refused_by_name(aws: InProcess, key: str) -> None:
    answer = aws.json_call(
        aws.keys[B], "TrentService.CreateGrant", KeyId=key, GranteePrincipal=JUDGED
    )
    assert b"does not support the operation CreateGrant of kms" in answer.body
