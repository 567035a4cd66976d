"""A case of policies and the page of AWS's documentation that decides it."""

from __future__ import annotations

import json
from dataclasses import dataclass, field, replace
from typing import Any

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
PRINCIPAL = (
    'IAM user guide, AWS JSON policy elements: Principal: "using a wildcard (*) with an Allow '
    "effect grants access to all users … For IAM users and role principals within your account, no "
    'other permissions are required"; "permissions boundaries or session policies, do not limit '
    "permissions granted … with a wildcard(*) in the Principal element, unless the identity-based "
    'policies contain an explicit deny"'
)
BOUNDARIES = "IAM user guide, Permissions boundaries for IAM entities"
SESSION_POLICIES = (
    'IAM user guide, Policies and permissions, Session policies: "A resource-based policy can '
    "specify the ARN of the session as a principal … The resource-based policy permissions are not "
    'limited by the session policy"'
)
NOT_PRINCIPAL = (
    "IAM user guide, AWS JSON policy elements: NotPrincipal: its example with Bob and his account: "
    '"all principals except the user named Bob in AWS account 444455556666 are explicitly denied"; '
    '"If an assumed-role user is being evaluated, AWS might validate the account first, then the '
    'role, and then the assumed-role user"'
)
VARIABLES = "IAM user guide, IAM policy elements: Variables and tags"
OPERATORS = "IAM user guide, IAM JSON policy elements: Condition operators"
SETS = "IAM user guide, Set operators for multivalued context keys"
FOR_ANY = (
    'IAM user guide, Single-valued vs. multivalued context keys: ForAnyValue: "For no matching '
    'context key or if the key does not exist, the condition returns false"'
)
RESOURCE = "IAM user guide, IAM JSON policy elements: Resource"
VERSION = (
    'IAM user guide, IAM JSON policy elements: Version: with 2008-10-17 "variables such as '
    "${aws:username} aren't recognized as variables and are instead treated as literal strings in "
    'the policy"'
)


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
