"""Job runs: states, limits, refusals. Spark and the emulator are replaced."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from xacct_sandbox.glue.jobs import execution
from xacct_sandbox.glue.jobs.worker import WorkerFailed
from xacct_sandbox.service_errors import ServiceError

Refusal = Callable[[Callable[[], Any]], str]


def test_a_run_goes_from_starting_to_succeeded_with_its_times(glue: Any) -> None:
    run_id = glue.start(Arguments={"--b": "own"})
    assert glue.run(run_id)["JobRunState"] in ("STARTING", "RUNNING")
    glue.wait_for(run_id, "RUNNING")
    glue.spark.finish.set()
    run = glue.wait_for(run_id, "SUCCEEDED")
    assert run["CompletedOn"] >= run["StartedOn"]
    assert run["LogGroupName"] == "/aws-glue/jobs"
    assert "ErrorMessage" not in run
    assert "DPUSeconds" not in run


def test_the_run_s_arguments_replace_the_job_s_defaults(glue: Any) -> None:
    glue.spark.finish.set()
    run = glue.wait_for(glue.start(Arguments={"--b": "own"}), "SUCCEEDED")
    argv = glue.spark.ran[0].arguments
    assert argv[argv.index("--a") + 1] == "default"
    assert argv[argv.index("--b") + 1] == "own"
    assert argv[argv.index("--JOB_RUN_ID") + 1] == run["Id"]


def test_a_script_s_exception_is_the_error_message(glue: Any) -> None:
    glue.spark.error = "LoadError: s3://raw/a.csv: broken"
    glue.spark.finish.set()
    run = glue.wait_for(glue.start(), "FAILED")
    assert run["ErrorMessage"] == "LoadError: s3://raw/a.csv: broken"


def test_a_role_that_cannot_be_assumed_fails_the_run_by_name(glue: Any) -> None:
    glue.emulator.refusal = ServiceError("AccessDenied", "glue may not assume it", 403)
    run = glue.wait_for(glue.start(), "FAILED")
    assert "role/glue" in run["ErrorMessage"]
    assert "glue may not assume it" in run["ErrorMessage"]


def test_without_spark_the_run_fails_with_the_reason(glue: Any) -> None:
    glue.spark.failure = WorkerFailed("no Java")
    assert glue.wait_for(glue.start(), "FAILED")["ErrorMessage"] == "no Java"


def test_a_run_over_max_concurrent_runs_is_refused(glue: Any, refusal: Refusal) -> None:
    glue.start()
    assert refusal(glue.start).startswith("ConcurrentRunsExceededException: ")


def test_a_stopped_run_is_stopping_then_stopped(glue: Any) -> None:
    run_id = glue.start()
    glue.wait_for(run_id, "RUNNING")
    answer = glue.runs.batch_stop_job_run({"JobName": "load", "JobRunIds": [run_id, "jr_no"]})
    assert answer["SuccessfulSubmissions"] == [{"JobName": "load", "JobRunId": run_id}]
    assert answer["Errors"][0]["ErrorDetail"]["ErrorCode"] == "EntityNotFoundException"
    assert "ErrorMessage" not in glue.wait_for(run_id, "STOPPED")
    again = glue.runs.batch_stop_job_run({"JobName": "load", "JobRunIds": [run_id]})
    assert "has ended" in again["Errors"][0]["ErrorDetail"]["ErrorMessage"]


def test_a_run_that_waits_for_spark_can_be_stopped(glue: Any) -> None:
    glue.spark.free.acquire()
    run_id = glue.start()
    assert "Waiting" in glue.wait_for_detail(run_id)
    glue.runs.batch_stop_job_run({"JobName": "load", "JobRunIds": [run_id]})
    glue.wait_for(run_id, "STOPPED")
    assert glue.spark.ran == []
    glue.spark.free.release()


def test_a_run_longer_than_its_timeout_ends_as_timeout(
    glue: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(execution, "SECONDS_PER_MINUTE", 0.05)
    run = glue.wait_for(glue.start(Timeout=1), "TIMEOUT")
    assert "Timeout of 1 minutes" in run["ErrorMessage"]


def test_a_flex_run_reports_dpu_seconds(glue: Any) -> None:
    glue.spark.finish.set()
    run = glue.wait_for(glue.start(ExecutionClass="FLEX"), "SUCCEEDED")
    assert run["DPUSeconds"] == run["ExecutionTime"] * 2


def test_the_newest_run_is_listed_first_and_pages_join_up(glue: Any) -> None:
    glue.spark.finish.set()
    started = []
    for _ in range(3):
        started.append(glue.start())
        glue.wait_for(started[-1], "SUCCEEDED")
    first = glue.runs.get_job_runs({"JobName": "load", "MaxResults": 2})
    rest = glue.runs.get_job_runs(
        {"JobName": "load", "MaxResults": 2, "NextToken": first["NextToken"]}
    )
    listed = [run["Id"] for run in [*first["JobRuns"], *rest["JobRuns"]]]
    assert listed == started[::-1]
    assert "NextToken" not in rest


def test_the_output_is_in_cloudwatch_under_the_run_s_id(glue: Any) -> None:
    glue.spark.finish.set()
    run_id = glue.start()
    glue.wait_for(run_id, "SUCCEEDED")
    assert ("/aws-glue/jobs/output", run_id, ["hello"]) in glue.emulator.log


def test_a_job_may_have_log_groups_of_its_own(glue: Any) -> None:
    glue.spark.finish.set()
    run_id = glue.start(Arguments={"--custom-logGroup-prefix": "/aws-glue/jobs/mine"})
    run = glue.wait_for(run_id, "SUCCEEDED")
    assert run["LogGroupName"] == "/aws-glue/jobs/mine"
    assert ("/aws-glue/jobs/mine/output", run_id, ["hello"]) in glue.emulator.log


@pytest.mark.parametrize("prefix", ["/aws-glue/*", "a:b", "x" * 401])
def test_a_prefix_that_is_no_name_of_a_log_group_is_refused(
    glue: Any, refusal: Refusal, prefix: str
) -> None:
    refused = refusal(lambda: glue.start(Arguments={"--custom-logGroup-prefix": prefix}))
    assert "--custom-logGroup-prefix" in refused


def test_a_run_that_a_killed_sandbox_left_open_is_closed_at_the_next_start(glue: Any) -> None:
    for state in ("RUNNING", "STOPPING"):
        run = {"Id": state, "JobName": "load", "JobRunState": state, "StartedOn": 1.0}
        glue.emulator.scoped_state("glue-job-runs")[f"load/{state}"] = run
    glue.runs.recover()
    assert glue.run("RUNNING")["JobRunState"] == "FAILED"
    assert "sandbox ended" in glue.run("RUNNING")["ErrorMessage"]
    assert glue.run("STOPPING")["JobRunState"] == "STOPPED"


def test_a_job_or_run_that_does_not_exist_is_not_found(glue: Any, refusal: Refusal) -> None:
    assert refusal(lambda: glue.runs.start_job_run({"JobName": "no"})).startswith("EntityNotFound")
    assert refusal(lambda: glue.run("jr_no")).startswith("EntityNotFound")


@pytest.mark.parametrize(
    ("request_", "message"),
    [
        ({"WorkerType": "R.1X"}, "WorkerType R.1X"),
        ({"NumberOfWorkers": 1}, "at least 2"),
        ({"ExecutionClass": "CHEAP"}, "ExecutionClass"),
        ({"ExecutionClass": "FLEX", "WorkerType": "G.4X"}, "FLEX"),
        ({"JobRunQueuingEnabled": True}, "JobRunQueuingEnabled"),
        ({"MaxCapacity": 2.0}, "MaxCapacity"),
        ({"JobRunId": "jr_1"}, "JobRunId"),
        ({"Arguments": {"--extra-jars": "s3://b/x.jar"}}, "--extra-jars"),
        ({"Arguments": {"--conf": "x=y"}}, "--conf"),
        ({"Arguments": {"--additional-python-modules": "no-such-thing==1"}}, "no-such-thing"),
        ({"Arguments": {"--job-language": "scala"}}, "scala"),
    ],
)
def test_an_unsupported_option_of_a_run_is_refused_by_name(
    glue: Any, refusal: Refusal, request_: dict[str, Any], message: str
) -> None:
    answer = refusal(lambda: glue.start(**request_))
    assert answer.startswith("InvalidInputException")
    assert message in answer
