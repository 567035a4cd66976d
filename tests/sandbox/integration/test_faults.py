"""Every kind of planned fault, as a client of AWS sees it, on the deployed sandbox."""

from __future__ import annotations

import json
import struct
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import pytest
from botocore.config import Config
from botocore.exceptions import ClientError, ConnectionClosedError, ReadTimeoutError
from redshift_connector import Connection
from redshift_connector.error import Error as DriverError
from redshift_connector.error import ProgrammingError

from tests.support.sandbox import RunningSandbox
from tests.support.simple_protocol import Simple, kinds
from tests.support.warehouse import connect
from xacct_sandbox import faults
from xacct_sandbox.faults import Fault, FaultRefused

ENDED = {"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"}
FOLDER = "fault-tests/"
# How redshift_connector says that a connection broke; the last when it was reading a message.
BROKEN = (DriverError, OSError, struct.error)


@dataclass
class Faulty:
    """The sandbox, its faults, and clients without retries."""

    sandbox: RunningSandbox
    mark: str

    def plan(self, kind: str, **fields: Any) -> str:
        return faults.add(self.sandbox.config, Fault(kind, **fields))[0]

    def injected(self) -> list[tuple[str, str, str]]:
        """Kind, service and operation of every injection."""
        log = faults.log(self.sandbox.config)
        return [(entry["kind"], entry["service"], entry["operation"]) for entry in log]

    def once(self, service: str, profile: str = "account-b-admin", **more: Any) -> Any:
        key = (f"{profile} once {more}", service)
        if key not in self.sandbox.clients:
            config = Config(retries={"total_max_attempts": 1}, **more)
            session = self.sandbox.session(profile)
            self.sandbox.clients[key] = self.sandbox.client_of(session, service, config=config)
        return self.sandbox.clients[key]

    @property
    def processing(self) -> str:
        return f"xacct-processing-{self.sandbox.config.suffix}"

    @property
    def exports(self) -> str:
        return f"sample-opt-bucket-etl-{self.sandbox.config.suffix}"

    def role(self, account: str, name: str) -> str:
        return f"arn:aws:iam::{account}:role/xacct-{name}-{self.sandbox.config.suffix}"

    @property
    def role_a(self) -> str:
        return self.role(self.sandbox.config.account_a, "RoleA")

    @property
    def role_b(self) -> str:
        return self.role(self.sandbox.config.account_b, "RoleB")

    @property
    def secret(self) -> dict[str, Any]:
        name = f"xacct/redshift-{self.sandbox.config.suffix}"
        client = self.sandbox.client("account-b-admin", "secretsmanager")
        answer = client.get_secret_value(SecretId=name)
        return {"arn": answer["ARN"], **json.loads(answer["SecretString"])}

    def connect(self, **options: Any) -> Connection:
        secret = self.secret
        return connect(self.sandbox.config, secret["username"], secret["password"], **options)

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        connection = self.connect()
        connection.autocommit = True
        try:
            cursor = connection.cursor()
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []
        finally:
            connection.close()

    def data_api(self, sql: str) -> dict[str, Any]:
        """A statement of the Data API at its end."""
        data = self.once("redshift-data")
        submitted = data.execute_statement(
            WorkgroupName=f"xacct-{self.sandbox.config.suffix}",
            Database="dev",
            SecretArn=self.secret["arn"],
            Sql=sql,
        )
        return dict(until(lambda: self._ended(submitted["Id"])))

    def _ended(self, identifier: str) -> dict[str, Any] | None:
        found = self.once("redshift-data").describe_statement(Id=identifier, WaitTimeSeconds=5)
        return found if found["Status"] in ("FINISHED", "FAILED", "ABORTED") else None


def until(look: Callable[[], Any]) -> Any:
    deadline = time.monotonic() + 120
    while True:
        found = look()
        if found:
            return found
        assert time.monotonic() < deadline
        time.sleep(0.05)


@pytest.fixture
def faulty(sandbox: RunningSandbox) -> Iterator[Faulty]:
    faults.clear(sandbox.config)
    faults.forget(sandbox.config)
    yield Faulty(sandbox, uuid.uuid4().hex[:8])
    faults.clear(sandbox.config)
    faults.forget(sandbox.config)


# -- the HTTP APIs -----------------------------------------------------------------------------

CALLS: dict[str, tuple[str, Callable[[Any], Any]]] = {
    "s3": ("ListBuckets", lambda client: client.list_buckets()),
    "sts": ("GetCallerIdentity", lambda client: client.get_caller_identity()),
    "glue": ("GetDatabases", lambda client: client.get_databases()),
    "sqs": ("ListQueues", lambda client: client.list_queues()),
    "secretsmanager": ("ListSecrets", lambda client: client.list_secrets()),
    "redshift-data": ("ListStatements", lambda client: client.list_statements()),
    "redshift-serverless": ("ListWorkgroups", lambda client: client.list_workgroups()),
    "logs": ("DescribeLogGroups", lambda client: client.describe_log_groups()),
    "iam": ("ListRoles", lambda client: client.list_roles()),
    "cloudformation": ("DescribeStacks", lambda client: client.describe_stacks()),
}
REFUSALS = {
    "throttle": {
        "s3": ("SlowDown", 503),
        "sts": ("Throttling", 400),
        "iam": ("Throttling", 400),
        "cloudformation": ("Throttling", 400),
        "sqs": ("RequestThrottled", 403),
        "": ("ThrottlingException", 400),
    },
    "server_error": {
        "s3": ("InternalError", 500),
        "glue": ("InternalServiceException", 500),
        "redshift-data": ("InternalServerException", 500),
        "redshift-serverless": ("InternalServerException", 500),
        "secretsmanager": ("InternalServiceError", 500),
        "logs": ("ServiceUnavailableException", 500),
        "": ("InternalFailure", 500),
    },
    "expired_token": {
        "s3": ("ExpiredToken", 400),
        "sts": ("ExpiredToken", 403),
        "iam": ("ExpiredToken", 403),
        "cloudformation": ("ExpiredToken", 403),
        "": ("ExpiredTokenException", 400),
    },
}


@pytest.mark.parametrize("kind", list(REFUSALS))
def test_every_service_refuses_in_its_own_format_and_then_serves_again(
    faulty: Faulty, kind: str
) -> None:
    for service, (operation, call) in CALLS.items():
        client = faulty.once(service)
        faulty.plan(kind, service=service, operation=operation)
        with pytest.raises(ClientError) as refused:
            call(client)
        answer = refused.value.response
        expected = REFUSALS[kind].get(service) or REFUSALS[kind][""]
        said = (answer["Error"]["Code"], answer["ResponseMetadata"]["HTTPStatusCode"])
        assert (service, said) == (service, expected)
        call(client)
    assert faulty.injected() == [
        (kind, service, operation) for service, (operation, _) in CALLS.items()
    ]


def test_boto3s_own_retries_absorb_a_throttled_call(faulty: Faulty) -> None:
    faulty.plan("throttle", service="glue", operation="GetDatabases", count=2)

    answer = faulty.sandbox.client("account-b-admin", "glue").get_databases()

    assert answer["ResponseMetadata"]["RetryAttempts"] == 2
    assert len(faulty.injected()) == 2


def test_a_timeout_does_nothing_and_a_lost_answer_does_everything(
    faulty: Faulty,
) -> None:
    glue = faulty.once("glue")
    name = f"fault_{faulty.mark}"
    for kind, there in (("timeout", False), ("lost_answer", True)):
        faulty.plan(kind, service="glue", operation="CreateDatabase", match=name)
        with pytest.raises(ConnectionClosedError):
            glue.create_database(DatabaseInput={"Name": name})
        databases = [item["Name"] for item in glue.get_databases()["DatabaseList"]]
        assert (name in databases) is there, kind
    glue.delete_database(Name=name)
    assert faulty.injected() == [
        ("timeout", "glue", "CreateDatabase"),
        ("lost_answer", "glue", "CreateDatabase"),
    ]


def test_a_large_upload_whose_answer_is_lost_is_stored(faulty: Faulty) -> None:
    s3 = faulty.once("s3")
    place = {"Bucket": faulty.processing, "Key": f"{FOLDER}{faulty.mark}/large"}
    faulty.plan("lost_answer", service="s3", operation="PutObject", match=faulty.mark)

    with pytest.raises(ConnectionClosedError):
        s3.put_object(**place, Body=bytes(3_000_000))

    assert s3.head_object(**place)["ContentLength"] == 3_000_000
    s3.delete_object(**place)


def test_a_slow_answer_comes_after_the_client_timed_out_and_the_work_is_done(
    faulty: Faulty,
) -> None:
    impatient = faulty.once("s3", read_timeout=1)
    place = {"Bucket": faulty.processing, "Key": f"{FOLDER}{faulty.mark}/slow"}
    faulty.plan("slow", service="s3", operation="PutObject", match=faulty.mark, seconds=3)

    with pytest.raises(ReadTimeoutError):
        impatient.put_object(**place, Body=b"x")

    assert impatient.head_object(**place)["ContentLength"] == 1
    impatient.delete_object(**place)


def test_a_fault_for_one_principal_leaves_the_others_alone(faulty: Faulty) -> None:
    operation, call = CALLS["sts"]
    faulty.plan("throttle", service="sts", operation=operation, principal="role/xacct-orchestrator")

    call(faulty.once("sts"))
    with pytest.raises(ClientError, match="Throttling"):
        call(faulty.once("sts", "orchestrator"))


def test_an_object_is_replaced_between_listing_and_reading(faulty: Faulty) -> None:
    s3 = faulty.once("s3")
    place = {"Bucket": faulty.processing, "Key": f"{FOLDER}{faulty.mark}/a b%20ü.csv"}
    listed = s3.put_object(**place, Body=b"old")["ETag"]
    faulty.plan("object_replaced", operation="GetObject", match="a b%20ü.csv", body="néw")

    with pytest.raises(ClientError, match="PreconditionFailed"):
        s3.get_object(**place, IfMatch=listed)

    assert s3.get_object(**place)["Body"].read().decode() == "néw"
    assert faulty.injected() == [("object_replaced", "s3", "GetObject")]
    s3.delete_object(**place)


# -- notifications -----------------------------------------------------------------------------


@pytest.fixture
def queue(faulty: Faulty) -> Iterator[str]:
    sqs = faulty.once("sqs")
    url = sqs.create_queue(QueueName=f"fault-{faulty.mark}")["QueueUrl"]
    yield url
    sqs.delete_queue(QueueUrl=url)


def test_a_deleted_notification_is_delivered_again(faulty: Faulty, queue: str) -> None:
    sqs = faulty.once("sqs")
    sqs.send_message(QueueUrl=queue, MessageBody="one")
    faulty.plan("duplicate_notification", match=faulty.mark)

    ids = []
    for _ in range(2):
        [message] = sqs.receive_message(QueueUrl=queue)["Messages"]
        sqs.delete_message(QueueUrl=queue, ReceiptHandle=message["ReceiptHandle"])
        ids.append(message["MessageId"])

    assert ids[0] == ids[1]
    assert "Messages" not in sqs.receive_message(QueueUrl=queue)
    assert faulty.injected() == [("duplicate_notification", "sqs", "ReceiveMessage")]


def test_notifications_are_delivered_in_the_wrong_order(faulty: Faulty, queue: str) -> None:
    sqs = faulty.once("sqs")
    faulty.plan("reordered_notification", match=faulty.mark)
    sqs.send_message(QueueUrl=queue, MessageBody="1")
    waiting = {"QueueUrl": queue, "MaxNumberOfMessages": 10, "VisibilityTimeout": 0}
    assert [item["Body"] for item in sqs.receive_message(**waiting)["Messages"]] == ["1"]
    for body in "23":
        sqs.send_message(QueueUrl=queue, MessageBody=body)

    assert [item["Body"] for item in sqs.receive_message(**waiting)["Messages"]] == ["3", "2", "1"]


# -- the database ------------------------------------------------------------------------------


@pytest.fixture
def table(faulty: Faulty) -> Iterator[str]:
    name = f"public.fault_{faulty.mark}"
    faulty.query(f"CREATE TABLE {name} (n INTEGER)")
    yield name
    faults.clear(faulty.sandbox.config)
    faulty.query(f"DROP TABLE {name}")


def test_a_reset_connection_rolls_its_transaction_back(faulty: Faulty, table: str) -> None:
    connection = faulty.connect()
    cursor = connection.cursor()
    cursor.execute(f"INSERT INTO {table} VALUES (1)")
    faulty.plan("connection_reset", operation="Statement", match=table)

    with pytest.raises(BROKEN):
        cursor.execute(f"INSERT INTO {table} VALUES (2)")

    assert faulty.query(f"SELECT n FROM {table}") == []
    assert faulty.injected() == [("connection_reset", "redshift", "Statement")]


@pytest.mark.parametrize("operation", ["Statement", "Commit"])
def test_a_conflict_is_error_1023_and_the_connection_stays_usable(
    faulty: Faulty, table: str, operation: str
) -> None:
    connection = faulty.connect()
    cursor = connection.cursor()
    faulty.plan("serialization_conflict", operation=operation)

    with pytest.raises(ProgrammingError) as failed:
        _insert_and_commit(connection, table)

    said = failed.value.args[0]
    assert (said["C"], said["M"]) == ("XX000", "1023")
    assert said["D"].startswith("Serializable isolation violation on table - ")
    connection.rollback()
    cursor.execute(f"INSERT INTO {table} VALUES (2)")
    connection.commit()
    connection.close()
    assert faulty.query(f"SELECT n FROM {table}") == [(2,)]


@pytest.mark.parametrize("operation", ["Connect", "Begin"])
def test_a_connection_breaks_at_connect_or_begin_if_that_is_named(
    faulty: Faulty, operation: str
) -> None:
    faulty.plan("connection_reset", operation=operation)

    with pytest.raises(BROKEN):
        faulty.connect().cursor().execute("SELECT 1")

    assert faulty.injected() == [("connection_reset", "redshift", operation)]
    faulty.connect().cursor().execute("SELECT 1")


def _insert_and_commit(connection: Connection, table: str) -> None:
    connection.cursor().execute(f"INSERT INTO {table} VALUES (1)")
    connection.commit()


def test_a_lost_commit_is_committed(faulty: Faulty, table: str) -> None:
    connection = faulty.connect()
    connection.cursor().execute(f"INSERT INTO {table} VALUES (1)")
    faulty.plan("commit_lost")

    with pytest.raises(BROKEN):
        connection.commit()

    assert faulty.query(f"SELECT n FROM {table}") == [(1,)]
    assert faulty.injected() == [("commit_lost", "redshift", "Commit")]


def test_the_data_api_sees_the_databases_faults(faulty: Faulty, table: str) -> None:
    faulty.plan("serialization_conflict", match=table)
    conflict = faulty.data_api(f"INSERT INTO {table} VALUES (1)")
    faulty.plan("commit_lost", match=table)
    lost = faulty.data_api(f"INSERT INTO {table} VALUES (2)")
    faulty.plan("connection_reset", match=table)
    reset = faulty.data_api(f"INSERT INTO {table} VALUES (3)")

    assert [item["Status"] for item in (conflict, lost, reset)] == ["FAILED"] * 3
    assert conflict["Error"].startswith("ERROR: 1023\n  Detail: Serializable isolation violation")
    assert lost["Error"].startswith("Connection to the database failed")
    assert faulty.query(f"SELECT n FROM {table}") == [(2,)]


def _scripts(faulty: Faulty) -> Simple:
    secret = faulty.secret
    return Simple(faulty.sandbox.config, secret["username"], secret["password"])


def test_scripts_of_the_simple_protocol_get_faults_too(faulty: Faulty, table: str) -> None:
    client = _scripts(faulty)
    insert = f"insert into {table} values"
    faulty.plan("serialization_conflict", match=table)
    answer = client.query(f"{insert} (1); {insert} (2)")
    assert (kinds(answer), answer[-1][1]) == (b"EZ", b"I")

    client.query(f"begin; {insert} (3)")
    faulty.plan("serialization_conflict", operation="Commit")
    at_commit = client.query("commit")
    assert (kinds(at_commit), at_commit[-1][1]) == (b"EZ", b"I")

    client.query("begin")
    faulty.plan("serialization_conflict", operation="Statement")
    within = client.query(f"{insert} (4)")
    assert (kinds(within), within[-1][1]) == (b"EZ", b"E")
    client.query("rollback")

    faulty.plan("commit_lost", match=table)
    with pytest.raises(OSError):
        client.query(f"{insert} (5); {insert} (6)")
    assert faulty.query(f"SELECT n FROM {table} ORDER BY n") == [(5,), (6,)]


@pytest.fixture
def copy(faulty: Faulty, table: str) -> Iterator[str]:
    """A COPY of two rows into the table."""
    s3 = faulty.once("s3")
    place = {"Bucket": faulty.processing, "Key": f"glue-tmp/{FOLDER}{faulty.mark}.csv"}
    s3.put_object(**place, Body=b"1\n2\n")
    url = f"s3://{place['Bucket']}/{place['Key']}"
    yield f"COPY {table} FROM '{url}' IAM_ROLE '{faulty.role_b}' CSV"
    s3.delete_object(**place)


@pytest.mark.parametrize(
    ("kind", "rows"),
    [("connection_reset", []), ("serialization_conflict", []), ("commit_lost", [(1,), (2,)])],
)
def test_a_copy_gets_a_fault_while_it_is_running(
    faulty: Faulty, table: str, copy: str, kind: str, rows: list[Any]
) -> None:
    faulty.plan(kind, match=table)

    with pytest.raises(BROKEN):
        faulty.query(copy)

    assert faulty.query(f"SELECT n FROM {table} ORDER BY n") == rows
    operation = "Commit" if kind == "commit_lost" else "Copy"
    assert faulty.injected() == [(kind, "redshift", operation)]
    faulty.query(copy)


def test_a_paused_workgroup_ends_sessions_and_accepts_none_until_it_is_back(
    faulty: Faulty,
) -> None:
    old = faulty.connect()
    old.cursor().execute("SELECT 1")
    faulty.plan("workgroup_paused", seconds=600)

    for _ in range(2):
        with pytest.raises(DriverError, match="paused"):
            faulty.connect()
    with pytest.raises(BROKEN):
        old.cursor().execute("SELECT 2")
    refused = faulty.data_api("SELECT 3")
    assert (refused["Status"], "paused" in refused["Error"]) == ("FAILED", True)

    faults.clear(faulty.sandbox.config)
    assert faulty.query("SELECT 4") == [(4,)]
    assert faulty.injected() == [("workgroup_paused", "redshift", "Connect")]


def test_a_pause_ends_by_itself(faulty: Faulty) -> None:
    faulty.plan("workgroup_paused", seconds=0.5)

    def back() -> Any:
        try:
            return faulty.query("SELECT 1")
        except DriverError:
            return None

    assert back() is None
    assert until(back) == [(1,)]


def test_an_unload_that_dies_leaves_half_of_its_files_and_no_manifest(
    faulty: Faulty, table: str
) -> None:
    folder = f"{FOLDER}{faulty.mark}/"
    rows = ", ".join(f"({number})" for number in range(20_000))
    faulty.query(f"INSERT INTO {table} VALUES {rows}")
    faulty.plan("unload_dies", match=table)
    unload = (
        f"UNLOAD ('SELECT n FROM {table}') TO 's3://{faulty.exports}/{folder}' "
        f"IAM_ROLE '{faulty.role_b},{faulty.role_a}' CSV MANIFEST VERBOSE CLEANPATH"
    )

    with pytest.raises(ProgrammingError, match="S3ServiceException"):
        faulty.query(unload)

    s3 = faulty.once("s3", "account-a-admin")

    def listed() -> dict[str, bytes]:
        found = s3.list_objects_v2(Bucket=faulty.exports, Prefix=folder)["Contents"]
        return {
            item["Key"].removeprefix(folder): s3.get_object(Bucket=faulty.exports, Key=item["Key"])[
                "Body"
            ].read()
            for item in found
        }

    half = listed()
    assert [name for name in half if "manifest" in name] == []
    assert 0 < sum(body.count(b"\n") for body in half.values()) < 20_000

    faulty.query(unload)
    whole = listed()
    assert json.loads(whole.pop("manifest"))["meta"]["record_count"] == 20_000
    assert sum(body.count(b"\n") for body in whole.values()) == 20_000
    for name in (*whole, "manifest"):
        s3.delete_object(Bucket=faulty.exports, Key=folder + name)


# -- crawls ------------------------------------------------------------------------------------


@pytest.fixture
def crawler(faulty: Faulty) -> Iterator[str]:
    glue, name = faulty.once("glue"), f"fault_{faulty.mark}"
    glue.create_crawler(
        Name=name,
        Role=faulty.role(faulty.sandbox.config.account_b, "glue"),
        # The role may write to the feeds' databases only.
        DatabaseName="products_db",
        Targets={"S3Targets": [{"Path": f"s3://{faulty.processing}/glue-tmp/{name}/"}]},
    )
    yield name
    glue.delete_crawler(Name=name)


def ready(faulty: Faulty, crawler: str) -> dict[str, Any]:
    def look() -> dict[str, Any] | None:
        found = faulty.once("glue").get_crawler(Name=crawler)["Crawler"]
        return found if found["State"] == "READY" else None

    return dict(until(look))


def test_a_busy_crawler_runs_a_real_crawl_of_another_caller(faulty: Faulty, crawler: str) -> None:
    glue = faulty.once("glue")
    faulty.plan("crawler_busy", match=crawler, seconds=0.5)

    with pytest.raises(ClientError, match="CrawlerRunningException"):
        glue.start_crawler(Name=crawler)
    assert glue.get_crawler(Name=crawler)["Crawler"]["State"] == "RUNNING"
    ready(faulty, crawler)

    assert [crawl["State"] for crawl in glue.list_crawls(CrawlerName=crawler)["Crawls"]] == [
        "COMPLETED"
    ]
    glue.start_crawler(Name=crawler)
    ready(faulty, crawler)


def test_a_crawl_fails(faulty: Faulty, crawler: str) -> None:
    glue = faulty.once("glue")
    faulty.plan("crawl_failed", match=crawler)

    glue.start_crawler(Name=crawler)
    last = ready(faulty, crawler)["LastCrawl"]

    assert (last["Status"], last["ErrorMessage"]) == ("FAILED", "Internal Service Exception")
    assert faulty.injected() == [("crawl_failed", "glue", "Crawl")]


# -- job runs ----------------------------------------------------------------------------------

LOAD = """
import sys
from awsglue.context import GlueContext
from awsglue.dynamicframe import DynamicFrame
from awsglue.utils import getResolvedOptions
from pyspark.context import SparkContext

given = getResolvedOptions(sys.argv, ["table", "connection", "tmp", "role"])
context = GlueContext(SparkContext.getOrCreate())
frame = context.spark_session.range(1000).selectExpr("CAST(id AS STRING) AS n")
context.write_dynamic_frame.from_options(
    frame=DynamicFrame.fromDF(frame, context, "rows"),
    connection_type="redshift",
    connection_options={
        "useConnectionProperties": "true",
        "connectionName": given["connection"],
        "dbtable": given["table"],
        "redshiftTmpDir": given["tmp"],
        "aws_iam_role": given["role"],
        "preactions": f"DELETE FROM {given['table']}",
        "tempformat": "CSV GZIP",
    },
)
"""


@pytest.fixture
def job(faulty: Faulty, table: str) -> Iterator[str]:
    """A job that replaces the rows of the table by a thousand."""
    glue, name = faulty.once("glue"), f"fault-{faulty.mark}"
    connection = f"xacct-redshift-{faulty.sandbox.config.suffix}"
    script = {"Bucket": faulty.processing, "Key": f"scripts/{name}.py"}
    faulty.once("s3").put_object(**script, Body=LOAD.encode())
    glue.create_job(
        Name=name,
        Role=faulty.role(faulty.sandbox.config.account_b, "glue"),
        Command={
            "Name": "glueetl",
            "PythonVersion": "3",
            "ScriptLocation": f"s3://{script['Bucket']}/{script['Key']}",
        },
        GlueVersion="5.0",
        WorkerType="G.1X",
        NumberOfWorkers=2,
        # In the subnet of the connection, from which the warehouse can be reached.
        Connections={"Connections": [connection]},
        DefaultArguments={
            "--table": table,
            "--connection": connection,
            "--tmp": f"s3://{faulty.processing}/glue-tmp/{name}/",
            "--role": faulty.role_b,
        },
    )
    yield name
    glue.delete_job(JobName=name)
    faulty.once("s3").delete_object(**script)


def run(faulty: Faulty, job: str) -> dict[str, Any]:
    glue = faulty.once("glue")
    run_id = glue.start_job_run(JobName=job)["JobRunId"]

    def look() -> dict[str, Any] | None:
        found = glue.get_job_run(JobName=job, RunId=run_id)["JobRun"]
        return found if found["JobRunState"] in ENDED else None

    return dict(until(look))


def test_a_job_run_ends_in_each_failed_state(faulty: Faulty, job: str) -> None:
    expected = {
        "job_failed": ("FAILED", "exit code 10"),
        "job_error": ("ERROR", "Internal service error"),
        "job_timeout": ("TIMEOUT", "exceeded its Timeout"),
        "job_expired": ("EXPIRED", "expired"),
    }
    for kind, (state, words) in expected.items():
        faulty.plan(kind, match=job)
        ended = run(faulty, job)
        assert (ended["JobRunState"], words in ended["ErrorMessage"]) == (state, True), ended
    assert faulty.injected() == [(kind, "glue", "JobRun") for kind in expected]


def test_a_job_that_is_killed_in_its_copy_changes_nothing(
    faulty: Faulty, job: str, table: str
) -> None:
    faulty.query(f"INSERT INTO {table} VALUES (7)")
    faulty.plan("job_killed_in_copy", match=job)

    killed = run(faulty, job)

    assert killed["JobRunState"] == "FAILED"
    assert killed["ErrorMessage"] == "Command failed with exit code 10"
    assert faulty.query(f"SELECT n FROM {table}") == [(7,)]
    assert faulty.injected() == [("job_killed_in_copy", "glue", "JobRun")]

    # The work of a run that is reported as failed may be done all the same.
    faulty.plan("job_error", match=job, seconds=60)
    assert run(faulty, job)["JobRunState"] == "ERROR"
    assert faulty.query(f"SELECT COUNT(*) FROM {table}") == [(1000,)]


# -- planning ----------------------------------------------------------------------------------


def test_an_impossible_fault_is_refused_and_nothing_is_planned(faulty: Faulty) -> None:
    config = faulty.sandbox.config
    with pytest.raises(FaultRefused, match=r"it can happen in: .*StartJobRun"):
        faults.add(
            config,
            Fault("throttle"),
            Fault("throttle", service="glue", operation="StartJobRuns"),
        )
    assert faults.plan(config) == []


def test_the_command_plans_lists_and_clears_and_status_shows_planned_faults(
    faulty: Faulty,
) -> None:
    sandbox = faulty.sandbox

    def fault(*words: str) -> str:
        return sandbox.run("xacct_sandbox.cli", "fault", *words).stdout

    added = fault("add", "throttle", "--service", "glue", "--operation", "GetDatabases")
    assert "f" in added.split(" ")[0]
    assert "throttle in glue GetDatabases, 1x" in added
    assert (
        "faults    1 planned, 0 injected so far"
        in sandbox.run("xacct_sandbox.cli", "status", check=False).stdout
    )
    with pytest.raises(ClientError):
        faulty.once("glue").get_databases()
    [listed] = json.loads(fault("list", "--json"))
    assert (listed["matched"], listed["injected"]) == (1, 1)
    fault("clear")
    assert fault("list") == "no faults are planned\n"
    assert "throttle               glue GetDatabases" in fault("log")
    fault("forget")
    assert fault("log") == "no fault was injected\n"
    refused = sandbox.run("xacct_sandbox.cli", "fault", "add", "trottle", check=False)
    assert refused.returncode == 1
    assert "there is no fault 'trottle'; there are: throttle," in refused.stderr
