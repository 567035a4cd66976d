"""Which failures of a step are retried: transient ones, and no interruption."""

import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import dagster as dg
import pytest

from xacct_assets.aws.errors import AccessDenied, AwsFailure, LoginFailed, Throttled
from xacct_assets.feed.assets import defaults

attempts: list[int] = []
fail: list[Callable[[], None]] = []


@dg.op
def remote_work(context: dg.OpExecutionContext) -> None:
    """A step that asks AWS for something, as the assets do."""
    asset_context = dg.AssetExecutionContext(context)
    with defaults.retry_transient_errors(asset_context):
        attempts.append(context.retry_number)
        fail[0]()


@dg.op(ins={"start": dg.In(dg.Nothing)})
def next_step() -> None:
    """The step after it."""


@dg.job(executor_def=dg.in_process_executor)
def day() -> None:
    next_step(remote_work())


def _day() -> dg.JobDefinition:
    return day


@pytest.fixture
def instance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[dg.DagsterInstance]:
    attempts.clear()
    monkeypatch.setattr(defaults, "_RETRIES", dg.RetryPolicy(max_retries=2, delay=0))
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        yield instance


def run_that(
    instance: dg.DagsterInstance, action: Callable[[], None]
) -> tuple[dg.DagsterRun, list[str]]:
    """Execute the job with this action in its first step. Returns the run and the started steps."""
    fail[:] = [action]
    result = dg.execute_job(dg.reconstructable(_day), instance, raise_on_error=False)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    starts = instance.all_logs(run.run_id, of_type=dg.DagsterEventType.STEP_START)
    return run, [str(entry.step_key) for entry in starts]


def raising(error: Exception) -> Callable[[], None]:
    def action() -> None:
        raise error

    return action


@pytest.mark.parametrize(
    "error", [Throttled("glue:StartJobRun"), ConnectionResetError("lost")], ids=["AWS", "unknown"]
)
def test_a_transient_error_is_retried_twice(instance: dg.DagsterInstance, error: Exception) -> None:
    run, _ = run_that(instance, raising(error))
    assert attempts == [0, 1, 2]
    assert run.status is dg.DagsterRunStatus.FAILURE


@pytest.mark.parametrize(
    "error",
    [AccessDenied("s3:GetObject"), LoginFailed("login"), dg.Failure("the day has no files")],
    ids=["AWS", "a login that stayed refused", "day"],
)
def test_what_a_retry_cannot_cure_fails_at_once(
    instance: dg.DagsterInstance, error: AwsFailure | dg.Failure
) -> None:
    run, _ = run_that(instance, raising(error))
    assert attempts == [0]
    assert run.status is dg.DagsterRunStatus.FAILURE


def test_a_terminated_step_is_not_retried_and_nothing_runs_after_it(
    instance: dg.DagsterInstance,
) -> None:
    def be_terminated() -> None:
        (run,) = instance.get_runs()
        instance.report_run_canceling(run)
        # This is how Dagster interrupts a run's process.
        os.kill(os.getpid(), signal.SIGINT)
        time.sleep(30)

    run, started = run_that(instance, be_terminated)
    assert run.status is dg.DagsterRunStatus.CANCELED
    assert attempts == [0]
    assert started == ["remote_work"]
