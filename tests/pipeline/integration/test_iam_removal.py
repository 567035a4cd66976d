"""Without any one grant, the asset that needs it fails, and its error names what is missing.

Policies are changed through S3 and IAM, as an administrator of the account would.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import date
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.support.misconfigurations import network
from tests.support.misconfigurations.case import Hands
from tests.support.pipeline import ADMIN_SECRET, CHAIN, Pipeline
from tests.support.sandbox import RunningSandbox
from xacct_assets.aws.errors import AccessDenied, ConnectionFailed, StatementFailed
from xacct_assets.aws_clients import AwsClients
from xacct_assets.feed.reconciliation.collection import reconcile
from xacct_assets.feed.reconciliation.equation import DayReconciliation
from xacct_assets.settings import Settings

DAY = "2026-04-10"
RAW, EXPORT = "sample-inp-bucket-etl-local", "sample-opt-bucket-etl-local"
WORK = "xacct-processing-local"
GLUE, ORCHESTRATOR = "xacct-glue-local", "xacct-orchestrator-local"
ROLE_A, ROLE_B = "xacct-RoleA-local", "xacct-RoleB-local"
ACCOUNT = {ROLE_A: "111111111111", ROLE_B: "222222222222", GLUE: "222222222222"}
ACCOUNT[ORCHESTRATOR] = "222222222222"


# -- grants --------------------------------------------------------------------------------------


@dataclass(frozen=True)
class BucketStatement:
    """A statement of the policy of a bucket in account A."""

    bucket: str
    sid: str

    @contextmanager
    def removed(self, sandbox: RunningSandbox) -> Iterator[None]:
        s3 = sandbox.client("account-a-admin", "s3")
        policy = s3.get_bucket_policy(Bucket=self.bucket)["Policy"]
        s3.put_bucket_policy(Bucket=self.bucket, Policy=without(json.loads(policy), self.sid))
        try:
            yield
        finally:
            s3.put_bucket_policy(Bucket=self.bucket, Policy=policy)


@dataclass(frozen=True)
class RolePolicy:
    """An inline policy of a role, or one statement of it."""

    role: str
    policy: str
    sid: str | None = None

    @contextmanager
    def removed(self, sandbox: RunningSandbox) -> Iterator[None]:
        iam = iam_of(sandbox, self.role)
        names = {"RoleName": self.role, "PolicyName": self.policy}
        document = iam.get_role_policy(**names)["PolicyDocument"]
        if self.sid is None:
            iam.delete_role_policy(**names)
        else:
            iam.put_role_policy(**names, PolicyDocument=without(document, self.sid))
        try:
            yield
        finally:
            iam.put_role_policy(**names, PolicyDocument=json.dumps(document))


@dataclass(frozen=True)
class Trust:
    """The trust policy of a role. Removed, it trusts only its account's administrator."""

    role: str

    @contextmanager
    def removed(self, sandbox: RunningSandbox) -> Iterator[None]:
        iam = iam_of(sandbox, self.role)
        document = iam.get_role(RoleName=self.role)["Role"]["AssumeRolePolicyDocument"]
        (statement,) = document["Statement"]
        administrator = {"AWS": f"arn:aws:iam::{ACCOUNT[self.role]}:user/admin"}
        changed = {**document, "Statement": [{**statement, "Principal": administrator}]}
        iam.update_assume_role_policy(RoleName=self.role, PolicyDocument=json.dumps(changed))
        try:
            yield
        finally:
            iam.update_assume_role_policy(RoleName=self.role, PolicyDocument=json.dumps(document))


def iam_of(sandbox: RunningSandbox, role: str) -> Any:
    profile = "account-a-admin" if role == ROLE_A else "account-b-admin"
    return sandbox.client(profile, "iam")


def without(document: dict[str, Any], sid: str) -> str:
    """The policy without one statement, which must exist."""
    others = [statement for statement in document["Statement"] if statement.get("Sid") != sid]
    assert len(others) == len(document["Statement"]) - 1, f"no statement {sid} in {document}"
    return json.dumps({**document, "Statement": others})


# -- cases ---------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Case:
    """A grant, the asset that fails without it, and what the error must name.

    Attributes:
        who: role that lacks the grant.
        fix: parts of the error's fix.
    """

    grant: BucketStatement | RolePolicy | Trust
    asset: str
    who: str
    action: str
    resource: str
    fix: tuple[str, ...]

    def __str__(self) -> str:
        match self.grant:
            case BucketStatement(_, sid):
                return f"bucket-policy-{sid}"
            case RolePolicy(role, policy, sid):
                return f"{role.split('-')[1]}-{policy}" + (f"-{sid}" if sid else "")
            case Trust(role):
                return f"trust-of-{role.split('-')[1]}"

    def is_named_by(self, text: str) -> bool:
        session = f"arn:aws:sts::{ACCOUNT[self.who]}:assumed-role/{self.who}/"
        role = f"arn:aws:iam::{ACCOUNT[self.who]}:role/{self.who}"
        lines = [
            f"principal: {session}",
            f"action: {self.action}\n",
            f"resource: {self.resource}",
            f"fix: let {role}",
        ]
        missing = [part for part in (*lines, *self.fix) if part not in text]
        assert not missing, f"{missing} not in:\n{text}"
        return True


A, B = "infra/account_a.yaml", "infra/account_b.yaml"
ROLE_A_ARN = f"arn:aws:iam::111111111111:role/{ROLE_A}"

# Each case is one row of a table: a shorter form would hide which grant names which error.
# The grants of the cross-account path.
CROSS_ACCOUNT = [
    Case(
        BucketStatement(RAW, "GlueListsBucket"),
        *("catalog_table", GLUE, "s3:ListBucket", f"arn:aws:s3:::{RAW}"),
        (A, "statement GlueListsBucket"),
    ),
    Case(
        BucketStatement(RAW, "GlueReadsObjects"),
        *("staging_table", GLUE, "s3:GetObject", f"arn:aws:s3:::{RAW}/products/2026/04/10/"),
        (A, "statement GlueReadsObjects"),
    ),
    Case(
        BucketStatement(RAW, "OrchestratorListsBucket"),
        *("raw_partition", ORCHESTRATOR, "s3:ListBucket", f"arn:aws:s3:::{RAW}"),
        (A, "statement OrchestratorListsBucket"),
    ),
    Case(
        BucketStatement(RAW, "OrchestratorReadsObjects"),
        *("raw_partition", ORCHESTRATOR, "s3:GetObject", f"arn:aws:s3:::{RAW}/products/2026/04/10"),
        (A, "statement OrchestratorReadsObjects"),
    ),
    Case(
        RolePolicy(GLUE, "s3-cross-account-access"),
        *("catalog_table", GLUE, "s3:ListBucket", f"arn:aws:s3:::{RAW}"),
        (B, "policy s3-cross-account-access", "statement ListRawBucket"),
    ),
    Case(
        Trust(ROLE_A),
        *("s3_export", ROLE_B, "sts:AssumeRole", ROLE_A_ARN),
        (A, "the trust policy of RoleA"),
    ),
    Case(
        RolePolicy(ROLE_B, "policy_for_roleB", "BecomeRoleAForUnload"),
        *("s3_export", ROLE_B, "sts:AssumeRole", ROLE_A_ARN),
        (B, "policy policy_for_roleB", "statement BecomeRoleAForUnload"),
    ),
    Case(
        RolePolicy(ROLE_A, "policy_for_roleA", "WriteExports"),
        *("s3_export", ROLE_A, "s3:PutObject", f"arn:aws:s3:::{EXPORT}/products/2026/04/10/"),
        (A, "policy policy_for_roleA", "statement WriteExports"),
    ),
]

# The other grants of the templates, without those that only rare paths need.
OTHERS = [
    Case(
        BucketStatement(EXPORT, "OrchestratorVerifiesExports"),
        *("s3_export", ORCHESTRATOR, "s3:GetObject", f"arn:aws:s3:::{EXPORT}/products/"),
        (A, "statement OrchestratorVerifiesExports"),
    ),
    Case(
        BucketStatement(EXPORT, "OrchestratorListsExports"),
        *("s3_export", ORCHESTRATOR, "s3:ListBucket", f"arn:aws:s3:::{EXPORT}"),
        (A, "statement OrchestratorListsExports"),
    ),
    Case(
        RolePolicy(ROLE_A, "policy_for_roleA", "ReplaceExports"),
        *("s3_export", ROLE_A, "s3:DeleteObject", f"arn:aws:s3:::{EXPORT}/products/"),
        (A, "statement ReplaceExports"),
    ),
    Case(
        RolePolicy(ROLE_A, "policy_for_roleA", "ListExports"),
        *("s3_export", ROLE_A, "s3:ListBucket", f"arn:aws:s3:::{EXPORT}"),
        (A, "statement ListExports"),
    ),
    Case(
        RolePolicy(ROLE_B, "policy_for_roleB", "ReadTemporaryFilesForCopy"),
        *("staging_table", ROLE_B, "s3:GetObject", f"arn:aws:s3:::{WORK}/glue-tmp/products/"),
        (B, "statement ReadTemporaryFilesForCopy"),
    ),
    Case(
        RolePolicy(GLUE, "working-bucket", "ReadScripts"),
        *("staging_table", GLUE, "s3:GetObject", f"arn:aws:s3:::{WORK}/scripts/load.py"),
        (B, "policy working-bucket", "statement ReadScripts"),
    ),
    Case(
        RolePolicy(GLUE, "catalog", "CrawlAndReadTables"),
        *("catalog_table", GLUE, "glue:GetDatabase", "arn:aws:glue:us-east-1:222222222222:"),
        (B, "policy catalog", "statement CrawlAndReadTables"),
    ),
    Case(
        RolePolicy(GLUE, "catalog", "ReadRedshiftConnection"),
        *("staging_table", GLUE, "glue:GetConnection", "arn:aws:glue:us-east-1:222222222222:"),
        (B, "statement ReadRedshiftConnection"),
    ),
    Case(
        RolePolicy(GLUE, "redshift-secret"),
        *("staging_table", GLUE, "secretsmanager:GetSecretValue", "arn:aws:secretsmanager:"),
        (B, "policy redshift-secret"),
    ),
    Case(
        RolePolicy(ORCHESTRATOR, "glue", "CrawlFeeds"),
        *("catalog_table", ORCHESTRATOR, "glue:ListCrawls", "arn:aws:glue:us-east-1:222222222222:"),
        (B, "statement CrawlFeeds"),
    ),
    Case(
        RolePolicy(ORCHESTRATOR, "glue", "RunLoadJobs"),
        *(
            "staging_table",
            ORCHESTRATOR,
            "glue:StartJobRun",
            "arn:aws:glue:us-east-1:222222222222:",
        ),
        (B, "statement RunLoadJobs"),
    ),
    Case(
        RolePolicy(ORCHESTRATOR, "working-bucket", "ExchangePipesMessages"),
        *("staging_table", ORCHESTRATOR, "s3:GetObject", f"arn:aws:s3:::{WORK}/pipes/products/"),
        (B, "statement ExchangePipesMessages"),
    ),
    Case(
        RolePolicy(ORCHESTRATOR, "redshift", "RunStatements"),
        *("fact_table", ORCHESTRATOR, "redshift-data:ExecuteStatement"),
        "arn:aws:redshift-serverless:us-east-1:222222222222:workgroup/",
        (B, "statement RunStatements"),
    ),
    Case(
        RolePolicy(ORCHESTRATOR, "redshift", "ReadSecret"),
        *("fact_table", ORCHESTRATOR, "secretsmanager:GetSecretValue", "arn:aws:secretsmanager:"),
        (B, "statement ReadSecret"),
    ),
]


# A day's statements end within the request that submits them, so no day needs this grant.
FOLLOWING = Case(
    RolePolicy(ORCHESTRATOR, "redshift", "FollowOwnStatements"),
    *("fact_table", ORCHESTRATOR, "redshift-data:DescribeStatement", "*"),
    (B, "statement FollowOwnStatements"),
)


@dataclass(frozen=True)
class State:
    """The data of a day: its row counts, fact rows and export."""

    numbers: DayReconciliation
    fact: list[dict[str, Any]]
    export: dict[str, bytes]

    @classmethod
    def of(cls, pipeline: Pipeline) -> State:
        with pipeline.environment():
            (numbers,) = reconcile(pipeline.feed, pipeline.aws, [date.fromisoformat(DAY)])
        return cls(numbers, pipeline.fact_rows(DAY), pipeline.exported(DAY))


@pytest.fixture(scope="module")
def before(pipeline: Pipeline) -> State:
    """The day after a run of all five assets with every grant."""
    pipeline.land(DAY)
    run = pipeline.run(DAY)
    assert run.success, run.why
    state = State.of(pipeline)
    assert state.numbers.ok, state.numbers.problems
    return state


def run_without(pipeline: Pipeline, case: Case) -> None:
    """Materialize the asset that needs the grant and those after it: only it fails."""
    with case.grant.removed(pipeline.sandbox):
        run = pipeline.run(DAY, assets=CHAIN[CHAIN.index(case.asset) :])
    assert set(run.failures) == {case.asset}, run.why
    assert case.is_named_by(run.failures[case.asset])
    for asset in CHAIN:
        assert run.materialized_days(asset) == [], f"{asset} was materialized"


# These run first: the later cases verify that every grant is restored.
@pytest.mark.parametrize("case", OTHERS, ids=str)
def test_every_grant_is_needed(case: Case, pipeline: Pipeline, before: State) -> None:
    run_without(pipeline, case)
    assert pipeline.fact_rows(DAY) == before.fact
    if (case.asset, case.who, case.action) == ("staging_table", ORCHESTRATOR, "s3:GetObject"):
        # The job had loaded the day, but its report could not be read.
        repaired = pipeline.run(DAY, assets=CHAIN[CHAIN.index("staging_table") :])
        assert repaired.success, repaired.why


def test_a_statement_that_outlasts_its_request_is_followed_by_a_grant_of_its_own(
    pipeline: Pipeline,
) -> None:
    with (
        FOLLOWING.grant.removed(pipeline.sandbox),
        pipeline.environment(),
        pytest.raises(AccessDenied) as denied,
    ):
        # The timeout is shorter than a long poll, so the submission does not wait for the end.
        pipeline.aws.data_api.execute("SELECT 1", timeout=5)
    assert FOLLOWING.is_named_by(str(denied.value))


@pytest.mark.parametrize("case", CROSS_ACCOUNT, ids=str)
def test_without_a_grant_its_asset_fails_by_name_and_succeeds_once_it_is_restored(
    case: Case, pipeline: Pipeline, before: State
) -> None:
    run_without(pipeline, case)

    after = State.of(pipeline)
    assert after.fact == before.fact
    if case.action == "s3:PutObject":
        # UNLOAD with CLEANPATH has emptied the folder. The rest must not look complete.
        assert after.export == {}
        assert not after.numbers.ok
    else:
        assert after.numbers.ok, after.numbers.problems

    last = "s3_export" if case.asset == "staging_table" else case.asset
    repaired = pipeline.run(DAY, assets=CHAIN[CHAIN.index(case.asset) : CHAIN.index(last) + 1])
    assert repaired.success, repaired.why
    now = State.of(pipeline)
    assert now.numbers.ok, now.numbers.problems
    assert now.fact == before.fact


# -- the database user -----------------------------------------------------------------------------

# A right that `xacct deploy` grants, the asset that fails without it, and the relation or procedure
# that the database names.
DATABASE_GRANTS = [
    ("INSERT ON public.products", "staging_table", "relation products"),
    ("DELETE ON public.products", "staging_table", "relation products"),
    ("INSERT ON public.xacct_load_audit", "staging_table", "relation xacct_load_audit"),
    ("DELETE ON public.xacct_load_audit", "staging_table", "relation xacct_load_audit"),
    ("SELECT ON public.products", "fact_table", "relation products"),
    ("SELECT ON public.xacct_load_audit", "fact_table", "relation xacct_load_audit"),
    ("UPDATE ON public.xacct_load_audit", "fact_table", "relation xacct_load_audit"),
    ("SELECT ON public.products_f", "fact_table", "relation products_f"),
    ("INSERT ON public.products_f", "fact_table", "relation products_f"),
    ("DELETE ON public.products_f", "fact_table", "relation products_f"),
    ("EXECUTE ON PROCEDURE public.sp_products(DATE, DATE)", "fact_table", "procedure sp_products"),
]


@pytest.fixture(scope="module")
def loaded(pipeline: Pipeline, before: State) -> None:
    """The day is in staging: only such a day has something to transform."""
    run = pipeline.run(DAY, assets=["staging_table"])
    assert run.success, run.why


@pytest.mark.parametrize(("grant", "asset", "named"), DATABASE_GRANTS)
def test_every_grant_of_the_database_user_is_needed_and_named(
    grant: str, asset: str, named: str, pipeline: Pipeline, loaded: None
) -> None:
    user = pipeline.aws.settings.database_user
    pipeline.execute(f"REVOKE {grant} FROM {user}")
    try:
        run = pipeline.run(DAY, assets=[asset])
    finally:
        pipeline.execute(f"GRANT {grant} TO {user}")
    assert set(run.failures) == {asset}, run.why
    assert f"permission denied for {named}" in run.why
    assert "xacct deploy" in run.why or asset == "staging_table"


def test_the_database_user_may_do_nothing_beside_the_feeds(pipeline: Pipeline) -> None:
    pipeline.execute("CREATE SCHEMA payroll")
    pipeline.execute("CREATE TABLE payroll.salaries (amount INT)")
    pipeline.execute("CREATE TABLE public.not_a_feeds (id INT)")
    try:
        for statement, refusal in (
            ("SELECT * FROM payroll.salaries", "permission denied for schema payroll"),
            ("SELECT * FROM public.not_a_feeds", "permission denied for relation not_a_feeds"),
            ("CREATE USER mallory PASSWORD 'Mallory-1234'", "CREATE USER requires a superuser"),
            ("ALTER USER xacct PASSWORD 'Mallory-1234'", "requires a superuser"),
            ("UPDATE public.products_f SET price = 0", "permission denied for relation products_f"),
            ("DROP TABLE public.products_f", "must be owner of relation products_f"),
            ("CREATE OR REPLACE PROCEDURE public.sp_products(a IN DATE, b IN DATE) AS "
             "$$ BEGIN DELETE FROM public.products_f; END; $$ LANGUAGE plpgsql",
             "must be owner of"),
        ):  # fmt: skip
            with pytest.raises(StatementFailed, match=refusal), pipeline.environment():
                pipeline.aws.warehouse.execute(statement)
    finally:
        pipeline.execute("DROP TABLE public.not_a_feeds")
        pipeline.execute("DROP TABLE payroll.salaries")
        pipeline.execute("DROP SCHEMA payroll")


def test_the_pipelines_roles_cannot_read_the_admins_password(pipeline: Pipeline) -> None:
    with pytest.raises(ClientError, match="AccessDenied"):
        pipeline.sandbox.client("orchestrator", "secretsmanager").get_secret_value(
            SecretId=ADMIN_SECRET
        )


def test_every_grant_of_the_database_user_is_restored(pipeline: Pipeline) -> None:
    run = pipeline.run(DAY)
    assert run.success, run.why


# -- the network -----------------------------------------------------------------------------------

# A piece that is taken away, the asset that fails without it, and what its error says.
PIECES = [
    ("no endpoint for S3 at Glue", "staging_table", "Could not find S3 endpoint"),
    ("no endpoint for Secrets Manager at Glue", "staging_table", "secretsmanager.us-east-1"),
    ("the warehouse's port closed to Glue", "staging_table", "connection timed out"),
]


@pytest.mark.parametrize(("piece", "asset", "named"), PIECES)
def test_without_a_piece_of_the_network_what_needs_it_fails_by_name_until_it_is_back(
    pipeline: Pipeline, before: State, piece: str, asset: str, named: str
) -> None:
    (case,) = (case for case in network.cases() if case.name == piece)
    case.make(Hands(pipeline.sandbox))
    try:
        run = pipeline.run(DAY, assets=[asset])
    finally:
        pipeline.sandbox.run("xacct_assets.operations.cli", "deploy", "--yes")
    assert named in run.failures[asset], run.why
    assert "xacct doctor" in run.failures[asset]
    repaired = pipeline.run(DAY, assets=[asset])
    assert repaired.success, repaired.why
    assert pipeline.fact_rows(DAY) == before.fact


def test_without_a_route_a_login_names_it_and_the_data_api_needs_none(
    pipeline: Pipeline, before: State
) -> None:
    (case,) = (case for case in network.cases() if case.name == "no route to the warehouse")
    case.make(Hands(pipeline.sandbox))
    with pipeline.environment():
        # New clients: a connection that is open is kept for the next transaction.
        aws = AwsClients(Settings.load())
        try:
            with pytest.raises(ConnectionFailed, match="missing: a route in rtb-") as failed:
                aws.warehouse.query("SELECT 1 AS one")
            assert list(aws.data_api.execute("SELECT 1 AS one").rows) == [{"one": 1}]
        finally:
            pipeline.sandbox.run("xacct_assets.operations.cli", "deploy", "--yes")
        assert "connection timed out" in str(failed.value)
        assert "xacct doctor" in str(failed.value)
        assert aws.warehouse.query("SELECT 1 AS one") == [{"one": 1}]
