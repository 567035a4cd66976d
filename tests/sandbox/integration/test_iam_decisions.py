"""The sandbox decides as AWS does: who may touch what, across two accounts.

Each case gives a role in account B an identity policy, a bucket in account A a bucket policy, and
says whether one request passes. Every case was decided by hand from the IAM user guide.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from tests.support.accounts import (
    BUCKET,
    EVERYTHING,
    OBJECTS,
    OTHER,
    ROLE,
    ROLE_IN_A,
    ROOT_OF_B,
    WHOLE,
    A,
    Accounts,
    B,
    Statement,
    allow,
    aws,
    deny,
    passes,
    trusting,
    two_accounts,
)
from tests.support.sandbox import RunningSandbox
from xacct_sandbox.daemon.control_client import call_daemon
from xacct_sandbox.service_errors import ServiceError


@pytest.fixture(scope="module")
def accounts(bare_sandbox: RunningSandbox) -> Iterator[Accounts]:
    with two_accounts(bare_sandbox) as accounts:
        yield accounts


# -- S3 across accounts ------------------------------------------------------------------------

REQUESTS = {
    "get": lambda s3: s3.get_object(Bucket=BUCKET, Key="products/a.csv"),
    "head": lambda s3: s3.head_object(Bucket=BUCKET, Key="products/a.csv"),
    "get secret": lambda s3: s3.get_object(Bucket=BUCKET, Key="secret/b.csv"),
    "put": lambda s3: s3.put_object(Bucket=BUCKET, Key="products/new.csv", Body=b"2"),
    "put with acl": lambda s3: s3.put_object(
        Bucket=BUCKET, Key="products/new.csv", Body=b"2", ACL="bucket-owner-full-control"
    ),
    "list": lambda s3: s3.list_objects_v2(Bucket=BUCKET),
    "list products": lambda s3: s3.list_objects_v2(Bucket=BUCKET, Prefix="products/"),
    "list secret": lambda s3: s3.list_objects_v2(Bucket=BUCKET, Prefix="secret/"),
    "delete": lambda s3: s3.delete_object(Bucket=BUCKET, Key="products/new.csv"),
    "delete many": lambda s3: s3.delete_objects(
        Bucket=BUCKET, Delete={"Objects": [{"Key": "products/x"}, {"Key": "products/y"}]}
    ),
    "delete many elsewhere": lambda s3: s3.delete_objects(
        Bucket=BUCKET, Delete={"Objects": [{"Key": "products/x"}, {"Key": "secret/y"}]}
    ),
    "folder marker": lambda s3: s3.put_object(Bucket=BUCKET, Key="products/", Body=b""),
}


@dataclass(frozen=True)
class Case:
    """Policies, and the requests that they allow or deny.

    Attributes:
        claim: name of the test.
        identity: statements of the role's policy.
        bucket: statements of the bucket's policy.
        allowed: names of the requests that succeed.
        denied: names of the requests that are denied.
        who: role that makes the requests.
    """

    claim: str
    identity: tuple[Statement, ...]
    bucket: tuple[Statement, ...]
    allowed: tuple[str, ...] = ()
    denied: tuple[str, ...] = ()
    who: str = ROLE


READ = allow("s3:GetObject", on=OBJECTS, Principal=aws(ROLE))
ALL_TO_ACCOUNT_B = allow("s3:*", on=[WHOLE, OBJECTS], Principal=aws(ROOT_OF_B))
READ_IF_ROLE = allow(
    "s3:GetObject",
    on=OBJECTS,
    Principal="*",
    Condition={"StringEquals": {"aws:PrincipalArn": ROLE}},
)
DENY_READ_UNLESS_ROLE = deny(
    "s3:GetObject",
    on=OBJECTS,
    Principal="*",
    Condition={"StringNotEquals": {"aws:PrincipalArn": ROLE}},
)

S3_CASES = (
    Case(
        "an identity policy without a bucket policy opens nothing",
        EVERYTHING,
        (),
        denied=("get", "head", "put", "list", "delete"),
    ),
    Case(
        "a bucket policy naming the role opens that action alone",
        EVERYTHING,
        (READ,),
        allowed=("get", "head"),
        denied=("put", "list", "delete"),
    ),
    Case(
        "a bucket policy naming account B leaves it to the identity policy",
        (allow("s3:GetObject", on=OBJECTS),),
        (allow("s3:*", on=[WHOLE, OBJECTS], Principal=aws(ROOT_OF_B)),),
        allowed=("get",),
        denied=("put", "list"),
    ),
    Case(
        "a bucket policy without an identity policy opens nothing",
        (),
        (READ, allow("s3:ListBucket", on=WHOLE, Principal=aws(ROLE))),
        denied=("get", "list"),
    ),
    Case("naming another role does not help", EVERYTHING, (READ,), denied=("get",), who=OTHER),
    Case(
        "a source address that does not match is refused",
        EVERYTHING,
        ({**READ, "Condition": {"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}},),
        denied=("get",),
    ),
    Case(
        "a source address that matches is let in",
        EVERYTHING,
        ({**READ, "Condition": {"IpAddress": {"aws:SourceIp": "127.0.0.0/8"}}},),
        allowed=("get",),
    ),
    Case(
        "everyone, if the principal is the role, is the role",
        EVERYTHING,
        (READ_IF_ROLE,),
        allowed=("get",),
    ),
    Case(
        "everyone, if the principal is the role, is not another role",
        EVERYTHING,
        (READ_IF_ROLE,),
        denied=("get",),
        who=OTHER,
    ),
    Case(
        "a Deny of the role wins over an Allow of its account",
        EVERYTHING,
        (
            ALL_TO_ACCOUNT_B,
            deny("s3:GetObject", on=OBJECTS, Principal=aws(ROLE)),
        ),
        allowed=("list",),
        denied=("get",),
    ),
    Case(
        "a Deny of the role is for that role only",
        EVERYTHING,
        (
            ALL_TO_ACCOUNT_B,
            deny("s3:GetObject", on=OBJECTS, Principal=aws(ROLE)),
        ),
        allowed=("get",),
        who=OTHER,
    ),
    Case(
        "a Deny for all but the role spares the role",
        EVERYTHING,
        (
            ALL_TO_ACCOUNT_B,
            DENY_READ_UNLESS_ROLE,
        ),
        allowed=("get",),
    ),
    Case(
        "a Deny for all but the role hits the others",
        EVERYTHING,
        (
            ALL_TO_ACCOUNT_B,
            DENY_READ_UNLESS_ROLE,
        ),
        denied=("get",),
        who=OTHER,
    ),
    Case(
        "a required ACL header is required",
        EVERYTHING,
        (
            allow(
                "s3:PutObject",
                "s3:PutObjectAcl",
                on=OBJECTS,
                Principal=aws(ROLE),
                Condition={"StringEquals": {"s3:x-amz-acl": "bucket-owner-full-control"}},
            ),
        ),
        allowed=("put with acl",),
        denied=("put",),
    ),
    # "To successfully set the objects permissions with your request, you must have the
    # s3:PutObjectAcl" (API reference, PutObject).
    Case(
        "an ACL header takes a permission of its own",
        EVERYTHING,
        (allow("s3:PutObject", on=OBJECTS, Principal=aws(ROLE)),),
        allowed=("put",),
        denied=("put with acl",),
    ),
    Case(
        "listing is allowed under the prefix it is allowed for",
        EVERYTHING,
        (
            allow(
                "s3:ListBucket",
                on=WHOLE,
                Principal=aws(ROLE),
                Condition={"StringLike": {"s3:prefix": "products/*"}},
            ),
        ),
        allowed=("list products",),
        denied=("list secret", "list"),
    ),
    Case(
        "a Deny on a prefix denies there only",
        EVERYTHING,
        (
            allow("s3:GetObject", on=OBJECTS, Principal=aws(ROLE)),
            deny("s3:GetObject", on=f"{WHOLE}/secret/*", Principal="*"),
        ),
        allowed=("get",),
        denied=("get secret",),
    ),
    Case(
        "a Deny in the identity policy wins over both Allows",
        (*EVERYTHING, deny("s3:GetObject", on=f"{WHOLE}/secret/*")),
        (READ,),
        allowed=("get",),
        denied=("get secret",),
    ),
    Case(
        "a batch of deletes is judged key by key",
        EVERYTHING,
        (allow("s3:DeleteObject", on=f"{WHOLE}/products/*", Principal=aws(ROLE)),),
        allowed=("delete", "delete many"),
        denied=("delete many elsewhere",),
    ),
    Case(
        "a key that ends in a slash is under its own prefix",
        (allow("s3:PutObject", on=f"{WHOLE}/products/*"),),
        (allow("s3:PutObject", on=f"{WHOLE}/products/*", Principal=aws(ROLE)),),
        allowed=("folder marker",),
    ),
    Case(
        "https passes a policy that refuses plain http",
        EVERYTHING,
        (
            READ,
            deny(
                "s3:*",
                on=[WHOLE, OBJECTS],
                Principal="*",
                Condition={"Bool": {"aws:SecureTransport": "false"}},
            ),
        ),
        allowed=("get",),
    ),
    Case(
        "the resource's account is the bucket's owner's",
        (
            allow(
                "s3:GetObject",
                on=OBJECTS,
                Condition={"StringEquals": {"aws:ResourceAccount": A}},
            ),
        ),
        (READ,),
        allowed=("get",),
    ),
)


@pytest.mark.parametrize("case", S3_CASES, ids=[case.claim for case in S3_CASES])
def test_s3_in_account_a_for_a_role_of_account_b(accounts: Accounts, case: Case) -> None:
    accounts.permit(case.who, *case.identity)
    accounts.bucket_policy(*case.bucket)
    s3 = accounts.s3(case.who)
    decided = {
        name: passes(lambda name=name: REQUESTS[name](s3)) for name in (*case.allowed, *case.denied)
    }
    assert decided == {
        **dict.fromkeys(case.allowed, True),
        **dict.fromkeys(case.denied, False),
    }


def test_a_bucket_of_another_owner_than_expected_is_refused(accounts: Accounts) -> None:
    s3 = accounts.sandbox.client("account-a-admin", "s3")
    assert passes(lambda: s3.list_objects_v2(Bucket=BUCKET, ExpectedBucketOwner=A))
    assert not passes(lambda: s3.list_objects_v2(Bucket=BUCKET, ExpectedBucketOwner=B))
    assert not passes(
        lambda: s3.get_object(Bucket=BUCKET, Key="products/a.csv", ExpectedBucketOwner=B)
    )


# -- who one is --------------------------------------------------------------------------------


def keys(session: boto3.Session) -> dict[str, str | None]:
    frozen = session.get_credentials().get_frozen_credentials()
    return {
        "aws_access_key_id": frozen.access_key,
        "aws_secret_access_key": frozen.secret_key,
        "aws_session_token": frozen.token,
    }


FALSE_KEYS = {
    "a wrong secret": ({"aws_secret_access_key": "wrong"}, "SignatureDoesNotMatch"),
    "a missing session token": ({"aws_session_token": None}, "InvalidClientTokenId"),
    "another session's token": ({"aws_session_token": "FwoGother"}, "InvalidClientTokenId"),
    "an unknown key": ({"aws_access_key_id": "ASIAUNKNOWNUNKNOWN00"}, "InvalidClientTokenId"),
    "an account's number as key": ({"aws_access_key_id": B}, "InvalidClientTokenId"),
    "the emulator's default key": (
        {"aws_access_key_id": "test", "aws_secret_access_key": "test", "aws_session_token": None},
        "InvalidClientTokenId",
    ),
}


@pytest.mark.parametrize("false", FALSE_KEYS.values(), ids=FALSE_KEYS)
def test_false_keys_are_nobody(accounts: Accounts, false: tuple[dict[str, Any], str]) -> None:
    change, code = false
    session = boto3.Session(**{**keys(accounts.session(ROLE)), **change}, region_name="us-east-1")
    with pytest.raises(ClientError) as refusal:
        accounts.sandbox.client_of(session, "sts").get_caller_identity()
    assert refusal.value.response["Error"]["Code"] == code


def test_a_session_is_who_assumed_it(accounts: Accounts) -> None:
    identity = accounts.sandbox.client_of(accounts.session(ROLE), "sts").get_caller_identity()
    assert identity["Account"] == B
    assert identity["Arn"] == f"arn:aws:sts::{B}:assumed-role/iam-cases-reader/case"


# -- becoming a role ---------------------------------------------------------------------------


def test_a_role_not_in_the_trust_policy_is_denied(accounts: Accounts) -> None:
    accounts.permit(OTHER, allow("sts:AssumeRole", on=ROLE_IN_A))
    assert not passes(lambda: accounts.session(ROLE_IN_A, by=accounts.session(OTHER)))


def test_a_role_in_the_trust_policy_is_let_in(accounts: Accounts) -> None:
    accounts.permit(ROLE, allow("sts:AssumeRole", on=ROLE_IN_A))
    assert passes(lambda: accounts.session(ROLE_IN_A, by=accounts.session(ROLE)))


def test_trust_without_permission_is_denied(accounts: Accounts) -> None:
    accounts.permit(ROLE, allow("s3:ListAllMyBuckets"))
    assert not passes(lambda: accounts.session(ROLE_IN_A, by=accounts.session(ROLE)))


def test_a_missing_external_id_is_denied_and_a_right_one_let_in(accounts: Accounts) -> None:
    guarded = f"arn:aws:iam::{A}:role/iam-cases-guarded"
    accounts.trust(guarded, trusting(ROLE, StringLike={"sts:ExternalId": "db:*/xacct"}))
    accounts.permit(ROLE, allow("sts:AssumeRole", on=guarded))
    session = accounts.session(ROLE)
    assert not passes(lambda: accounts.session(guarded, by=session))
    assert not passes(lambda: accounts.session(guarded, by=session, external_id="db:1/someone"))
    assert passes(lambda: accounts.session(guarded, by=session, external_id="db:1/xacct"))


def test_a_role_that_does_not_exist_is_denied_like_one_that_does(accounts: Accounts) -> None:
    nobody = f"arn:aws:iam::{A}:role/iam-cases-nobody"
    accounts.permit(ROLE, allow("sts:AssumeRole", on=nobody))
    assert not passes(lambda: accounts.session(nobody, by=accounts.session(ROLE)))


def test_a_chain_may_what_its_last_role_may_and_no_more(accounts: Accounts) -> None:
    accounts.bucket_policy()
    accounts.permit(ROLE, allow("sts:AssumeRole", on=ROLE_IN_A), *EVERYTHING)
    accounts.permit(ROLE_IN_A, allow("s3:PutObject", on=f"{WHOLE}/products/*"))
    s3 = accounts.sandbox.client_of(accounts.session(ROLE_IN_A, by=accounts.session(ROLE)), "s3")
    assert passes(lambda: REQUESTS["put"](s3))
    assert not passes(lambda: REQUESTS["get"](s3))
    assert not passes(lambda: REQUESTS["list"](s3))


def test_the_developer_may_become_nothing_but_the_orchestrator(accounts: Accounts) -> None:
    assert not passes(lambda: accounts.session(ROLE, by=accounts.sandbox.session("developer")))


# -- services ----------------------------------------------------------------------------------

SERVICE_ROLE = f"arn:aws:iam::{B}:role/iam-cases-service"
CRAWLER = f"arn:aws:glue:us-east-1:{B}:crawler/iam-cases"


def become(accounts: Accounts, service: str, source_arn: str, account: str | None = None) -> Any:
    return call_daemon(
        accounts.sandbox.config,
        "/_sandbox/service-role",
        {
            "service": service,
            "role_arn": SERVICE_ROLE,
            "source_arn": source_arn,
            "session_name": "case",
            "source_account": account,
        },
    )


@pytest.fixture
def service_role(accounts: Accounts) -> Accounts:
    accounts.trust(
        SERVICE_ROLE,
        trusting(
            {"Service": "glue.amazonaws.com"},
            StringEquals={"aws:SourceAccount": B},
            ArnLike={"aws:SourceArn": f"arn:aws:glue:*:{B}:crawler/*"},
        ),
    )
    return accounts


def test_a_service_the_role_trusts_gets_a_real_session(service_role: Accounts) -> None:
    credentials = become(service_role, "glue.amazonaws.com", CRAWLER)
    session = boto3.Session(
        credentials["access_key_id"],
        credentials["secret_access_key"],
        credentials["session_token"],
        "us-east-1",
    )
    identity = service_role.sandbox.client_of(session, "sts").get_caller_identity()
    assert identity["Arn"] == f"arn:aws:sts::{B}:assumed-role/iam-cases-service/case"


@pytest.mark.parametrize(
    ("service", "source_arn", "account"),
    [
        ("glue.amazonaws.com", CRAWLER, A),
        ("glue.amazonaws.com", CRAWLER.replace(B, A), None),
        ("glue.amazonaws.com", CRAWLER.replace("crawler", "job"), None),
        ("redshift.amazonaws.com", CRAWLER, None),
    ],
    ids=[
        "acting for another account",
        "acting for another account's crawler",
        "acting for another kind of resource",
        "another service",
    ],
)
def test_a_service_outside_the_trust_is_denied(
    service_role: Accounts, service: str, source_arn: str, account: str | None
) -> None:
    with pytest.raises(ServiceError) as refusal:
        become(service_role, service, source_arn, account)
    assert refusal.value.code == "AccessDenied"
    assert service in refusal.value.message
    assert "sts:AssumeRole" in refusal.value.message
    assert SERVICE_ROLE in refusal.value.message


def test_a_person_is_not_a_service(service_role: Accounts) -> None:
    assert not passes(lambda: service_role.session(SERVICE_ROLE))


# -- other services ----------------------------------------------------------------------------


def glue_on(database: str) -> list[str]:
    prefix = f"arn:aws:glue:us-east-1:{B}"
    return [f"{prefix}:catalog", f"{prefix}:database/{database}", f"{prefix}:table/{database}/*"]


@pytest.fixture(scope="module")
def databases(accounts: Accounts) -> Accounts:
    glue = accounts.sandbox.client("account-b-admin", "glue")
    for name in ("iam_cases_mine", "iam_cases_theirs"):
        glue.create_database(DatabaseInput={"Name": name})
        glue.create_table(DatabaseName=name, TableInput={"Name": "t"})
    return accounts


def test_glue_without_a_policy_is_denied(databases: Accounts) -> None:
    databases.permit(ROLE)
    glue = databases.sandbox.client_of(databases.session(ROLE), "glue")
    assert not passes(lambda: glue.get_table(DatabaseName="iam_cases_mine", Name="t"))
    assert not passes(lambda: glue.get_databases())


def test_glue_scoped_to_one_database_is_allowed_there_only(databases: Accounts) -> None:
    databases.permit(ROLE, allow("glue:Get*", on=glue_on("iam_cases_mine")))
    glue = databases.sandbox.client_of(databases.session(ROLE), "glue")
    assert passes(lambda: glue.get_database(Name="iam_cases_mine"))
    assert passes(lambda: glue.get_table(DatabaseName="iam_cases_mine", Name="t"))
    assert passes(lambda: glue.get_partitions(DatabaseName="iam_cases_mine", TableName="t"))
    assert not passes(lambda: glue.get_database(Name="iam_cases_theirs"))
    assert not passes(lambda: glue.get_table(DatabaseName="iam_cases_theirs", Name="t"))


def test_glue_on_a_table_without_its_catalog_is_denied_by_name(databases: Accounts) -> None:
    databases.permit(ROLE, allow("glue:GetTable", on=glue_on("iam_cases_mine")[1:]))
    glue = databases.sandbox.client_of(databases.session(ROLE), "glue")
    with pytest.raises(ClientError) as refusal:
        glue.get_table(DatabaseName="iam_cases_mine", Name="t")
    message = refusal.value.response["Error"]["Message"]
    assert message == (
        f"User: arn:aws:sts::{B}:assumed-role/iam-cases-reader/case is not authorized to perform: "
        f"glue:GetTable on resource: arn:aws:glue:us-east-1:{B}:catalog "
        "because no identity-based policy allows the glue:GetTable action"
    )


def test_a_line_break_in_a_key_is_a_character_like_any_other(accounts: Accounts) -> None:
    key = f"secret/a\n{WHOLE}/products/a.csv"
    accounts.sandbox.client("account-a-admin", "s3").put_object(Bucket=BUCKET, Key=key, Body=b"1")
    accounts.permit(ROLE, allow("s3:GetObject", on=OBJECTS))
    accounts.bucket_policy(allow("s3:GetObject", on=OBJECTS, Principal=aws(ROLE)))
    s3 = accounts.s3(ROLE)
    assert passes(lambda: s3.get_object(Bucket=BUCKET, Key=key))
    # Not even the end of the key makes it one of products.
    accounts.permit(ROLE, allow("s3:GetObject", on=f"{WHOLE}/products/*"))
    assert not passes(lambda: s3.get_object(Bucket=BUCKET, Key=key))
    accounts.permit(
        ROLE, allow("s3:GetObject", on=OBJECTS), deny("s3:GetObject", on=f"{WHOLE}/secret/*")
    )
    assert not passes(lambda: s3.get_object(Bucket=BUCKET, Key=key))


def test_a_secret_cannot_be_read_without_permission(accounts: Accounts) -> None:
    secrets = accounts.sandbox.client("account-b-admin", "secretsmanager")
    arn = secrets.create_secret(Name="iam-cases", SecretString="x")["ARN"]
    accounts.permit(ROLE, allow("secretsmanager:DescribeSecret", on=arn))
    as_role = accounts.sandbox.client_of(accounts.session(ROLE), "secretsmanager")
    assert not passes(lambda: as_role.get_secret_value(SecretId=arn))
    accounts.permit(ROLE, allow("secretsmanager:GetSecretValue", on=arn))
    assert passes(lambda: as_role.get_secret_value(SecretId="iam-cases"))


PASSED_ROLE = {
    "create a job": lambda glue, name: glue.create_job(
        Name=name,
        Role=SERVICE_ROLE,
        Command={"Name": "glueetl", "ScriptLocation": "s3://scripts/load.py"},
        GlueVersion="5.0",
    ),
    "create a crawler": lambda glue, name: glue.create_crawler(
        Name=name,
        Role=SERVICE_ROLE,
        DatabaseName="iam_cases_mine",
        Targets={"S3Targets": [{"Path": f"s3://{BUCKET}/products/"}]},
    ),
}


@pytest.mark.parametrize("request_name", PASSED_ROLE)
def test_handing_a_role_to_glue_takes_permission_to_pass_it(
    service_role: Accounts, request_name: str
) -> None:
    glue_all = allow("glue:*")
    pass_to = allow(
        "iam:PassRole",
        on=SERVICE_ROLE,
        Condition={"StringEquals": {"iam:PassedToService": "glue.amazonaws.com"}},
    )
    name = f"iam-cases-{request_name.replace(' ', '-')}"
    kind = request_name.rpartition(" ")[2]
    getting = {"iam:AssociatedResourceArn": f"arn:aws:glue:us-east-1:{B}:{kind}/{name}"}
    pass_to["Condition"]["ArnEquals"] = getting
    service_role.permit(ROLE, glue_all)
    glue = service_role.sandbox.client_of(service_role.session(ROLE), "glue")
    with pytest.raises(ClientError) as refusal:
        PASSED_ROLE[request_name](glue, name)
    assert "iam:PassRole on resource: " + SERVICE_ROLE in str(refusal.value)
    denied = deny("iam:PassRole", on=SERVICE_ROLE, Condition={"ArnEquals": getting})
    service_role.permit(ROLE, glue_all, pass_to, denied)
    assert not passes(lambda: PASSED_ROLE[request_name](glue, name))
    service_role.permit(ROLE, glue_all, pass_to)
    assert passes(lambda: PASSED_ROLE[request_name](glue, name))


def test_a_denial_within_an_account_names_principal_action_and_resource(accounts: Accounts) -> None:
    accounts.permit(ROLE_IN_A, allow("s3:ListBucket", on=WHOLE))
    accounts.permit(ROLE, allow("sts:AssumeRole", on=ROLE_IN_A))
    s3 = accounts.sandbox.client_of(accounts.session(ROLE_IN_A, by=accounts.session(ROLE)), "s3")
    with pytest.raises(ClientError) as refusal:
        REQUESTS["get"](s3)
    message = refusal.value.response["Error"]["Message"]
    for part in ("assumed-role/iam-cases-writer/case", "s3:GetObject", f"{WHOLE}/products/a.csv"):
        assert part in message
