"""Fields and statements that differ from the template are named; other spellings do not differ."""

from __future__ import annotations

import json
from typing import Any

import pytest

from xacct_assets.aws.errors import InvalidRequest
from xacct_assets.operations.deployment.templates import UNKNOWN
from xacct_assets.operations.doctor.comparison import (
    differences,
    policy_differences,
    require_policy,
)

READ = {"Sid": "Read", "Effect": "Allow", "Action": ["s3:GetObject", "s3:List*"], "Resource": "*"}


def policy(*statements: dict[str, Any]) -> dict[str, Any]:
    return {"Version": "2012-10-17", "Statement": list(statements)}


@pytest.mark.parametrize(
    ("expected", "actual"),
    [
        ({"a": "2"}, {"a": 2}),
        ({"a": 0}, {"a": 0.0}),
        ({"a": True}, {"a": "true"}),
        ({"a": ["x"]}, {"a": "x"}),
        ({"a": "x"}, {"a": ["x"]}),
        ({"a": ["x", "y"]}, {"a": ["y", "x"]}),
        ({"a": {"b": 1}}, {"a": {"b": 1, "c": 2}, "d": 3}),
        ({"a": UNKNOWN}, {}),
        ({"a": ["x", UNKNOWN]}, {"a": ["x", "z"]}),
    ],
)
def test_what_aws_writes_in_another_way_does_not_differ(expected: Any, actual: Any) -> None:
    assert differences(expected, actual) == []


@pytest.mark.parametrize(
    ("expected", "actual", "line"),
    [
        ({"a": 1}, {}, "a is missing (should be 1)"),
        ({"a": 1}, {"a": 2}, "a is 2 (should be 1)"),
        ({"a": {"b": "x"}}, {"a": {"b": "y"}}, "a.b is y (should be x)"),
        ({"a": ["x", "y"]}, {"a": ["x"]}, 'a is ["x"] (should be ["x", "y"])'),
        ({"a": {"b": 1}}, {"a": None}, 'a is null (should be {"b": 1})'),
    ],
)
def test_a_field_that_differs_is_named(expected: Any, actual: Any, line: str) -> None:
    assert differences(expected, actual) == [line]


def test_a_long_value_is_cut() -> None:
    (line,) = differences({"a": "x"}, {"a": "y" * 1000})
    assert len(line) < 250


@pytest.mark.parametrize(
    "actual",
    [
        policy(READ),
        policy({**READ, "Action": ["s3:List*", "s3:GetObject"], "Resource": ["*"]}),
        policy(READ, {"Sid": "Ours", "Effect": "Allow", "Action": "sns:*", "Resource": "*"}),
        {"Statement": READ},
    ],
)
def test_a_policy_with_the_statement_does_not_differ(actual: dict[str, Any]) -> None:
    assert policy_differences(policy(READ), actual) == []


@pytest.mark.parametrize(
    ("actual", "named"),
    [
        (policy(), "statement Read is missing"),
        ({}, "statement Read is missing"),
        (policy({**READ, "Action": "s3:GetObject"}), "statement Read: Action is s3:GetObject"),
        (policy({**READ, "Effect": "Deny"}), "statement Read: Effect is Deny"),
        (policy({**READ, "Resource": "arn:x"}), "statement Read: Resource is arn:x"),
        (policy({**READ, "Condition": {"Bool": {"a": "b"}}}), "statement Read: Condition is"),
        (policy(READ, {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}), "denies"),
    ],
)
def test_a_statement_that_differs_is_named(actual: dict[str, Any], named: str) -> None:
    (line,) = policy_differences(policy(READ), actual)
    assert named in line


def test_a_condition_beside_the_expected_one_is_named() -> None:
    limited = {**READ, "Condition": {"StringEquals": {"a": "1"}}}
    more = {**READ, "Condition": {"StringEquals": {"a": "1"}, "Bool": {"b": "2"}}}
    assert policy_differences(policy(limited), policy(more)) == [
        "statement Read: Condition.Bool.b is 2"
    ]


def test_a_statement_without_a_sid_is_compared_with_the_one_most_like_it() -> None:
    trust = {"Effect": "Allow", "Principal": {"AWS": "arn:b"}, "Action": "sts:AssumeRole"}
    other = {"Effect": "Allow", "Principal": {"AWS": "arn:c"}, "Action": "sts:AssumeRole"}
    assert policy_differences(policy(trust), policy(other, trust)) == []
    (line,) = policy_differences(policy(trust), policy(other))
    assert "Principal.AWS is arn:c (should be arn:b)" in line


READ_MORE = {**READ, "Sid": "ReadMore"}
FOREIGN = {"Effect": "Deny", "Action": "s3:*", "Resource": "*"}


@pytest.mark.parametrize(
    ("actual", "shown"),
    [
        pytest.param(policy(READ), [READ_MORE], id="missing"),
        pytest.param(policy(READ_MORE), [READ], id="missing, the beginning of another's name"),
        pytest.param(policy({**READ, "Effect": "Deny"}, READ_MORE), [READ], id="changed"),
        pytest.param({}, [READ, READ_MORE], id="no policy"),
    ],
)
def test_the_repair_by_hand_shows_the_statements_to_write(
    actual: dict[str, Any], shown: list[dict[str, Any]]
) -> None:
    with pytest.raises(
        InvalidRequest, match=r"bucket b is not as infra/account_a\.yaml"
    ) as refused:
        require_policy("bucket b", policy(READ, READ_MORE), actual, "111111111111", "a")
    deploy, by_hand = refused.value.fix.split("; by hand, these statements: ")
    assert (deploy, json.loads(by_hand)) == ("`xacct deploy --account a` restores it", shown)


def test_against_a_statement_that_denies_besides_nothing_is_to_be_written() -> None:
    with pytest.raises(InvalidRequest, match="a statement denies") as refused:
        require_policy("key k", policy(READ), policy(READ, FOREIGN), "222222222222", "b")
    assert refused.value.fix == "`xacct deploy --account b` restores it"


def test_a_policy_as_the_template_says_passes() -> None:
    require_policy("key k", policy(READ), policy(READ), "222222222222", "b")
