"""Two AWS accounts that claims are tried on: those of a sandbox, or real ones.

The tests see no difference: they get boto3 clients, account ids and names from here.
"""

from __future__ import annotations

import contextlib
import json
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
from botocore.exceptions import ClientError

Statement = dict[str, Any]
#: What every name that a run makes begins with; the rest of it is random.
FAMILY = "xacct-claims-"
ALLOWED = "allowed"


def new_prefix() -> str:
    """A prefix that no other run has."""
    return f"{FAMILY}{uuid.uuid4().hex[:8]}"


@dataclass
class Account:
    """One of the two accounts, as its administrator sees it.

    Attributes:
        id: 12 digits.
        session: of the administrator.
        options: of every client (the endpoint of the sandbox; nothing on AWS).
    """

    id: str
    session: boto3.Session
    options: dict[str, Any] = field(default_factory=dict)
    _clients: dict[str, Any] = field(default_factory=dict, repr=False)

    def client(self, service: str) -> Any:
        """The administrator's client, created once."""
        if service not in self._clients:
            self._clients[service] = self.client_of(self.session, service)
        return self._clients[service]

    def client_of(self, session: boto3.Session, service: str) -> Any:
        """A client of another session."""
        return session.client(service, **self.options)


@dataclass
class Target:
    """Both accounts, and the names of one run.

    Attributes:
        a: the central account.
        b: the processing account.
        region: of both.
        prefix: what every name of this run begins with.
        patience: seconds until a change must be seen: IAM's changes take time on AWS.
        pause: seconds between two looks.
        workgroup_options: where the workgroup is made (subnets, security groups).
        spent: what was used of what AWS bills by use.
    """

    a: Account
    b: Account
    region: str
    prefix: str
    patience: float
    pause: float
    workgroup_options: dict[str, Any] = field(default_factory=dict)
    spent: Counter[str] = field(default_factory=Counter)

    def name(self, part: str) -> str:
        """A name of this run."""
        return f"{self.prefix}-{part}"

    def sql_name(self, part: str) -> str:
        """A name of this run for a database, table or user."""
        return self.name(part).replace("-", "_")

    def becomes(self, expected: Any, look: Callable[[], Any], *, patience: float = 0) -> None:
        """Look until what is expected is seen; fail with what was seen last.

        Args:
            expected: a value, or a function that tells whether a value is the expected one.
            look: what to call.
            patience: seconds, if it may take longer than a change of a policy.
        """
        deadline = time.monotonic() + max(patience, self.patience)
        is_expected = expected if callable(expected) else lambda seen: seen == expected
        while True:
            seen = look()
            if is_expected(seen):
                return
            if time.monotonic() > deadline:
                wanted = "something else" if callable(expected) else repr(expected)
                raise AssertionError(f"expected {wanted}, and saw {seen!r} until the end")
            time.sleep(self.pause)

    # -- what tests make ---------------------------------------------------------------------

    def bucket(self, account: Account, part: str) -> str:
        """A new bucket; returns its name."""
        name = self.name(part)
        options = {}
        if self.region != "us-east-1":
            options["CreateBucketConfiguration"] = {"LocationConstraint": self.region}
        account.client("s3").create_bucket(Bucket=name, **options)
        return name

    def role(self, account: Account, part: str, *trust: Statement, **options: Any) -> str:
        """A new role with these statements in its trust policy; returns its ARN."""
        role = account.client("iam").create_role(
            RoleName=self.name(part), AssumeRolePolicyDocument=document(*trust), **options
        )
        return str(role["Role"]["Arn"])

    def permit(self, account: Account, role: str, *statements: Statement) -> None:
        """Replace what a role may do by itself; nothing without statements."""
        iam, name = account.client("iam"), role.rpartition("/")[2]
        if statements:
            iam.put_role_policy(
                RoleName=name, PolicyName="claims", PolicyDocument=document(*statements)
            )
        else:
            iam.delete_role_policy(RoleName=name, PolicyName="claims")

    def become(self, account: Account, role: str, by: Any = None, **options: Any) -> boto3.Session:
        """A session of a role, as soon as it can be assumed."""
        sts = by or account.client("sts")
        found: dict[str, Any] = {}

        def assume() -> str:
            def call() -> None:
                found.update(sts.assume_role(RoleArn=role, RoleSessionName="claims", **options))

            return outcome(call)

        self.becomes(ALLOWED, assume)
        return session_of(found["Credentials"], self.region)


def session_of(credentials: dict[str, Any], region: str) -> boto3.Session:
    """A session with temporary credentials."""
    return boto3.Session(
        aws_access_key_id=credentials["AccessKeyId"],
        aws_secret_access_key=credentials["SecretAccessKey"],
        aws_session_token=credentials["SessionToken"],
        region_name=region,
    )


def outcome(call: Callable[..., Any], **request: Any) -> str:
    """The error code of a request, or "allowed"."""
    try:
        call(**request)
    except ClientError as refusal:
        return str(refusal.response["Error"]["Code"])
    return ALLOWED


def refusal(call: Callable[..., Any], **request: Any) -> tuple[str, str]:
    """Code and message of a request that must be refused."""
    try:
        call(**request)
    except ClientError as refused:
        error = refused.response["Error"]
        return str(error["Code"]), str(error["Message"])
    raise AssertionError(f"the request was not refused: {request}")


def document(*statements: Statement) -> str:
    """A policy document."""
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


def allow(*actions: str, on: str | list[str] = "*", **more: Any) -> Statement:
    """A statement that allows."""
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def trusting(principal: str | dict[str, Any], **condition: Any) -> Statement:
    """A statement of a trust policy."""
    who = principal if isinstance(principal, dict) else {"AWS": principal}
    statement = {"Effect": "Allow", "Principal": who, "Action": "sts:AssumeRole"}
    return {**statement, **({"Condition": condition} if condition else {})}


@contextlib.contextmanager
def putting_back(undo: Callable[[], Any]) -> Iterator[None]:
    """Undo a change at the end, whatever happens."""
    try:
        yield
    finally:
        undo()
