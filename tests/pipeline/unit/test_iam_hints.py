"""After a denial one is sent to the statement that should have allowed it."""

import pytest

from tests.support.project import ROOT
from xacct_assets.aws.denials import denial_in
from xacct_assets.iam_hints import ACCOUNT_A, ACCOUNT_B, GRANTS, grant_hint

TEMPLATES = {name: (ROOT / name).read_text(encoding="utf-8") for name in (ACCOUNT_A, ACCOUNT_B)}
GLUE = "arn:aws:sts::222222222222:assumed-role/xacct-glue-local/AWS-Crawler"
ORCHESTRATOR = "arn:aws:sts::222222222222:assumed-role/xacct-orchestrator-local/me"
ROLE_A = "arn:aws:sts::111111111111:assumed-role/xacct-RoleA-local/RedshiftIamRoleSession"
ROLE_B = "arn:aws:sts::222222222222:assumed-role/xacct-RoleB-local/RedshiftIamRoleSession"
KEY_A, KEY_B = (f"arn:aws:kms:us-east-1:{n * 12}:key/1234" for n in ("1", "2"))
RAW, EXPORT = "arn:aws:s3:::sample-inp-bucket-etl-x", "arn:aws:s3:::sample-opt-bucket-etl-x"


@pytest.mark.parametrize("grant", GRANTS, ids=lambda grant: f"{grant.policy}-{grant.statement}")
def test_every_policy_and_statement_named_is_in_its_template(grant):
    template = TEMPLATES[grant.template]
    if grant.key_statement:
        sid, of_key = grant.key_statement
        assert f"Sid: {sid}\n" in TEMPLATES[of_key]
    assert grant.policy is None or f"PolicyName: {grant.policy}\n" in template
    assert grant.statement is None or f"Sid: {grant.statement}\n" in template
    if grant.bucket_statement:
        assert f"Sid: {grant.bucket_statement}\n" in TEMPLATES[ACCOUNT_A]


@pytest.mark.parametrize(
    ("principal", "action", "resource", "places"),
    [
        (GLUE, "s3:ListBucket", RAW, ["GlueListsBucket", "ListRawBucket"]),
        (GLUE, "s3:GetObject", f"{RAW}/products/a.csv", ["GlueReadsObjects", "ReadRawObjects"]),
        (GLUE, "glue:BatchGetPartition", "*", ["policy catalog", "CrawlAndReadTables"]),
        (ORCHESTRATOR, "s3:GetObject", f"{RAW}/k", ["OrchestratorReadsObjects"]),
        (ORCHESTRATOR, "s3:GetObject", f"{EXPORT}/k", ["OrchestratorVerifiesExports"]),
        (ORCHESTRATOR, "glue:GetJobRuns", "*", ["policy glue", "RunLoadJobs"]),
        (ORCHESTRATOR, "redshift-data:DescribeStatement", "*", ["FollowOwnStatements"]),
        (ORCHESTRATOR, "redshift-data:BatchExecuteStatement", "*", ["RunStatements"]),
        (ROLE_A, "s3:PutObject", f"{EXPORT}/k", ["policy_for_roleA", "WriteExports", ACCOUNT_A]),
        (GLUE, "kms:Decrypt", KEY_A, ["GlueReadsRawObjects", "raw-key", "BOTH"]),
        (GLUE, "kms:Decrypt", KEY_B, ["GlueUsesWorkingBucket", "GlueReadsLogin"]),
        (ROLE_A, "kms:GenerateDataKey", KEY_A, ["RoleAWritesExports", ACCOUNT_A]),
        (ROLE_B, "kms:Decrypt", KEY_B, ["RoleBReadsTemporaryFiles"]),
        (ORCHESTRATOR, "kms:DescribeKey", KEY_A, ["OrchestratorFindsKey", "FindExportKey"]),
        (ROLE_B, "sts:AssumeRole", "arn:r", ["BecomeRoleAForUnload", "trust policy of RoleA"]),
    ],
)
def test_the_statement_of_the_denied_role_is_named(principal, action, resource, places):
    hint = grant_hint(action, resource, principal)
    assert all(place in hint for place in places), hint


def test_statements_of_other_roles_are_not_named():
    assert "Orchestrator" not in grant_hint("s3:GetObject", f"{RAW}/k", GLUE)
    assert ACCOUNT_B not in grant_hint("s3:PutObject", f"{EXPORT}/k", ROLE_A)


def test_for_an_unknown_bucket_every_possible_statement_is_named():
    hint = grant_hint("s3:GetObject", "arn:aws:s3:::our-landing-zone/k", ORCHESTRATOR)
    assert "OrchestratorReadsObjects" in hint
    assert "OrchestratorVerifiesExports" in hint


@pytest.mark.parametrize(
    ("text", "principal", "action", "resource"),
    [
        (
            f"Insufficient permissions: {GLUE} is not authorized to perform: s3:ListBucket on "
            f"resource: {RAW} (prefix 'products/').",
            GLUE,
            "s3:ListBucket",
            RAW,
        ),
        (
            f"ERROR: User {ROLE_B} is not authorized to assume IAM Role "
            "arn:aws:iam::111111111111:role/xacct-RoleA-local\n  Detail: code: 8001",
            ROLE_B,
            "sts:AssumeRole",
            "arn:aws:iam::111111111111:role/xacct-RoleA-local",
        ),
        (
            f"reason: AccessDenied: User: {ROLE_B} is not authorized to perform: sts:AssumeRole on "
            "resource: arn:aws:iam::111111111111:role/xacct-RoleA-local; ExternalId x",
            ROLE_B,
            "sts:AssumeRole",
            "arn:aws:iam::111111111111:role/xacct-RoleA-local",
        ),
        (
            "Service is unable to assume provided role. (Service: glue.amazonaws.com is not "
            "authorized to perform: sts:AssumeRole on resource: arn:aws:iam::2:role/g because x)",
            "glue.amazonaws.com",
            "sts:AssumeRole",
            "arn:aws:iam::2:role/g",
        ),
    ],
)
def test_the_denial_messages_of_each_service_are_parsed(text, principal, action, resource):
    denial = denial_in(text)
    assert (denial["principal"], denial["action"], denial["resource"]) == (
        principal,
        action,
        resource,
    )
    assert action in denial["fix"]
