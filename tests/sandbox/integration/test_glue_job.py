"""Glue jobs run for real: Spark, the script of this repository, the job role's own permissions."""

from __future__ import annotations

import base64
import gzip
import io
import json
import ssl
import time
import uuid
import zipfile
import zlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from typing import Any

import pytest
import redshift_connector

from tests.support.load_requests import request_json
from tests.support.project import ROOT
from tests.support.sandbox import RunningSandbox

TERMINAL = {"SUCCEEDED", "FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"}
RUN_SECONDS = 180
LOAD_SCRIPT = ROOT / "glue" / "load.py"
DAY = "2031-05-04"
EMPTY_DAY = "2031-05-05"

# -- the machinery of job runs -----------------------------------------------------------------


@dataclass
class Jobs:
    """A role, a bucket and jobs in account B, made for these tests."""

    sandbox: RunningSandbox
    bucket: str
    role: str
    made: list[str] = field(default_factory=list)

    def client(self, service: str) -> Any:
        return self.sandbox.client("account-b-admin", service)

    def job(self, script: str, *, concurrent: int = 1, **arguments: str) -> str:
        """A job with this script; keyword arguments become default arguments."""
        name = f"test-{uuid.uuid4().hex[:8]}"
        self.client("s3").put_object(
            Bucket=self.bucket, Key=f"scripts/{name}.py", Body=script.encode()
        )
        self.client("glue").create_job(
            Name=name,
            Role=self.role,
            Command={
                "Name": "glueetl",
                "PythonVersion": "3",
                "ScriptLocation": f"s3://{self.bucket}/scripts/{name}.py",
            },
            GlueVersion="5.0",
            WorkerType="G.1X",
            NumberOfWorkers=2,
            ExecutionProperty={"MaxConcurrentRuns": concurrent},
            DefaultArguments={
                f"--{key.replace('_', '-')}": value for key, value in arguments.items()
            },
        )
        self.made.append(name)
        return name

    def start(self, job: str, **arguments: str) -> str:
        given = {f"--{key}": value for key, value in arguments.items()}
        answer = self.client("glue").start_job_run(JobName=job, Arguments=given)
        return str(answer["JobRunId"])

    def wait(self, job: str, run_id: str, states: set[str] = TERMINAL) -> dict[str, Any]:
        deadline = time.monotonic() + RUN_SECONDS
        while True:
            run = self.client("glue").get_job_run(JobName=job, RunId=run_id)["JobRun"]
            if run["JobRunState"] in states:
                return dict(run)
            assert run["JobRunState"] not in TERMINAL, run
            assert time.monotonic() < deadline, run
            time.sleep(0.1)

    def run(self, job: str, **arguments: str) -> dict[str, Any]:
        return self.wait(job, self.start(job, **arguments))

    def log(self, run_id: str, stream: str = "output") -> list[str]:
        answer = self.client("logs").get_log_events(
            logGroupName=f"/aws-glue/jobs/{stream}", logStreamName=run_id, startFromHead=True
        )
        return [event["message"] for event in answer["events"]]


@pytest.fixture(scope="module")
def jobs(bare_sandbox: RunningSandbox) -> Iterator[Jobs]:
    mark = uuid.uuid4().hex[:8]
    bucket = f"glue-tests-{mark}"
    iam, s3 = (bare_sandbox.client("account-b-admin", name) for name in ("iam", "s3"))
    s3.create_bucket(Bucket=bucket)
    trust = {"Effect": "Allow", "Principal": {"Service": "glue.amazonaws.com"}}
    role = iam.create_role(
        RoleName=f"glue-tests-{mark}",
        AssumeRolePolicyDocument=_policy({**trust, "Action": "sts:AssumeRole"}),
    )["Role"]
    arn = f"arn:aws:s3:::{bucket}"
    iam.put_role_policy(
        RoleName=role["RoleName"],
        PolicyName="own-bucket",
        PolicyDocument=_policy(
            {
                "Effect": "Allow",
                "Action": ["s3:ListBucket", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"],
                "Resource": [arn, f"{arn}/scripts/*", f"{arn}/data/*"],
            }
        ),
    )
    made = Jobs(bare_sandbox, bucket, role["Arn"])
    yield made
    for name in made.made:
        made.client("glue").delete_job(JobName=name)


def _policy(*statements: dict[str, Any]) -> str:
    return json.dumps({"Version": "2012-10-17", "Statement": list(statements)})


HELLO = """
import os, sys
import boto3
from awsglue.context import GlueContext
from awsglue.job import Job
from awsglue.utils import getResolvedOptions
from pyspark.context import SparkContext

arguments = getResolvedOptions(sys.argv, ["JOB_NAME", "greeting"])
glue_context = GlueContext(SparkContext.getOrCreate())
spark = glue_context.spark_session
job = Job(glue_context)
job.init(arguments["JOB_NAME"], arguments)
"""


def test_output_is_in_the_logs_and_the_role_is_the_principal(jobs: Jobs) -> None:
    job = jobs.job(
        HELLO
        + "print(arguments['greeting'], boto3.client('sts').get_caller_identity()['Arn'])\n"
        + "glue_context.get_logger().info('from the logger')\njob.commit()\n",
        greeting="default",
    )
    run = jobs.run(job, greeting="hello")
    assert run["JobRunState"] == "SUCCEEDED", run
    (line,) = jobs.log(run["Id"])
    assert line.startswith("hello arn:aws:sts::222222222222:assumed-role/glue-tests-")
    assert any("from the logger" in line for line in jobs.log(run["Id"], "error"))


def test_an_exception_is_the_error_message_and_its_trace_is_logged(jobs: Jobs) -> None:
    run = jobs.run(jobs.job(HELLO + "raise ValueError('the file is broken')\n"), greeting="x")
    assert run["JobRunState"] == "FAILED"
    assert run["ErrorMessage"] == "ValueError: the file is broken"
    trace = jobs.log(run["Id"], "error")
    assert trace[-1] == "ValueError: the file is broken"
    assert not any("runpy" in line for line in trace)


def test_what_the_role_may_not_read_is_denied_by_name(jobs: Jobs) -> None:
    jobs.client("s3").put_object(Bucket=jobs.bucket, Key="secret/a.csv", Body=b"a\n1\n")
    job = jobs.job(HELLO + f"spark.read.csv('s3://{jobs.bucket}/secret/a.csv').show()\n")
    run = jobs.run(job, greeting="x")
    assert run["JobRunState"] == "FAILED"
    assert "assumed-role/glue-tests-" in run["ErrorMessage"]
    assert "s3:GetObject" in run["ErrorMessage"]
    assert f"{jobs.bucket}/secret/a.csv" in run["ErrorMessage"]


def test_a_script_the_role_may_not_read_fails_the_run_by_name(jobs: Jobs) -> None:
    job = jobs.job("print(1)\n")
    glue, url = jobs.client("glue"), f"s3://{jobs.bucket}/secret/load.py"
    command = {"Name": "glueetl", "PythonVersion": "3", "ScriptLocation": url}
    update = {"Role": jobs.role, "Command": command, "GlueVersion": "5.0"}
    glue.update_job(JobName=job, JobUpdate=update)
    run = jobs.run(job)
    assert run["JobRunState"] == "FAILED"
    assert f"Cannot read {url} as {jobs.role}" in run["ErrorMessage"]


def test_a_stopped_run_dies_and_the_next_one_runs(jobs: Jobs) -> None:
    job = jobs.job(HELLO + "import time\nprint('on it')\ntime.sleep(float(arguments['greeting']))")
    run_id = jobs.start(job, greeting="600")
    jobs.wait(job, run_id, {"RUNNING"})
    with pytest.raises(jobs.client("glue").exceptions.ConcurrentRunsExceededException):
        jobs.start(job, greeting="0")
    answer = jobs.client("glue").batch_stop_job_run(JobName=job, JobRunIds=[run_id])
    assert [item["JobRunId"] for item in answer["SuccessfulSubmissions"]] == [run_id]
    began = time.monotonic()
    run = jobs.wait(job, run_id)
    assert run["JobRunState"] == "STOPPED"
    assert time.monotonic() - began < 10
    assert jobs.run(job, greeting="0")["JobRunState"] == "SUCCEEDED"


def test_a_script_leaves_nothing_to_the_next_one(jobs: Jobs) -> None:
    job = jobs.job(
        HELLO
        + """
import extra
print(extra.count(), "leak" in globals(), os.environ.get("LEAK"), len(os.listdir(".")),
      spark.conf.get("spark.sql.shuffle.partitions"), len(spark.catalog.listTables()),
      spark.sparkContext._jsc.getPersistentRDDs().size())
leak = os.environ["LEAK"] = "leak"
spark.conf.set("spark.sql.shuffle.partitions", "99")
spark.range(9).persist().count()
spark.range(9).createOrReplaceTempView("view_of_" + arguments["greeting"])
open("left-behind", "w").close()
""",
        extra_py_files=f"s3://{jobs.bucket}/data/extra.zip",
    )
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(
            "extra.py",
            "calls = 0\ndef count():\n    global calls\n    calls += 1\n    return calls\n",
        )
    jobs.client("s3").put_object(Bucket=jobs.bucket, Key="data/extra.zip", Body=archive.getvalue())
    logs = [jobs.log(jobs.run(job, greeting=name)["Id"]) for name in ("a", "b")]
    assert logs[0] == logs[1]


def test_spark_reads_and_writes_s3_under_its_own_names(jobs: Jobs) -> None:
    folder = f"s3://{jobs.bucket}/data/odd"
    key = "data/odd/a b+%20[x] 'q\" é😀:1.csv"
    jobs.client("s3").put_object(Bucket=jobs.bucket, Key=key, Body=b"a\n1\n2\n")
    job = jobs.job(
        HELLO
        + f"""
frame = spark.read.csv("{folder}/", header=True)
print(frame.selectExpr("url_decode(replace(_metadata.file_path, '+', '%2B')) f").first().f)
for mode in ("overwrite", "append", "overwrite", "ignore"):
    frame.coalesce(1).write.mode(mode).json("{folder}-out/")
    print(mode, spark.read.json("{folder}-out/").count())
try:
    frame.write.json("{folder}-out/")
except Exception as problem:
    print(type(problem).__name__)
"""
    )
    run = jobs.run(job, greeting="x")
    assert run["JobRunState"] == "SUCCEEDED", run
    assert jobs.log(run["Id"]) == [
        f"s3://{jobs.bucket}/{key}",
        "overwrite 2",
        "append 4",
        "overwrite 2",
        "ignore 2",
        "AnalysisException",
    ]
    listed = jobs.client("s3").list_objects_v2(Bucket=jobs.bucket, Prefix="data/odd-out/")
    names = [item["Key"].rpartition("/")[2] for item in listed["Contents"]]
    assert sum(name.startswith("part-") for name in names) == 1
    assert not any(name.endswith(".crc") for name in names)


def test_what_glue_does_not_have_cannot_be_imported(jobs: Jobs) -> None:
    run = jobs.run(jobs.job("import dagster_pipes\n"))
    assert run["JobRunState"] == "FAILED"
    assert "dagster_pipes" in run["ErrorMessage"]
    assert "--extra-py-files" in run["ErrorMessage"]


def test_the_load_script_without_its_zip_names_the_fix(jobs: Jobs) -> None:
    run = jobs.run(jobs.job(LOAD_SCRIPT.read_text(encoding="utf-8")))
    assert run["JobRunState"] == "FAILED"
    assert "run `xacct deploy`" in run["ErrorMessage"]


# -- the load ----------------------------------------------------------------------------------


@dataclass
class Load:
    """The products job of a deployed sandbox, started as its asset starts it."""

    sandbox: RunningSandbox
    name: str = "xacct-local-products"

    def client(self, service: str) -> Any:
        return self.sandbox.client("account-b-admin", service)

    @property
    def processing(self) -> str:
        return f"xacct-processing-{self.sandbox.config.suffix}"

    def put(self, day: str, name: str, body: bytes | str) -> None:
        self.sandbox.client("account-a-admin", "s3").put_object(
            Bucket=self.sandbox.config.input_bucket,
            Key=f"{self.folder(day)}{name}",
            Body=body.encode() if isinstance(body, str) else body,
        )

    def folder(self, day: str) -> str:
        return f"load-tests/{day.replace('-', '/')}/"

    def catalog(self, days: Sequence[str]) -> None:
        """The table and partitions a crawl would have made."""
        glue = self.client("glue")
        root = f"s3://{self.sandbox.config.input_bucket}/"
        columns = [{"Name": name, "Type": "string"} for name, _, _ in COLUMNS]
        storage = {"Columns": columns, "Location": f"{root}load-tests/"}
        glue.create_table(
            DatabaseName="products_db",
            TableInput={
                "Name": "load_tests",
                "StorageDescriptor": storage,
                "PartitionKeys": [{"Name": f"partition_{n}", "Type": "string"} for n in range(3)],
                "Parameters": {"classification": "csv"},
            },
        )
        for day in days:
            glue.create_partition(
                DatabaseName="products_db",
                TableName="load_tests",
                PartitionInput={
                    "Values": day.split("-"),
                    "StorageDescriptor": {**storage, "Location": root + self.folder(day)},
                },
            )

    def run(self, days: Sequence[str], **owners: str) -> tuple[dict[str, Any], dict[str, Any]]:
        """Run the job for these days: the job run, and what it reported for each day.

        ``owners``: accounts that are named as owners of the raw and the working bucket.
        """
        config = self.sandbox.config
        owner = {"raw": config.account_a, "working": config.account_b, **owners}
        load_id = uuid.uuid4().hex
        prefix = f"pipes/{load_id}"
        s3 = self.client("s3")
        context = {
            **dict.fromkeys(PIPES_FIELDS),
            "run_id": load_id,
            "retry_number": 0,
            "extras": self.extras(load_id, days),
        }
        s3.put_object(
            Bucket=self.processing, Key=f"{prefix}/context.json", Body=json.dumps(context).encode()
        )
        run_id = self.client("glue").start_job_run(
            JobName=self.name,
            Arguments={
                "--load_id": load_id,
                "--bucket_owners": f"{config.input_bucket}={owner['raw']},"
                f"{self.processing}={owner['working']}",
                "--dagster-pipes-context": _encoded(
                    {"bucket": self.processing, "key": f"{prefix}/context.json"}
                ),
                "--dagster-pipes-messages": _encoded(
                    {"bucket": self.processing, "key_prefix": f"{prefix}/messages"}
                ),
            },
        )["JobRunId"]
        run = Jobs(self.sandbox, "", "").wait(self.name, run_id)
        return run, self.report(f"{prefix}/messages")

    def report(self, prefix: str) -> dict[str, Any]:
        s3 = self.client("s3")
        for item in s3.list_objects_v2(Bucket=self.processing, Prefix=prefix).get("Contents", []):
            body = s3.get_object(Bucket=self.processing, Key=item["Key"])["Body"].read()
            for line in body.decode().splitlines():
                message = json.loads(line)
                if message["method"] == "report_custom_message":
                    return dict(message["params"]["payload"]["days"])
        return {}

    def extras(self, load_id: str, days: Sequence[str]) -> dict[str, Any]:
        config = self.sandbox.config
        return {
            **request_json(),
            "feed": "load_tests",
            "load_id": load_id,
            "days": [{"day": day, "values": day.split("-")} for day in days],
            "catalog": {"database": "products_db", "table": "load_tests"},
            "columns": [
                {"name": name, "type": kind, "nullable": nullable}
                for name, kind, nullable in COLUMNS
            ],
            "staging": {"table": "public.load_tests", "load_audit": "public.xacct_load_audit"},
            "connection": f"xacct-redshift-{config.suffix}",
            "tmp_dir": f"s3://{self.processing}/glue-tmp/load_tests/{load_id}/",
            "copy_role": f"arn:aws:iam::{config.account_b}:role/xacct-RoleB-{config.suffix}",
            "rejects": f"s3://{self.processing}/rejects/load_tests/",
        }

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        secret = json.loads(
            self.client("secretsmanager").get_secret_value(
                SecretId=f"xacct/redshift-{self.sandbox.config.suffix}"
            )["SecretString"]
        )
        with closing(
            redshift_connector.connect(
                host=secret["host"],
                port=int(secret["port"]),
                database=secret["dbname"],
                user=secret["username"],
                password=secret["password"],
                sslmode="verify-full",
            )
        ) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(sql)
            return [tuple(row) for row in cursor.fetchall()] if cursor.description else []

    def rejects(self, day: str) -> tuple[dict[str, Any], list[dict[str, Any]]]:
        """The manifest of a day and the records of its files."""
        s3 = self.client("s3")

        def read(key: str) -> bytes:
            return bytes(s3.get_object(Bucket=self.processing, Key=key)["Body"].read())

        manifest = json.loads(read(f"rejects/load_tests/{day.replace('-', '/')}/manifest.json"))
        records = [
            json.loads(line)
            for file in manifest["files"]
            for line in gzip.decompress(read(file["key"])).decode().splitlines()
        ]
        return manifest, records


PIPES_FIELDS = (
    "asset_keys",
    "code_version_by_asset_key",
    "provenance_by_asset_key",
    "partition_key",
    "partition_key_range",
    "partition_time_window",
    "job_name",
)
COLUMNS = [
    ("id", "bigint", False),
    ("name", "varchar(20)", False),
    ("price", "decimal(12,2)", False),
    ("stock", "integer", True),
    ("note", "varchar(65535)", True),
    ("at", "timestamp", False),
]
HEADER = "id,name,price,stock,note,at"
AT = "2031-05-04T10:00:00"


def _encoded(params: dict[str, Any]) -> str:
    return base64.b64encode(zlib.compress(json.dumps(params).encode())).decode()


@pytest.fixture(scope="module")
def load(sandbox: RunningSandbox, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Load]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("SSL_CERT_FILE", str(sandbox.config.ca_bundle))
        ssl.create_default_context()
        made = Load(sandbox)
        made.query(
            "CREATE TABLE public.load_tests (partition_date DATE NOT NULL, id BIGINT NOT NULL, "
            "name VARCHAR(20) NOT NULL, price DECIMAL(12,2) NOT NULL, stock INTEGER, "
            "note VARCHAR(65535), at TIMESTAMP NOT NULL)"
        )
        made.catalog([DAY, EMPTY_DAY])
        yield made
        made.query("DROP TABLE public.load_tests")
        made.client("glue").delete_table(DatabaseName="products_db", Name="load_tests")


@pytest.fixture
def clean(load: Load) -> Iterator[Callable[[str, bytes | str], None]]:
    """Puts files of the day; they are gone after the test."""
    names: list[str] = []

    def put(name: str, body: bytes | str) -> None:
        names.append(name)
        load.put(DAY, name, body)

    yield put
    s3 = load.sandbox.client("account-a-admin", "s3")
    for name in names:
        s3.delete_object(Bucket=load.sandbox.config.input_bucket, Key=load.folder(DAY) + name)


def test_a_day_with_everything_in_it_loads_whole_and_again_the_same(
    load: Load, clean: Callable[[str, bytes | str], None]
) -> None:
    long = "y" * 65535
    clean(
        "a.csv",
        "\n".join(
            [
                HEADER,
                f'1,"Café, ""x"" 😀",12.30,5,"two\nlines",{AT}',
                f'2,empty,1,,"",{AT}Z',
                f"3,null,1.500,,,{AT}.123456",
                f'4, blanks ,1,,"  both  ",{AT}+02:00',
                f'5,long,1,,{long},"{AT}"',
                f"6,back\\slash,1,,@NULL@,{AT}",
                f"7,rounding,12.345,,,{AT}",
                f"8,overflow,12345678901.00,,,{AT}",
                f"9,bytes ééééééééé,1,,,{AT}",
                f"10,no number,1,five,,{AT}",
                f",no id,1,,,{AT}",
                "11,short",
                "12,no such day,1,,,2031-02-30T00:00:00",
                f"1,again,1,,,{AT}",
                f"13,{'x' * 100_000},1,,,{AT}",
            ]
        ),
    )
    clean(
        "b +%20[1] é.csv",
        f'id,price,name,at,note,stock\r\n14,1,crlf,{AT},"a\r\nb",1\r\n\r\n2,1,again,{AT},,\r\n',
    )
    clean("c.csv.gz", gzip.compress(f"{HEADER}\n15,gzip,1,,,{AT}".encode()))
    clean("_hidden.csv", "not,a,feed\n")
    clean("readme.txt", "not a feed\n")
    load.put(EMPTY_DAY, "header.csv", HEADER)
    load.put(EMPTY_DAY, "zero.csv", b"")

    run, report = load.run([DAY, EMPTY_DAY])
    assert run["JobRunState"] == "SUCCEEDED", run.get("ErrorMessage")
    day = report[DAY]
    assert (day["files"], day["rows_read"], day["rows_loaded"]) == (3, 18, 8)
    assert day["rows_rejected"] == sum(day["reasons"].values()) == 10
    assert report[EMPTY_DAY] == {
        "files": 2,
        "rows_read": 0,
        "rows_loaded": 0,
        "rows_rejected": 0,
        "reasons": {},
        "sample": [],
    }

    rows = _rows(load)
    assert [row[0] for row in rows] == [1, 2, 3, 4, 5, 6, 14, 15]
    by_id = {row[0]: row[1:] for row in rows}
    assert by_id[1] == ('Café, "x" 😀', "12.30", 5, "two\nlines", "2031-05-04 10:00:00")
    assert by_id[2][3] == ""
    assert by_id[3] == ("null", "1.50", None, None, "2031-05-04 10:00:00.123456")
    assert by_id[4] == (" blanks ", "1.00", None, "  both  ", "2031-05-04 08:00:00")
    assert by_id[5][3] == long
    assert by_id[6][0] == "back\\slash"
    assert by_id[6][3] == "@NULL@"
    assert by_id[14][3] == "a\r\nb"

    manifest, records = load.rejects(DAY)
    assert manifest["rejected_rows"] == len(records) == 10
    assert manifest["reasons"] == day["reasons"]
    reasons = {record["raw_record"].partition(",")[0]: record["reason"] for record in records}
    assert reasons["7"] == "price: not a decimal(12,2): 12.345"
    assert reasons["8"].startswith("price: not a decimal(12,2)")
    assert reasons["9"].startswith("name: longer than 20 bytes")
    assert reasons["10"] == "stock: not an integer: five"
    assert reasons[""] == "id: missing"
    assert reasons["11"] == "wrong number of fields"
    assert reasons["12"].startswith("at: not a timestamp")
    assert reasons["1"] == "id: duplicate key: 1"
    again = next(record for record in records if record["raw_record"] == f"2,1,again,{AT},,")
    assert again["reason"] == "id: duplicate key: 2"
    assert again["source_file"].endswith("/2031/05/04/b +%20[1] é.csv")
    assert next(r for r in records if r["raw_record"].startswith("13,"))["raw_record"] == (
        f"13,{'x' * 100_000},1,,,{AT}"
    )
    assert load.rejects(EMPTY_DAY)[0]["rejected_rows"] == 0

    run, second = load.run([DAY])
    assert run["JobRunState"] == "SUCCEEDED", run.get("ErrorMessage")
    assert second[DAY] == day
    assert _rows(load) == rows
    assert load.rejects(DAY)[1] == records
    assert _load_audit(load) == [(DAY, 8), (EMPTY_DAY, 0)]
    assert _temporary_files(load) == []


def _rows(load: Load) -> list[tuple[Any, ...]]:
    rows = load.query(
        "SELECT id, name, CAST(price AS VARCHAR(20)), stock, note, at FROM public.load_tests "
        f"WHERE partition_date = '{DAY}' ORDER BY id"
    )
    return [(*row[:5], str(row[5])) for row in rows]


def _load_audit(load: Load) -> list[tuple[str, int]]:
    rows = load.query(
        "SELECT partition_date, rows_loaded FROM public.xacct_load_audit WHERE feed = 'load_tests' "
        "ORDER BY partition_date"
    )
    return [(str(day), count) for day, count in rows]


def _temporary_files(load: Load) -> list[str]:
    listed = load.client("s3").list_objects_v2(
        Bucket=load.processing, Prefix="glue-tmp/load_tests/"
    )
    return [item["Key"] for item in listed.get("Contents", [])]


GZIPPED = gzip.compress(HEADER.encode())
# Its head is well, so that only reading it whole shows that it was cut off.
BROKEN_LATER = gzip.compress(
    "\n".join([HEADER, *(f"{n},{uuid.uuid4().hex[:20]},1,,,{AT}" for n in range(5000))]).encode()
)[:-100]


@pytest.mark.parametrize(
    ("name", "body", "text"),
    [
        pytest.param("a.csv", HEADER.replace(",", ";"), "separated by a semicolon", id="delimiter"),
        pytest.param("a.csv", f"{HEADER},extra\n", "not of the feed 'extra'", id="column"),
        pytest.param("a.csv", GZIPPED, "gzip without a name ending in .gz", id="gzip"),
        pytest.param("a.csv.gz", GZIPPED[:-4], "gzip file that ends too early", id="cut"),
        pytest.param("a.csv.gz", BROKEN_LATER, "broken gzip file (Compressed", id="cut-later"),
    ],
)
def test_a_malformed_file_fails_the_run_by_name_and_changes_nothing(
    load: Load,
    clean: Callable[[str, bytes | str], None],
    name: str,
    body: bytes | str,
    text: str,
) -> None:
    before = _load_audit(load)
    clean(name, body)
    run, report = load.run([DAY])
    assert run["JobRunState"] == "FAILED"
    assert f"{load.folder(DAY)}{name}" in run["ErrorMessage"]
    assert text in run["ErrorMessage"]
    assert report == {}
    assert _load_audit(load) == before


def test_a_day_that_was_not_crawled_fails_the_run_by_name(load: Load) -> None:
    run, _ = load.run(["2031-12-24"])
    assert run["JobRunState"] == "FAILED"
    assert "has no partition for 2031-12-24" in run["ErrorMessage"]


@pytest.mark.parametrize("bucket", ["raw", "working"])
def test_a_bucket_that_another_account_owns_fails_the_run_by_name_and_changes_nothing(
    load: Load, clean: Callable[[str, bytes | str], None], bucket: str
) -> None:
    before = _load_audit(load)
    clean("a.csv", f"{HEADER}\n1,a,1,,,{AT}\n")
    run, report = load.run([DAY], **{bucket: "333333333333"})
    assert run["JobRunState"] == "FAILED"
    assert "account 333333333333 must own the bucket" in run["ErrorMessage"]
    assert report == {}
    assert _load_audit(load) == before


def test_the_script_in_s3_is_the_one_in_the_repository(load: Load) -> None:
    deployed = load.client("s3").get_object(Bucket=load.processing, Key="scripts/load.py")
    assert deployed["Body"].read() == LOAD_SCRIPT.read_bytes()
