"""How the steps of a run are executed: waiting idly for their pool, and never deaf."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import dagster as dg
import pytest
from dagster._core.execution.plan.active import ActiveExecution

from xacct_assets.local_runtime.executor import in_process

POOL = "products_load"
# Somebody else's step, which has the only place.
OTHER = ("another-run", "staging_table")


@dg.op
def looked_at() -> None:
    """A step without a pool, as raw_partition is."""


@dg.op(pool=POOL, ins={"start": dg.In(dg.Nothing)})
def loaded() -> None:
    """A step that needs a place."""


@dg.job(executor_def=in_process)
def day() -> None:
    """Two steps, the second of which has to wait."""
    loaded(looked_at())


@pytest.fixture
def instance(tmp_path: Path) -> Iterator[dg.DagsterInstance]:
    """One place in the pool, and it is taken."""
    with dg.instance_for_test(temp_dir=str(tmp_path)) as instance:
        instance.event_log_storage.set_concurrency_slots(POOL, 1)
        claim = instance.event_log_storage.claim_concurrency_slot(POOL, *OTHER)
        assert claim.is_claimed
        yield instance


def run_while(
    instance: dg.DagsterInstance, meanwhile: Callable[[dg.DagsterRun], None]
) -> dg.DagsterRun:
    """Execute the job; once its second step waits for its place, `meanwhile` is called."""

    def wait_then_act() -> None:
        while True:
            [pool] = instance.event_log_storage.get_concurrency_infos([POOL]).values()
            if any(step.assigned_timestamp is None for step in pool.pending_steps):
                [run] = instance.get_runs()
                return meanwhile(run)
            time.sleep(0.05)

    with ThreadPoolExecutor(1) as threads:
        acted = threads.submit(wait_then_act)
        result = dg.execute_job(dg.reconstructable(_day), instance, raise_on_error=False)
        acted.result()
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    return run


def _day() -> dg.JobDefinition:
    return day


def test_a_step_that_waits_for_its_pool_sleeps(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns = []
    get_next_step = ActiveExecution.get_next_step
    monkeypatch.setattr(
        ActiveExecution,
        "get_next_step",
        lambda execution: turns.append(1) or get_next_step(execution),
    )

    def free_the_place(run: dg.DagsterRun) -> None:
        # Long enough for thousands of turns of a loop that does not sleep.
        time.sleep(1)
        instance.event_log_storage.free_concurrency_slot_for_step(*OTHER)

    run = run_while(instance, free_the_place)
    assert run.status is dg.DagsterRunStatus.SUCCESS
    assert len(turns) < 50


@pytest.mark.timeout(60)
def test_a_run_that_queues_up_while_the_place_becomes_free_gets_it(
    instance: dg.DagsterInstance, monkeypatch: pytest.MonkeyPatch
) -> None:
    storage = instance.event_log_storage
    queue_up = storage.add_pending_step

    def after_the_place_was_freed(*args: object, **kwargs: object) -> None:
        storage.free_concurrency_slot_for_step(*OTHER)
        queue_up(*args, **kwargs)

    monkeypatch.setattr(storage, "add_pending_step", after_the_place_was_freed)
    result = dg.execute_job(dg.reconstructable(_day), instance, raise_on_error=False)
    assert result.success


def test_a_run_that_waits_for_its_pool_can_be_terminated(instance: dg.DagsterInstance) -> None:
    def terminate(run: dg.DagsterRun) -> None:
        instance.report_run_canceling(run)
        # As Dagster tells a run's process.
        os.kill(os.getpid(), signal.SIGINT)

    run = run_while(instance, terminate)
    assert run.status is dg.DagsterRunStatus.CANCELED
    [pool] = instance.event_log_storage.get_concurrency_infos([POOL]).values()
    assert [claimed.run_id for claimed in pool.claimed_slots] == [OTHER[0]]
    assert [step.run_id for step in pool.pending_steps] == [OTHER[0]]


attempts: list[int] = []


@dg.op(pool=POOL, retry_policy=dg.RetryPolicy(max_retries=2, delay=0))
def followed(context) -> None:
    """A step with a retry policy; terminated while it waits for its remote work."""
    attempts.append(context.retry_number)
    context.instance.report_run_canceling(context.run)
    os.kill(os.getpid(), signal.SIGINT)
    time.sleep(30)


@dg.op(pool=POOL, ins={"start": dg.In(dg.Nothing)})
def exported() -> None:
    """What comes after it."""


@dg.job(executor_def=in_process)
def terminated_day() -> None:
    """Two steps, the first of which is terminated."""
    exported(followed())


def _terminated_day() -> dg.JobDefinition:
    return terminated_day


def test_a_step_with_a_retry_policy_that_is_terminated_is_not_retried(
    instance: dg.DagsterInstance,
) -> None:
    instance.event_log_storage.free_concurrency_slot_for_step(*OTHER)
    attempts.clear()
    result = dg.execute_job(dg.reconstructable(_terminated_day), instance, raise_on_error=False)
    run = instance.get_run_by_id(result.run_id)
    assert run is not None
    assert run.status is dg.DagsterRunStatus.CANCELED
    assert attempts == [0]
    [pool] = instance.event_log_storage.get_concurrency_infos([POOL]).values()
    assert not pool.claimed_slots
    assert not pool.pending_steps


def test_the_executor_takes_the_settings_of_the_one_it_stands_in_for(
    instance: dg.DagsterInstance,
) -> None:
    instance.event_log_storage.free_concurrency_slot_for_step(*OTHER)
    result = dg.execute_job(
        dg.reconstructable(_day),
        instance,
        run_config={"execution": {"config": {"retries": {"disabled": {}}}}},
    )
    assert result.success
