"""An installation on what exists: it is used, and after `destroy` it is as it was before.

One sandbox with a raw bucket, an export bucket, an Airflow secret and a workgroup that were made by
hand. First one administrator of both accounts deploys and destroys; then two administrators,
without any right in the other's account, do it together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import redshift_connector

from tests.support.pipeline import Pipeline
from tests.support.project import EXTRA_FEEDS_DIR
from tests.support.sandbox import RunningSandbox, running_sandbox
from xacct_assets.operations.deployment.bucket_access import is_ours
from xacct_sandbox.sample_data import ProductFile

RAW, EXPORTS = "central-landing", "central-results"
SECRET, WORKGROUP, NAMESPACE = "airflow/connections/warehouse", "team-wg", "team-data"
ADMIN_SECRET = "team/admin"
BOSS_PASSWORD, ETL_PASSWORD = "Boss-pass-1", "Etl-pass+1"
DAY = "2026-01-02"
DESTROY = ("destroy", "--yes", "--delete-data", "xacct-processing-local")
ADOPTING = {
    "XACCT_ADOPT": "input-bucket,export-bucket,secret,workgroup",
    "XACCT_INPUT_BUCKET": RAW,
    "XACCT_EXPORT_BUCKET": EXPORTS,
    "XACCT_REDSHIFT_SECRET": SECRET,
    "XACCT_WORKGROUP": WORKGROUP,
    # A feed that reads notifications.
    "XACCT_EXTRA_FEEDS_DIR": str(EXTRA_FEEDS_DIR),
}
# The pipeline gets a database user of its own, made with the login of the team's admin.
OWN_USER = {
    **{name: value for name, value in ADOPTING.items() if name != "XACCT_REDSHIFT_SECRET"},
    "XACCT_ADOPT": "input-bucket,export-bucket,workgroup",
    "XACCT_ADMIN_SECRET": ADMIN_SECRET,
}


@dataclass(frozen=True)
class Team:
    """Two teams and what they have had for years."""

    sandbox: RunningSandbox
    canaries: set[str] = field(default_factory=lambda: {BOSS_PASSWORD, ETL_PASSWORD})

    def client(self, account: str, service: str) -> Any:
        return self.sandbox.client(f"account-{account}-admin", service)

    def make(self) -> None:
        """Make everything by hand, with its own policies, notifications, roles and data."""
        self.sandbox.canaries.update(self.canaries)
        self._make_buckets()
        self._make_warehouse()

    def _make_buckets(self) -> None:
        s3 = self.client("a", "s3")
        sqs = self.client("a", "sqs")
        url = sqs.create_queue(QueueName="invoices")["QueueUrl"]
        arn = f"arn:aws:sqs:us-east-1:{self.sandbox.config.account_a}:invoices"
        for bucket in (RAW, EXPORTS):
            s3.create_bucket(Bucket=bucket)
            s3.put_bucket_versioning(Bucket=bucket, VersioningConfiguration={"Status": "Enabled"})
            s3.put_object(Bucket=bucket, Key="invoices/1.csv", Body=b"not the pipeline's")
            s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(self._policy(bucket)))
        statement = {
            "Effect": "Allow",
            "Principal": {"Service": "s3.amazonaws.com"},
            "Action": "sqs:SendMessage",
            "Resource": arn,
        }
        policy = json.dumps({"Version": "2012-10-17", "Statement": [statement]})
        sqs.set_queue_attributes(QueueUrl=url, Attributes={"Policy": policy})
        s3.put_bucket_notification_configuration(
            Bucket=RAW,
            NotificationConfiguration={
                "QueueConfigurations": [
                    {
                        "QueueArn": arn,
                        "Events": ["s3:ObjectCreated:*"],
                        "Filter": {"Key": {"FilterRules": [
                            {"Name": "prefix", "Value": "invoices/"}]}},
                    }
                ]
            },
        )  # fmt: skip

    def _policy(self, bucket: str) -> dict[str, Any]:
        resources = [f"arn:aws:s3:::{bucket}", f"arn:aws:s3:::{bucket}/*"]
        return {
            "Version": "2012-10-17",
            "Id": "owners",
            "Statement": [
                {
                    "Sid": "TLS only",
                    "Effect": "Deny",
                    "Principal": "*",
                    "Action": "s3:*",
                    "Resource": resources,
                    "Condition": {"Bool": {"aws:SecureTransport": "false"}},
                },
                {
                    "Effect": "Allow",
                    "Principal": {"AWS": f"arn:aws:iam::{self.sandbox.config.account_a}:root"},
                    "Action": "s3:ListBucket",
                    "Resource": resources[0],
                },
            ],
        }

    def _make_warehouse(self) -> None:
        trust = {
            "Effect": "Allow",
            "Principal": {"Service": "redshift.amazonaws.com"},
            "Action": "sts:AssumeRole",
        }
        role = self.client("b", "iam").create_role(
            RoleName="team-copy",
            AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
        )["Role"]["Arn"]
        serverless = self.client("b", "redshift-serverless")
        serverless.create_namespace(
            namespaceName=NAMESPACE,
            adminUsername="boss",
            adminUserPassword=BOSS_PASSWORD,
            iamRoles=[role],
            defaultIamRoleArn=role,
            tags=[{"key": "team", "value": "data"}],
        )
        serverless.create_workgroup(
            workgroupName=WORKGROUP,
            namespaceName=NAMESPACE,
            baseCapacity=16,
            port=self.sandbox.config.redshift_port,
        )
        self.as_boss("CREATE TABLE years_of_data (id INT)")
        self.as_boss("INSERT INTO years_of_data VALUES (1)")
        self.as_boss(f"CREATE USER etl PASSWORD '{ETL_PASSWORD}'")
        address = f"{self.sandbox.config.host}:{self.sandbox.config.redshift_port}/dev"
        for name, user, password in (
            (SECRET, "etl", ETL_PASSWORD),
            (ADMIN_SECRET, "boss", BOSS_PASSWORD),
        ):
            self.client("b", "secretsmanager").create_secret(
                Name=name,
                SecretString=f"redshift://{user}:{quote(password, safe='')}@{address}",
                Tags=[{"Key": "team", "Value": "data"}],
            )

    def as_boss(self, sql: str) -> Any:
        """The rows of a statement of the namespace's admin."""
        with redshift_connector.connect(
            host="127.0.0.1",
            port=self.sandbox.config.redshift_port,
            database="dev",
            user="boss",
            password=BOSS_PASSWORD,
            sslmode="verify-full",
        ) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def state(self) -> dict[str, Any]:
        """Everything of the adopted resources that somebody could change, but new objects."""
        s3, secrets = self.client("a", "s3"), self.client("b", "secretsmanager")
        found: dict[str, Any] = {}
        for bucket in (RAW, EXPORTS):
            notifications = s3.get_bucket_notification_configuration(Bucket=bucket)
            notifications.pop("ResponseMetadata")
            body = s3.get_object(Bucket=bucket, Key="invoices/1.csv")
            found[bucket] = {
                "policy": json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"]),
                "notifications": notifications,
                "object": (body["Body"].read(), body["VersionId"], body["LastModified"]),
                "versioning": s3.get_bucket_versioning(Bucket=bucket)["Status"],
            }
        for name in (SECRET, ADMIN_SECRET):
            secret = secrets.get_secret_value(SecretId=name)
            found[name] = {
                "value": (secret["SecretString"], secret["VersionId"]),
                "tags": secrets.describe_secret(SecretId=name)["Tags"],
            }
        serverless = self.client("b", "redshift-serverless")
        namespace = serverless.get_namespace(namespaceName=NAMESPACE)["namespace"]
        found["namespace"] = namespace
        found["namespace tags"] = serverless.list_tags_for_resource(
            resourceArn=namespace["namespaceArn"]
        )["tags"]
        found["workgroup"] = serverless.get_workgroup(workgroupName=WORKGROUP)["workgroup"]
        found["data"] = self.as_boss("SELECT id FROM years_of_data")
        found["users"] = self.as_boss("SELECT usename FROM pg_user ORDER BY usename")
        return found

    def with_settings(self, settings: Mapping[str, str]) -> RunningSandbox:
        """The same sandbox for commands with other settings."""
        return replace(self.sandbox, extra_settings={**self.sandbox.extra_settings, **settings})

    def run_a_day(self, day: str, settings: Mapping[str, str]) -> Pipeline:
        """Land a day's file in the raw bucket, run all five assets, and reconcile."""
        pipeline = Pipeline(self.sandbox, settings)
        file = ProductFile(seed=1, day=date.fromisoformat(day), rows=50, number=0)
        key = f"products/{day.replace('-', '/')}/products-0.csv"
        body = b"".join(file.chunks())
        self.client("a", "s3").put_object(Bucket=RAW, Key=key, Body=body)
        run = pipeline.run(day)
        assert run.success, run.why
        result = pipeline.reconcile(day)
        assert result.exit_code == 0, result.problems(day)
        return pipeline


def xacct(sandbox: RunningSandbox, *arguments: str, check: bool = True) -> str:
    """What an `xacct` command prints."""
    completed = sandbox.run("xacct_assets.operations.cli", "--no-env-file", *arguments, check=check)
    return completed.stdout + completed.stderr


@pytest.fixture(scope="module")
def team() -> Iterator[Team]:
    with running_sandbox() as running:
        team = Team(running)
        with trusting(running):
            team.make()
            yield team


@contextmanager
def trusting(sandbox: RunningSandbox) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(sandbox.config.ca_bundle))
        yield


@pytest.fixture(scope="module")
def before(team: Team) -> dict[str, Any]:
    """What there was before the first deployment."""
    return team.state()


def our_sids(team: Team, bucket: str) -> list[str]:
    policy = json.loads(team.client("a", "s3").get_bucket_policy(Bucket=bucket)["Policy"])
    return [item["Sid"] for item in policy["Statement"] if is_ours("local", item.get("Sid", ""))]


def test_what_exists_is_not_taken_without_being_asked_to(
    team: Team, before: dict[str, Any]
) -> None:
    refusal = xacct(
        team.with_settings({**ADOPTING, "XACCT_ADOPT": ""}), "deploy", "--yes", check=False
    )
    assert f"bucket {RAW} exists" in refusal
    assert "add input-bucket to XACCT_ADOPT" in refusal
    assert team.state() == before


def test_existing_buckets_secret_and_workgroup_are_adopted_and_left_as_they_were(
    team: Team, before: dict[str, Any]
) -> None:
    installation = team.with_settings(ADOPTING)
    xacct(installation, "deploy", "--yes")
    assert len(our_sids(team, RAW)) == 4
    assert len(our_sids(team, EXPORTS)) == 2
    team.run_a_day(DAY, ADOPTING)
    doctor = xacct(installation, "doctor")
    assert "FAIL" not in doctor, doctor
    changed = team.state()
    assert changed[SECRET] == before[SECRET]

    # A second deployment changes nothing.
    again = xacct(installation, "deploy", "--yes")
    assert "up to date" in again.splitlines()[-2]
    assert team.state() == changed

    xacct(installation, *DESTROY)
    assert team.state() == before
    # What the pipeline wrote is data, and stays.
    listed = team.client("a", "s3").list_objects_v2(Bucket=EXPORTS)["Contents"]
    assert any(item["Key"].startswith("products/2026/01/02/") for item in listed)


def test_two_administrators_without_rights_in_the_others_account_complete_an_installation(
    team: Team, before: dict[str, Any], tmp_path: Path
) -> None:
    # Account B's administrator has no credentials of account A: a call there would be denied.
    of_b = team.with_settings({**OWN_USER, "XACCT_ACCOUNT_A_PROFILE": "account-b-admin"})
    early = xacct(of_b, "deploy", "--account", "a", "--print", str(tmp_path), check=False)
    assert "run `xacct deploy --account b` first" in early
    told = xacct(of_b, "deploy", "--account", "b", "--yes")
    assert "xacct deploy --account a --print" in told
    xacct(of_b, "deploy", "--account", "a", "--print", str(tmp_path))

    # Account A's administrator has the folder only, and no rights in account B.
    summary = (tmp_path / "README.md").read_text()
    assert f"get-bucket-policy --bucket {RAW}" in summary
    apply_printed_files(team, tmp_path)

    pipeline = team.run_a_day("2026-01-03", OWN_USER)
    assert pipeline.query("SELECT current_user AS me") == [{"me": "xacct_local"}]
    doctor = xacct(of_b, "doctor")
    assert "FAIL" not in doctor, doctor
    assert "not read" in doctor

    # Each takes back what is in their own account.
    take_back_printed_files(team, tmp_path)
    xacct(of_b, *DESTROY, "--account", "b")
    assert team.state() == before


def apply_printed_files(team: Team, folder: Path) -> None:
    """What the summary says, with boto3 in place of the AWS command line."""
    cloudformation, s3 = team.client("a", "cloudformation"), team.client("a", "s3")
    cloudformation.create_stack(
        StackName="xacct-account-a-local",
        TemplateBody=(folder / "template.yaml").read_text(),
        Parameters=json.loads((folder / "parameters.json").read_text()),
        Capabilities=["CAPABILITY_NAMED_IAM"],
        Tags=[{"Key": "xacct", "Value": "local"}],
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="xacct-account-a-local", WaiterConfig={"Delay": 1}
    )
    for bucket, kind in ((RAW, "input-bucket"), (EXPORTS, "export-bucket")):
        policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        policy["Statement"] += json.loads((folder / f"{kind}-statements.json").read_text())
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    notifications = s3.get_bucket_notification_configuration(Bucket=RAW)
    notifications.pop("ResponseMetadata")
    new = json.loads((folder / "input-bucket-notifications.json").read_text())
    notifications["QueueConfigurations"] += new
    s3.put_bucket_notification_configuration(Bucket=RAW, NotificationConfiguration=notifications)


def take_back_printed_files(team: Team, folder: Path) -> None:
    s3 = team.client("a", "s3")
    for bucket, kind in ((RAW, "input-bucket"), (EXPORTS, "export-bucket")):
        printed = json.loads((folder / f"{kind}-statements.json").read_text())
        ours = [item["Sid"] for item in printed]
        policy = json.loads(s3.get_bucket_policy(Bucket=bucket)["Policy"])
        policy["Statement"] = [i for i in policy["Statement"] if i.get("Sid") not in ours]
        s3.put_bucket_policy(Bucket=bucket, Policy=json.dumps(policy))
    notifications = s3.get_bucket_notification_configuration(Bucket=RAW)
    notifications.pop("ResponseMetadata")
    notifications["QueueConfigurations"] = notifications["QueueConfigurations"][:1]
    s3.put_bucket_notification_configuration(Bucket=RAW, NotificationConfiguration=notifications)
    team.client("a", "cloudformation").delete_stack(StackName="xacct-account-a-local")
