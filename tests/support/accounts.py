"""Two accounts of a sandbox with roles and a bucket, and statements for their policies."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import boto3
from botocore.exceptions import ClientError

from tests.support.sandbox import RunningSandbox

A, B = "111111111111", "222222222222"
BUCKET = "iam-cases-raw"
OBJECTS = f"arn:aws:s3:::{BUCKET}/*"
WHOLE = f"arn:aws:s3:::{BUCKET}"
ROLE = f"arn:aws:iam::{B}:role/cases/iam-cases-reader"
OTHER = f"arn:aws:iam::{B}:role/iam-cases-other"
ROLE_IN_A = f"arn:aws:iam::{A}:role/iam-cases-writer"
ROOT_OF_B = f"arn:aws:iam::{B}:root"
DENIED = {"AccessDenied", "AccessDeniedException", "403"}

Statement = dict[str, Any]


def allow(*actions: str, on: str | list[str] = "*", **more: Any) -> Statement:
    return {"Effect": "Allow", "Action": list(actions), "Resource": on, **more}


def deny(*actions: str, on: str | list[str] = "*", **more: Any) -> Statement:
    return {"Effect": "Deny", "Action": list(actions), "Resource": on, **more}


def aws(arn: str) -> dict[str, str]:
    return {"AWS": arn}


EVERYTHING = (allow("s3:*", on=[WHOLE, OBJECTS]),)


def policy(statements: tuple[Statement, ...]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


@dataclass
class Accounts:
    """A bucket in account A, two roles in account B and one in account A."""

    sandbox: RunningSandbox

    def iam(self, account: str) -> Any:
        return self.sandbox.client(f"account-{'a' if account == A else 'b'}-admin", "iam")

    def trust(self, role: str, *statements: Statement) -> None:
        """Create the role, or replace its trust policy."""
        account, name = role.split(":")[4], role.rpartition("/")[2]
        path = role.partition(":role")[2].removesuffix(name)
        document = {"Version": "2012-10-17", "Statement": list(statements)}
        iam = self.iam(account)
        try:
            iam.create_role(RoleName=name, Path=path, AssumeRolePolicyDocument=json.dumps(document))
        except iam.exceptions.EntityAlreadyExistsException:
            iam.update_assume_role_policy(RoleName=name, PolicyDocument=json.dumps(document))

    def permit(self, role: str, *statements: Statement) -> None:
        """Replace the role's inline policy; without statements, delete it."""
        account, name = role.split(":")[4], role.rpartition("/")[2]
        iam = self.iam(account)
        if statements:
            iam.put_role_policy(RoleName=name, PolicyName="case", PolicyDocument=policy(statements))
        elif "case" in iam.list_role_policies(RoleName=name)["PolicyNames"]:
            iam.delete_role_policy(RoleName=name, PolicyName="case")

    def bucket_policy(self, *statements: Statement) -> None:
        s3 = self.sandbox.client("account-a-admin", "s3")
        if statements:
            s3.put_bucket_policy(Bucket=BUCKET, Policy=policy(statements))
        else:
            s3.delete_bucket_policy(Bucket=BUCKET)

    def session(
        self, role: str, by: boto3.Session | None = None, external_id: str | None = None
    ) -> boto3.Session:
        """A session of the role, assumed by account B's admin unless ``by`` is given."""
        sts = (
            self.sandbox.client_of(by, "sts")
            if by
            else self.sandbox.client("account-b-admin", "sts")
        )
        extra = {"ExternalId": external_id} if external_id else {}
        credentials = sts.assume_role(RoleArn=role, RoleSessionName="case", **extra)["Credentials"]
        return boto3.Session(
            aws_access_key_id=credentials["AccessKeyId"],
            aws_secret_access_key=credentials["SecretAccessKey"],
            aws_session_token=credentials["SessionToken"],
            region_name="us-east-1",
        )

    def s3(self, role: str) -> Any:
        """The role's S3 client. One session is enough: policies are evaluated at each request."""
        if ("s3", role) not in self.sandbox.clients:
            self.sandbox.clients["s3", role] = self.sandbox.client_of(self.session(role), "s3")
        return self.sandbox.clients["s3", role]


def trusting(principal: str | dict[str, str], **condition: Any) -> Statement:
    if isinstance(principal, str):
        principal = aws(principal)
    statement = {"Effect": "Allow", "Principal": principal, "Action": "sts:AssumeRole"}
    return {**statement, **({"Condition": condition} if condition else {})}


@contextmanager
def two_accounts(sandbox: RunningSandbox) -> Iterator[Accounts]:
    """A bucket with two objects in account A, and roles that trust account B."""
    accounts = Accounts(sandbox)
    s3 = sandbox.client("account-a-admin", "s3")
    s3.create_bucket(Bucket=BUCKET)
    for key in ("products/a.csv", "secret/b.csv"):
        s3.put_object(Bucket=BUCKET, Key=key, Body=b"1")
    for role in (ROLE, OTHER):
        accounts.trust(role, trusting(ROOT_OF_B))
    accounts.trust(ROLE_IN_A, trusting(ROLE))
    yield accounts
    objects = s3.list_objects_v2(Bucket=BUCKET).get("Contents", [])
    for stored in objects:
        s3.delete_object(Bucket=BUCKET, Key=stored["Key"])
    s3.delete_bucket(Bucket=BUCKET)


def passes(request: Any) -> bool:
    """Whether a request is allowed; any error but a denial is a failure of the test."""
    try:
        request()
    except ClientError as refusal:
        if refusal.response["Error"]["Code"] in DENIED:
            return False
        raise
    return True
