"""How the steps of a run are executed: in one process, one after the other, waiting idly.

The chain is serial and waits on AWS, so a process per step would only cost seconds each. Dagster's
own in-process executor (1.13) does almost this, but

- a run whose next step waits for its pool turns in a loop without pause: it takes a whole core for
  as long as it waits, and hears of its termination only when it gets its place
  (dagster-io/dagster#20367, not merged: the interval it sleeps is the least of 0 and the right
  one). A year's backfill has several runs waiting at any time.
- a run that queues up for a place in the very moment in which it becomes free is overlooked:
  Dagster looks whether a place is free, then queues up, and who frees one in between wakes nobody.
  The run would wait for ever beside an empty pool; here it looks again.
- a step that has a retry policy and is interrupted is retried, as if its termination had been a
  failure: the run goes on. Here it ends.

What is taken from inside Dagster, which is pinned exactly, is what its executor consists of;
tests/pipeline/functional/local_runtime/test_executor.py fails if it changes.
"""

import time
from collections.abc import Iterator

import dagster as dg
from dagster._core.errors import DagsterExecutionInterruptedError
from dagster._core.execution.api import ExecuteRunWithPlanIterable
from dagster._core.execution.context.system import PlanExecutionContext, PlanOrchestrationContext
from dagster._core.execution.context_creation_job import PlanExecutionContextManager
from dagster._core.execution.plan.execute_plan import inner_plan_execution_iterator
from dagster._core.execution.plan.instance_concurrency_context import InstanceConcurrencyContext
from dagster._core.execution.plan.plan import ExecutionPlan
from dagster._core.execution.retries import RetryMode
from dagster._core.executor.in_process import InProcessExecutor

from xacct_assets.local_runtime.sqlite_tuning import relaxed_durability

#: Seconds between two looks at whether the run was terminated while it waits.
TURN_SECONDS = 0.5
#: Seconds at most between two attempts to get a place in a pool (Dagster's own limit is 15, and a
#: place that is free stays empty meanwhile). One short transaction each.
CLAIM_SECONDS = 3.0
#: What stops a step from outside, by the names that events give them.
INTERRUPTS = (DagsterExecutionInterruptedError.__name__, KeyboardInterrupt.__name__)


class PatientConcurrencyContext(InstanceConcurrencyContext):
    """A run's places in the pools, waited for without work."""

    def claim(self, concurrency_key: str, step_key: str, step_priority: int = 0) -> bool:
        """Whether the step has its place.

        Raises:
            DagsterExecutionInterruptedError: the run is being terminated.
        """
        # Between steps interrupts are only noted down; this raises one that was.
        with dg.raise_execution_interrupts():
            pass
        tried = self._pending_claim_counts[step_key]
        claimed = super().claim(concurrency_key, step_key, step_priority)
        if not claimed:
            latest = time.time() + CLAIM_SECONDS
            self._pending_timeouts[step_key] = min(self._pending_timeouts[step_key], latest)
            if self._pending_claim_counts[step_key] > tried:
                self._queue_anew_if_overlooked(concurrency_key, step_key)
        return claimed

    def _queue_anew_if_overlooked(self, concurrency_key: str, step_key: str) -> None:
        """A place is free, and nobody is told: the next turn queues up again and gets it."""
        storage = self._instance.event_log_storage
        pool = storage.get_concurrency_info(concurrency_key)
        # A step keeps its entry, as an assigned one, for as long as it has its place.
        assigned = [step for step in pool.pending_steps if step.assigned_timestamp is not None]
        if len(assigned) < pool.slot_count:
            storage.free_concurrency_slot_for_step(self._run_id, step_key)
            self._pending_timeouts[step_key] = 0.0

    def interval_to_next_pending_claim_check(self) -> float:
        """Seconds to sleep before `claim` is called again."""
        waits = [at - time.time() for at in self._pending_timeouts.values()]
        return max(0.01, min([TURN_SECONDS, *waits]))


class PatientInProcessExecutor(InProcessExecutor):
    """`InProcessExecutor`, waiting for pools as above."""

    def execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        """The run's events, as they happen."""
        with relaxed_durability(plan_context.instance, plan_context.run_id):
            yield from self._execute(plan_context, execution_plan)

    def _execute(
        self, plan_context: PlanOrchestrationContext, execution_plan: ExecutionPlan
    ) -> Iterator[dg.DagsterEvent]:
        yield from ExecuteRunWithPlanIterable(
            execution_plan=execution_plan,
            iterator=_steps,
            execution_context_manager=PlanExecutionContextManager(
                job=plan_context.job,
                retry_mode=plan_context.retry_mode,
                execution_plan=execution_plan,
                run_config=plan_context.run_config,
                dagster_run=plan_context.dagster_run,
                instance=plan_context.instance,
                raise_on_error=plan_context.raise_on_error,
                output_capture=plan_context.output_capture,
                step_dependency_config=self.step_dependency_config,
            ),
        )


def _steps(
    job_context: PlanExecutionContext, execution_plan: ExecutionPlan
) -> Iterator[dg.DagsterEvent]:
    with PatientConcurrencyContext(job_context.instance, job_context.dagster_run) as concurrency:
        for event in inner_plan_execution_iterator(job_context, execution_plan, concurrency):
            yield event
            if _was_interrupted(event):
                concurrency.free_step(str(event.step_key))
                raise DagsterExecutionInterruptedError


def _was_interrupted(event: dg.DagsterEvent) -> bool:
    """Whether the step is to be retried, or has had its last retry, because it was interrupted."""
    if event.event_type is dg.DagsterEventType.STEP_UP_FOR_RETRY:
        error = event.step_retry_data.error
    elif event.event_type is dg.DagsterEventType.STEP_FAILURE:
        error = event.step_failure_data.error
    else:
        return False
    cause = error.cause if error else None
    return cause is not None and cause.cls_name in INTERRUPTS


@dg.executor(name="in_process", config_schema=dg.in_process_executor.config_schema)
def in_process(context: dg.InitExecutorContext) -> PatientInProcessExecutor:
    """All steps of a run in its own process."""
    return PatientInProcessExecutor(RetryMode.from_config(context.executor_config["retries"]))
