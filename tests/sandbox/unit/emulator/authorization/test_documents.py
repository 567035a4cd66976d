"""Policy documents that IAM refuses are refused (IAM user guide, "Grammar of the IAM JSON policy
language", "IAM JSON policy elements reference")."""

from __future__ import annotations

import json
from typing import Any

import pytest

from xacct_sandbox.emulator.authorization.documents import Kind, MalformedPolicy, parse

ALLOW: dict[str, Any] = {"Effect": "Allow", "Action": "s3:GetObject", "Resource": "*"}
DENY = {**ALLOW, "Effect": "Deny"}
EVERYONE: dict[str, Any] = {"Principal": "*"}


def document(*statements: Any, **elements: Any) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements), **elements})


REFUSED: dict[str, tuple[Kind, str]] = {
    "not JSON": ("identity", "{"),
    "not an object": ("identity", "[]"),
    "no statement": ("identity", document()),
    "a statement that is no object": ("identity", document("x")),
    "an unknown element of the document": ("identity", document(ALLOW, Statments=[])),
    "an unknown version": ("identity", document(ALLOW, Version="2020-01-01")),
    "no effect": ("identity", document({"Action": "*", "Resource": "*"})),
    "an unknown effect": ("identity", document({**ALLOW, "Effect": "allow"})),
    "an empty Action": ("identity", document({**ALLOW, "Action": []})),
    "an empty Resource": ("identity", document({**ALLOW, "Resource": []})),
    "no Action": ("identity", document({"Effect": "Allow", "Resource": "*"})),
    "no Resource": ("identity", document({"Effect": "Allow", "Action": "*"})),
    "Action and NotAction": ("identity", document({**ALLOW, "NotAction": "s3:*"})),
    "Resource and NotResource": ("identity", document({**ALLOW, "NotResource": "*"})),
    "an action without a service": ("identity", document({**ALLOW, "Action": "GetObject"})),
    "a wildcard as service": ("identity", document({**ALLOW, "Action": "*:GetObject"})),
    "a resource that is no ARN": ("identity", document({**ALLOW, "Resource": "bucket/*"})),
    "a number as action": ("identity", document({**ALLOW, "Action": 1})),
    "misspelt Conditions": ("identity", document({**ALLOW, "Conditions": {}})),
    "misspelt Principals": ("resource", document({**ALLOW, "Principals": "*"})),
    "an unknown operator": (
        "identity",
        document({**ALLOW, "Condition": {"StringEqual": {"aws:userid": "x"}}}),
    ),
    "Null with a quantifier": (
        "identity",
        document({**ALLOW, "Condition": {"ForAnyValue:Null": {"aws:userid": "true"}}}),
    ),
    "an unknown quantifier": (
        "identity",
        document({**ALLOW, "Condition": {"ForSomeValues:StringEquals": {"aws:userid": "x"}}}),
    ),
    "a condition that is no object": ("identity", document({**ALLOW, "Condition": []})),
    "a condition without values": (
        "identity",
        document({**ALLOW, "Condition": {"StringEquals": {"aws:userid": []}}}),
    ),
    "two statements with one Sid": (
        "identity",
        document({**ALLOW, "Sid": "a"}, {**DENY, "Sid": "a"}),
    ),
    "a Sid with a space": ("identity", document({**ALLOW, "Sid": "a b"})),
    "an element twice": (
        "identity",
        '{"Statement": {"Effect": "Deny", "Effect": "Allow", "Action": "*", "Resource": "*"}}',
    ),
    "a Principal in an identity policy": ("identity", document({**ALLOW, **EVERYONE})),
    "a NotPrincipal in an identity policy": ("identity", document({**DENY, "NotPrincipal": "*"})),
    "a resource policy without Principal": ("resource", document(ALLOW)),
    "Principal and NotPrincipal": (
        "resource",
        document({**DENY, **EVERYONE, "NotPrincipal": "*"}),
    ),
    "NotPrincipal with Allow": ("resource", document({**ALLOW, "NotPrincipal": "*"})),
    "an empty Principal": ("resource", document({**ALLOW, "Principal": {}})),
    "a wildcard in a principal": (
        "resource",
        document({**ALLOW, "Principal": {"AWS": "arn:aws:iam::111111111111:role/*"}}),
    ),
    "an unknown kind of principal": ("resource", document({**ALLOW, "Principal": {"Aws": "*"}})),
    "a trust policy with a Resource": ("trust", document({**ALLOW, **EVERYONE})),
    "a trust policy without Principal": (
        "trust",
        document({"Effect": "Allow", "Action": "sts:AssumeRole"}),
    ),
}


@pytest.mark.parametrize("refused", REFUSED.values(), ids=REFUSED)
def test_a_document_that_iam_refuses_is_refused(refused: tuple[Kind, str]) -> None:
    kind, text = refused
    with pytest.raises(MalformedPolicy):
        parse(text, kind)


ACCEPTED: dict[str, tuple[Kind, str]] = {
    "one statement without a list": ("identity", json.dumps({"Statement": ALLOW})),
    "NotAction and NotResource": (
        "identity",
        document({"Effect": "Deny", "NotAction": "s3:*", "NotResource": "arn:aws:s3:::a"}),
    ),
    "numbers and booleans as values": (
        "identity",
        document({**ALLOW, "Condition": {"Bool": {"aws:SecureTransport": False}}}),
    ),
    "an operator in another case": (
        "identity",
        document({**ALLOW, "Condition": {"stringequals": {"aws:userid": "x"}}}),
    ),
    "a set operator that tolerates a missing key": (
        "identity",
        document({**ALLOW, "Condition": {"ForAllValues:StringLikeIfExists": {"aws:TagKeys": "x"}}}),
    ),
    "a deleted principal": ("resource", document({**ALLOW, "Principal": {"AWS": "AROAABCDEFGH"}})),
    "NotPrincipal with Deny": ("resource", document({**DENY, "NotPrincipal": {"AWS": "*"}})),
    "a trust policy": (
        "trust",
        document({"Effect": "Allow", "Action": "sts:AssumeRole", "Principal": "*"}),
    ),
}


@pytest.mark.parametrize("accepted", ACCEPTED.values(), ids=ACCEPTED)
def test_a_document_that_iam_accepts_is_accepted(accepted: tuple[Kind, str]) -> None:
    kind, text = accepted
    assert len(parse(text, kind)) == 1
