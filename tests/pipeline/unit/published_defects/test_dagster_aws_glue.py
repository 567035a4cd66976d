"""Defects of dagster-aws's PipesGlueClient."""

from __future__ import annotations

from types import MappingProxyType
from typing import Any

import pytest
from dagster._core.errors import DagsterExecutionInterruptedError

from tests.support.fakes.glue import CONSOLE, OPTIONS, FakeGlueJob
from xacct_assets.aws.errors import AccessDenied, JobRunFailed
from xacct_assets.aws.glue.job import GlueJob
from xacct_assets.aws.glue.job_runs import ENDED, LIVE


def test_a_run_that_expires_is_over(runs: FakeGlueJob, job: GlueJob) -> None:
    """PipesGlueClient does not know EXPIRED, and polls for ever."""
    runs.plan = ["WAITING", "EXPIRED"]
    with pytest.raises(JobRunFailed, match="ended as EXPIRED"):
        job.run("load", "work-1", {}, **OPTIONS)


def test_every_state_of_the_service_model_is_known(runs: FakeGlueJob) -> None:
    """PipesGlueClient's list of ends is shorter than the service's."""
    states = runs.client.meta.service_model.shape_for("JobRunState").enum
    assert set(states) == LIVE | ENDED


@pytest.mark.parametrize(
    "answer",
    [
        {"Errors": [{"JobName": "load", "JobRunId": "jr_1"}]},
        {"SuccessfulSubmissions": [], "Errors": [{"ErrorDetail": {"ErrorMessage": "locked"}}]},
        {},
    ],
    ids=["no-detail", "no-submission", "nothing-at-all"],
)
def test_a_failed_stop_is_logged_and_hides_nothing(
    runs: FakeGlueJob, job: GlueJob, caplog: pytest.LogCaptureFixture, answer: dict[str, Any]
) -> None:
    """PipesGlueClient reads a key that the answer does not have when a stop fails: the KeyError
    takes the place of the interrupt, and nobody learns that the run goes on."""
    runs.plan = ["RUNNING"]
    runs.client._operations["batch_stop_job_run"] = lambda **_: answer

    def interrupt(_waited: float) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        job.run("load", "work-1", {}, on_tick=interrupt, **OPTIONS)
    assert "stopping job run jr_1 failed" in caplog.text
    assert "KeyError" not in caplog.text
    assert len(runs.client.named("batch_stop_job_run")) > 1, "asked once only"


@pytest.mark.parametrize(
    "trouble",
    [
        RuntimeError("the disk is full"),
        MemoryError(),
        SystemExit(1),
        KeyboardInterrupt(),
        DagsterExecutionInterruptedError(),
    ],
    ids=lambda trouble: type(trouble).__name__,
)
@pytest.mark.parametrize("where", ["on_start", "on_tick"])
def test_whatever_ends_the_waiting_the_run_is_stopped(
    runs: FakeGlueJob, job: GlueJob, where: str, trouble: BaseException
) -> None:
    """PipesGlueClient stops the run on an interrupt only; any other exception leaves it running,
    and paid for."""
    runs.plan = ["RUNNING"]

    def fail(*_: Any) -> None:
        raise trouble

    with pytest.raises(type(trouble)):
        job.run("load", "work-1", {}, **{where: fail}, **OPTIONS)
    assert [run["states"] for run in runs.runs] == [["STOPPED"]]


def test_a_run_that_may_not_be_looked_at_is_stopped_as_far_as_that_can_be_seen(
    runs: FakeGlueJob, job: GlueJob, refusal: Any
) -> None:
    """PipesGlueClient leaves a run behind whose state it is not allowed to read."""
    runs.plan = ["RUNNING", "RUNNING"]
    look = runs.client._operations["get_job_run"]
    refusals = [refusal("AccessDeniedException")]

    def denied_once(**request: Any) -> Any:
        if refusals:
            raise refusals.pop()
        return look(**request)

    runs.client._operations["get_job_run"] = denied_once
    with pytest.raises(AccessDenied, match="glue:GetJobRun"):
        job.run("load", "work-1", {}, **OPTIONS)
    assert runs.runs[0]["states"] == ["STOPPED"]


def test_the_log_is_shown_while_the_run_goes_on(
    runs: FakeGlueJob, modelled: Any, clock: Any
) -> None:
    """PipesGlueClient reads CloudWatch when the run is over."""
    runs.plan = ["RUNNING"] * 40 + ["SUCCEEDED"]
    written = [f"line {number}" for number in range(3)]

    def events(logGroupName: str, nextToken: str = "0", **_: Any) -> dict[str, Any]:
        at = int(nextToken)
        lines = written[at : at + 1] if logGroupName.endswith("output") else []
        return {
            "events": [{"timestamp": 1, "message": line} for line in lines],
            "nextForwardToken": str(at + len(lines)),
        }

    shown: list[tuple[str, str]] = []
    job = GlueJob(
        runs.client,
        CONSOLE,
        modelled("logs", get_log_events=events),
        sleep=clock.sleep,
        clock=clock,
    )
    job.run(
        "load",
        "work-1",
        {},
        on_log=lambda line: shown.append((line, runs.runs[0]["states"][0])),
        **OPTIONS,
    )
    assert [line for line, _ in shown] == written
    assert shown[0] == ("line 0", "RUNNING")


def test_the_callers_arguments_are_left_as_they_are(runs: FakeGlueJob, job: GlueJob) -> None:
    """PipesGlueClient writes its own arguments into the caller's dictionary: the next run of a
    shared one is started with those of the last."""
    arguments = {"--TempDir": "s3://b/tmp/"}
    job.run("load", "work-1", MappingProxyType(arguments), **OPTIONS)
    job.run("load", "work-2", arguments, **OPTIONS)
    assert arguments == {"--TempDir": "s3://b/tmp/"}
    sent = [request["Arguments"] for request in runs.client.named("start_job_run")]
    assert [request["--load_id"] for request in sent] == ["work-1", "work-2"]
