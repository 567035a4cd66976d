"""The pipeline without a secret: orchestrator, Data API and job log in to Redshift by IAM.

One sandbox is deployed with XACCT_REDSHIFT_LOGIN=iam for all tests here.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redshift_connector

from tests.support.pipeline import Pipeline
from tests.support.sandbox import RunningSandbox, running_sandbox
from tests.support.warehouse import connect
from xacct_assets.aws.errors import AccessDenied, InvalidRequest, StatementFailed
from xacct_assets.aws.redshift import warehouse as wire
from xacct_assets.aws.redshift.iam_login import temporary_credentials
from xacct_assets.aws.redshift.warehouse import Warehouse
from xacct_assets.aws_clients import AwsClients
from xacct_assets.operations.doctor import tables
from xacct_assets.operations.doctor import warehouse as warehouse_checks
from xacct_assets.operations.doctor.installation import Installation
from xacct_assets.settings import Settings
from xacct_sandbox import faults
from xacct_sandbox.faults import Fault

# About 40 s on an idle machine.
pytestmark = pytest.mark.timeout(900)

CLI = "xacct_assets.operations.cli"
IAM = {"XACCT_REDSHIFT_LOGIN": "iam"}
ORCHESTRATOR, JOB = "IAMR:xacct-orchestrator-local", "IAMR:xacct-glue-local"
WORKGROUP = "xacct-local"
VALID = 3.0
"""Seconds for which a password is valid in the day that outlives its credentials."""


@pytest.fixture(scope="module")
def deployed() -> Iterator[RunningSandbox]:
    with running_sandbox(**IAM) as running:
        running.run(CLI, "deploy", "--yes")
        yield running


@pytest.fixture(scope="module")
def pipeline(deployed: RunningSandbox) -> Pipeline:
    return Pipeline(deployed, IAM)


@pytest.fixture
def admin(deployed: RunningSandbox) -> Warehouse:
    """Who deploys: the identity that made the namespace."""
    client = deployed.client("account-b-admin", "redshift-serverless")

    def log_in() -> Any:
        return temporary_credentials(client, clients(deployed).workgroup(), "dev")

    return Warehouse(log_in)


def clients(deployed: RunningSandbox) -> AwsClients:
    """The clients of a process that starts now."""
    variables = {**deployed.variables, **IAM}
    return AwsClients(Settings.load(variables), variables, rotation_window=0)


def given_passwords(deployed: RunningSandbox, user: str) -> int:
    """How often a user was given a password that expires early."""
    return sum(entry["resource"] == user for entry in faults.log(deployed.config))


def test_no_secret_leads_to_redshift_and_a_second_deployment_changes_nothing(
    deployed: RunningSandbox,
) -> None:
    # Dagster's own database, which is no part of the pipeline, has one.
    of_dagster = {"xacct/dagster-local"}
    for profile in ("account-a-admin", "account-b-admin"):
        found = deployed.client(profile, "secretsmanager").list_secrets()["SecretList"]
        assert {secret["Name"] for secret in found} <= of_dagster
    again = deployed.run(CLI, "deploy", "--yes").stdout
    assert f"database user {ORCHESTRATOR}: up to date" in again
    assert f"database user {JOB}: up to date" in again
    namespace = deployed.client("account-b-admin", "redshift-serverless").get_namespace(
        namespaceName=WORKGROUP
    )["namespace"]
    assert "adminPasswordSecretArn" not in namespace


def test_a_day_outlives_its_credentials_over_wire_and_data_api(
    deployed: RunningSandbox, pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Each transaction opens a connection, which needs a password that is valid now.
    monkeypatch.setattr(wire, "KEPT", 0.0)
    landed = pipeline.land("2026-09-01", rows=60)
    early = Fault("short_credentials", seconds=VALID, count=None)
    faults.add(deployed.config, early)
    try:
        run = pipeline.run("2026-09-01")
    finally:
        faults.clear(deployed.config)
    assert run.success, run.why
    assert run.check_results() == {"2026-09-01": True}
    assert len(pipeline.fact_rows("2026-09-01")) == landed.good_rows
    begin, end = run.seconds
    assert end - begin > VALID
    assert given_passwords(deployed, ORCHESTRATOR) >= 2
    assert given_passwords(deployed, JOB) >= 1


def test_wire_and_data_api_are_the_user_of_the_orchestrators_role(pipeline: Pipeline) -> None:
    asked = "SELECT CAST(current_user AS VARCHAR) AS name"
    with pipeline.environment():
        assert pipeline.aws.warehouse.query(asked) == [{"name": ORCHESTRATOR}]
        assert pipeline.aws.data_api.execute(asked).rows == [{"name": ORCHESTRATOR}]


def test_the_doctor_finds_nothing(deployed: RunningSandbox) -> None:
    answer = deployed.run(CLI, "doctor", check=False)
    assert answer.returncode == 0, answer.stdout
    assert f"by IAM: user {ORCHESTRATOR}" in answer.stdout


def test_a_password_logs_in_until_it_expires_and_an_open_connection_goes_on(
    deployed: RunningSandbox,
) -> None:
    serverless = deployed.client("account-b-admin", "redshift-serverless")
    early = Fault("short_credentials", seconds=2.0, count=1, match="IAM:admin")
    faults.add(deployed.config, early)
    short = serverless.get_credentials(workgroupName=WORKGROUP, durationSeconds=901)
    longer = serverless.get_credentials(workgroupName=WORKGROUP, durationSeconds=902)
    assert short["dbPassword"] != longer["dbPassword"]
    with connect(deployed.config, short["dbUser"], short["dbPassword"]) as connection:
        time.sleep(2.1)
        with pytest.raises(redshift_connector.Error) as refused:
            connect(deployed.config, short["dbUser"], short["dbPassword"])
        assert 'password authentication failed for user "IAM:admin"' in str(refused.value)
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        assert cursor.fetchone() == [1]
    connect(deployed.config, longer["dbUser"], longer["dbPassword"]).close()


def test_without_the_permission_the_login_is_denied_and_says_who_grants_it(
    deployed: RunningSandbox, pipeline: Pipeline
) -> None:
    iam = deployed.client("account-b-admin", "iam")
    name = {"RoleName": "xacct-orchestrator-local", "PolicyName": "redshift"}
    policy = iam.get_role_policy(**name)["PolicyDocument"]
    kept = [item for item in policy["Statement"] if item["Sid"] != "LogInByIam"]
    assert len(kept) == len(policy["Statement"]) - 1
    iam.put_role_policy(**name, PolicyDocument=json.dumps({**policy, "Statement": kept}))
    try:
        with pipeline.environment():
            aws = clients(deployed)
            with pytest.raises(AccessDenied) as over_wire:
                warehouse_checks.iam_login(Installation(aws, [pipeline.feed]))
            with pytest.raises(AccessDenied) as over_data_api:
                aws.data_api.execute("SELECT 1")
    finally:
        iam.put_role_policy(**name, PolicyDocument=json.dumps(policy))
    for denied in (over_wire.value, over_data_api.value):
        for part in ("redshift-serverless:GetCredentials", "workgroup/", "statement LogInByIam"):
            assert part in str(denied)


def test_a_user_without_its_grants_is_found_by_name(
    deployed: RunningSandbox, pipeline: Pipeline, admin: Warehouse
) -> None:
    facts, audit = pipeline.feed.warehouse.fact, pipeline.feed.warehouse.load_audit
    taken = {ORCHESTRATOR: ("INSERT", facts), JOB: ("DELETE", audit)}
    with pipeline.environment():
        here = Installation(pipeline.aws, [pipeline.feed])
        for user, (right, table) in taken.items():
            admin.execute(f'REVOKE {right} ON {table} FROM "{user}"')
            try:
                with pytest.raises(InvalidRequest, match=f"{user} lacks {right} on {table}"):
                    tables.grants(here, pipeline.feed)
            finally:
                admin.execute(f'GRANT {right} ON {table} TO "{user}"')
        assert f"to {JOB}" in tables.grants(here, pipeline.feed)
        with pytest.raises(StatementFailed, match="must be owner"):
            pipeline.aws.warehouse.execute("DROP TABLE public.products")
