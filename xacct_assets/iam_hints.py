"""Hints after a denial: which template, policy and statement normally grant the permission.

The table follows infra/*.yaml; a test compares its names with the templates. The caller is
recognised by the name of the role, the bucket by its default name. If a name is not recognised,
the hint names every statement that may be the one.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from fnmatch import fnmatchcase

ACCOUNT_A = "infra/account_a.yaml"
ACCOUNT_B = "infra/account_b.yaml"

_LIST = ("s3:ListBucket", "s3:GetBucketLocation")
_CRAWL = ("glue:StartCrawler", "glue:StopCrawler", "glue:GetCrawler", "glue:ListCrawls")
_RUN = ("glue:StartJobRun", "glue:GetJob", "glue:GetJobRun*", "glue:BatchStopJobRun")


@dataclass(frozen=True)
class Grant:
    """A permission of a role, and the statement that grants it.

    Attributes:
        role: part of the role's name, in lower case.
        actions: IAM actions, with ``*``.
        policy: name of the role's inline policy, in `template`.
        statement: Sid within it; None if its only statement has none.
        bucket: part of the bucket's default name; None if the actions are not for a bucket.
        bucket_statement: Sid in that bucket's policy in account A, if it must allow it too.
        trust: whether the trust policy of RoleA must allow it too.
        template: that has the policy.
        key_statement: Sid in the policy of a KMS key that a template makes, and that template.
    """

    role: str
    actions: tuple[str, ...]
    policy: str | None
    statement: str | None
    bucket: str | None = None
    bucket_statement: str | None = None
    trust: bool = False
    template: str = ACCOUNT_B
    key_statement: tuple[str, str] | None = None

    def describe(self) -> str:
        """Name policy, template and statement, for a message."""
        of_key = ""
        if self.key_statement:
            sid, template = self.key_statement
            of_key = f"the policy of the key ({template}, statement {sid}, for a key made there)"
            if self.policy is None:
                return of_key
        own = f"the role's policy {self.policy} ({self.template}"
        own += f", statement {self.statement})" if self.statement else ")"
        if of_key:
            return f"BOTH {of_key} and {own}"
        if self.bucket_statement:
            other = f"the bucket policy ({ACCOUNT_A}, statement {self.bucket_statement})"
        elif self.trust:
            other = f"the trust policy of RoleA ({ACCOUNT_A})"
        else:
            return own
        return f"BOTH {other} and {own}"


_RAW, _EXPORT, _WORK = "-inp-", "-opt-", "-processing-"
_SHARED = "s3-cross-account-access"

GRANTS = (
    Grant("glue", _LIST, _SHARED, "ListRawBucket", _RAW, "GlueListsBucket"),
    Grant("glue", ("s3:GetObject",), _SHARED, "ReadRawObjects", _RAW, "GlueReadsObjects"),
    Grant("glue", ("s3:GetObject",), "working-bucket", "ReadScripts", _WORK),
    Grant(
        "glue",
        ("s3:*Object", "s3:AbortMultipartUpload"),
        "working-bucket",
        "OwnTemporaryFilesRejectsAndMessages",
        _WORK,
    ),
    Grant("glue", _LIST, "working-bucket", "ListWorkingBucket", _WORK),
    Grant("glue", ("glue:GetConnection",), "catalog", "ReadRedshiftConnection"),
    Grant("glue", ("glue:*Table*", "glue:*Partition*", "glue:*Database*"), "catalog",
          "CrawlAndReadTables"),
    Grant("glue", ("secretsmanager:*",), "redshift-secret", None),
    Grant("glue", ("redshift-serverless:*",), "redshift-login", None),
    Grant("roleb", ("sts:AssumeRole",), "policy_for_roleB", "BecomeRoleAForUnload", trust=True),
    Grant("roleb", ("s3:GetObject",), "policy_for_roleB", "ReadTemporaryFilesForCopy", _WORK),
    Grant("roleb", _LIST, "policy_for_roleB", "ListTemporaryFilesForCopy", _WORK),
    Grant("rolea", ("s3:PutObject", "s3:AbortMultipartUpload"), "policy_for_roleA",
          "WriteExports", _EXPORT, template=ACCOUNT_A),
    Grant("rolea", ("s3:DeleteObject",), "policy_for_roleA", "ReplaceExports", _EXPORT,
          template=ACCOUNT_A),
    Grant("rolea", _LIST, "policy_for_roleA", "ListExports", _EXPORT, template=ACCOUNT_A),
    Grant("orchestrator", _LIST, _SHARED, "ListRawAndExportBuckets", _RAW,
          "OrchestratorListsBucket"),
    Grant("orchestrator", ("s3:GetObject",), _SHARED, "ReadRawAndExportObjects", _RAW,
          "OrchestratorReadsObjects"),
    Grant("orchestrator", _LIST, _SHARED, "ListRawAndExportBuckets", _EXPORT,
          "OrchestratorListsExports"),
    Grant("orchestrator", ("s3:GetObject",), _SHARED, "ReadRawAndExportObjects", _EXPORT,
          "OrchestratorVerifiesExports"),
    Grant("orchestrator", ("s3:GetObject",), "working-bucket", "ReadRejects", _WORK),
    Grant("orchestrator", ("s3:*Object",), "working-bucket", "ExchangePipesMessages", _WORK),
    Grant("orchestrator", ("s3:GetObject",), "working-bucket", "CompareScripts", _WORK),
    Grant("orchestrator", ("s3:PutObject", "s3:DeleteObject"), "working-bucket", "ProbeCopy",
          _WORK),
    Grant("orchestrator", _LIST, "working-bucket", "ListWorkingBucket", _WORK),
    Grant("orchestrator", _CRAWL, "glue", "CrawlFeeds"),
    Grant("orchestrator", _RUN, "glue", "RunLoadJobs"),
    Grant("orchestrator", ("glue:*Table", "glue:*Partition*", "glue:*Database"), "glue",
          "ReadAndMendCatalog"),
    Grant("orchestrator", ("logs:Get*", "logs:Filter*", "logs:DescribeLogStreams"), "glue",
          "ReadJobLogs"),
    Grant("orchestrator", ("redshift-data:*ExecuteStatement",), "redshift", "RunStatements"),
    Grant("orchestrator", ("redshift-data:[!EB]*",), "redshift", "FollowOwnStatements"),
    Grant("orchestrator", ("redshift-serverless:GetWorkgroup",), "redshift", "FindWorkgroup"),
    Grant("orchestrator", ("redshift-serverless:GetNamespace",), "redshift", "SeeAttachedRoles"),
    Grant("orchestrator", ("secretsmanager:*",), "redshift", "ReadSecret"),
    Grant("orchestrator", ("redshift-serverless:GetCredentials",), "redshift", "LogInByIam"),
    Grant("orchestrator", ("cloudformation:ListStacks",), "deployment", "ListStacks"),
    Grant("orchestrator", ("cloudformation:DescribeStacks",), "deployment", "SeeFeedStacks"),
    Grant("orchestrator", ("cloudformation:DescribeStacks",), "deployment", "SeeStack"),
    Grant("orchestrator", ("ec2:Describe*",), "deployment", "SeeNetwork"),
    Grant("orchestrator", ("iam:*",), "deployment", "ReadRoles"),
    Grant("orchestrator", ("glue:GetConnection",), "deployment", "SeeConnection"),
    Grant("glue", ("kms:Decrypt",), "raw-key", "ReadRawObjectsUnderKey",
          key_statement=("GlueReadsRawObjects", ACCOUNT_A)),
    Grant("glue", ("kms:GenerateDataKey", "kms:Decrypt"), None, None,
          key_statement=("GlueUsesWorkingBucket", ACCOUNT_B)),
    Grant("glue", ("kms:Decrypt",), None, None, key_statement=("GlueReadsLogin", ACCOUNT_B)),
    Grant("roleb", ("kms:Decrypt",), None, None,
          key_statement=("RoleBReadsTemporaryFiles", ACCOUNT_B)),
    Grant("rolea", ("kms:GenerateDataKey", "kms:Decrypt"), None, None,
          key_statement=("RoleAWritesExports", ACCOUNT_A)),
    Grant("orchestrator", ("kms:Decrypt",), "raw-key", "ReadRawObjectsUnderKey",
          key_statement=("OrchestratorReadsRawObjects", ACCOUNT_A)),
    Grant("orchestrator", ("kms:Decrypt",), "export-key", "ReadExportsUnderKey",
          key_statement=("OrchestratorReadsExports", ACCOUNT_A)),
    Grant("orchestrator", ("kms:DescribeKey",), "export-key", "FindExportKey",
          key_statement=("OrchestratorFindsKey", ACCOUNT_A)),
    Grant("orchestrator", ("kms:GenerateDataKey", "kms:Decrypt"), None, None,
          key_statement=("OrchestratorUsesWorkingBucket", ACCOUNT_B)),
    Grant("orchestrator", ("kms:Decrypt",), None, None,
          key_statement=("OrchestratorReadsLogin", ACCOUNT_B)),
    Grant("orchestrator", ("kms:*Key*",), None, None,
          key_statement=("OrchestratorInspectsKey", ACCOUNT_B)),
    Grant("orchestrator", ("cloudwatch:DescribeAlarms",), "deployment", "SeeAlarm"),
    Grant("orchestrator", ("servicequotas:*",), "deployment", "SeeQuotas"),
    Grant("orchestrator", ("logs:DescribeLogGroups",), "deployment", "SeeLogGroups"),
    Grant("orchestrator", ("sqs:*",), "arrivals", "ReadNotifications"),
    Grant("orchestrator", ("sqs:Get*",), "arrivals", "CountDeadLetters"),
)  # fmt: skip

#: Beginning of an IAM action -> who grants it, for unknown callers. First match wins.
_OF_UNKNOWN_CALLERS: tuple[tuple[str, str], ...] = (
    (
        "sts:AssumeRole",
        "BOTH the trust policy of the role to be assumed "
        f"({ACCOUNT_A}: RoleA; {ACCOUNT_B}: the others) and the caller's own policy ({ACCOUNT_B})",
    ),
    ("s3:", f"BOTH the bucket policy ({ACCOUNT_A}) and the caller's own policy ({ACCOUNT_B})"),
    ("kms:", "the key's policy, in the key's account, and the caller's own policy"),
    ("iam:PassRole", f"the caller's own policy, on the role that is passed ({ACCOUNT_B})"),
    *(
        (f"{service}:", f"the caller's own policy ({ACCOUNT_B})")
        for service in ("glue", "redshift-data", "redshift-serverless", "secretsmanager", "logs")
    ),
)


def grant_hint(action: str | None, resource: str | None, principal: str | None) -> str:
    """Say what normally grants `action` on `resource` to `principal`.

    Args:
        action: IAM action; None if unknown.
        resource: best as an ARN; None if unknown.
        principal: ARN of the caller; None if unknown.
    """
    statements = [grant.describe() for grant in grants_of(action, resource, principal)]
    where = " or ".join(dict.fromkeys(statements)) or next(
        (policy for prefix, policy in _OF_UNKNOWN_CALLERS if (action or "").startswith(prefix)),
        "the principal's policy",
    )
    if (action or "").startswith("secretsmanager:"):
        where += " and, if the secret has its own key, that key's policy"
    return (
        f"let {_role_of(principal) or 'the caller'} do {action} on {resource}: normally granted by "
        f"{where}; `xacct deploy` restores what was changed by hand"
    )


def _role_of(principal: str | None) -> str | None:
    """The role of a session: a policy names roles, and a session is gone in an hour."""
    found = re.fullmatch(r"(arn:[\w-]+):sts::(\d{12}):assumed-role/([^/]+)/.*", principal or "")
    return f"{found[1]}:iam::{found[2]}:role/{found[3]}" if found else principal


def _account(arn: str | None) -> str:
    parts = (arn or "").split(":")
    return parts[4] if len(parts) > 5 else ""


def grants_of(action: str | None, resource: str | None, principal: str | None) -> list[Grant]:
    """The grants that should allow this."""
    # arn:…:assumed-role/NAME/session, or arn:…:role/path/NAME
    found = re.search(r":assumed-role/([^/]+)|:role/(?:.*/)?([^/]+)$", principal or "")
    name = (found[1] or found[2]).lower() if found else ""
    candidates = [
        grant
        for grant in GRANTS
        if grant.role in name
        and any(fnmatchcase(action or "", pattern) for pattern in grant.actions)
    ]
    if (action or "").startswith("kms:"):
        # Whose key it is tells the template.
        in_b = ":key/" in (resource or "") and _account(principal) == _account(resource)
        of_a = "rolea" in name
        template = ACCOUNT_A if of_a or not in_b else ACCOUNT_B
        return [one for one in candidates if one.key_statement and one.key_statement[1] == template]
    of_bucket = [grant for grant in candidates if grant.bucket and grant.bucket in (resource or "")]
    return of_bucket or candidates
