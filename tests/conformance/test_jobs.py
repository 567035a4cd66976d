"""Glue job runs: states, errors, arguments, what a repeated start does."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import pytest

from tests.conformance.target import ALLOWED, Target, allow, outcome, refusal, trusting

ENDED = {"STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED"}
SCRIPT = """
import sys, time
from awsglue.utils import getResolvedOptions
arguments = getResolvedOptions(sys.argv, ["JOB_NAME", "do", "kept"])
if arguments["do"] == "fail":
    raise ValueError("the file is broken")
if arguments["do"] == "wait":
    time.sleep(900)
print("done", arguments["do"], arguments["kept"])
"""


@dataclass
class Job:
    """A Spark job with two workers in account B."""

    target: Target
    name: str

    @property
    def glue(self) -> Any:
        return self.target.b.client("glue")

    def start(self, **arguments: str) -> str:
        self.target.spent["job runs"] += 1
        given = {f"--{key}": value for key, value in arguments.items()}
        found: list[str] = []

        def start() -> None:
            answer = self.glue.start_job_run(JobName=self.name, Arguments=given)
            found.append(str(answer["JobRunId"]))

        # Glue frees the place of an ended run some seconds later.
        self.target.becomes(ALLOWED, lambda: outcome(start))
        return found[0]

    def get(self, run: str) -> dict[str, Any]:
        found: dict[str, Any] = self.glue.get_job_run(JobName=self.name, RunId=run)["JobRun"]
        return found

    def until(self, run: str, states: set[str]) -> dict[str, Any]:
        """The run once it is in one of these states."""
        deadline = time.monotonic() + 900
        while True:
            found = self.get(run)
            if found["JobRunState"] in states:
                return found
            assert found["JobRunState"] not in ENDED, found
            assert time.monotonic() < deadline, found
            time.sleep(self.target.pause)


@pytest.fixture(scope="module")
def job(target: Target) -> Job:
    bucket = target.bucket(target.b, "scripts")
    key = "scripts/claims.py"
    target.b.client("s3").put_object(Bucket=bucket, Key=key, Body=SCRIPT.encode())
    role = target.role(target.b, "job", trusting({"Service": "glue.amazonaws.com"}))
    target.permit(
        target.b,
        role,
        allow("s3:GetObject", on=f"arn:aws:s3:::{bucket}/*"),
        allow("s3:ListBucket", on=f"arn:aws:s3:::{bucket}"),
        allow("logs:CreateLogGroup", "logs:CreateLogStream", "logs:PutLogEvents"),
    )
    definition = {
        "Name": target.name("claims"),
        "Role": role,
        "Command": {
            "Name": "glueetl",
            "PythonVersion": "3",
            "ScriptLocation": f"s3://{bucket}/{key}",
        },
        "GlueVersion": "5.0",
        "WorkerType": "G.1X",
        "NumberOfWorkers": 2,
        "Timeout": 10,
        "MaxRetries": 0,
        "ExecutionProperty": {"MaxConcurrentRuns": 1},
        "DefaultArguments": {"--kept": "default", "--do": "nothing"},
    }
    glue = target.b.client("glue")
    target.becomes(ALLOWED, lambda: outcome(glue.create_job, **definition))
    return Job(target, definition["Name"])


@pytest.mark.claim("job-succeeded")
@pytest.mark.claim("job-arguments-over-defaults")
def test_a_run_that_succeeds_has_its_times_and_its_arguments(job: Job) -> None:
    run = job.until(job.start(do="print"), {"SUCCEEDED"})
    assert run["Arguments"]["--do"] == "print"
    assert run["ExecutionTime"] >= 0
    assert run["CompletedOn"] >= run["StartedOn"]
    assert (run["WorkerType"], run["NumberOfWorkers"]) == ("G.1X", 2)
    assert run["Attempt"] == 0
    logs = job.target.b.client("logs")
    stream = {"logGroupName": f"{run['LogGroupName']}/output", "logStreamName": run["Id"]}

    def printed() -> bool:
        # The stream comes a while after the run.
        if outcome(logs.get_log_events, **stream) != ALLOWED:
            return False
        events = logs.get_log_events(**stream)["events"]
        return "done print default" in [event["message"].strip() for event in events]

    job.target.becomes(True, printed, patience=120)


@pytest.mark.claim("job-failed-message")
def test_an_exception_of_the_script_is_the_error_of_the_run(job: Job) -> None:
    run = job.until(job.start(do="fail"), {"FAILED"})
    assert "ValueError: the file is broken" in run["ErrorMessage"]


@pytest.mark.claim("job-concurrent-runs")
@pytest.mark.claim("job-stopped")
def test_a_second_run_at_once_is_refused_and_a_run_can_be_stopped(job: Job) -> None:
    run = job.start(do="wait")
    code, _ = refusal(job.glue.start_job_run, JobName=job.name)
    assert code == "ConcurrentRunsExceededException"
    job.until(run, {"RUNNING"})
    answer = job.glue.batch_stop_job_run(JobName=job.name, JobRunIds=[run])
    assert [entry["JobRunId"] for entry in answer["SuccessfulSubmissions"]] == [run]
    assert job.until(run, {"STOPPED"})["JobRunState"] == "STOPPED"
    again = job.glue.batch_stop_job_run(JobName=job.name, JobRunIds=[run])
    assert [entry["JobRunId"] for entry in again["Errors"]] == [run]


@pytest.mark.claim("job-runs-newest-first")
def test_runs_are_listed_the_newest_first(job: Job) -> None:
    runs = job.glue.get_job_runs(JobName=job.name)["JobRuns"]
    starts = [run["StartedOn"] for run in runs]
    assert starts == sorted(starts, reverse=True)
    assert len(runs) >= 3


@pytest.mark.claim("job-missing")
def test_a_job_that_is_not_there_is_not_found(job: Job) -> None:
    name = job.target.name("never")
    assert outcome(job.glue.start_job_run, JobName=name) == "EntityNotFoundException"
    none = {"JobName": job.name, "RunId": "jr_" + "0" * 64}
    assert outcome(job.glue.get_job_run, **none) == "EntityNotFoundException"


@pytest.mark.claim("job-start-has-no-token")
def test_a_start_takes_no_token_that_would_make_it_happen_once(job: Job) -> None:
    shape = job.glue.meta.service_model.operation_model("StartJobRun").input_shape
    assert [name for name in shape.members if "token" in name.lower()] == []
    state = job.glue.meta.service_model.shape_for("JobRunState")
    assert ENDED | {"STARTING", "RUNNING", "STOPPING", "WAITING"} == set(state.enum)
