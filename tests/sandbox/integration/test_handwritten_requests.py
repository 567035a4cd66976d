"""What IAM decides cannot be walked around by how a request is written, over the wire.

"By default, all requests are implicitly denied" (IAM user guide, "How AWS enforcement code logic
evaluates requests to allow or deny access"); "No permissions are required to perform this
operation" (STS API reference, GetCallerIdentity).
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

import pytest
from botocore.credentials import Credentials
from botocore.exceptions import ClientError, WaiterError

from tests.support.accounts import (
    BUCKET,
    EVERYTHING,
    OBJECTS,
    ROLE,
    ROOT_OF_B,
    Accounts,
    B,
    allow,
    aws,
    deny,
    passes,
    policy,
    trusting,
    two_accounts,
)
from tests.support.sandbox import RunningSandbox
from tests.support.signed_requests import Answer, Wire, sign
from tests.support.written_requests import BUCKET as EMPTY
from tests.support.written_requests import (
    FORM,
    json_requests,
    operations,
    query_requests,
    s3_requests,
)
from xacct_sandbox.emulator.authorization.calls import JSON_TARGETS, QUERY_SERVICES

BY_HAND = f"arn:aws:iam::{B}:role/iam-cases-by-hand"
STACK_ROLE = f"arn:aws:iam::{B}:role/iam-cases-for-stacks"
ASK = "Action=GetCallerIdentity&Version=2011-06-15"


@pytest.fixture(scope="module")
def accounts(bare_sandbox: RunningSandbox) -> Iterator[Accounts]:
    with two_accounts(bare_sandbox) as accounts:
        yield accounts


@dataclass
class ByHand:
    """Requests of a role of account B, sent as they are written."""

    accounts: Accounts
    wire: Wire
    who: Credentials

    def send(self, service: str, *, signed: bool = True, **request: Any) -> Answer:
        who = self.who if signed else None
        return self.wire.send(sign(who, service, host=self.wire.host, **request))

    def form(self, service: str, *, content_type: str = FORM, **parameters: str) -> Answer:
        headers = {"Content-Type": content_type} if content_type else {}
        return self.send(service, headers=headers, body=urlencode(parameters))

    def policies(self) -> list[str]:
        name = BY_HAND.rpartition("/")[2]
        found: list[str] = self.accounts.iam(B).list_role_policies(RoleName=name)["PolicyNames"]
        return found


@pytest.fixture(scope="module")
def by_hand(accounts: Accounts) -> Iterator[ByHand]:
    """A role without a policy, in an account with one of everything."""
    sandbox = accounts.sandbox

    def admin(service: str) -> Any:
        return sandbox.client("account-b-admin", service)

    accounts.trust(BY_HAND, trusting(ROOT_OF_B))
    admin("s3").create_bucket(Bucket=EMPTY)
    admin("s3").put_object(Bucket=EMPTY, Key="key", Body=b"1")
    admin("sqs").create_queue(QueueName="empty")
    topic = admin("sns").create_topic(Name="empty")["TopicArn"]
    admin("secretsmanager").create_secret(Name="empty", SecretString="x")
    accounts.iam(B).create_user(UserName="someone")
    frozen = accounts.session(BY_HAND).get_credentials().get_frozen_credentials()
    wire = Wire(sandbox.config.aws_port, str(sandbox.config.ca_bundle))
    yield ByHand(accounts, wire, Credentials(frozen.access_key, frozen.secret_key, frozen.token))
    wire.close()
    admin("s3").delete_object(Bucket=EMPTY, Key="key")
    admin("s3").delete_bucket(Bucket=EMPTY)
    admin("sqs").delete_queue(QueueUrl=f"{sandbox.config.endpoint_url}/{B}/empty")
    admin("sns").delete_topic(TopicArn=topic)
    admin("secretsmanager").delete_secret(SecretId="empty", ForceDeleteWithoutRecovery=True)
    accounts.iam(B).delete_user(UserName="someone")


def some(ways: list[Any], number: int) -> list[Any]:
    """The right way, and two others; over a service's operations, each way comes up.

    The unit tests send every operation in every way; what the wire adds is the same for all.
    """
    return [ways[0], *(ways[1 + (2 * number + more) % (len(ways) - 1)] for more in range(2))]


@pytest.mark.parametrize("service", sorted(QUERY_SERVICES))
def test_an_empty_role_can_ask_who_it_is_and_no_more(by_hand: ByHand, service: str) -> None:
    succeeded = set()
    for number, operation in enumerate(operations(service)):
        for way, request in some(list(query_requests(service, operation)), number):
            if by_hand.send(service, **request).status < 400:
                succeeded.add((operation, way))
    assert {operation for operation, _ in succeeded} <= {"GetCallerIdentity"}
    assert (("GetCallerIdentity", "form") in succeeded) is (service == "sts")


@pytest.mark.parametrize("prefix", sorted(JSON_TARGETS))
def test_an_empty_role_can_call_nothing_by_its_target(by_hand: ByHand, prefix: str) -> None:
    succeeded = []
    for number, operation in enumerate(operations(JSON_TARGETS[prefix])):
        for way, request in some(list(json_requests(prefix, operation)), number):
            if by_hand.send(JSON_TARGETS[prefix], **request).status < 400:
                succeeded.append((operation, way))
    assert succeeded == []


def test_an_empty_role_can_do_nothing_in_s3(by_hand: ByHand) -> None:
    succeeded = []
    for number, (operation, request) in enumerate(itertools.islice(s3_requests(), 0, None, 4)):
        presigned, signed = number % 3 == 1, number % 3 != 2
        answer = by_hand.send("s3", signed=signed, presigned=presigned, **request)
        if answer.status < 400:
            succeeded.append((operation, request))
    assert succeeded == []


@pytest.mark.parametrize("content_type", ["text/plain", "", "application/json", "TEXT/HTML"])
def test_a_form_of_another_type_does_nothing(by_hand: ByHand, content_type: str) -> None:
    document = policy(EVERYTHING)
    answer = by_hand.form(
        "iam",
        content_type=content_type,
        Action="PutRolePolicy",
        RoleName=BY_HAND.rpartition("/")[2],
        PolicyName="p",
        PolicyDocument=document,
    )
    assert answer.status >= 400
    assert by_hand.policies() == []


def test_an_action_counts_where_its_handler_reads_it_or_not_at_all(by_hand: ByHand) -> None:
    become_role = f"Action=AssumeRole&RoleArn={ROLE}"
    form = {"Content-Type": FORM}
    wrong: tuple[dict[str, Any], ...] = (
        {"query": {"Action": "GetCallerIdentity"}, "headers": form, "body": become_role},
        {"headers": form, "body": f"{ASK}&{become_role}"},
        {"headers": form, "body": f"{become_role}&{ASK}"},
        {"headers": form, "body": f"action=AssumeRole&{ASK}&Action=AssumeRole"},
    )
    for request in wrong:
        assert by_hand.send("sts", **request).status >= 400, request
    by_hand.accounts.permit(BY_HAND, allow("secretsmanager:ListSecrets"), allow("s3:ListAll*"))
    read = {
        "query": {"Action": "ListSecrets"},
        "headers": {
            "Content-Type": "application/x-amz-json-1.1",
            "X-Amz-Target": "secretsmanager.GetSecretValue",
        },
        "body": '{"SecretId": "empty"}',
    }
    assert by_hand.send("secretsmanager", **read).status >= 400
    for query in ({"Action": "ListAllMyBuckets"}, {"location": ""}, {"policy": ""}):
        answer = by_hand.send("s3", method="GET", path=f"/{EMPTY}/key", query=query)
        assert (answer.status >= 400, answer.body == b"1") == (True, False)
    by_hand.accounts.permit(BY_HAND)


def test_what_only_the_wire_can_write_is_no_way_around(by_hand: ByHand) -> None:
    host = by_hand.wire.host
    signed = sign(by_hand.who, "s3", "GET", f"/{EMPTY}/key", host=host)
    for target in (
        f"https://{host}/{EMPTY}/key",
        f"/{EMPTY}/%6bey",
        "/%65mpty-role/key",
        f"/x/../{EMPTY}/key",
        f"/{EMPTY}/key?versionId",
        f"/{EMPTY}/key#a",
        f"/{EMPTY}//key",
    ):
        assert by_hand.wire.send(replace(signed, target=target)).status >= 400, target
    form = sign(
        by_hand.who,
        "iam",
        host=host,
        headers={"Content-Type": FORM, "X-Amz-Target": "secretsmanager.ListSecrets"},
        body="Action=ListUsers",
    )
    twice = [*form.headers, ("x-amz-target", "AWSGlue.GetDatabases"), ("content-type", "x/y")]
    for headers in (form.headers, twice, [*reversed(twice)]):
        assert by_hand.wire.send(replace(form, headers=headers)).status >= 400
    ask = sign(by_hand.who, "sts", host=host, headers={"Content-Type": FORM}, body=ASK)
    assert by_hand.wire.send(ask).status == 200
    for method in ("PUT", "PATCH", "DELETE"):
        assert by_hand.wire.send(replace(ask, method=method)).status >= 400


def test_the_keys_that_only_the_connection_knows_are_filled_in(by_hand: ByHand) -> None:
    read = allow("s3:GetObject", on=f"arn:aws:s3:::{EMPTY}/*")
    for operator, key, value, query in (
        ("NumericLessThan", "s3:TlsVersion", "9", False),
        ("StringEquals", "s3:authType", "REST-QUERY-STRING", True),
        ("StringEquals", "s3:authType", "REST-HEADER", False),
        ("StringEquals", "s3:signatureversion", "AWS4-HMAC-SHA256", True),
        ("StringLike", "aws:UserAgent", "by hand*", False),
    ):
        request: dict[str, Any] = {
            "method": "GET",
            "path": f"/{EMPTY}/key",
            "headers": {"User-Agent": "by hand/1"},
            "presigned": query,
        }
        by_hand.accounts.permit(BY_HAND, read)
        assert by_hand.send("s3", **request).body == b"1", key
        denied = deny("s3:GetObject", on="*", Condition={operator: {key: value}})
        by_hand.accounts.permit(BY_HAND, read, denied)
        assert by_hand.send("s3", **request).status == 403, key
    by_hand.accounts.permit(BY_HAND)


def test_a_stack_makes_nothing_that_its_caller_could_not(by_hand: ByHand) -> None:
    accounts = by_hand.accounts
    accounts.permit(BY_HAND, allow("cloudformation:*"))
    stacks = accounts.sandbox.client_of(accounts.session(BY_HAND), "cloudformation")
    trust = {"Version": "2012-10-17", "Statement": [trusting(ROOT_OF_B)]}
    role = {
        "Type": "AWS::IAM::Role",
        "Properties": {"RoleName": "iam-cases-made", "AssumeRolePolicyDocument": trust},
    }
    request = {
        "TemplateBody": json.dumps({"Resources": {"Made": role}}),
        "Capabilities": ["CAPABILITY_NAMED_IAM"],
    }
    stacks.create_stack(StackName="iam-cases", **request)
    with pytest.raises(WaiterError):
        stacks.get_waiter("stack_create_complete").wait(
            StackName="iam-cases", WaiterConfig={"Delay": 0.1, "MaxAttempts": 100}
        )
    with pytest.raises(accounts.iam(B).exceptions.NoSuchEntityException):
        accounts.iam(B).get_role(RoleName="iam-cases-made")
    with pytest.raises(ClientError, match=f"iam:PassRole on resource: {STACK_ROLE}"):
        stacks.create_stack(StackName="iam-cases-passed", RoleARN=STACK_ROLE, **request)
    stacks.delete_stack(StackName="iam-cases")
    accounts.permit(BY_HAND)


def test_a_copy_reads_its_source_as_its_caller_may(by_hand: ByHand) -> None:
    accounts = by_hand.accounts
    accounts.permit(BY_HAND, allow("s3:*"))
    s3 = accounts.sandbox.client_of(accounts.session(BY_HAND), "s3")
    source = {"Bucket": BUCKET, "Key": "products/a.csv"}

    def copied() -> bool:
        return passes(lambda: s3.copy_object(Bucket=EMPTY, Key="copied", CopySource=source))

    accounts.bucket_policy()
    assert not copied()
    accounts.bucket_policy(allow("s3:GetObject*", on=OBJECTS, Principal=aws(ROOT_OF_B)))
    assert copied()
    accounts.bucket_policy(
        allow("s3:GetObject*", on=OBJECTS, Principal=aws(ROOT_OF_B)),
        deny("s3:GetObject", on=OBJECTS, Principal=aws(BY_HAND)),
    )
    assert not copied()
    s3.delete_object(Bucket=EMPTY, Key="copied")
    accounts.bucket_policy()
    accounts.permit(BY_HAND)
