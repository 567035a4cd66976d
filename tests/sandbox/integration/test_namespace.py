"""A namespace's life through boto3, on a sandbox of its own: made, paused, restarted, deleted."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from typing import Any

import pytest
import redshift_connector
from botocore.exceptions import WaiterError

from tests.support.sandbox import RunningSandbox, own_sandbox

PASSWORD = "Secret1234"


@pytest.fixture(scope="module")
def own() -> Iterator[RunningSandbox]:
    with own_sandbox() as running:
        yield running


@pytest.fixture(autouse=True)
def _trust(own: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(own.config.ca_bundle))


def make(own: RunningSandbox) -> Any:
    serverless = own.client("account-b-admin", "redshift-serverless")
    serverless.create_namespace(
        namespaceName="ns-one", adminUsername="boss", adminUserPassword=PASSWORD
    )
    serverless.create_workgroup(workgroupName="wg-one", namespaceName="ns-one", baseCapacity=8)
    return serverless


def connect(own: RunningSandbox, user: str = "boss", password: str = PASSWORD) -> Any:
    connection = redshift_connector.connect(
        host="127.0.0.1",
        port=own.config.redshift_port,
        database="dev",
        user=user,
        password=password,
        sslmode="verify-full",
    )
    connection.autocommit = True
    return connection


def run(own: RunningSandbox, sql: str, **login: str) -> Any:
    with connect(own, **login) as connection:
        cursor = connection.cursor()
        cursor.execute(sql)
        return cursor.fetchall() if cursor.description else None


def test_a_namespace_lives_is_changed_paused_restarted_and_forgets_all_when_deleted(own):
    with pytest.raises(redshift_connector.Error, match="does not exist"):
        connect(own)
    serverless = make(own)
    run(own, "CREATE TABLE kept (id INT)")
    run(own, "INSERT INTO kept VALUES (1)")
    run(own, "CREATE SCHEMA more")
    run(own, "CREATE TABLE more.kept (id INT)")
    run(own, "CREATE PROCEDURE p() AS $$ BEGIN DELETE FROM kept; END; $$ LANGUAGE plpgsql")
    run(own, "CREATE USER worker PASSWORD 'Worker1234'")
    run(own, "GRANT ALL ON kept TO worker")
    given = serverless.get_credentials(workgroupName="wg-one")
    other_user = {"user": given["dbUser"], "password": given["dbPassword"]}
    run(own, "CREATE TABLE other_user (id INT)", **other_user)
    assert run(own, "SELECT COUNT(*) FROM other_user", **other_user)[0][0] == 0

    # A new password, and only that one.
    serverless.update_namespace(namespaceName="ns-one", adminUserPassword="Changed1234")
    with pytest.raises(redshift_connector.Error):
        connect(own)
    assert run(own, "SELECT COUNT(*) FROM kept", password="Changed1234")[0][0] == 1

    # Without a workgroup no login succeeds, and the data stays.
    serverless.delete_workgroup(workgroupName="wg-one")
    with pytest.raises(redshift_connector.Error, match="paused"):
        connect(own, password="Changed1234")
    serverless.create_workgroup(workgroupName="wg-one", namespaceName="ns-one")
    assert run(own, "SELECT COUNT(*) FROM kept", password="Changed1234")[0][0] == 1

    # What the Data API knew, it knows after a restart.
    secret = own.client("account-b-admin", "secretsmanager").create_secret(
        Name="boss", SecretString=json.dumps({"username": "boss", "password": "Changed1234"})
    )["ARN"]
    data = own.client("account-b-admin", "redshift-data")
    asked = {"WorkgroupName": "wg-one", "Database": "dev", "SecretArn": secret}
    done = data.execute_statement(**asked, Sql="SELECT id FROM kept", WaitTimeSeconds=10)
    endless = "WITH RECURSIVE n(i) AS (SELECT 1::bigint UNION ALL SELECT i + 1 FROM n)"
    lost = data.execute_statement(**asked, Sql=f"{endless} SELECT COUNT(*) FROM n")
    own.run("xacct_sandbox.cli", "down")
    own.run("xacct_sandbox.cli", "up", "--no-deploy")
    assert data.get_statement_result(Id=done["Id"])["Records"] == [[{"longValue": 1}]]
    described = data.describe_statement(Id=lost["Id"])
    assert described["Status"] in ("FAILED", "ABORTED")
    assert serverless.get_workgroup(workgroupName="wg-one")["workgroup"]["status"] == "AVAILABLE"
    assert run(own, "SELECT COUNT(*) FROM kept", password="Changed1234")[0][0] == 1

    # Deleted: the next namespace finds an empty database, and no user of the old one.
    serverless.delete_workgroup(workgroupName="wg-one")
    serverless.delete_namespace(namespaceName="ns-one")
    with pytest.raises(redshift_connector.Error, match="does not exist"):
        connect(own, password="Changed1234")
    make(own)
    found = run(
        own,
        "SELECT table_schema, table_name FROM information_schema.tables "
        "WHERE table_schema NOT IN ('pg_catalog', 'information_schema')",
    )
    assert [list(row) for row in found] == []
    with pytest.raises(redshift_connector.Error):
        connect(own, user="worker", password="Worker1234")
    run(own, "CREATE TABLE kept (id INT)")


def remove(own: RunningSandbox, **options: Any) -> None:
    """Delete all workgroups and namespaces."""
    serverless = own.client("account-b-admin", "redshift-serverless")
    for workgroup in serverless.list_workgroups()["workgroups"]:
        serverless.delete_workgroup(workgroupName=workgroup["workgroupName"])
    for namespace in serverless.list_namespaces()["namespaces"]:
        serverless.delete_namespace(namespaceName=namespace["namespaceName"], **options)


def test_a_snapshot_holds_the_data_and_outlives_the_namespace(own):
    remove(own)
    serverless = make(own)
    run(own, "CREATE TABLE kept (id INT) DISTKEY(id)")
    run(own, "INSERT INTO kept VALUES (1)")
    run(own, "CREATE USER worker PASSWORD 'Worker1234'")
    run(own, "GRANT SELECT ON kept TO worker")
    made = serverless.create_snapshot(namespaceName="ns-one", snapshotName="first")["snapshot"]
    assert (made["status"], made["snapshotName"]) == ("AVAILABLE", "first")
    assert made["totalBackupSizeInMegaBytes"] > 1

    run(own, "INSERT INTO kept VALUES (2)")
    restored = {"namespaceName": "ns-one", "workgroupName": "wg-one"}
    serverless.restore_from_snapshot(**restored, snapshotName="first")
    worker = {"user": "worker", "password": "Worker1234"}
    assert run(own, "SELECT COUNT(*) FROM kept", **worker)[0][0] == 1

    run(own, "INSERT INTO kept VALUES (3)")
    remove(own, finalSnapshotName="last")
    make(own)
    with pytest.raises(redshift_connector.Error, match="kept"):
        run(own, "SELECT COUNT(*) FROM kept")
    serverless.restore_from_snapshot(**restored, snapshotArn=snapshot_arn(serverless, "last"))
    assert run(own, "SELECT COUNT(*) FROM kept", **worker)[0][0] == 2
    for name in ("first", "last"):
        serverless.delete_snapshot(snapshotName=name)
    assert serverless.list_snapshots()["snapshots"] == []
    kept = own.config.postgres_dir / "kept"
    assert list(kept.iterdir()) == []
    remove(own)


def snapshot_arn(serverless: Any, name: str) -> str:
    return serverless.get_snapshot(snapshotName=name)["snapshot"]["snapshotArn"]


def stack(name: str, workgroup: str = "") -> str:
    """A template of a namespace and its workgroup, of the same name if none is given."""
    properties = {
        "Namespace": {
            "NamespaceName": name,
            "AdminUsername": "boss",
            "AdminUserPassword": PASSWORD,
        },
        "Workgroup": {
            "WorkgroupName": workgroup or name,
            "NamespaceName": {"Ref": "Namespace"},
            "BaseCapacity": 8,
        },
    }
    resources = {
        kind: {"Type": f"AWS::RedshiftServerless::{kind}", "Properties": chosen}
        for kind, chosen in properties.items()
    }
    return json.dumps({"Resources": resources})


def test_a_renamed_namespace_is_replaced_data_and_all(own):
    remove(own)
    cloudformation = own.client("account-b-admin", "cloudformation")

    def deploy(verb: str, body: str) -> str:
        getattr(cloudformation, f"{verb}_stack")(StackName="warehouse", TemplateBody=body)
        waiting = cloudformation.get_waiter(f"stack_{verb}_complete")
        with contextlib.suppress(WaiterError):  # the status tells
            waiting.wait(StackName="warehouse", WaiterConfig={"Delay": 1, "MaxAttempts": 60})
        return cloudformation.describe_stacks(StackName="warehouse")["Stacks"][0]["StackStatus"]

    assert deploy("create", stack("wh-one")) == "CREATE_COMPLETE"
    run(own, "CREATE TABLE kept (id INT)")

    # A workgroup belongs to one namespace for ever. The new namespace is made before the workgroup
    # fails; after the rollback the data is there again.
    assert deploy("update", stack("wh-two", workgroup="wh-one")) == "UPDATE_ROLLBACK_COMPLETE"
    events = cloudformation.describe_stack_events(StackName="warehouse")["StackEvents"]
    assert any(
        "cannot update a stack when a custom-named resource requires replacing. Rename wh-one"
        in event.get("ResourceStatusReason", "")
        for event in events
    )
    assert run(own, "SELECT COUNT(*) FROM kept")[0][0] == 0

    assert deploy("update", stack("wh-two")) == "UPDATE_COMPLETE"
    with pytest.raises(redshift_connector.Error, match="kept"):
        run(own, "SELECT COUNT(*) FROM kept")
    serverless = own.client("account-b-admin", "redshift-serverless")
    names = [entry["namespaceName"] for entry in serverless.list_namespaces()["namespaces"]]
    assert names == ["wh-two"]
    cloudformation.delete_stack(StackName="warehouse")
    cloudformation.get_waiter("stack_delete_complete").wait(
        StackName="warehouse", WaiterConfig={"Delay": 1, "MaxAttempts": 60}
    )
    assert serverless.list_namespaces()["namespaces"] == []
