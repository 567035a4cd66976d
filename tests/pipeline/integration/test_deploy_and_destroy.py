"""`xacct deploy` and `xacct destroy` over the wire, on a sandbox of their own.

All resources, and 30 kills, are in tests/long.
"""

from __future__ import annotations

import json
import re
import shlex
from collections.abc import Iterator
from dataclasses import replace

import pytest

from tests.support.deployments import (
    RAW,
    WORKING,
    delete_snapshots,
    require_nothing_left,
    restore_what_was_changed,
    stacks,
    survive_kills,
    xacct,
)
from tests.support.project import EXTRA_FEEDS_DIR, ROOT
from tests.support.sandbox import RunningSandbox, own_sandbox

#: What `$image` is in the document.
IMAGE = "222222222222.dkr.ecr.us-east-1.amazonaws.com/xacct-local:0123456789ab"
#: Parameters for a network of another shape: what would change is shown, and not made.
OTHER_NETWORKS = ("NatGateway=", "PublicSubnets=", "OrchestratorCidr=", "AvailabilityZones=")


@pytest.fixture(scope="module")
def own() -> Iterator[RunningSandbox]:
    with own_sandbox() as running:
        yield running
        # Each holds the whole database, and all that is stored is searched for secrets at the end.
        delete_snapshots(running)


@pytest.fixture(scope="module")
def deployed(own: RunningSandbox) -> RunningSandbox:
    """Deployed once: the tests that remove it come after those that use this."""
    xacct(own, "deploy", "--yes")
    return own


@pytest.mark.parametrize(
    ("name", "deleted"),
    [("account_a.RoleA", True), ("account_a.RawBucketPolicy", False)],
)
def test_what_was_changed_by_hand_is_restored(
    deployed: RunningSandbox, name: str, deleted: bool
) -> None:
    restore_what_was_changed(deployed, name, delete=deleted)
    require_nothing_left(deployed)


def test_a_feed_that_moves_gets_its_crawler_anew(
    deployed: RunningSandbox, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """Glue refuses to change the target of a crawler that crawls new folders only."""
    feeds = tmp_path_factory.mktemp("feeds")
    source = EXTRA_FEEDS_DIR / "customers"
    (feeds / "customers").mkdir()
    for path in source.iterdir():
        if path.is_file():
            (feeds / "customers" / path.name).write_bytes(path.read_bytes())
    settings = {**deployed.extra_settings, "XACCT_EXTRA_FEEDS_DIR": str(feeds)}
    own = replace(deployed, extra_settings=settings)
    xacct(own, "deploy", "--yes")
    defs = feeds / "customers" / "defs.yaml"
    text = defs.read_text(encoding="utf-8")
    moved = re.sub(r"(source:\s*\n(?:.*\n)*?\s*prefix: )(\S+)", r"\1moved/\2", text, count=1)
    assert moved != text
    defs.write_text(moved, encoding="utf-8")
    assert "replaced: Crawler" in xacct(own, "deploy", "--yes").stdout
    glue = own.client("account-b-admin", "glue")
    crawler = glue.get_crawler(Name="xacct-local-customers")["Crawler"]
    assert crawler["Targets"]["S3Targets"][0]["Path"].startswith(f"s3://{RAW}/moved/")
    xacct(deployed, "feed", "retire", "customers", "--yes")


def commands_of_the_document() -> list[list[str]]:
    """The `xacct` commands in docs/deploy.md, with the names of the sandbox."""
    text = (ROOT / "docs" / "deploy.md").read_text(encoding="utf-8")
    blocks = re.findall(r"(?ms)^ *```sh\n(.*?)^ *```", text)
    lines = [line.strip() for block in blocks for line in block.replace("\\\n", "").splitlines()]
    return [
        shlex.split(
            re.sub(r"dev1(-\d{12})?", "local", line).replace("$image", IMAGE), comments=True
        )
        for line in lines
        # What a reader must fill in cannot be run.
        if line.startswith("xacct ") and "…" not in line
    ]


def test_every_command_of_the_document_works(deployed: RunningSandbox) -> None:
    commands = commands_of_the_document()
    with_feeds = replace(
        deployed,
        extra_settings={
            **deployed.extra_settings,
            "XACCT_EXTRA_FEEDS_DIR": str(EXTRA_FEEDS_DIR),
        },
    )
    xacct(with_feeds, "deploy", "--yes")
    assert {command[1] for command in commands} >= {
        *("deploy", "destroy", "doctor", "feed", "reconcile"),
    }
    for number, command in enumerate(commands):
        if command[1] == "destroy" and commands[number - 1][1] == "destroy":
            _drop_bucket(deployed, "account-b-admin", WORKING)
            xacct(deployed, "deploy", "--yes")
        ran = xacct(deployed, *command[1:], check=False)
        if any(argument.startswith("WarehouseSubnetIds=") for argument in command):
            # Ids of a network of one's own, while this one is made.
            assert ran.returncode != 0
            assert "XACCT_NETWORK" in ran.stderr
            continue
        if ran.returncode == 2 and "--yes" not in command:
            # It asks, and there is no terminal to answer in.
            assert "answer y, or add --yes" in ran.stderr
            if any(argument.startswith(OTHER_NETWORKS) for argument in command):
                continue
            ran = xacct(deployed, *command[1:], "--yes", check=False)
        assert ran.returncode == 0, f"{command}: {ran.stdout}\n{ran.stderr}"


def test_a_killed_deployment_and_a_killed_removal_are_finished_by_the_next(
    own: RunningSandbox,
) -> None:
    _drop_bucket(own, "account-b-admin", WORKING)
    survive_kills(own, each=1, seed=7)


def test_everything_is_deployed_over_the_data_api(own: RunningSandbox) -> None:
    """The admin makes the pipeline's user, the tables and the grants: the user can work."""
    shown = xacct(own, "deploy", "--yes", "--sql-over", "data-api").stdout
    assert "database user xacct_local: made" in shown
    assert "SQL applied as the admin over data-api" in shown
    xacct(own, "doctor", "--only=rights of the database user")
    # A password that somebody changed is put right, by the secret.
    secrets = own.client("account-b-admin", "secretsmanager")
    login = json.loads(secrets.get_secret_value(SecretId="xacct/redshift-local")["SecretString"])
    secrets.put_secret_value(
        SecretId="xacct/redshift-local",
        SecretString=json.dumps({**login, "password": "Another-1-password"}),
    )
    mended = xacct(own, "deploy", "--sql-over", "data-api").stdout
    assert "database user xacct_local: got the secret's password" in mended
    # The user's login is tried, over the Data API too.
    again = xacct(own, "deploy", "--sql-over", "data-api").stdout
    assert "database user xacct_local: up to date" in again


def test_a_removal_leaves_what_was_made_by_hand_inside_the_naming_scheme(
    own: RunningSandbox,
) -> None:
    """One of every deletable kind."""
    xacct(own, "deploy", "--yes")
    a, b = "account-a-admin", "account-b-admin"
    trust = {"Effect": "Allow", "Principal": {"AWS": "*"}, "Action": "sts:AssumeRole"}
    template = {"Resources": {"Q": {"Type": "AWS::SQS::Queue", "Properties": {}}}}
    own.client(a, "s3").create_bucket(Bucket="sample-inp-bucket-etl-local-2")
    own.client(b, "s3").create_bucket(Bucket="xacct-processing-local-2")
    own.client(b, "iam").create_role(
        RoleName="xacct-more-local",
        AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]}),
    )
    own.client(b, "secretsmanager").create_secret(Name="xacct/redshift-local2", SecretString="1")
    queue = own.client(b, "sqs").create_queue(QueueName="xacct-arrivals-more-local")["QueueUrl"]
    glue = own.client(b, "glue")
    glue.create_database(DatabaseInput={"Name": "products_db2"})
    glue.create_crawler(
        Name="xacct-local-more",
        Role="arn:aws:iam::222222222222:role/xacct-glue-local",
        DatabaseName="products_db2",
        Targets={"S3Targets": [{"Path": f"s3://{RAW}/more/"}]},
    )
    glue.create_connection(
        ConnectionInput={
            "Name": "xacct-redshift-local2",
            "ConnectionType": "JDBC",
            "ConnectionProperties": {
                "JDBC_CONNECTION_URL": "jdbc:redshift://h:5439/d",
                "SECRET_ID": "xacct/redshift-local2",
            },
        }
    )
    cloudformation = own.client(b, "cloudformation")
    cloudformation.create_stack(
        StackName="xacct-feed-more-local", TemplateBody=json.dumps(template)
    )
    cloudformation.get_waiter("stack_create_complete").wait(
        StackName="xacct-feed-more-local", WaiterConfig={"Delay": 1, "MaxAttempts": 20}
    )
    own.client(b, "redshift-serverless").create_snapshot(
        namespaceName="xacct-local", snapshotName="xacct-local-by-hand"
    )
    # The working bucket has nothing but the job's files, so it goes without a flag.
    xacct(own, "destroy", "--yes")
    assert stacks(own) == ["xacct-feed-more-local"]
    assert _buckets(own, a) == ["sample-inp-bucket-etl-local-2"]
    assert _buckets(own, b) == ["xacct-processing-local-2"]
    assert own.client(b, "iam").get_role(RoleName="xacct-more-local")["Role"]
    assert own.client(b, "secretsmanager").describe_secret(SecretId="xacct/redshift-local2")
    assert own.client(b, "sqs").get_queue_attributes(QueueUrl=queue)
    assert [entry["Name"] for entry in glue.get_databases()["DatabaseList"]] == ["products_db2"]
    assert glue.get_crawler(Name="xacct-local-more")["Crawler"]
    assert glue.get_connection(Name="xacct-redshift-local2")["Connection"]
    snapshots = own.client(b, "redshift-serverless").list_snapshots()["snapshots"]
    names = {snapshot["snapshotName"] for snapshot in snapshots}
    assert "xacct-local-by-hand" in names
    assert any(name.startswith("xacct-local-final-") for name in names)


def _buckets(own: RunningSandbox, profile: str) -> list[str]:
    return [bucket["Name"] for bucket in own.client(profile, "s3").list_buckets()["Buckets"]]


def _drop_bucket(own: RunningSandbox, profile: str, name: str) -> None:
    s3 = own.client(profile, "s3")
    if name not in _buckets(own, profile):
        return
    for item in s3.list_objects_v2(Bucket=name).get("Contents", []):
        s3.delete_object(Bucket=name, Key=item["Key"])
    s3.delete_bucket(Bucket=name)
