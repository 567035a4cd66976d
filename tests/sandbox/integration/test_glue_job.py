"""Glue jobs run for real: Spark, the script of this repository, the job role's own permissions."""

from __future__ import annotations

import gzip
import io
import json
import time
import uuid
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.support.load_job import TERMINAL, LoadJob, wait_for_run
from tests.support.project import ROOT
from tests.support.sandbox import RunningSandbox

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
        return wait_for_run(self.client("glue"), job, run_id, states)

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


@pytest.fixture(scope="module")
def load(sandbox: RunningSandbox) -> Iterator[LoadJob]:
    job = LoadJob(sandbox, "load_tests", COLUMNS)
    with job.tables([DAY, EMPTY_DAY]):
        yield job


@pytest.fixture
def clean(load: LoadJob) -> Iterator[Callable[[str, bytes | str], None]]:
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
    load: LoadJob, clean: Callable[[str, bytes | str], None]
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
        "rows_counted": 0,
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
    assert load.load_audit() == [(DAY, 8), (EMPTY_DAY, 0)]
    assert _temporary_files(load) == []


def _rows(load: LoadJob) -> list[tuple[Any, ...]]:
    rows = load.query(
        "SELECT id, name, CAST(price AS VARCHAR(20)), stock, note, at FROM public.load_tests "
        f"WHERE partition_date = '{DAY}' ORDER BY id"
    )
    return [(*row[:5], str(row[5])) for row in rows]


def _temporary_files(load: LoadJob) -> list[str]:
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
        pytest.param("a.csv.gz", BROKEN_LATER, "its gzip content is cut off after", id="cut-later"),
    ],
)
def test_a_malformed_file_stops_its_day_by_name_and_changes_nothing(
    load: LoadJob,
    clean: Callable[[str, bytes | str], None],
    name: str,
    body: bytes | str,
    text: str,
) -> None:
    before = load.load_audit()
    clean(name, body)
    run, report = load.run([DAY])
    assert run["JobRunState"] == "SUCCEEDED", run.get("ErrorMessage")
    assert f"{load.folder(DAY)}{name}" in report[DAY]["problem"]
    assert text in report[DAY]["problem"]
    assert load.load_audit() == before


def test_a_day_that_was_not_crawled_fails_the_run_by_name(load: LoadJob) -> None:
    run, _ = load.run(["2031-12-24"])
    assert run["JobRunState"] == "FAILED"
    assert "has no partition for 2031-12-24" in run["ErrorMessage"]


@pytest.mark.parametrize("bucket", ["raw", "working"])
def test_a_bucket_that_another_account_owns_fails_the_run_by_name_and_changes_nothing(
    load: LoadJob, clean: Callable[[str, bytes | str], None], bucket: str
) -> None:
    before = load.load_audit()
    clean("a.csv", f"{HEADER}\n1,a,1,,,{AT}\n")
    run, report = load.run([DAY], **{bucket: "333333333333"})
    assert run["JobRunState"] == "FAILED"
    assert "account 333333333333 must own the bucket" in run["ErrorMessage"]
    assert report == {}
    assert load.load_audit() == before


def test_the_script_in_s3_is_the_one_in_the_repository(load: LoadJob) -> None:
    deployed = load.client("s3").get_object(Bucket=load.processing, Key="scripts/load.py")
    assert deployed["Body"].read() == LOAD_SCRIPT.read_bytes()
