"""Decisions that AWS's documentation gives, each with the page that gives it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

import pytest

from xacct_sandbox.emulator.authorization import condition_keys
from xacct_sandbox.emulator.authorization.documents import parse
from xacct_sandbox.emulator.authorization.evaluation import (
    Caller,
    Decision,
    Request,
    Resource,
    UnknownKey,
    decide,
)

A, B = "111111111111", "222222222222"
ROLE = f"arn:aws:iam::{B}:role/team/reader"
SESSION = f"arn:aws:sts::{B}:assumed-role/reader/one"
USER = f"arn:aws:iam::{B}:user/ann"
OBJECT = "arn:aws:s3:::data/ann/file"

EVALUATION = "IAM user guide, Policy evaluation for requests within a single account"
CROSS_ACCOUNT = "IAM user guide, Cross-account policy evaluation logic"
PRINCIPAL = "IAM user guide, AWS JSON policy elements: Principal"
BOUNDARIES = "IAM user guide, Permissions boundaries for IAM entities"
SESSION_POLICIES = "IAM user guide, Policies and permissions, Session policies"
NOT_PRINCIPAL = "IAM user guide, AWS JSON policy elements: NotPrincipal"
VARIABLES = "IAM user guide, IAM policy elements: Variables and tags"
OPERATORS = "IAM user guide, IAM JSON policy elements: Condition operators"
SETS = "IAM user guide, Set operators for multivalued context keys"
FOR_ANY_IF_EXISTS = "re:Post QU9HFmDzP0QGuU-fd7rS6B7w, ForAnyValue:StringEqualsIfExists"
RESOURCE = "IAM user guide, IAM JSON policy elements: Resource"
VERSION = "IAM user guide, IAM JSON policy elements: Version"


def statement(effect: str = "Allow", on: str = "*", **more: Any) -> dict[str, Any]:
    return {"Effect": effect, "Action": "s3:GetObject", "Resource": on, **more}


def allow(**more: Any) -> dict[str, Any]:
    return statement(**more)


def deny(**more: Any) -> dict[str, Any]:
    return statement("Deny", **more)


def when(operator: str, key: str, *values: Any) -> dict[str, Any]:
    return {"Condition": {operator: {key: list(values)}}}


def to(*principals: str) -> dict[str, Any]:
    return {"Principal": {"AWS": list(principals)}}


@dataclass(frozen=True)
class Case:
    """Policies, and whether s3:GetObject on ``OBJECT`` is allowed.

    Attributes:
        source: the page that says so.
        identity: statements of the caller's policy.
        resource: statements of the bucket's policy.
        boundary: statements of the permissions boundary.
        session: statements of the session policy.
        caller: ``role`` (a session), ``user``, ``root``, ``anonymous`` or ``service``.
        owner: the account of the bucket.
    """

    claim: str
    allowed: bool
    source: str
    identity: tuple[dict[str, Any], ...] = ()
    resource: tuple[dict[str, Any], ...] = ()
    boundary: tuple[dict[str, Any], ...] | None = None
    session: tuple[dict[str, Any], ...] | None = None
    caller: str = "role"
    owner: str = B
    keys: dict[str, Any] = field(default_factory=dict)
    version: str = "2012-10-17"


CASES = (
    # -- within an account
    Case("nothing is denied", False, EVALUATION),
    Case("an identity policy suffices", True, EVALUATION, (allow(),)),
    Case("a Deny wins", False, EVALUATION, (allow(), deny())),
    Case(
        "a bucket policy that names the role suffices", True, EVALUATION, (), (allow(**to(ROLE)),)
    ),
    Case("one that names the session suffices", True, EVALUATION, (), (allow(**to(SESSION)),)),
    Case("one that names the account delegates", False, PRINCIPAL, (), (allow(**to(B)),)),
    Case(
        "as does one that names its root",
        False,
        PRINCIPAL,
        (),
        (allow(**to(f"arn:aws:iam::{B}:root")),),
    ),
    Case("one that names everyone suffices", True, PRINCIPAL, (), (allow(Principal="*"),)),
    Case("AWS everyone is everyone", True, PRINCIPAL, (), (allow(**to("*")),)),
    Case(
        "a role of the same name and another path is another",
        False,
        PRINCIPAL,
        (),
        (allow(**to(f"arn:aws:iam::{B}:role/reader")),),
    ),
    Case("a user named is let in", True, EVALUATION, (), (allow(**to(USER)),), caller="user"),
    Case("the root may do everything", True, EVALUATION, caller="root"),
    Case(
        "the root may be denied by a bucket policy",
        False,
        EVALUATION,
        (),
        (deny(Principal="*"),),
        caller="root",
    ),
    Case("a boundary limits", False, EVALUATION, (allow(),), boundary=()),
    Case("a boundary that allows does not grant", False, EVALUATION, boundary=(allow(),)),
    Case(
        "a boundary limits what names the role",
        False,
        EVALUATION,
        (),
        (allow(**to(ROLE)),),
        boundary=(),
    ),
    Case(
        "a boundary does not limit what names the session",
        True,
        EVALUATION,
        (),
        (allow(**to(SESSION)),),
        boundary=(),
    ),
    Case(
        "a boundary does not limit what names the user",
        True,
        EVALUATION,
        (),
        (allow(**to(USER)),),
        boundary=(),
        caller="user",
    ),
    Case(
        "a Deny in a boundary denies",
        False,
        EVALUATION,
        (),
        (allow(**to(SESSION)),),
        boundary=(deny(),),
    ),
    Case("a session policy limits", False, EVALUATION, (allow(),), session=()),
    # -- across accounts
    Case(
        "across accounts the identity alone does not suffice",
        False,
        CROSS_ACCOUNT,
        (allow(),),
        owner=A,
    ),
    Case("nor the bucket alone", False, CROSS_ACCOUNT, (), (allow(**to(ROLE)),), owner=A),
    Case("both do", True, CROSS_ACCOUNT, (allow(),), (allow(**to(ROLE)),), owner=A),
    Case(
        "the bucket may name the account",
        True,
        CROSS_ACCOUNT,
        (allow(),),
        (allow(**to(B)),),
        owner=A,
    ),
    Case(
        "a boundary limits across accounts",
        False,
        CROSS_ACCOUNT,
        (allow(),),
        (allow(**to(SESSION)),),
        boundary=(),
        owner=A,
    ),
    Case(
        "an anonymous caller needs everyone",
        True,
        PRINCIPAL,
        (),
        (allow(Principal="*"),),
        caller="anonymous",
        owner=A,
    ),
    Case(
        "an anonymous caller is in no account",
        False,
        PRINCIPAL,
        (),
        (allow(**to(B)),),
        caller="anonymous",
        owner=A,
    ),
    Case(
        "a service is who it says",
        True,
        PRINCIPAL,
        (),
        (allow(Principal={"Service": "glue.amazonaws.com"}),),
        caller="service",
        owner=A,
    ),
    Case(
        "a service is no other",
        False,
        PRINCIPAL,
        (),
        (allow(Principal={"Service": "s3.amazonaws.com"}),),
        caller="service",
        owner=A,
    ),
    Case(
        "AWS everyone includes services",
        True,
        PRINCIPAL,
        (),
        (allow(**to("*")),),
        caller="service",
        owner=A,
    ),
    Case(
        "a role is no service",
        False,
        PRINCIPAL,
        (),
        (allow(Principal={"Service": "glue.amazonaws.com"}),),
    ),
    # -- NotPrincipal
    Case(
        "NotPrincipal denies the others",
        False,
        NOT_PRINCIPAL,
        (allow(),),
        (deny(NotPrincipal={"AWS": f"arn:aws:iam::{B}:role/other"}),),
    ),
    Case(
        "NotPrincipal spares who is named in full",
        True,
        NOT_PRINCIPAL,
        (allow(),),
        (deny(NotPrincipal={"AWS": [SESSION, ROLE, f"arn:aws:iam::{B}:root"]}),),
    ),
    Case(
        "NotPrincipal with the role alone denies its sessions",
        False,
        NOT_PRINCIPAL,
        (allow(),),
        (deny(NotPrincipal={"AWS": [ROLE, f"arn:aws:iam::{B}:root"]}),),
    ),
    Case(
        "NotPrincipal spares a user and its account",
        True,
        NOT_PRINCIPAL,
        (allow(),),
        (deny(NotPrincipal={"AWS": [USER, B]}),),
        caller="user",
    ),
    Case(
        "NotPrincipal without the account denies the user",
        False,
        NOT_PRINCIPAL,
        (allow(),),
        (deny(NotPrincipal={"AWS": USER}),),
        caller="user",
    ),
    Case(
        "NotPrincipal denies whoever has a boundary",
        False,
        BOUNDARIES,
        (allow(),),
        (deny(NotPrincipal={"AWS": [USER, B]}),),
        boundary=(allow(),),
        caller="user",
    ),
    Case(
        "a boundary does not limit what names everyone",
        True,
        PRINCIPAL,
        (),
        (allow(Principal="*"),),
        boundary=(),
    ),
    # -- variables
    Case(
        "a variable in a resource is the value",
        True,
        VARIABLES,
        (allow(on="arn:aws:s3:::data/${aws:username}/*"),),
        keys={"aws:username": "ann"},
    ),
    Case(
        "of another, it does not match",
        False,
        VARIABLES,
        (allow(on="arn:aws:s3:::data/${aws:username}/*"),),
        keys={"aws:username": "bob"},
    ),
    Case(
        "without a value, it does not match",
        False,
        VARIABLES,
        (allow(on="arn:aws:s3:::data/${aws:username}/*"),),
    ),
    Case(
        "a default takes its place",
        True,
        VARIABLES,
        (allow(on="arn:aws:s3:::data/${aws:username, 'ann'}/*"),),
    ),
    Case(
        "a variable in a condition is the value",
        True,
        VARIABLES,
        (allow(**when("StringEquals", "aws:userid", "${aws:PrincipalTag/id}")),),
        keys={"aws:principaltag/id": "7", "aws:userid": "7"},
    ),
    Case(
        "a wildcard in a value is a character",
        False,
        VARIABLES,
        (allow(on="arn:aws:s3:::data/${aws:username}/*"),),
        keys={"aws:username": "*"},
    ),
    Case("${*} is an asterisk", False, VARIABLES, (allow(on="arn:aws:s3:::data/${*}"),)),
    Case(
        "in the version of 2008 a variable is text",
        False,
        VERSION,
        (allow(on="arn:aws:s3:::data/${aws:username}/*"),),
        keys={"aws:username": "ann"},
        version="2008-10-17",
    ),
    Case(
        "a variable without a value in NotResource allows nothing",
        False,
        VARIABLES,
        (
            {
                "Effect": "Allow",
                "Action": "*",
                "NotResource": "arn:aws:s3:::x/${aws:username}/*",
            },
        ),
    ),
    Case(
        "nor does it deny anything",
        True,
        VARIABLES,
        (
            allow(),
            {"Effect": "Deny", "Action": "*", "NotResource": "arn:aws:s3:::${aws:username}/*"},
        ),
    ),
    Case(
        "but for a resource of another service",
        True,
        VARIABLES,
        (
            {
                "Effect": "Allow",
                "Action": "*",
                "NotResource": "arn:aws:sqs:us-east-1:222222222222:${aws:username}",
            },
        ),
    ),
    Case(
        "a session policy does not limit what names the session",
        True,
        SESSION_POLICIES,
        (),
        (allow(**to(SESSION)),),
        session=(),
    ),
    # -- resources and actions
    Case("an asterisk matches slashes", True, RESOURCE, (allow(on="arn:aws:s3:::data/*"),)),
    Case(
        "NotResource allows all but it",
        False,
        RESOURCE,
        ({"Effect": "Allow", "Action": "*", "NotResource": "arn:aws:s3:::data/*"},),
    ),
    Case(
        "NotAction denies all but it",
        False,
        RESOURCE,
        (allow(), {"Effect": "Deny", "NotAction": "iam:*", "Resource": "*"}),
    ),
    # -- conditions
    Case(
        "a missing key fails a test",
        False,
        OPERATORS,
        (allow(**when("StringEquals", "aws:username", "ann")),),
    ),
    Case(
        "a missing key passes IfExists",
        True,
        OPERATORS,
        (allow(**when("StringEqualsIfExists", "aws:username", "ann")),),
    ),
    Case(
        "a missing key passes a negated test",
        False,
        OPERATORS,
        (allow(), deny(**when("StringNotEquals", "aws:username", "ann"))),
    ),
    Case(
        "Null true needs a missing key",
        True,
        OPERATORS,
        (allow(**when("Null", "aws:username", "true")),),
    ),
    Case(
        "Null false needs a key",
        False,
        OPERATORS,
        (allow(**when("Null", "aws:username", "false")),),
    ),
    Case(
        "values are alternatives",
        True,
        OPERATORS,
        (allow(**when("StringEquals", "aws:username", "bob", "ann")),),
        keys={"aws:username": "ann"},
    ),
    Case(
        "of a negated test, none may match",
        False,
        OPERATORS,
        (allow(**when("StringNotEquals", "aws:username", "bob", "ann")),),
        keys={"aws:username": "ann"},
    ),
    Case(
        "StringLike has wildcards",
        True,
        OPERATORS,
        (allow(**when("StringLike", "aws:username", "a?n*")),),
        keys={"aws:username": "ann"},
    ),
    Case(
        "StringEquals has none",
        False,
        OPERATORS,
        (allow(**when("StringEquals", "aws:username", "a*")),),
        keys={"aws:username": "ann"},
    ),
    Case(
        "ArnLike compares part by part",
        False,
        OPERATORS,
        (allow(**when("ArnLike", "aws:SourceArn", "arn:aws:s3:*:bucket")),),
        keys={"aws:sourcearn": "arn:aws:s3:::bucket"},
    ),
    Case(
        "a network contains an address",
        True,
        OPERATORS,
        (allow(**when("IpAddress", "aws:SourceIp", "10.0.0.0/8")),),
        keys={"aws:sourceip": "10.1.2.3"},
    ),
    Case(
        "numbers are compared as numbers",
        True,
        OPERATORS,
        (allow(**when("NumericLessThan", "s3:TlsVersion", "1.10")),),
        keys={"s3:tlsversion": "1.09"},
    ),
    Case(
        "dates are compared as dates",
        True,
        OPERATORS,
        (allow(**when("DateGreaterThan", "aws:CurrentTime", "2020-01-01T00:00:00Z")),),
        keys={"aws:currenttime": "2026-01-01T00:00:00+01:00"},
    ),
    Case(
        "ForAllValues passes without values",
        True,
        SETS,
        (allow(**when("ForAllValues:StringEquals", "aws:TagKeys", "team")),),
    ),
    Case(
        "ForAnyValue fails without values",
        False,
        SETS,
        (allow(**when("ForAnyValue:StringEquals", "aws:TagKeys", "team")),),
    ),
    Case(
        "ForAnyValue fails without values, IfExists or not",
        False,
        FOR_ANY_IF_EXISTS,
        (allow(**when("ForAnyValue:StringEqualsIfExists", "aws:TagKeys", "team")),),
    ),
    Case(
        "so does its negation",
        False,
        FOR_ANY_IF_EXISTS,
        (allow(**when("ForAnyValue:StringNotEqualsIfExists", "aws:TagKeys", "team")),),
    ),
    Case(
        "ForAllValues needs each to match",
        False,
        SETS,
        (allow(**when("ForAllValues:StringEquals", "aws:TagKeys", "team")),),
        keys={"aws:tagkeys": ["team", "cost"]},
    ),
    Case(
        "ForAnyValue needs one",
        True,
        SETS,
        (allow(**when("ForAnyValue:StringEquals", "aws:TagKeys", "team")),),
        keys={"aws:tagkeys": ["team", "cost"]},
    ),
)


def decision(case: Case) -> Decision:
    def policy(statements: tuple[dict[str, Any], ...] | None, kind: Any) -> Any:
        if not statements:
            return ()
        return parse(json.dumps({"Version": case.version, "Statement": statements}), kind)

    who = {
        "role": Caller(arn=SESSION, account=B, role_arn=ROLE, unique_id="AROAREADER"),
        "user": Caller(arn=USER, account=B, unique_id="AIDAANN"),
        "root": Caller(arn=f"arn:aws:iam::{B}:root", account=B, is_root=True),
        "anonymous": Caller(),
        "service": Caller(service="glue.amazonaws.com"),
    }[case.caller]
    limits = tuple(
        policy(statements, "identity")
        for statements in (case.boundary, case.session)
        if statements is not None
    )
    caller = replace(
        who,
        identity=policy(case.identity, "identity"),
        limits=limits,
        has_boundary=case.boundary is not None,
    )
    resource = Resource(OBJECT, case.owner, policy(case.resource, "resource"))

    def value_of(key: str) -> Any:
        if not condition_keys.is_known(key):
            raise UnknownKey(key)
        return case.keys.get(key)

    return decide(Request(caller, "s3:GetObject", resource, value_of))


@pytest.mark.parametrize("case", CASES, ids=[case.claim for case in CASES])
def test_a_documented_decision(case: Case) -> None:
    assert decision(case).allowed is case.allowed, case.source


@pytest.mark.parametrize("effect", [allow, deny])
def test_a_key_that_the_sandbox_cannot_know_denies_by_its_name(effect: Any) -> None:
    identity = (allow(), effect(**when("StringEqualsIfExists", "ec2:Vpc", "x")))
    decided = decision(Case("", False, "", identity if effect is deny else identity[1:]))
    assert (decided.allowed, decided.unknown_key) == (False, "ec2:vpc")


def test_an_unknown_key_of_a_statement_for_something_else_does_no_harm() -> None:
    other = deny(on="arn:aws:s3:::other/*", **when("StringEquals", "ec2:Vpc", "x"))
    assert decision(Case("", True, "", (allow(), other))).allowed
