"""A Redshift Serverless warehouse that a run makes, reached through the Data API.

The Data API needs no network. The workgroup is private, in the default VPC unless
subnets are given.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import Any

from tests.conformance.target import ALLOWED, Target, allow, document, outcome, trusting

ENDED = ("FINISHED", "FAILED", "ABORTED")
REDSHIFT = {"Service": ["redshift.amazonaws.com", "redshift-serverless.amazonaws.com"]}


@dataclass
class Warehouse:
    """The warehouse, and what COPY and UNLOAD work with.

    Attributes:
        target: both accounts.
        workgroup: its name.
        secret: ARN of the admin's secret, which Redshift keeps.
        admin: the admin's name.
        files: bucket in account B that COPY reads.
        exports: bucket in account A that UNLOAD writes.
        role_b: first role of the chain, attached to the namespace.
        role_a: last role of the chain, in account A.
    """

    target: Target
    workgroup: str
    secret: str
    admin: str
    files: str
    exports: str
    role_b: str
    role_a: str

    @property
    def data(self) -> Any:
        """The administrator's Data API client."""
        return self.target.b.client("redshift-data")

    def submit(self, *sqls: str, **options: Any) -> str:
        """Start one statement, or several as one transaction; returns its id."""
        request = {
            "WorkgroupName": self.workgroup,
            "Database": "dev",
            "SecretArn": self.secret,
            **options,
        }
        if len(sqls) == 1:
            return str(self.data.execute_statement(Sql=sqls[0], **request)["Id"])
        return str(self.data.batch_execute_statement(Sqls=list(sqls), **request)["Id"])

    def wait(self, statement: str) -> dict[str, Any]:
        """The description of a statement that has ended."""
        while True:
            found: dict[str, Any] = self.data.describe_statement(Id=statement, WaitTimeSeconds=20)
            if found["Status"] in ENDED:
                return found

    def run(self, *sqls: str, **options: Any) -> dict[str, Any]:
        """Run to the end, which must be FINISHED."""
        ended = self.wait(self.submit(*sqls, **options))
        assert ended["Status"] == "FINISHED", ended.get("Error")
        return ended

    def error(self, *sqls: str, **options: Any) -> str:
        """The error of what must fail."""
        ended = self.wait(self.submit(*sqls, **options))
        assert ended["Status"] == "FAILED", f"{sqls} is {ended['Status']}"
        return str(ended["Error"])

    def rows(self, sql: str, **options: Any) -> list[list[Any]]:
        """The rows of a query; NULL is None."""
        answer = self.data.get_statement_result(Id=self.run(sql, **options)["Id"])
        return [[_value(field) for field in record] for record in answer["Records"]]

    # -- COPY and UNLOAD ---------------------------------------------------------------------

    def put(self, key: str, body: bytes | str) -> str:
        """Store a file for COPY; returns its address."""
        data = body.encode() if isinstance(body, str) else body
        self.target.b.client("s3").put_object(Bucket=self.files, Key=key, Body=data)
        return f"s3://{self.files}/{key}"

    def put_manifest(self, key: str, **files: bool) -> str:
        """Store a manifest of addresses, each mandatory or not."""
        entries = [{"url": url, "mandatory": needed} for url, needed in files.items()]
        return self.put(key, json.dumps({"entries": entries}))

    def copy(self, table: str, url: str, options: str = "CSV") -> str:
        """A COPY statement."""
        return f"COPY {table} FROM '{url}' IAM_ROLE '{self.role_b}' {options}"

    def unload(self, query: str, folder: str, options: str) -> str:
        """An UNLOAD statement into account A, through the chain of roles."""
        quoted = query.replace("'", "''")
        return (
            f"UNLOAD ('{quoted}') TO 's3://{self.exports}/{folder}'"
            f" IAM_ROLE '{self.role_b},{self.role_a}' {options}"
        )

    def exported(self, folder: str) -> dict[str, bytes]:
        """What is below a folder of the export bucket."""
        s3 = self.target.a.client("s3")
        listed = s3.list_objects_v2(Bucket=self.exports, Prefix=folder).get("Contents", ())
        return {
            item["Key"][len(folder) :]: s3.get_object(Bucket=self.exports, Key=item["Key"])[
                "Body"
            ].read()
            for item in listed
        }


def _value(field: dict[str, Any]) -> Any:
    return None if field.get("isNull") else next(iter(field.values()))


def trust_of_role_a(target: Target, role_b: str, user: str) -> str:
    """RoleA's trust policy, as infra/account_a.yaml has it: RoleB, for one database user."""
    external = f"arn:aws:redshift:{target.region}:{target.b.id}:dbuser:*/{user}"
    return document(trusting(role_b, StringLike={"sts:ExternalId": external}))


def warehouse_of(target: Target) -> Warehouse:
    """Make the buckets, the roles, the namespace and the workgroup, and wait for them."""
    files, exports = target.bucket(target.b, "files"), target.bucket(target.a, "exports")
    role_b = target.role(target.b, "role-b", trusting(REDSHIFT))
    role_a = target.role(target.a, "role-a", trusting(f"arn:aws:iam::{target.b.id}:root"))
    admin = "claims"
    target.permit(
        target.b,
        role_b,
        allow("sts:AssumeRole", on=role_a),
        allow("s3:GetObject", on=f"arn:aws:s3:::{files}/*"),
        allow("s3:ListBucket", "s3:GetBucketLocation", on=f"arn:aws:s3:::{files}"),
    )
    target.permit(
        target.a,
        role_a,
        allow(
            *("s3:PutObject", "s3:GetObject", "s3:DeleteObject", "s3:AbortMultipartUpload"),
            on=f"arn:aws:s3:::{exports}/*",
        ),
        allow("s3:ListBucket", "s3:GetBucketLocation", on=f"arn:aws:s3:::{exports}"),
    )
    update = target.a.client("iam").update_assume_role_policy
    target.becomes(None, lambda: _tried(update, target, role_b, admin))
    serverless, name = target.b.client("redshift-serverless"), target.name("wh")
    wanted = {
        "namespaceName": name,
        "adminUsername": admin,
        "manageAdminPassword": True,
        "iamRoles": [role_b],
    }
    # Redshift must see the new role first.
    target.becomes(ALLOWED, lambda: outcome(serverless.create_namespace, **wanted))
    status = lambda: serverless.get_namespace(namespaceName=name)["namespace"]["status"]  # noqa: E731
    target.becomes("AVAILABLE", status, patience=300)
    serverless.create_workgroup(
        workgroupName=name,
        namespaceName=name,
        baseCapacity=8,
        publiclyAccessible=False,
        **target.workgroup_options,
    )
    status = lambda: serverless.get_workgroup(workgroupName=name)["workgroup"]["status"]  # noqa: E731
    target.becomes("AVAILABLE", status, patience=900)
    found = serverless.get_namespace(namespaceName=name)["namespace"]
    secret = found["adminPasswordSecretArn"]
    return Warehouse(target, name, secret, admin, files, exports, role_b, role_a)


def _tried(update: Any, target: Target, role_b: str, user: str) -> str | None:
    """None once the trust policy names RoleB, which IAM may not see at once."""
    try:
        update(
            RoleName=target.name("role-a"),
            PolicyDocument=trust_of_role_a(target, role_b, user),
        )
    except update.__self__.exceptions.MalformedPolicyDocumentException as unseen:
        return str(unseen)
    return None
