"""Statements and calls that the tests of judged calls share."""

from __future__ import annotations

from typing import Any

from botocore.credentials import Credentials

from tests.sandbox.unit.emulator.conftest import Answer, InProcess, policy

Statement = dict[str, Any]
BUCKET = "judged"
ALL = [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"]


def allow(*actions: str, on: Any = "*", **more: Any) -> Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def deny(*actions: str, on: Any = "*", **more: Any) -> Statement:
    return {"Effect": "Deny", "Action": list(actions), "Resource": on, **more}


def when(operator: str, key: str, *values: str) -> Statement:
    return {"Condition": {operator: {key: list(values)}}}


def session(aws: InProcess, *statements: Statement, name: str = "judged") -> Credentials:
    return aws.become(aws.role(name, *statements))


def bucket_policy(aws: InProcess, account: str, bucket: str, *statements: Statement) -> Answer:
    return aws.send(
        aws.keys[account], "s3", "PUT", f"/{bucket}", query={"policy": ""}, body=policy(*statements)
    )


def trusting(principal: str, *actions: str, **more: Any) -> Statement:
    return {
        "Effect": "Allow",
        "Principal": {"AWS": principal},
        "Action": list(actions or ["sts:AssumeRole"]),
        **more,
    }
