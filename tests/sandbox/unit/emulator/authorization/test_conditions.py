"""When a statement applies, as AWS's documentation decides it: variables, resources, conditions."""

from __future__ import annotations

from typing import Any

import pytest

from tests.sandbox.unit.emulator.authorization.documented import (
    FOR_ANY,
    OPERATORS,
    RESOURCE,
    SETS,
    VARIABLES,
    VERSION,
    Case,
    allow,
    decision,
    deny,
    when,
)

CASES = (
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
        "a test with a variable without a value fails",
        False,
        VARIABLES,
        (allow(**when("StringLike", "aws:userid", "${aws:username}")),),
        keys={"aws:userid": "7"},
    ),
    Case(
        "an inverted test with a variable without a value passes",
        True,
        VARIABLES,
        (allow(**when("StringNotLike", "aws:userid", "${aws:username}", "8")),),
        keys={"aws:userid": "7"},
    ),
    Case(
        "but not if another of its values matches",
        False,
        VARIABLES,
        (allow(**when("StringNotLike", "aws:userid", "${aws:username}", "7")),),
        keys={"aws:userid": "7"},
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
        FOR_ANY,
        (allow(**when("ForAnyValue:StringEqualsIfExists", "aws:TagKeys", "team")),),
    ),
    Case(
        "so does its negation",
        False,
        FOR_ANY,
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
