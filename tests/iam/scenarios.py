"""Random scenarios: policies, a request, its context. Equal seeds give equal scenarios."""

from __future__ import annotations

import random
from typing import Any

A, B = "111111111111", "222222222222"
Scenario = dict[str, Any]
"""In the form of the simulator's ``Simulation``."""

ROLE = f"arn:aws:iam::{B}:role/reader"
SESSION = f"arn:aws:sts::{B}:assumed-role/reader/one"
USER = f"arn:aws:iam::{B}:user/ann"
SERVICE = "glue.amazonaws.com"
ASSUME = "sts:AssumeRole"
_REQUESTS = (
    ("s3:GetObject", "arn:aws:s3:::data/ann/file"),
    ("s3:GetObject", "arn:aws:s3:::data/secret/file"),
    ("s3:PutObject", "arn:aws:s3:::data/ann/file"),
    ("s3:DeleteObject", "arn:aws:s3:::data/ann/file"),
    ("s3:ListBucket", "arn:aws:s3:::data"),
    ("sqs:SendMessage", "arn:aws:sqs:us-east-1:{owner}:queue"),
    ("sqs:ReceiveMessage", "arn:aws:sqs:us-east-1:{owner}:queue"),
    ("secretsmanager:GetSecretValue", "arn:aws:secretsmanager:us-east-1:{owner}:secret:s-AbCdEf"),
    ("secretsmanager:TagResource", "arn:aws:secretsmanager:us-east-1:{owner}:secret:s-AbCdEf"),
    ("sns:Publish", "arn:aws:sns:us-east-1:{owner}:topic"),
    (ASSUME, "arn:aws:iam::{owner}:role/target"),
    (ASSUME, "arn:aws:iam::{owner}:role/team/target"),
)
_ACTIONS = (
    "*",
    "s3:*",
    "s3:Get*",
    "s3:GetObject",
    "S3:putobject",
    "s3:*Object",
    "s3:ListBucket",
    "s3:?etObject",
    "sqs:*",
    "sqs:SendMessage",
    "secretsmanager:GetSecretValue",
    "secretsmanager:*Resource",
    "sts:Assume*",
    ASSUME,
    "sns:P?blish",
    "SNS:*",
)
_RESOURCES = (
    "*",
    "arn:aws:s3:::data",
    "arn:aws:s3:::data/*",
    "arn:aws:s3:::data/ann/*",
    "arn:aws:s3:::data/Ann/*",
    "arn:aws:s3:::data/${aws:username}/*",
    "arn:aws:s3:::data/${aws:PrincipalTag/team}/*",
    "arn:aws:s3:::d?ta/*/file",
    "arn:aws:sqs:*:*:queue",
    "arn:aws:sqs:us-east-1:222222222222:*",
    "arn:aws:secretsmanager:us-east-1:*:secret:s-*",
    "arn:aws:s3:::data/${aws:PrincipalTag/team, 'ann'}/*",
    "arn:aws:s3:::data/${*}",
    "arn:aws:sns:us-*-1:??????222222:top*",
    "arn:*:*:*:*:*",
    "arn:aws:iam::*:role/*",
    "arn:aws:iam::222222222222:role/target",
)
_PRINCIPALS: tuple[Any, ...] = (
    "*",
    {"AWS": "*"},
    {"AWS": B},
    {"AWS": f"arn:aws:iam::{B}:root"},
    {"AWS": ROLE},
    {"AWS": SESSION},
    {"AWS": USER},
    {"AWS": [USER, ROLE]},
    {"AWS": A},
    {"Service": SERVICE},
    {"Service": [SERVICE, "sns.amazonaws.com"], "AWS": USER},
)
_NOT_PRINCIPALS: tuple[Any, ...] = (
    {"AWS": [f"arn:aws:iam::{B}:root", ROLE, SESSION]},
    {"AWS": [f"arn:aws:iam::{B}:root", USER]},
    {"AWS": A},
)
_TESTS: tuple[tuple[str, str, tuple[Any, ...]], ...] = (
    ("StringEquals", "aws:PrincipalTag/team", ("data", "ann", "other")),
    ("StringNotEquals", "aws:PrincipalTag/team", ("data", "other")),
    ("StringEqualsIfExists", "aws:PrincipalTag/team", ("data", "other")),
    ("StringNotEqualsIfExists", "aws:PrincipalTag/team", ("data", "other")),
    ("StringEqualsIgnoreCase", "aws:PrincipalTag/team", ("DATA", "Other")),
    ("StringLike", "aws:username", ("a*", "b?b", "*")),
    ("StringNotLike", "aws:username", ("a*", "b?b")),
    ("StringEquals", "aws:username", ("${aws:PrincipalTag/team}", "ann")),
    ("Null", "aws:username", ("true", "false")),
    ("Null", "aws:PrincipalTag/team", ("true", "false")),
    ("Bool", "aws:SecureTransport", ("true", "false")),
    ("BoolIfExists", "aws:MultiFactorAuthPresent", ("true", "false")),
    ("IpAddress", "aws:SourceIp", ("10.0.0.0/8", "192.168.1.7", "127.0.0.1/32")),
    ("NotIpAddress", "aws:SourceIp", ("10.0.0.0/8", "192.168.0.0/16")),
    ("ArnEquals", "aws:PrincipalArn", (ROLE, USER, f"arn:aws:iam::{B}:*")),
    ("ArnLike", "aws:PrincipalArn", (f"arn:aws:iam::{B}:role/*", "arn:aws:iam::*:user/ann")),
    ("ArnNotLike", "aws:PrincipalArn", (f"arn:aws:iam::{B}:role/*", USER)),
    ("StringLike", "aws:PrincipalArn", (f"arn:aws:iam::{B}:*", "*reader")),
    ("StringEquals", "aws:PrincipalAccount", (A, B)),
    ("DateGreaterThan", "aws:CurrentTime", ("2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z")),
    ("DateLessThan", "aws:CurrentTime", ("2020-01-01T00:00:00Z", "2030-01-01T00:00:00Z")),
    ("NumericLessThan", "aws:EpochTime", ("1000", "4000000000")),
    ("StringLike", "s3:prefix", ("ann/*", "secret/*")),
    ("StringEquals", "s3:x-amz-acl", ("private", "public-read")),
    ("StringEqualsIfExists", "s3:x-amz-acl", ("private", "public-read")),
    ("StringNotEqualsIgnoreCase", "AWS:PrincipalTag/Team", ("DATA", "Other")),
    ("StringNotLike", "aws:PrincipalTag/team", ("d*", "${aws:username}")),
    ("StringLike", "aws:PrincipalTag/team", ("${aws:username, 'd*'}", "?nn")),
    ("StringEquals", "aws:RequestTag/team", ("${aws:PrincipalTag/team}", "data")),
    ("StringNotEquals", "aws:RequestTag/team", ("${aws:PrincipalTag/team}", "data")),
    ("ForAllValues:StringEquals", "aws:TagKeys", ("team", "cost")),
    ("ForAllValues:StringNotEquals", "aws:TagKeys", ("team", "cost")),
    ("ForAllValues:StringLike", "aws:TagKeys", ("t*", "c?st", "*")),
    ("ForAnyValue:StringEquals", "aws:TagKeys", ("team", "cost", "owner")),
    ("ForAnyValue:StringNotEquals", "aws:TagKeys", ("team", "owner")),
    ("ForAnyValue:StringLike", "aws:TagKeys", ("t*", "o*")),
    ("ForAllValues:StringEqualsIfExists", "aws:TagKeys", ("team", "cost")),
    ("ForAnyValue:StringEqualsIfExists", "aws:TagKeys", ("team", "cost")),
    ("Null", "aws:TagKeys", ("true", "false")),
    ("ArnEqualsIfExists", "aws:PrincipalArn", (ROLE, USER)),
    ("ArnNotEquals", "aws:PrincipalArn", (ROLE, f"arn:aws:iam::{B}:user/*")),
    ("NumericGreaterThanEquals", "aws:EpochTime", ("1767323045", "4000000000")),
    ("NumericNotEquals", "aws:EpochTime", ("1767323045", "1")),
    ("NumericLessThanIfExists", "aws:MultiFactorAuthAge", ("3600",)),
    ("DateEquals", "aws:CurrentTime", ("2026-01-02T03:04:05Z", "2026-01-02T04:04:05+01:00")),
    ("DateGreaterThanEquals", "aws:CurrentTime", ("2026-01-02T03:04:05Z", "2030-01-01")),
    ("DateLessThanEquals", "aws:EpochTime", ("2026-01-02T03:04:05Z", "1767323046")),
    ("NotIpAddressIfExists", "aws:SourceIp", ("10.0.0.0/8",)),
    ("StringEquals", "sts:ExternalId", ("external", "${aws:PrincipalTag/team}")),
    ("StringNotEqualsIfExists", "sts:RoleSessionName", ("one", "two")),
    ("StringEqualsIfExists", "aws:SourceAccount", (A, B)),
    ("ArnLike", "aws:SourceArn", (f"arn:aws:glue:us-east-1:{B}:*", "arn:aws:s3:::*")),
)


def scenarios(seed: int, count: int) -> list[Scenario]:
    """The scenarios of a seed."""
    chance = random.Random(seed)
    return [_scenario(chance) for _ in range(count)]


def _scenario(chance: random.Random) -> Scenario:
    action, resource = chance.choice(_REQUESTS)
    owner = chance.choice((A, B))
    principal = chance.choice((SESSION, USER, SESSION, USER, SESSION, USER, SERVICE))
    count = 0 if principal == SERVICE else chance.randint(0, 2)
    scenario: Scenario = {
        "request": {
            "action": action,
            "resource": {"resource": resource.replace("{owner}", owner), "accountId": owner},
            "principal": principal,
            "contextVariables": _context(chance, action, principal),
        },
        "identityPolicies": [{"name": f"i{n}", "policy": _policy(chance)} for n in range(count)],
        "serviceControlPolicies": [],
        "resourceControlPolicies": [],
    }
    if action == ASSUME:
        scenario["resourcePolicy"] = _policy(chance, "trust")
    elif chance.random() < 0.7:
        scenario["resourcePolicy"] = _policy(chance, "resource")
    if principal != SERVICE and chance.random() < 0.2:
        scenario["permissionBoundaryPolicies"] = [{"name": "b", "policy": _policy(chance)}]
    if principal == SESSION and chance.random() < 0.2:
        scenario["sessionPolicy"] = _policy(chance)
    return scenario


def _context(chance: random.Random, action: str, principal: str) -> dict[str, Any]:
    context: dict[str, Any] = {
        "aws:SecureTransport": chance.choice(("true", "false")),
        "aws:SourceIp": chance.choice(("10.1.2.3", "192.168.1.7", "127.0.0.1")),
        "aws:CurrentTime": "2026-01-02T03:04:05Z",
        "aws:EpochTime": "1767323045",
    }
    if principal == SERVICE:
        context["aws:SourceAccount"] = chance.choice((A, B))
        context["aws:SourceArn"] = f"arn:aws:glue:us-east-1:{B}:crawler/c"
    else:
        context["aws:PrincipalArn"] = ROLE if principal == SESSION else principal
        context["aws:PrincipalAccount"] = B
    if principal == USER:
        context["aws:username"] = "ann"
    if action == ASSUME:
        context["sts:RoleSessionName"] = chance.choice(("one", "three"))
    if action == ASSUME and chance.random() < 0.5:
        context["sts:ExternalId"] = chance.choice(("external", "data"))
    if principal != SERVICE and chance.random() < 0.6:
        context["aws:PrincipalTag/team"] = chance.choice(("data", "ann", "other"))
    if action == "s3:ListBucket" and chance.random() < 0.7:
        context["s3:prefix"] = chance.choice(("ann/x", "secret/x"))
    if action == "s3:PutObject" and chance.random() < 0.5:
        context["s3:x-amz-acl"] = chance.choice(("private", "public-read"))
    if action == "secretsmanager:TagResource" and chance.random() < 0.7:
        context["aws:TagKeys"] = chance.sample(("team", "cost", "owner"), chance.randint(1, 2))
        context["aws:RequestTag/team"] = chance.choice(("data", "ann"))
    return context


def _policy(chance: random.Random, kind: str = "identity") -> dict[str, Any]:
    version = chance.choice(("2012-10-17", "2012-10-17", "2012-10-17", "2008-10-17"))
    count = chance.randint(1, 3)
    return {"Version": version, "Statement": [_statement(chance, kind) for _ in range(count)]}


def _statement(chance: random.Random, kind: str) -> dict[str, Any]:
    effect = "Allow" if chance.random() < 0.75 else "Deny"
    statement: dict[str, Any] = {"Effect": effect}
    if kind == "trust":
        statement["Action"] = chance.choice((ASSUME, "sts:*", [ASSUME, "sts:TagSession"]))
    else:
        statement["NotAction" if chance.random() < 0.1 else "Action"] = _some(chance, _ACTIONS)
        resource = "NotResource" if chance.random() < 0.1 else "Resource"
        statement[resource] = _some(chance, _RESOURCES)
    if kind == "resource" and effect == "Deny" and chance.random() < 0.3:
        statement["NotPrincipal"] = chance.choice(_NOT_PRINCIPALS)
    elif kind != "identity":
        statement["Principal"] = chance.choice(_PRINCIPALS)
    if chance.random() < 0.5:
        condition: dict[str, Any] = {}
        for _ in range(chance.randint(1, 2)):
            operator, key, values = chance.choice(_TESTS)
            chosen = chance.sample(values, chance.randint(1, min(2, len(values))))
            condition.setdefault(operator, {})[key] = chosen[:1] if operator == "Null" else chosen
        statement["Condition"] = condition
    return statement


def _some(chance: random.Random, values: tuple[str, ...]) -> Any:
    chosen = chance.sample(values, chance.choice((1, 1, 2)))
    return chosen if len(chosen) > 1 or chance.random() < 0.5 else chosen[0]
