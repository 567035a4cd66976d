"""One misconfiguration, and the hands that make it."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from tests.support.environment import environment
from tests.support.pipeline import ADMIN_SECRET
from tests.support.sandbox import RunningSandbox
from xacct_assets.aws.redshift.warehouse import Warehouse
from xacct_assets.aws.secretsmanager import Endpoint, read_warehouse_credentials

SUFFIX = "local"
SECRET = f"xacct/redshift-{SUFFIX}"


@dataclass
class Hands:
    """Clients of both administrators, and the environment that doctor is started with.

    Attributes:
        changed: environment variables that differ from the sandbox's ``.env``.
    """

    sandbox: RunningSandbox
    changed: dict[str, str] = field(default_factory=dict)

    def a(self, service: str) -> Any:
        """A client of account A's administrator."""
        return self.sandbox.client("account-a-admin", service)

    def b(self, service: str) -> Any:
        """A client of account B's administrator."""
        return self.sandbox.client("account-b-admin", service)

    @property
    def variables(self) -> dict[str, str]:
        """The environment variables of doctor."""
        return {**self.sandbox.environment, **self.changed}

    @cached_property
    def admin(self) -> Warehouse:
        """The admin of the database."""
        config = self.sandbox.config
        endpoint = Endpoint(config.host, config.redshift_port, "dev")
        login = read_warehouse_credentials(
            self.b("secretsmanager"), ADMIN_SECRET, defaults=endpoint
        )
        return Warehouse(lambda: login)

    def sql(self, *statements: str) -> None:
        """Run statements as the admin of the database, each by itself, as an SQL editor does."""
        with environment(self.sandbox.variables), self.admin.connect() as connection:
            connection.autocommit = True
            with connection.cursor() as cursor:
                for statement in statements:
                    cursor.execute(statement)


@dataclass(frozen=True)
class Case:
    """One misconfiguration.

    Attributes:
        name: what is wrong.
        check: that must fail, alone.
        make: makes it.
        names: what the failure must name.
        mend: undoes it where the printed repair is a sentence and no command.
    """

    name: str
    check: str
    make: Callable[[Hands], None]
    names: tuple[str, ...] = ()
    mend: Callable[[Hands], None] | None = None


def setting(name: str, value: str, check: str, *names: str) -> Case:
    """A wrong value of an environment variable."""
    return Case(
        f"{name}={value}",
        check,
        lambda hands: hands.changed.update({name: value}),
        names or (value,),
        lambda hands: hands.changed.clear(),
    )


def role_document(
    hands: Hands, account: str, role: str, policy: str | None, change: Callable[[Any], None]
) -> None:
    """Change a policy of a role, or its trust policy if none is named."""
    iam = getattr(hands, account)("iam")
    if policy is None:
        document = iam.get_role(RoleName=role)["Role"]["AssumeRolePolicyDocument"]
        change(document["Statement"])
        iam.update_assume_role_policy(RoleName=role, PolicyDocument=json.dumps(document))
        return
    document = iam.get_role_policy(RoleName=role, PolicyName=policy)["PolicyDocument"]
    change(document["Statement"])
    if document["Statement"]:
        iam.put_role_policy(RoleName=role, PolicyName=policy, PolicyDocument=json.dumps(document))
    else:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)


def without(sid: str) -> Callable[[list[dict[str, Any]]], None]:
    """Removes a statement."""

    def change(statements: list[dict[str, Any]]) -> None:
        kept = [statement for statement in statements if statement.get("Sid") != sid]
        assert len(kept) == len(statements) - 1
        statements[:] = kept

    return change


def with_fields(sid: str | None, **fields: Any) -> Callable[[list[dict[str, Any]]], None]:
    """Replaces fields of a statement; without a Sid, of the first."""

    def change(statements: list[dict[str, Any]]) -> None:
        found = next(item for item in statements if sid is None or item.get("Sid") == sid)
        found.update(fields)

    return change


def with_denial(action: str, resource: str = "*", **fields: Any) -> Callable[[Any], None]:
    """Adds a statement that denies."""

    def change(statements: list[dict[str, Any]]) -> None:
        statements.append(
            {"Sid": "Security", "Effect": "Deny", "Action": action, "Resource": resource, **fields}
        )

    return change


def bucket_document(hands: Hands, bucket: str, change: Callable[[Any], None]) -> None:
    """Change the policy of a bucket of account A."""
    s3 = hands.a("s3")
    document = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
    change(document["Statement"])
    s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(document))


def updated(described: Mapping[str, Any], keep: tuple[str, ...]) -> dict[str, Any]:
    """The fields of a description that an update takes."""
    return {key: described[key] for key in keep if described.get(key) is not None}
