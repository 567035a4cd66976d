"""Roles and bucket policies: statements missing, changed, or denying besides."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from tests.support.misconfigurations.case import (
    SUFFIX,
    Case,
    Hands,
    bucket_document,
    role_document,
    with_denial,
    with_fields,
    without,
)

RAW, EXPORT = f"sample-inp-bucket-etl-{SUFFIX}", f"sample-opt-bucket-etl-{SUFFIX}"
GLUE, ROLE_B, ORCHESTRATOR = (
    f"xacct-{name}-{SUFFIX}" for name in ("glue", "RoleB", "orchestrator")
)
ROLE_A = f"xacct-RoleA-{SUFFIX}"
STRANGER = {"AWS": "arn:aws:iam::222222222222:root"}
_SHARED = "s3-cross-account-access"

# Role, account, check, and the statements of each policy.
_ROLES: dict[str, tuple[str, str, dict[str, tuple[str, ...]]]] = {
    ROLE_A: (
        "a",
        "RoleA",
        {"policy_for_roleA": ("WriteExports", "ReplaceExports", "ListExports")},
    ),
    ROLE_B: (
        "b",
        "RoleB",
        {
            "policy_for_roleB": (
                "BecomeRoleAForUnload",
                "ReadTemporaryFilesForCopy",
                "ListTemporaryFilesForCopy",
            )
        },
    ),
    GLUE: (
        "b",
        "Glue role",
        {
            _SHARED: ("ListRawBucket", "ReadRawObjects"),
            "working-bucket": (
                "ReadScripts",
                "OwnTemporaryFilesRejectsAndMessages",
                "ListWorkingBucket",
            ),
            "catalog": ("CrawlAndReadTables", "ReadRedshiftConnection"),
        },
    ),
    ORCHESTRATOR: (
        "b",
        "orchestrator role",
        {
            _SHARED: ("ListRawAndExportBuckets", "ReadRawAndExportObjects"),
            "working-bucket": (
                "ReadRejects",
                "ExchangePipesMessages",
                "ListWorkingBucket",
                "CompareScripts",
                "ProbeCopy",
            ),
            "glue": ("CrawlFeeds", "RunLoadJobs", "ReadAndMendCatalog", "ReadJobLogs"),
            "redshift": (
                "RunStatements",
                "FollowOwnStatements",
                "FindWorkgroup",
                "SeeAttachedRoles",
                "ReadSecret",
            ),
            "deployment": (
                "SeeFeedStacks",
                "SeeConnection",
                "SeeAlarm",
                "SeeLogGroups",
                "SeeQuotas",
            ),
            "arrivals": ("ReadNotifications", "CountDeadLetters"),
        },
    ),
}
_BUCKETS = {
    RAW: (
        "policy of the raw bucket",
        (
            "DenyInsecureTransport",
            "GlueReadsObjects",
            "GlueListsBucket",
            "OrchestratorReadsObjects",
            "OrchestratorListsBucket",
        ),
    ),
    EXPORT: (
        "policy of the export bucket",
        ("DenyInsecureTransport", "OrchestratorVerifiesExports", "OrchestratorListsExports"),
    ),
}


def bucket_policies() -> list[Case]:
    return list(_bucket_cases())


def role_policies() -> list[Case]:
    return [*_role_cases(), *_trust_cases()]


def _bucket_cases() -> Iterator[Case]:
    for bucket, (check, sids) in _BUCKETS.items():
        short = check.removeprefix("policy of the ")

        def case(name: str, change: Any, *names: str, bucket: str = bucket, check: str = check):
            return Case(name, check, lambda hands: bucket_document(hands, bucket, change), names)

        for sid in sids:
            yield case(f"{short}: statement {sid} removed", without(sid), sid)
        for sid in sids[1:]:
            other = with_fields(sid, Principal=STRANGER)
            yield case(f"{short}: {sid} for another principal", other, sid, "Principal")
        object_sid = next(sid for sid in sids if "Objects" in sid or "Verifies" in sid)
        yield case(
            f"{short}: {object_sid} for another folder",
            with_fields(object_sid, Resource=f"arn:aws:s3:::{bucket}/other/*"),
            object_sid,
            "Resource",
        )
        yield case(
            f"{short}: {object_sid} with a condition",
            with_fields(object_sid, Condition={"IpAddress": {"aws:SourceIp": "10.0.0.0/8"}}),
            object_sid,
            "Condition",
        )
        yield case(
            f"{short}: everybody is denied",
            with_denial("s3:GetObject", f"arn:aws:s3:::{bucket}/*", Principal="*"),
            "denies",
        )
        yield Case(
            f"{short}: encrypted with a KMS key",
            "encryption of the buckets in A",
            lambda hands, bucket=bucket: _encrypt(hands, bucket),
            (bucket, "alias/ours", "kms:Decrypt"),
        )
        yield Case(
            f"{short}: policy deleted",
            check,
            lambda hands, bucket=bucket: hands.a("s3").delete_bucket_policy(Bucket=bucket),
            (sids[1], "missing"),
        )


def _encrypt(hands: Hands, bucket: str) -> None:
    by_default = {"SSEAlgorithm": "aws:kms", "KMSMasterKeyID": "alias/ours"}
    rules = [{"ApplyServerSideEncryptionByDefault": by_default}]
    hands.a("s3").put_bucket_encryption(
        Bucket=bucket, ServerSideEncryptionConfiguration={"Rules": rules}
    )


def _role_cases() -> Iterator[Case]:
    for role, (account, check, policies) in _ROLES.items():
        for policy, sids in policies.items():
            for sid in sids:
                yield _of_role(account, role, check, f"{sid} removed", policy, without(sid), sid)
            if len(sids) > 1 and policy != "deployment":
                yield Case(
                    f"{check}: policy {policy} deleted",
                    check,
                    lambda hands, account=account, role=role, policy=policy: getattr(
                        hands, account
                    )("iam").delete_role_policy(RoleName=role, PolicyName=policy),
                    (policy, "missing"),
                )
        first = next(iter(policies))
        yield _of_role(
            account, role, check, "everything denied besides", first, with_denial("s3:*"), "denies"
        )
        yield Case(
            f"{check}: another policy denies",
            check,
            lambda hands, account=account, role=role: getattr(hands, account)(
                "iam"
            ).put_role_policy(
                RoleName=role,
                PolicyName="security",
                PolicyDocument=json.dumps(
                    {
                        "Version": "2012-10-17",
                        "Statement": [{"Effect": "Deny", "Action": "s3:Put*", "Resource": "*"}],
                    }
                ),
            ),
            ("security", "denies"),
            lambda hands, account=account, role=role: getattr(hands, account)(
                "iam"
            ).delete_role_policy(RoleName=role, PolicyName="security"),
        )
    yield _of_role(
        *("a", ROLE_A, "RoleA", "WriteExports to another bucket", "policy_for_roleA"),
        with_fields("WriteExports", Resource="arn:aws:s3:::another/*"),
        *("WriteExports", "Resource"),
    )
    yield _of_role(
        *("a", ROLE_A, "RoleA", "WriteExports without s3:PutObject", "policy_for_roleA"),
        with_fields("WriteExports", Action="s3:AbortMultipartUpload"),
        *("WriteExports", "Action"),
    )
    yield _of_role(
        *("b", ROLE_B, "RoleB", "may become another RoleA", "policy_for_roleB"),
        with_fields("BecomeRoleAForUnload", Resource="arn:aws:iam::111111111111:role/other"),
        *("BecomeRoleAForUnload", "Resource"),
    )
    yield _of_role(
        *("b", GLUE, "Glue role", "catalog without glue:CreatePartition", "catalog"),
        with_fields("CrawlAndReadTables", Action=["glue:GetTable", "glue:GetPartitions"]),
        *("CrawlAndReadTables", "Action"),
    )
    for check, sid in (
        # Without these, not even the installation is found.
        ("installation", "ListStacks"),
        ("installation", "SeeStack"),
        ("orchestrator role", "ReadRoles"),
    ):
        yield _of_role(
            *("b", ORCHESTRATOR, check, f"{sid} removed", "deployment"), without(sid), sid
        )
    yield Case(
        "orchestrator role: policy deployment deleted",
        "installation",
        lambda hands: hands.b("iam").delete_role_policy(
            RoleName=ORCHESTRATOR, PolicyName="deployment"
        ),
        ("deployment", "ListStacks"),
    )
    for role, policy in ((GLUE, "redshift-secret"), (GLUE, "logs-and-metrics")):
        yield Case(
            f"Glue role: policy {policy} deleted",
            "Glue role",
            lambda hands, role=role, policy=policy: hands.b("iam").delete_role_policy(
                RoleName=role, PolicyName=policy
            ),
            (policy, "missing"),
        )


def _of_role(
    account: str, role: str, check: str, what: str, policy: str | None, change: Any, *names: str
) -> Case:
    return Case(
        f"{check}: {what}",
        check,
        lambda hands: role_document(hands, account, role, policy, change),
        names,
    )


def _trust_cases() -> Iterator[Case]:
    def external_id(value: str) -> dict[str, Any]:
        return {"StringLike": {"sts:ExternalId": value}}

    redshift = "arn:aws:redshift:us-east-1"
    for what, change, name in (
        ("trusts another role", {"Principal": STRANGER}, "Principal"),
        (
            "ExternalId of another database user",
            {"Condition": external_id(f"{redshift}:222222222222:dbuser:*/other")},
            "ExternalId",
        ),
        (
            "ExternalId of another account",
            {"Condition": external_id(f"{redshift}:333333333333:dbuser:*/xacct_local")},
            "ExternalId",
        ),
        ("ExternalId is a fixed word", {"Condition": external_id("secret")}, "ExternalId"),
        (
            "trust with one more condition",
            {
                "Condition": {
                    **external_id(f"{redshift}:222222222222:dbuser:*/xacct_local"),
                    "IpAddress": {"aws:SourceIp": "10.0.0.0/8"},
                }
            },
            "IpAddress",
        ),
    ):
        yield _of_role(
            *("a", ROLE_A, "RoleA", what, None), with_fields(None, **change), "trust policy", name
        )
    ec2 = {"Service": "ec2.amazonaws.com"}
    other = {"StringEquals": {"aws:SourceAccount": "333333333333"}}
    for role, check in ((ROLE_B, "RoleB"), (GLUE, "Glue role")):
        yield _of_role(
            *("b", role, check, "trusts another service", None),
            with_fields(None, Principal=ec2),
            *("trust policy", "Principal"),
        )
        yield _of_role(
            *("b", role, check, "trusts the service for another account", None),
            with_fields(None, Condition=other),
            *("trust policy", "SourceAccount"),
        )
    yield Case("RoleA: deleted", "RoleA", lambda hands: _delete(hands, "a", ROLE_A), (ROLE_A,))
    yield Case("RoleB: deleted", "RoleB", lambda hands: _delete(hands, "b", ROLE_B), (ROLE_B,))
    yield Case("Glue role: deleted", "Glue role", lambda hands: _delete(hands, "b", GLUE), (GLUE,))
    yield Case(
        "orchestrator role: nobody is trusted",
        "credentials",
        lambda hands: role_document(
            hands,
            "b",
            ORCHESTRATOR,
            None,
            lambda statements: statements.__delitem__(slice(1, None)),
        ),
        (ORCHESTRATOR,),
    )


def _delete(hands: Hands, account: str, role: str) -> None:
    iam = getattr(hands, account)("iam")
    for policy in iam.list_role_policies(RoleName=role)["PolicyNames"]:
        iam.delete_role_policy(RoleName=role, PolicyName=policy)
    iam.delete_role(RoleName=role)
