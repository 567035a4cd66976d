"""The reference's own crawler, job and tables, in the sandbox that our pipeline is deployed to.

It reads the same files, runs as the same roles and exports to the same bucket under a prefix of its
own; nothing of ours is touched but the orchestrator role, which may do a little more here.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import redshift_connector

from benchmarks.own_sandbox import environment
from benchmarks.year_feed import FEED
from xacct_assets.aws.redshift.sql import split_statements
from xacct_sandbox.daemon.config import SandboxConfig
from xacct_sandbox.daemon.profiles import client

HERE = Path(__file__).parent
DATABASE = "products_reference"
EXPORT_PREFIX = "reference"


@dataclass(frozen=True)
class Reference:
    """What was deployed."""

    variables: dict[str, str]
    """Environment variables of Airflow: the settings of its DAG and its connections."""


def deploy(config: SandboxConfig) -> Reference:
    """Make everything; again: nothing changes."""
    suffix = config.suffix
    name, working = f"xacct-{suffix}-reference", f"xacct-processing-{suffix}"
    glue = client(config, "account-b-admin", "glue")
    secrets = client(config, "account-b-admin", "secretsmanager")
    secret = secrets.get_secret_value(SecretId=f"xacct/redshift-{suffix}")
    login = json.loads(secret["SecretString"])
    roles = (
        f"arn:aws:iam::{config.account_b}:role/xacct-RoleB-{suffix}",
        f"arn:aws:iam::{config.account_a}:role/xacct-RoleA-{suffix}",
    )
    client(config, "account-b-admin", "iam").put_role_policy(
        RoleName=f"xacct-orchestrator-{suffix}",
        PolicyName="reference-dag",
        PolicyDocument=json.dumps(
            {
                "Version": "2012-10-17",
                "Statement": [
                    {
                        "Effect": "Allow",
                        "Action": ["glue:GetCrawlerMetrics", "glue:GetTags"],
                        "Resource": "*",
                    }
                ],
            }
        ),
    )
    s3 = client(config, "account-b-admin", "s3")
    scripts = {name: "reference_load.py", f"{name}-light": "light_load.py"}
    for script in scripts.values():
        s3.put_object(Bucket=working, Key=f"scripts/{script}", Body=(HERE / script).read_bytes())
    if DATABASE not in {found["Name"] for found in glue.get_databases()["DatabaseList"]}:
        glue.create_database(DatabaseInput={"Name": DATABASE})
        glue.create_crawler(
            Name=name,
            Role=config.glue_role_arn,
            DatabaseName=DATABASE,
            Targets={"S3Targets": [{"Path": f"s3://{config.input_bucket}/{FEED}/"}]},
            # As ours: what was crawled is not crawled again.
            RecrawlPolicy={"RecrawlBehavior": "CRAWL_NEW_FOLDERS_ONLY"},
            SchemaChangePolicy={"UpdateBehavior": "LOG", "DeleteBehavior": "LOG"},
        )
        for job, script in scripts.items():
            glue.create_job(
                Name=job,
                Role=config.glue_role_arn,
                GlueVersion="5.0",
                WorkerType="G.1X",
                NumberOfWorkers=2,
                ExecutionProperty={"MaxConcurrentRuns": 50},
                Connections={"Connections": [f"xacct-redshift-{suffix}"]},
                Command={
                    "Name": "glueetl",
                    "PythonVersion": "3",
                    "ScriptLocation": f"s3://{working}/scripts/{script}",
                },
                DefaultArguments={
                    "--database": DATABASE,
                    "--table": FEED,
                    "--connection": f"xacct-redshift-{suffix}",
                    "--tmp_dir": f"s3://{working}/glue-tmp/reference/",
                    "--copy_role": roles[0],
                },
            )
    _apply_sql(config, login)
    user, password = quote(login["username"], safe=""), quote(login["password"], safe="")
    return Reference(
        variables={
            "REFERENCE_INPUT_BUCKET": config.input_bucket,
            "REFERENCE_EXPORT_BUCKET": f"sample-opt-bucket-etl-{suffix}",
            "REFERENCE_PREFIX": FEED,
            "REFERENCE_CRAWLER": name,
            "REFERENCE_JOB": name,
            "REFERENCE_WORKGROUP": f"xacct-{suffix}",
            "REFERENCE_DATABASE": login["dbname"],
            "REFERENCE_SECRET_ARN": secret["ARN"],
            "AIRFLOW_CONN_AWS_DEFAULT": "aws://",
            "AIRFLOW_CONN_UNLOAD": json.dumps(
                {"conn_type": "aws", "extra": {"role_arn": ",".join(roles)}}
            ),
            "AIRFLOW_CONN_REDSHIFT_DEFAULT": (
                f"redshift://{user}:{password}@{config.host}:{config.redshift_port}/"
                f"{login['dbname']}"
            ),
        },
    )


def _apply_sql(config: SandboxConfig, login: dict[str, str]) -> None:
    text = (HERE / "reference.sql").read_text(encoding="utf-8")
    with (
        environment({"SSL_CERT_FILE": str(config.ca_bundle)}),
        redshift_connector.connect(
            host=config.host,
            port=config.redshift_port,
            user=login["username"],
            password=login["password"],
            database=login["dbname"],
            sslmode="verify-full",
        ) as connection,
        connection.cursor() as cursor,
    ):
        for statement in split_statements(text):
            cursor.execute(statement)
        connection.commit()
