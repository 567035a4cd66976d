"""Who may do what: every role of the templates, by action and resource, allowed and denied.

The templates are rendered with keys of their own and put into the sandbox's IAM, which decides each
case (``tests/sandbox/unit/emulator/authorization/test_policy_matrix.py``).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.support.document_tables import WrittenTable
from tests.support.fakes.templates import Evaluation, load_template
from tests.support.project import ROOT

A, B, REGION, SUFFIX = "111111111111", "222222222222", "us-east-1", "matrix"
RAW, EXPORT, WORK = "inp-matrix", "opt-matrix", "processing-matrix"
USER = "xacct_matrix"
ROLES = {
    "Glue role": f"arn:aws:iam::{B}:role/xacct-glue-{SUFFIX}",
    "orchestrator role": f"arn:aws:iam::{B}:role/xacct-orchestrator-{SUFFIX}",
    "RoleB": f"arn:aws:iam::{B}:role/xacct-RoleB-{SUFFIX}",
    "RoleA": f"arn:aws:iam::{A}:role/xacct-RoleA-{SUFFIX}",
    "daemon's role": f"arn:aws:iam::{B}:role/xacct-dagster-daemon-{SUFFIX}",
    "web server's role": f"arn:aws:iam::{B}:role/xacct-dagster-webserver-{SUFFIX}",
    "start role of tasks": f"arn:aws:iam::{B}:role/xacct-dagster-start-{SUFFIX}",
}
WRITTEN = WrittenTable(
    ROOT / "docs" / "security.md",
    "<!-- begin: policy matrix, written by test_policy_matrix.py -->\n",
    "<!-- end: policy matrix -->\n",
)


def _arn(service: str, rest: str, account: str = B) -> str:
    return f"arn:aws:{service}:{REGION}:{account}:{rest}"


RESOURCES = {
    "raw bucket (A)": f"arn:aws:s3:::{RAW}",
    "raw objects (A)": f"arn:aws:s3:::{RAW}/products/2026/04/10/part.csv",
    "export bucket (A)": f"arn:aws:s3:::{EXPORT}",
    "exports (A)": f"arn:aws:s3:::{EXPORT}/products/2026/04/10/manifest",
    "working bucket": f"arn:aws:s3:::{WORK}",
    "scripts": f"arn:aws:s3:::{WORK}/scripts/load.py",
    "temporary files": f"arn:aws:s3:::{WORK}/glue-tmp/products/part.csv",
    "doctor's probe": f"arn:aws:s3:::{WORK}/glue-tmp/_xacct_probe/row.csv",
    "rejects": f"arn:aws:s3:::{WORK}/rejects/products/part.json",
    "Pipes messages": f"arn:aws:s3:::{WORK}/pipes/products/0.json",
    "another bucket": "arn:aws:s3:::payroll/salaries.csv",
    "the feed's database": _arn("glue", "database/products_db"),
    "the feed's tables": _arn("glue", "table/products_db/products"),
    "another database": _arn("glue", "database/payroll"),
    "tables of another database": _arn("glue", "table/payroll/salaries"),
    "the Glue connection": _arn("glue", "connection/redshift-matrix"),
    "another connection": _arn("glue", "connection/payroll"),
    "the feeds' crawlers": _arn("glue", f"crawler/xacct-{SUFFIX}-products"),
    "another crawler": _arn("glue", "crawler/payroll"),
    "the feeds' jobs": _arn("glue", f"job/xacct-{SUFFIX}-products"),
    "another job": _arn("glue", "job/payroll"),
    "the login": _arn("secretsmanager", "secret:xacct/redshift-matrix-AbCdEf"),
    "another secret": _arn("secretsmanager", "secret:xacct/redshift-matrix-admin-AbCdEf"),
    "the workgroup": _arn("redshift-serverless", "workgroup/xacct-matrix"),
    "another workgroup": _arn("redshift-serverless", "workgroup/payroll"),
    "the namespace": _arn("redshift-serverless", "namespace/xacct-matrix"),
    "own statements": "*",
    "job logs": _arn("logs", "log-group:/aws-glue/jobs/output"),
    "other logs": _arn("logs", "log-group:/payroll"),
    "the arrival queue": _arn("sqs", f"xacct-arrivals-{SUFFIX}"),
    "the dead letters": _arn("sqs", f"xacct-arrivals-dead-{SUFFIX}"),
    "another queue": _arn("sqs", "payroll"),
    "the alerts": _arn("sns", f"xacct-alerts-{SUFFIX}"),
    "another topic": _arn("sns", "payroll"),
    "the feeds' stacks": _arn("cloudformation", f"stack/xacct-feed-products-{SUFFIX}/1"),
    "another stack": _arn("cloudformation", "stack/payroll/1"),
    "the roles of B": ROLES["RoleB"],
    "another role": f"arn:aws:iam::{B}:role/payroll",
    "RoleA": ROLES["RoleA"],
    "the tasks' definition": _arn("ecs", f"task-definition/xacct-run-{SUFFIX}:3"),
    "another task definition": _arn("ecs", "task-definition/payroll:1"),
    "tasks of runs": _arn("ecs", f"task/xacct-{SUFFIX}/0123"),
    "tasks of another cluster": _arn("ecs", "task/payroll/0123"),
    "compute logs": f"arn:aws:s3:::xacct-dagster-logs-{SUFFIX}-{B}/compute-logs/runs/1.out",
    "the image": _arn("ecr", f"repository/xacct-{SUFFIX}"),
    "another image": _arn("ecr", "repository/payroll"),
    "logs of tasks": _arn("logs", f"log-group:/xacct/{SUFFIX}/runs:log-stream:run/1"),
    "the orchestrator role": ROLES["orchestrator role"],
    # Keys: the ids are known once they are made.
    "raw key (A), through S3": "RawBucketKey/s3",
    "raw key (A), directly": "RawBucketKey/",
    "export key (A), through S3": "ExportsBucketKey/s3",
    "export key (A), directly": "ExportsBucketKey/",
    "working key, through S3": "WorkingBucketKey/s3",
    "working key, directly": "WorkingBucketKey/",
    "login key, through Secrets Manager": "LoginKey/secretsmanager",
    "login key, through S3": "LoginKey/s3",
}

_READ_LIST = "s3:ListBucket s3:GetBucketLocation"
_USE_KEY = "kms:GenerateDataKey kms:Decrypt"
_CATALOG = "glue:GetTable glue:CreateTable glue:GetPartitions glue:CreatePartition"

#: Role -> resource -> (what it may, what it may not), actions separated by blanks.
MATRIX: dict[str, dict[str, tuple[str, str]]] = {
    "Glue role": {
        "raw bucket (A)": (_READ_LIST, "s3:PutBucketPolicy s3:DeleteBucket"),
        "raw objects (A)": ("s3:GetObject", "s3:PutObject s3:DeleteObject"),
        "export bucket (A)": ("", "s3:ListBucket"),
        "exports (A)": ("", "s3:GetObject s3:PutObject s3:DeleteObject"),
        "working bucket": (_READ_LIST, "s3:PutBucketPolicy"),
        "scripts": ("s3:GetObject", "s3:PutObject s3:DeleteObject"),
        "temporary files": ("s3:GetObject s3:PutObject s3:DeleteObject", "s3:PutObjectAcl"),
        "rejects": ("s3:PutObject s3:DeleteObject", ""),
        "Pipes messages": ("s3:GetObject s3:PutObject", ""),
        "another bucket": ("", "s3:GetObject"),
        "the feed's database": ("glue:GetDatabase", "glue:DeleteDatabase"),
        "the feed's tables": (f"{_CATALOG} glue:UpdateTable", "glue:DeleteTable"),
        "another database": ("", "glue:GetDatabase"),
        "tables of another database": ("", "glue:GetTable glue:CreateTable"),
        "the Glue connection": ("glue:GetConnection", "glue:UpdateConnection"),
        "another connection": ("", "glue:GetConnection"),
        "the feeds' jobs": ("", "glue:StartJobRun"),
        "the login": ("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"),
        "another secret": ("", "secretsmanager:GetSecretValue"),
        "job logs": ("logs:PutLogEvents", "logs:DeleteLogGroup"),
        "other logs": ("", "logs:PutLogEvents"),
        "the workgroup": ("", "redshift-data:ExecuteStatement"),
        "RoleA": ("", "sts:AssumeRole"),
        "raw key (A), through S3": ("kms:Decrypt", "kms:GenerateDataKey"),
        "raw key (A), directly": ("", "kms:Decrypt kms:PutKeyPolicy"),
        "export key (A), through S3": ("", _USE_KEY),
        "working key, through S3": (_USE_KEY, ""),
        "working key, directly": ("", "kms:Decrypt kms:ScheduleKeyDeletion"),
        "login key, through Secrets Manager": ("kms:Decrypt", "kms:GenerateDataKey"),
        "login key, through S3": ("", "kms:Decrypt"),
    },
    "orchestrator role": {
        "raw bucket (A)": (_READ_LIST, "s3:PutBucketPolicy"),
        "raw objects (A)": ("s3:GetObject", "s3:PutObject s3:DeleteObject"),
        "export bucket (A)": (_READ_LIST, "s3:DeleteBucket"),
        "exports (A)": ("s3:GetObject", "s3:PutObject s3:DeleteObject"),
        "working bucket": (_READ_LIST, ""),
        "scripts": ("s3:GetObject", "s3:PutObject"),
        "temporary files": ("", "s3:GetObject s3:PutObject"),
        "doctor's probe": ("s3:PutObject s3:DeleteObject", "s3:GetObject"),
        "rejects": ("s3:GetObject", "s3:PutObject"),
        "Pipes messages": ("s3:GetObject s3:PutObject s3:DeleteObject", ""),
        "another bucket": ("", "s3:GetObject"),
        "the feed's database": ("glue:GetDatabase", "glue:DeleteDatabase"),
        "the feed's tables": (_CATALOG, "glue:DeleteTable"),
        "another database": ("", "glue:GetDatabase"),
        "tables of another database": ("", "glue:GetTable glue:CreateTable"),
        "the Glue connection": ("glue:GetConnection", "glue:UpdateConnection"),
        "the feeds' crawlers": ("glue:StartCrawler glue:ListCrawls", "glue:DeleteCrawler"),
        "another crawler": ("", "glue:StartCrawler"),
        "the feeds' jobs": ("glue:StartJobRun glue:BatchStopJobRun", "glue:UpdateJob"),
        "another job": ("", "glue:StartJobRun"),
        "the login": ("secretsmanager:GetSecretValue", "secretsmanager:PutSecretValue"),
        "another secret": ("", "secretsmanager:GetSecretValue"),
        "the workgroup": (
            "redshift-data:ExecuteStatement redshift-serverless:GetWorkgroup",
            "redshift-serverless:DeleteWorkgroup",
        ),
        "another workgroup": ("", "redshift-data:ExecuteStatement"),
        "the namespace": (
            "redshift-serverless:GetNamespace",
            "redshift-serverless:UpdateNamespace redshift-serverless:DeleteNamespace",
        ),
        "own statements": ("redshift-data:DescribeStatement", ""),
        "job logs": ("logs:GetLogEvents", "logs:PutLogEvents logs:DeleteLogGroup"),
        "other logs": ("", "logs:GetLogEvents"),
        "the arrival queue": ("sqs:ReceiveMessage sqs:DeleteMessage", "sqs:SendMessage"),
        "the dead letters": ("sqs:GetQueueAttributes", "sqs:ReceiveMessage"),
        "another queue": ("", "sqs:ReceiveMessage"),
        "the alerts": ("sns:Publish", "sns:Subscribe"),
        "another topic": ("", "sns:Publish"),
        "the feeds' stacks": ("cloudformation:DescribeStacks", "cloudformation:DeleteStack"),
        "another stack": ("", "cloudformation:DescribeStacks"),
        "the roles of B": ("iam:GetRole iam:GetRolePolicy", "iam:PutRolePolicy iam:PassRole"),
        "another role": ("", "iam:GetRole"),
        "RoleA": ("", "sts:AssumeRole"),
        "raw key (A), through S3": ("kms:Decrypt", "kms:GenerateDataKey"),
        "raw key (A), directly": ("", "kms:Decrypt"),
        "export key (A), through S3": ("kms:Decrypt", "kms:GenerateDataKey"),
        "export key (A), directly": ("kms:DescribeKey", "kms:Decrypt"),
        "working key, through S3": (_USE_KEY, ""),
        "working key, directly": ("kms:GetKeyPolicy", "kms:PutKeyPolicy kms:Decrypt"),
        "login key, through Secrets Manager": ("kms:Decrypt", "kms:GenerateDataKey"),
    },
    "daemon's role": {
        "the tasks' definition": ("ecs:RunTask", "ecs:DeregisterTaskDefinition"),
        "another task definition": ("", "ecs:RunTask"),
        "tasks of runs": ("ecs:DescribeTasks ecs:StopTask", "ecs:ExecuteCommand"),
        "tasks of another cluster": ("", "ecs:StopTask"),
        "the orchestrator role": ("iam:PassRole", "sts:AssumeRole iam:PutRolePolicy"),
        "another role": ("", "iam:PassRole"),
        "compute logs": ("s3:GetObject", "s3:PutObject s3:DeleteObject"),
        "raw objects (A)": ("", "s3:GetObject"),
        "exports (A)": ("", "s3:GetObject"),
        "the login": ("", "secretsmanager:GetSecretValue"),
        "the workgroup": ("", "redshift-data:ExecuteStatement"),
        "login key, through Secrets Manager": ("", "kms:Decrypt"),
    },
    "web server's role": {
        "the tasks' definition": ("", "ecs:RunTask"),
        "tasks of runs": ("ecs:DescribeTasks ecs:StopTask", "ecs:ExecuteCommand"),
        "tasks of another cluster": ("", "ecs:StopTask"),
        "the orchestrator role": ("", "iam:PassRole sts:AssumeRole"),
        "compute logs": ("s3:GetObject", "s3:PutObject"),
        "raw objects (A)": ("", "s3:GetObject"),
        "the login": ("", "secretsmanager:GetSecretValue"),
    },
    "start role of tasks": {
        "the image": ("ecr:BatchGetImage", "ecr:PutImage"),
        "another image": ("", "ecr:BatchGetImage"),
        "logs of tasks": ("logs:PutLogEvents", "logs:DeleteLogGroup"),
        "the login": ("", "secretsmanager:GetSecretValue"),
        "raw objects (A)": ("", "s3:GetObject"),
        "the orchestrator role": ("", "iam:PassRole"),
    },
    "RoleB": {
        "raw objects (A)": ("", "s3:GetObject"),
        "exports (A)": ("", "s3:GetObject s3:PutObject"),
        "working bucket": (_READ_LIST, ""),
        "temporary files": ("s3:GetObject", "s3:PutObject s3:DeleteObject"),
        "rejects": ("", "s3:GetObject"),
        "the login": ("", "secretsmanager:GetSecretValue"),
        "another role": ("", "sts:AssumeRole"),
        "raw key (A), through S3": ("", "kms:Decrypt"),
        "export key (A), through S3": ("", _USE_KEY),
        "working key, through S3": ("kms:Decrypt", "kms:GenerateDataKey"),
        "login key, through Secrets Manager": ("", "kms:Decrypt"),
    },
    "RoleA": {
        "raw bucket (A)": ("", "s3:ListBucket"),
        "raw objects (A)": ("", "s3:GetObject s3:PutObject s3:DeleteObject"),
        "export bucket (A)": (
            f"{_READ_LIST} s3:ListBucketMultipartUploads",
            "s3:PutBucketPolicy s3:DeleteBucket",
        ),
        "exports (A)": (
            "s3:PutObject s3:GetObject s3:DeleteObject s3:AbortMultipartUpload "
            "s3:ListMultipartUploadParts",
            "s3:PutObjectAcl s3:DeleteObjectVersion",
        ),
        "working bucket": ("", "s3:ListBucket"),
        "temporary files": ("", "s3:GetObject"),
        "raw key (A), through S3": ("", "kms:Decrypt"),
        "export key (A), through S3": (_USE_KEY, ""),
        "export key (A), directly": ("", "kms:Decrypt kms:PutKeyPolicy"),
        "working key, through S3": ("", "kms:Decrypt"),
    },
}


# What requests of these actions say besides.
_GIVEN = {
    "ecs:RunTask": {"ecs:cluster": _arn("ecs", f"cluster/xacct-{SUFFIX}")},
    "iam:PassRole": {"iam:passedtoservice": "ecs-tasks.amazonaws.com"},
}


@dataclass(frozen=True)
class Case:
    """One decision."""

    who: str
    action: str
    resource: str
    allowed: bool

    @property
    def given(self) -> dict[str, str]:
        """Condition keys of the request; each is over TLS, without which buckets deny all."""
        return {"aws:securetransport": "true", **_GIVEN.get(self.action, {})}

    def __str__(self) -> str:
        return f"{self.who} {'may' if self.allowed else 'may not'} {self.action} on {self.resource}"


def cases() -> Iterator[Case]:
    """All cases of `MATRIX`."""
    for who, resources in MATRIX.items():
        for resource, (allowed, denied) in resources.items():
            for actions, answer in ((allowed, True), (denied, False)):
                yield from (Case(who, action, resource, answer) for action in actions.split())


@dataclass(frozen=True)
class TrustCase:
    """Whether somebody may become a role.

    Attributes:
        caller: a service principal, or one of `ROLES`.
        given: condition keys of the request.
    """

    name: str
    role: str
    caller: str
    allowed: bool
    given: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return f"{self.name} {'may' if self.allowed else 'may not'} become {self.role}"


def _user(name: str, account: str = B) -> tuple[tuple[str, str], ...]:
    cluster = f"serverless-{account}-0"
    return (("sts:externalid", f"arn:aws:redshift:{REGION}:{account}:dbuser:{cluster}/{name}"),)


def _source(account: str) -> tuple[tuple[str, str], ...]:
    return (("aws:sourceaccount", account),)


_REDSHIFT, _GLUE, _ECS = "redshift.amazonaws.com", "glue.amazonaws.com", "ecs-tasks.amazonaws.com"
_TASK = (("aws:sourcearn", _arn("ecs", "task/xacct-matrix/1")),)
TRUST = [
    TrustCase("Redshift, for the pipeline's user", "RoleB", _REDSHIFT, True, _user(USER)),
    TrustCase("Redshift, for another user", "RoleB", _REDSHIFT, False, _user("analyst")),
    TrustCase("Redshift of another account", "RoleB", _REDSHIFT, False, _user(USER, "3" * 12)),
    TrustCase("Redshift, without an external id", "RoleB", _REDSHIFT, False),
    TrustCase("Glue", "RoleB", _GLUE, False, _source(B)),
    TrustCase("RoleB, for the pipeline's user", "RoleA", "RoleB", True, _user(USER)),
    TrustCase("RoleB, for another user", "RoleA", "RoleB", False, _user("analyst")),
    TrustCase("RoleB, without an external id", "RoleA", "RoleB", False),
    TrustCase("Redshift, for the pipeline's user", "RoleA", _REDSHIFT, False, _user(USER)),
    TrustCase("the Glue role", "RoleA", "Glue role", False, _user(USER)),
    TrustCase("the orchestrator role", "RoleA", "orchestrator role", False, _user(USER)),
    TrustCase("Glue of this account", "Glue role", _GLUE, True, _source(B)),
    TrustCase("Glue of another account", "Glue role", _GLUE, False, _source("3" * 12)),
    TrustCase("the orchestrator role", "Glue role", "orchestrator role", False),
    TrustCase("a task of this account", "orchestrator role", _ECS, True, _source(B)),
    TrustCase("a task of another account", "orchestrator role", _ECS, False, _source("3" * 12)),
    TrustCase("Glue", "orchestrator role", _GLUE, False, _source(B)),
    TrustCase("RoleB", "orchestrator role", "RoleB", False),
    *(
        case
        for role in ("daemon's role", "web server's role", "start role of tasks")
        for case in (
            TrustCase("a task of this account", role, _ECS, True, (*_source(B), *_TASK)),
            TrustCase("a task of another account", role, _ECS, False, _source("3" * 12)),
            TrustCase("the orchestrator role", role, "orchestrator role", False),
        )
    ),
]


# -- the templates -----------------------------------------------------------------------------


def rendered() -> list[tuple[str, Evaluation]]:
    """Account and content of each template, with keys of their own and one feed's database."""
    catalog = ("catalog", "database/products_db", "table/products_db/*")
    of_b = {
        "AccountAId": A,
        "Suffix": SUFFIX,
        "InputBucket": RAW,
        "ExportBucket": EXPORT,
        "ProcessingBucket": WORK,
        "RoleAArn": ROLES["RoleA"],
        "SecretName": "xacct/redshift-matrix",
        "GlueConnectionName": "redshift-matrix",
        "WorkgroupName": "xacct-matrix",
        "NamespaceName": "xacct-matrix",
        "DatabaseUser": USER,
        "CatalogArns": ",".join(_arn("glue", name) for name in catalog),
        **dict.fromkeys(("InputKey", "ExportKey", "ProcessingKey", "SecretKey"), "create"),
    }
    of_a = {
        "AccountBId": B,
        "Suffix": SUFFIX,
        "InputBucket": RAW,
        "ExportBucket": EXPORT,
        "GlueRoleArn": ROLES["Glue role"],
        "OrchestratorRoleArn": ROLES["orchestrator role"],
        "RoleBArn": ROLES["RoleB"],
        "DatabaseUser": USER,
        **dict.fromkeys(("InputKey", "ExportKey"), "create"),
    }
    orchestrator = {
        name: str(declared.get("Default", name.lower()))
        for name, declared in _template("orchestrator")["Parameters"].items()
    } | {"Suffix": SUFFIX, "OrchestratorRoleArn": ROLES["orchestrator role"]}
    # In the order in which policies can name each other's roles.
    return [
        (B, Evaluation(_template("account_b"), of_b, B)),
        (A, Evaluation(_template("account_a"), of_a, A)),
        (B, Evaluation(_template("orchestrator"), orchestrator, B)),
    ]


def _template(name: str) -> dict[str, Any]:
    return load_template((ROOT / "infra" / f"{name}.yaml").read_text(encoding="utf-8"))


def of_type(evaluated: Evaluation, type_: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """The logical id and the properties of each resource of a type."""
    for logical_id, resource in evaluated.resources.items():
        if resource["type"] == type_:
            yield logical_id, resource["properties"]


# -- the document ------------------------------------------------------------------------------


def table() -> str:
    """The tables in docs/security.md."""

    def code(actions: str) -> str:
        return ", ".join(f"`{action}`" for action in actions.split()) or "–"

    lines = ["| role | resource | may | may not |", "|---|---|---|---|"]
    for who, resources in MATRIX.items():
        for resource, (allowed, denied) in resources.items():
            lines.append(f"| {who} | {resource} | {code(allowed)} | {code(denied)} |")
    lines += ["", "| role | who may become it | who may not |", "|---|---|---|"]
    for role in ROLES:
        may, may_not = (
            [case.name for case in TRUST if case.role == role and case.allowed is answer]
            for answer in (True, False)
        )
        lines.append(f"| {role} | {'; '.join(may)} | {'; '.join(may_not)} |")
    return "\n".join(lines) + "\n"
