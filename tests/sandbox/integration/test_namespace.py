"""A namespace's life through boto3, on a sandbox of its own: made, paused, restarted, deleted."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
import redshift_connector

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
