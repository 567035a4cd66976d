"""The Redshift Data API: statuses, results, parameters, batches, tokens, limits."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ParamValidationError

from tests.conformance.target import Target, outcome, refusal
from tests.conformance.warehouse import Warehouse

STATUSES = {"SUBMITTED", "PICKED", "STARTED", "FINISHED"}


@pytest.fixture(scope="module")
def table(warehouse: Warehouse) -> Iterator[str]:
    name = f"public.data_{uuid.uuid4().hex[:8]}"
    warehouse.run(f"CREATE TABLE {name} (id BIGINT, name VARCHAR(64), price DECIMAL(12,2))")
    yield name
    warehouse.run(f"DROP TABLE {name}")


def count(warehouse: Warehouse, table: str, where: str) -> int:
    return int(warehouse.rows(f"SELECT COUNT(*) FROM {table} WHERE {where}")[0][0])


@pytest.mark.claim("data-statuses")
def test_a_statement_goes_from_submitted_to_finished(warehouse: Warehouse) -> None:
    statement = warehouse.submit("SELECT 1 AS one")
    seen = []
    while not seen or seen[-1] not in ("FINISHED", "FAILED", "ABORTED"):
        seen.append(warehouse.data.describe_statement(Id=statement)["Status"])
    assert set(seen) <= STATUSES
    found = warehouse.data.describe_statement(Id=statement)
    assert (found["HasResultSet"], found["ResultRows"]) == (True, 1)
    assert found["Duration"] > 0
    assert found["QueryString"] == "SELECT 1 AS one"


@pytest.mark.claim("data-long-poll")
def test_a_request_can_wait_for_the_end(warehouse: Warehouse) -> None:
    statement = warehouse.submit("SELECT 1")
    assert warehouse.data.describe_statement(Id=statement, WaitTimeSeconds=30)["Status"] == (
        "FINISHED"
    )
    code, _ = refusal(warehouse.data.describe_statement, Id=statement, WaitTimeSeconds=31)
    assert code == "ValidationException"


@pytest.mark.claim("data-result-types")
def test_each_type_comes_back_in_its_member_of_the_answer(warehouse: Warehouse) -> None:
    ended = warehouse.run(
        "SELECT 1::smallint AS a, 2::bigint AS b, 1.5::float8 AS c, true AS d, 'é'::varchar AS e,"
        " 12.50::decimal(12,2) AS f, date '2026-01-02' AS g,"
        " timestamp '2026-01-02 03:04:05.678' AS h, null::int AS i, ''::varchar AS j"
    )
    answer = warehouse.data.get_statement_result(Id=ended["Id"])
    assert answer["Records"] == [
        [
            {"longValue": 1},
            {"longValue": 2},
            {"doubleValue": 1.5},
            {"booleanValue": True},
            {"stringValue": "é"},
            {"stringValue": "12.50"},
            {"stringValue": "2026-01-02"},
            {"stringValue": "2026-01-02 03:04:05.678"},
            {"isNull": True},
            {"stringValue": ""},
        ]
    ]
    assert answer["TotalNumRows"] == 1
    assert [column["label"] for column in answer["ColumnMetadata"]] == list("abcdefghij")


@pytest.mark.claim("data-parameters")
def test_parameters_are_values_and_never_sql(warehouse: Warehouse, table: str) -> None:
    parameters = [
        {"name": "id", "value": "7"},
        {"name": "name", "value": "O'Brien; DROP TABLE x --"},
        {"name": "price", "value": "12.50"},
    ]
    warehouse.run(f"INSERT INTO {table} VALUES (:id, :name, :price)", Parameters=parameters)
    found = warehouse.rows(
        f"SELECT name, price FROM {table} WHERE id = :id", Parameters=parameters[:1]
    )
    assert found == [["O'Brien; DROP TABLE x --", "12.50"]]


@pytest.mark.claim("data-parameters-not-empty")
def test_a_parameter_cannot_be_empty(warehouse: Warehouse) -> None:
    empty = [{"name": "x", "value": ""}]
    with pytest.raises(ParamValidationError):
        warehouse.submit("SELECT :x", Parameters=empty)
    # The service says so too.
    account = warehouse.target.b
    unchecked = account.session.client(
        "redshift-data", config=Config(parameter_validation=False), **account.options
    )
    request = {"WorkgroupName": warehouse.workgroup, "Database": "dev", "Parameters": empty}
    asked = {**request, "Sql": "SELECT :x", "SecretArn": warehouse.secret}
    assert outcome(unchecked.execute_statement, **asked) == "ValidationException"


@pytest.mark.claim("data-client-token")
def test_a_token_makes_a_submission_happen_once(warehouse: Warehouse, table: str) -> None:
    token, sql = str(uuid.uuid4()), f"INSERT INTO {table} VALUES (20)"
    first = warehouse.submit(sql, ClientToken=token)
    assert warehouse.submit(sql, ClientToken=token) == first
    assert warehouse.wait(first)["Status"] == "FINISHED"
    assert warehouse.submit(sql, ClientToken=token) == first
    assert count(warehouse, table, "id = 20") == 1


@pytest.mark.claim("data-batch-is-a-transaction")
def test_a_batch_is_one_transaction(warehouse: Warehouse, table: str) -> None:
    ended = warehouse.wait(
        warehouse.submit(
            f"INSERT INTO {table} VALUES (30)", "SELECT * FROM no_such_table", "SELECT 1"
        )
    )
    assert ended["Status"] == "FAILED"
    statuses = [sub["Status"] for sub in ended["SubStatements"]]
    assert statuses == ["FINISHED", "FAILED", "ABORTED"]
    assert count(warehouse, table, "id = 30") == 0
    done = warehouse.run(f"INSERT INTO {table} VALUES (30)", f"SELECT COUNT(*) FROM {table}")
    subs = [sub["Id"] for sub in done["SubStatements"]]
    assert subs == [f"{done['Id']}:1", f"{done['Id']}:2"]
    answer = warehouse.data.get_statement_result(Id=subs[1])
    assert answer["Records"][0][0]["longValue"] >= 1


@pytest.mark.claim("data-batch-of-forty")
def test_a_batch_has_at_most_forty_statements(warehouse: Warehouse) -> None:
    assert warehouse.run(*["SELECT 1"] * 40)["Status"] == "FINISHED"
    with pytest.raises(ClientError) as refused:
        warehouse.submit(*["SELECT 1"] * 41)
    assert refused.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.claim("data-text-limit")
def test_a_text_of_more_than_100_kb_is_refused(warehouse: Warehouse) -> None:
    with pytest.raises(ClientError) as refused:
        warehouse.submit(f"SELECT '{'x' * (100 * 1024)}'")
    assert refused.value.response["Error"]["Code"] == "ValidationException"


@pytest.mark.claim("data-errors")
def test_a_failed_statement_has_the_databases_error_and_no_result(warehouse: Warehouse) -> None:
    ended = warehouse.wait(warehouse.submit("SELECT * FROM no_such_table"))
    assert ended["Status"] == "FAILED"
    assert ended["Error"].startswith("ERROR: ")
    assert 'relation "no_such_table" does not exist' in ended["Error"]
    code, message = refusal(warehouse.data.get_statement_result, Id=ended["Id"])
    assert code == "ResourceNotFoundException"
    assert "does not have result" in message


@pytest.mark.claim("data-no-result-set")
def test_a_statement_without_rows_has_no_result(warehouse: Warehouse, table: str) -> None:
    ended = warehouse.run(f"DELETE FROM {table} WHERE id = -1")
    assert ended["HasResultSet"] is False
    code = outcome(warehouse.data.get_statement_result, Id=ended["Id"])
    assert code == "ResourceNotFoundException"


@pytest.mark.claim("data-cancel")
def test_a_statement_that_is_cancelled_is_aborted_and_undone(
    target: Target, warehouse: Warehouse, table: str
) -> None:
    endless = (
        "WITH RECURSIVE n(i) AS (SELECT 1::bigint UNION ALL SELECT i + 1 FROM n"
        " WHERE i < 100000000) SELECT COUNT(*) FROM n"
    )
    statement = warehouse.submit(f"INSERT INTO {table} VALUES (40)", endless)
    status = lambda: warehouse.data.describe_statement(Id=statement)["Status"]  # noqa: E731
    target.becomes("STARTED", status, patience=60)
    assert warehouse.data.cancel_statement(Id=statement)["Status"] is True
    assert warehouse.wait(statement)["Status"] == "ABORTED"
    assert count(warehouse, table, "id = 40") == 0
    assert outcome(warehouse.data.cancel_statement, Id=statement) != "allowed"


@pytest.mark.claim("data-list-by-name")
def test_statements_are_found_by_their_name(warehouse: Warehouse) -> None:
    name = f"claims-{uuid.uuid4().hex[:8]}"
    ended = warehouse.run("SELECT 1", StatementName=f"{name}-one")
    listed = warehouse.data.list_statements(StatementName=name, Status="ALL")["Statements"]
    assert [(entry["Id"], entry["StatementName"]) for entry in listed] == [
        (ended["Id"], f"{name}-one")
    ]


@pytest.mark.claim("data-session-ends-with-its-statement")
def test_a_temporary_table_is_gone_with_its_statement(warehouse: Warehouse) -> None:
    warehouse.run("CREATE TEMP TABLE only_mine (id INT)")
    assert "does not exist" in warehouse.error("SELECT * FROM only_mine")


@pytest.mark.claim("data-unknown-workgroup")
def test_a_workgroup_that_is_not_there_is_refused(warehouse: Warehouse) -> None:
    request = {"WorkgroupName": "no-such-workgroup", "Database": "dev", "Sql": "SELECT 1"}
    code, message = refusal(warehouse.data.execute_statement, **request, SecretArn=warehouse.secret)
    assert code == "ValidationException"
    assert "doesn't exist in this region" in message


@pytest.mark.claim("data-iam-identity-is-a-user")
def test_without_a_secret_the_caller_is_a_database_user_of_its_name(
    target: Target, warehouse: Warehouse
) -> None:
    (row,) = warehouse_by_iam(warehouse, "SELECT current_user")
    arn = target.b.client("sts").get_caller_identity()["Arn"]
    kind, _, rest = arn.rpartition(":")[2].partition("/")
    expected = f"IAMR:{rest.split('/')[0]}" if kind == "assumed-role" else f"IAM:{rest}"
    assert row == [expected]


def warehouse_by_iam(warehouse: Warehouse, sql: str) -> list[list[Any]]:
    request = {"WorkgroupName": warehouse.workgroup, "Database": "dev"}
    statement = warehouse.data.execute_statement(Sql=sql, **request)["Id"]
    assert warehouse.wait(statement)["Status"] == "FINISHED"
    answer = warehouse.data.get_statement_result(Id=statement)
    return [[next(iter(field.values())) for field in record] for record in answer["Records"]]


@pytest.mark.claim("serverless-credentials")
def test_temporary_credentials_last_from_15_minutes_to_an_hour(warehouse: Warehouse) -> None:
    serverless = warehouse.target.b.client("redshift-serverless")
    asked = {"workgroupName": warehouse.workgroup}
    given = serverless.get_credentials(**asked, durationSeconds=900)
    assert given["dbUser"].startswith("IAM")
    assert given["dbPassword"]
    code, _ = refusal(serverless.get_credentials, **asked, durationSeconds=3601)
    assert code == "ValidationException"
