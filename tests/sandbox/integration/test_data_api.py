"""The Data API and redshift-serverless through boto3, on the deployed warehouse."""

from __future__ import annotations

import json
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import boto3
import pytest
import redshift_connector
from botocore.exceptions import ClientError


@dataclass
class Warehouse:
    """The Data API as one caller uses it."""

    data: Any
    workgroup: str
    secret: str | None
    database: str = "dev"

    def request(self, **more: Any) -> dict[str, Any]:
        request = {"WorkgroupName": self.workgroup, "Database": self.database, **more}
        if self.secret and "SecretArn" not in request:
            request["SecretArn"] = self.secret
        return request

    def submit(self, sql: str, **more: Any) -> str:
        return self.data.execute_statement(**self.request(Sql=sql, **more))["Id"]

    def batch(self, *sqls: str, **more: Any) -> str:
        return self.data.batch_execute_statement(**self.request(Sqls=list(sqls), **more))["Id"]

    def end(self, identifier: str) -> dict[str, Any]:
        deadline = time.monotonic() + 30
        while True:
            described = self.data.describe_statement(Id=identifier, WaitTimeSeconds=10)
            if described["Status"] in ("FINISHED", "FAILED", "ABORTED"):
                return described
            assert time.monotonic() < deadline, described

    def run(self, sql: str, **more: Any) -> dict[str, Any]:
        described = self.end(self.submit(sql, **more))
        assert described["Status"] == "FINISHED", described.get("Error")
        return described

    def rows(self, sql: str, **more: Any) -> list[list[Any]]:
        pages = self.data.get_paginator("get_statement_result").paginate(
            Id=self.run(sql, **more)["Id"]
        )
        return [
            [None if field.get("isNull") else next(iter(field.values())) for field in record]
            for page in pages
            for record in page["Records"]
        ]


@pytest.fixture(scope="module")
def warehouse(sandbox: Any) -> Warehouse:
    """The orchestrator's warehouse, logged in by the deployed secret."""
    config = sandbox.config
    admin = sandbox.client("account-b-admin", "secretsmanager")
    secret = admin.describe_secret(SecretId=f"xacct/redshift-{config.suffix}")["ARN"]
    data = sandbox.client("orchestrator", "redshift-data")
    return Warehouse(data, f"xacct-{config.suffix}", secret)


@pytest.fixture
def table(warehouse: Warehouse) -> Iterator[str]:
    name = f"public.t_{uuid.uuid4().hex[:10]}"
    warehouse.run(f"CREATE TABLE {name} (id BIGINT, name VARCHAR(64), price DECIMAL(12,2))")
    yield name
    warehouse.run(f"DROP TABLE {name}")


@pytest.fixture
def stranger(sandbox: Any) -> tuple[str, Any]:
    """A fresh user in account B, and a function that allows it actions and gives its client."""
    iam = sandbox.client("account-b-admin", "iam")
    name = f"user-{uuid.uuid4().hex[:8]}"
    iam.create_user(UserName=name)
    key = iam.create_access_key(UserName=name)["AccessKey"]
    session = boto3.Session(
        aws_access_key_id=key["AccessKeyId"],
        aws_secret_access_key=key["SecretAccessKey"],
        region_name=sandbox.config.region,
    )

    def allow(*actions: str, denied: dict[str, Any] | None = None) -> Any:
        statements = [{"Effect": "Allow", "Action": list(actions), "Resource": "*"}]
        if denied:
            statements.append({"Effect": "Deny", "Resource": "*", **denied})
        document = {"Version": "2012-10-17", "Statement": statements}
        iam.put_user_policy(UserName=name, PolicyName="p", PolicyDocument=json.dumps(document))
        return sandbox.client_of(session, "redshift-data")

    return name, allow


# -- statements ------------------------------------------------------------------------------


def test_every_type_comes_back_as_the_guide_maps_it(warehouse):
    identifier = warehouse.run(
        "SELECT 1::smallint AS a, 2::bigint AS b, 1.5::float8 AS c, true AS d, 'é😀'::varchar AS e,"
        " 12.50::decimal(12,2) AS f, date '2026-01-02' AS g,"
        " timestamp '2026-01-02 03:04:05.678' AS h, null::int AS i, ''::varchar AS j"
    )["Id"]
    result = warehouse.data.get_statement_result(Id=identifier)
    assert result["Records"] == [
        [
            {"longValue": 1},
            {"longValue": 2},
            {"doubleValue": 1.5},
            {"booleanValue": True},
            {"stringValue": "é😀"},
            {"stringValue": "12.50"},
            {"stringValue": "2026-01-02"},
            {"stringValue": "2026-01-02 03:04:05.678"},
            {"isNull": True},
            {"stringValue": ""},
        ]
    ]
    kinds = [column["typeName"] for column in result["ColumnMetadata"]]
    assert kinds[:8] == [
        "int2", "int8", "float8", "bool", "varchar", "numeric", "date", "timestamp",
    ]  # fmt: skip
    assert [column["label"] for column in result["ColumnMetadata"]] == list("abcdefghij")


def test_parameters_are_values_of_whatever_type_the_column_has(warehouse, table):
    parameters = [
        {"name": "id", "value": "7"},
        {"name": "name", "value": "O'Brien; DROP TABLE x --"},
        {"name": "price", "value": "12.50"},
    ]
    warehouse.run(f"INSERT INTO {table} VALUES (:id, :name, :price)", Parameters=parameters)
    found = warehouse.rows(
        f"SELECT name, price FROM {table} WHERE id = :id AND name <> ':name'",
        Parameters=parameters[:1],
    )
    assert found == [["O'Brien; DROP TABLE x --", "12.50"]]


def test_an_error_is_the_databases_own_and_nothing_is_left_behind(warehouse, table):
    described = warehouse.end(warehouse.submit(f"INSERT INTO {table} VALUES (1, 'a', 'no number')"))
    assert described["Status"] == "FAILED"
    assert described["Error"].startswith("ERROR: ")
    assert "no number" in described["Error"]
    missing = warehouse.end(warehouse.submit("SELECT * FROM no_such_table"))
    assert 'relation "no_such_table" does not exist' in missing["Error"]
    with pytest.raises(ClientError, match="does not have result") as refusal:
        warehouse.data.get_statement_result(Id=missing["Id"])
    assert refusal.value.response["Error"]["Code"] == "ResourceNotFoundException"


def test_two_statements_in_one_text_are_refused(warehouse):
    assert warehouse.end(warehouse.submit("SELECT 1; SELECT 2"))["Status"] == "FAILED"


def test_a_long_result_comes_in_pages_and_whole(warehouse):
    found = warehouse.rows(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2500)"
        " SELECT i FROM n ORDER BY i"
    )
    assert [row[0] for row in found] == list(range(1, 2501))


def test_a_batch_is_one_transaction(warehouse, table):
    failed = warehouse.end(
        warehouse.batch(
            f"INSERT INTO {table} VALUES (1)", "SELECT * FROM no_such_table", "SELECT 1"
        )
    )
    assert failed["Status"] == "FAILED"
    assert failed["Error"].startswith("Query #2 failed with ERROR: ")
    assert [sub["Status"] for sub in failed["SubStatements"]] == ["FINISHED", "FAILED", "ABORTED"]
    assert warehouse.rows(f"SELECT COUNT(*) FROM {table}") == [[0]]
    done = warehouse.end(
        warehouse.batch(f"INSERT INTO {table} VALUES (1)", f"SELECT COUNT(*) FROM {table}")
    )
    assert done["Status"] == "FINISHED"
    counted = warehouse.data.get_statement_result(Id=done["SubStatements"][1]["Id"])
    assert counted["Records"] == [[{"longValue": 1}]]
    assert warehouse.rows(f"SELECT COUNT(*) FROM {table}") == [[1]]


def test_auto_commit_keeps_what_went_well(warehouse, table):
    described = warehouse.end(
        warehouse.batch(
            f"INSERT INTO {table} VALUES (1)",
            "SELECT * FROM no_such_table",
            f"INSERT INTO {table} VALUES (2)",
            ExecutionMode="AUTO_COMMIT",
        )
    )
    assert described["Status"] == "FAILED"
    assert warehouse.rows(f"SELECT COUNT(*) FROM {table}") == [[2]]


def test_a_procedure_is_called_with_parameters(warehouse, table):
    name = table.replace(".t_", ".p_")
    warehouse.run(
        f"CREATE OR REPLACE PROCEDURE {name}(from_id IN BIGINT, to_id IN BIGINT) AS $$\n"
        f"BEGIN INSERT INTO {table} (id) VALUES (from_id), (to_id); END;\n$$ LANGUAGE plpgsql"
    )
    warehouse.run(
        f"CALL {name}(:from, :to)",
        Parameters=[{"name": "from", "value": "3"}, {"name": "to", "value": "4"}],
    )
    assert warehouse.rows(f"SELECT id FROM {table} ORDER BY id") == [[3], [4]]
    warehouse.run(f"DROP PROCEDURE {name}(BIGINT, BIGINT)")


def test_a_submit_repeated_with_its_token_runs_once(warehouse, table):
    token = str(uuid.uuid4())
    sql = f"INSERT INTO {table} VALUES (1)"
    with ThreadPoolExecutor(8) as pool:
        identifiers = set(pool.map(lambda _: warehouse.submit(sql, ClientToken=token), range(8)))
    assert len(identifiers) == 1
    warehouse.end(identifiers.pop())
    assert warehouse.rows(f"SELECT COUNT(*) FROM {table}") == [[1]]
    with pytest.raises(ClientError, match="ClientToken") as refusal:
        warehouse.submit("SELECT 1", ClientToken=token)
    assert refusal.value.response["Error"]["Code"] == "ValidationException"


def test_cancelling_ends_the_query_in_the_database(warehouse, table):
    identifier = warehouse.batch(
        f"INSERT INTO {table} VALUES (1)",
        "WITH RECURSIVE n(i) AS (SELECT 1::bigint UNION ALL SELECT i + 1 FROM n)"
        " SELECT COUNT(*) FROM n",
    )
    while warehouse.data.describe_statement(Id=identifier)["Status"] != "STARTED":
        time.sleep(0.01)
    time.sleep(0.1)
    started = time.monotonic()
    assert warehouse.data.cancel_statement(Id=identifier)["Status"] is True
    assert warehouse.end(identifier)["Status"] == "ABORTED"
    assert time.monotonic() - started < 5
    assert warehouse.rows(f"SELECT COUNT(*) FROM {table}") == [[0]]
    with pytest.raises(ClientError, match="already in ABORTED state"):
        warehouse.data.cancel_statement(Id=identifier)


def test_a_temporary_table_of_one_statement_is_not_there_for_the_next(warehouse):
    warehouse.run("CREATE TEMP TABLE only_mine (id INT)")
    described = warehouse.end(warehouse.submit("SELECT * FROM only_mine"))
    assert described["Status"] == "FAILED"


def test_statements_run_beside_each_other(warehouse):
    started = time.monotonic()
    identifiers = [warehouse.submit("SELECT pg_sleep(1)") for _ in range(4)]
    for identifier in identifiers:
        warehouse.end(identifier)
    assert time.monotonic() - started < 3.5


def test_waiting_gives_the_result_in_two_calls(warehouse):
    answer = warehouse.data.execute_statement(
        **warehouse.request(Sql="SELECT 1"), WaitTimeSeconds=5
    )
    assert (answer["Status"], answer["HasResultSet"]) == ("FINISHED", True)
    assert warehouse.data.get_statement_result(Id=answer["Id"])["TotalNumRows"] == 1


# -- who may ---------------------------------------------------------------------------------


def test_a_caller_without_the_secret_is_denied_by_name(warehouse, stranger):
    name, allow = stranger
    data = allow("redshift-data:*")
    with pytest.raises(ClientError, match="secretsmanager:GetSecretValue") as refusal:
        Warehouse(data, warehouse.workgroup, warehouse.secret).submit("SELECT 1")
    assert refusal.value.response["Error"]["Code"] == "AccessDeniedException"
    assert f"user/{name}" in str(refusal.value)


def test_a_caller_without_execute_statement_is_denied(warehouse, stranger):
    _, allow = stranger
    data = allow("redshift-data:DescribeStatement")
    with pytest.raises(ClientError, match="redshift-data:ExecuteStatement"):
        Warehouse(data, warehouse.workgroup, warehouse.secret).submit("SELECT 1")


def test_without_a_secret_the_iam_user_is_a_database_user_with_no_rights(warehouse, stranger):
    name, allow = stranger
    own = Warehouse(allow("redshift-data:*"), warehouse.workgroup, None)
    with pytest.raises(ClientError, match="redshift-serverless:GetCredentials"):
        own.submit("SELECT 1")
    own.data = allow("redshift-data:*", "redshift-serverless:GetCredentials")
    assert own.rows("SELECT current_user") == [[f"IAM:{name}"]]
    described = own.end(own.submit("SELECT * FROM public.products_f"))
    assert "permission denied" in described["Error"]


def test_a_policy_can_be_about_the_statements_of_others_and_about_one_workgroup(
    sandbox, warehouse, stranger
):
    _, allow = stranger
    rights = ("redshift-data:*", "redshift-serverless:GetCredentials")
    not_owner = {"StringNotEquals": {"redshift-data:statement-owner-iam-userid": "${aws:userid}"}}
    own = Warehouse(allow(*rights), warehouse.workgroup, None)
    identifier = own.run("SELECT 1")["Id"]
    own.data = allow(*rights, denied={"Action": "redshift-data:*", "Condition": not_owner})
    assert own.data.describe_statement(Id=identifier)["Status"] == "FINISHED"
    of_others = warehouse.run("SELECT 1")["Id"]
    with pytest.raises(ClientError, match="with an explicit deny"):
        own.data.describe_statement(Id=of_others)
    reading = {"Action": "redshift-data:GetStatementResult"}
    with pytest.raises(ClientError, match="redshift-data:GetStatementResult "):
        allow(*rights, denied=reading).get_statement_result_v2(Id=identifier)
    serverless = sandbox.client("account-b-admin", "redshift-serverless")
    found = serverless.get_workgroup(workgroupName=warehouse.workgroup)["workgroup"]
    serverless.tag_resource(
        resourceArn=found["workgroupArn"], tags=[{"key": "team", "value": "data"}]
    )
    tagged = {"StringEquals": {"aws:ResourceTag/team": "data"}}
    for action in ("redshift-data:ExecuteStatement", "redshift-serverless:GetCredentials"):
        own.data = allow(*rights, denied={"Action": action, "Condition": tagged})
        with pytest.raises(ClientError, match=f"not authorized to perform: {action}"):
            own.submit("SELECT 1")
    serverless.untag_resource(resourceArn=found["workgroupArn"], tagKeys=["team"])


def test_another_caller_does_not_see_the_statement(warehouse, stranger):
    identifier = warehouse.run("SELECT 1")["Id"]
    _, allow = stranger
    data = allow("redshift-data:*")
    for call in (data.describe_statement, data.get_statement_result, data.cancel_statement):
        with pytest.raises(ClientError, match="does not exist") as refusal:
            call(Id=identifier)
        assert refusal.value.response["Error"]["Code"] == "ResourceNotFoundException"
    assert data.list_statements(Status="ALL")["Statements"] == []


def test_a_secret_with_a_wrong_password_fails_the_statement(sandbox, warehouse):
    admin = sandbox.client("account-b-admin", "secretsmanager")
    wrong = admin.create_secret(
        Name=f"wrong-{uuid.uuid4().hex[:8]}",
        SecretString=json.dumps({"username": "xacct", "password": "Wrong1234"}),
    )["ARN"]
    data = sandbox.client("account-b-admin", "redshift-data")
    caller = Warehouse(data, warehouse.workgroup, wrong)
    described = caller.end(caller.submit("SELECT 1"))
    assert described["Status"] == "FAILED"
    assert "password authentication failed" in described["Error"]
    assert "Wrong1234" not in json.dumps(described, default=str)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        ({"WorkgroupName": "no-such-group"}, "endpoint doesn't exist"),
        ({"ResultFormat": "CSV"}, "CSV"),
        ({"SessionKeepAliveSeconds": 60}, "SessionKeepAliveSeconds"),
        ({"WithEvent": True}, "WithEvent"),
    ],
)
def test_what_the_sandbox_cannot_do_is_refused_by_name(sandbox, warehouse, change, text):
    data = sandbox.client("account-b-admin", "redshift-data")
    with pytest.raises(ClientError, match=text) as refusal:
        data.execute_statement(**{**warehouse.request(Sql="SELECT 1"), **change})
    assert refusal.value.response["Error"]["Code"] == "ValidationException"


def test_a_database_that_is_not_there_fails_the_statement(warehouse):
    elsewhere = Warehouse(warehouse.data, warehouse.workgroup, warehouse.secret, "nope")
    assert 'database "nope" does not exist' in elsewhere.end(elsewhere.submit("SELECT 1"))["Error"]


# -- metadata --------------------------------------------------------------------------------


def test_schemas_tables_and_columns_are_listed(sandbox, warehouse, table):
    data = sandbox.client("account-b-admin", "redshift-data")
    request = warehouse.request()
    assert data.list_databases(**request)["Databases"] == ["dev"]
    schemas = data.list_schemas(**request)["Schemas"]
    assert "public" in schemas
    assert "sandbox_internal" not in schemas
    name = table.removeprefix("public.")
    tables = data.list_tables(**request, SchemaPattern="public", TablePattern=name)["Tables"]
    assert tables == [{"name": name, "type": "TABLE", "schema": "public"}]
    columns = data.describe_table(**request, Schema="public", Table=name)["ColumnList"]
    assert [column["name"] for column in columns] == ["id", "name", "price"]


# -- redshift-serverless ---------------------------------------------------------------------


def connect(config: Any, user: str, password: str) -> Any:
    return redshift_connector.connect(
        host="127.0.0.1",
        port=config.redshift_port,
        database="dev",
        user=user,
        password=password,
        sslmode="verify-full",
    )


@pytest.fixture
def trusted(sandbox: Any, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("SSL_CERT_FILE", str(sandbox.config.ca_bundle))
    return sandbox.config


def test_temporary_credentials_open_the_wire_as_the_role(sandbox, trusted, warehouse):
    serverless = sandbox.client("account-b-admin", "redshift-serverless")
    given = serverless.get_credentials(workgroupName=warehouse.workgroup, durationSeconds=900)
    assert 880 < given["expiration"].timestamp() - time.time() < 910
    with connect(trusted, given["dbUser"], given["dbPassword"]) as connection:
        cursor = connection.cursor()
        cursor.execute("SELECT current_user")
        assert cursor.fetchone()[0] == given["dbUser"] == "IAM:admin"
    with pytest.raises(redshift_connector.Error):
        connect(trusted, given["dbUser"], given["dbPassword"] + "x")


def test_the_deployed_workgroup_answers_at_its_endpoint(sandbox, trusted, warehouse):
    serverless = sandbox.client("account-b-admin", "redshift-serverless")
    workgroup = serverless.get_workgroup(workgroupName=warehouse.workgroup)["workgroup"]
    assert workgroup["status"] == "AVAILABLE"
    assert workgroup["endpoint"]["address"] == "127.0.0.1"
    assert workgroup["endpoint"]["port"] == trusted.redshift_port
    namespace = serverless.get_namespace(namespaceName=workgroup["namespaceName"])["namespace"]
    assert namespace["adminUsername"]
    assert f"role/xacct-RoleB-{trusted.suffix}" in namespace["iamRoles"][0]
    with pytest.raises(ClientError, match="a second one"):
        serverless.create_namespace(namespaceName="another")
