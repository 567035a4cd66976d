"""Runs a Glue job exactly once per load, whatever happens to the process that started it.

StartJobRun takes no idempotency token (Glue API reference), so each run carries the load's id in
the argument ``--load_id``. Before a start, and after every lost answer, the job's newest runs are
searched for that id: a live or succeeded run is attached to instead of starting a second one.
(JobRunId is no such token: it names an earlier run to be retried, and Glue makes the ids.) If no
run appears after a lost answer, another is started, and a duplicate that appears later is stopped.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.console import Console
from xacct_assets.aws.errors import AwsFailure, Unavailable, WaitTimeout
from xacct_assets.aws.glue.job_result import JobRunResult, failure_of, result_of
from xacct_assets.aws.glue.job_runs import BACKOFF, ENDED, LIVE, MARKER, STOP_TIMEOUT, JobRuns
from xacct_assets.aws.glue.log_tail import LOG_GROUP, LogTail
from xacct_assets.aws.glue.safe_retries import forbid_unsafe_retries
from xacct_assets.aws.polling import AdaptivePolling, Backoff, Waiter, suppress_and_log

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient
    from mypy_boto3_logs.client import CloudWatchLogsClient

logger = logging.getLogger(__name__)

#: Seconds to wait for a place if the job is at its MaxConcurrentRuns or the account at its DPUs.
QUEUE_TIMEOUT = 3600.0
#: Seconds beyond the run's own time-out for Glue to report TIMEOUT.
END_GRACE = 900.0
#: Seconds in which a run whose start got no answer is looked for before another one is started.
#: Glue does not say how soon GetJobRuns shows a run; usually it is at once. A run that appears
#: later is stopped as a duplicate, so this need only be long enough to make duplicates rare.
LOST_ANSWER_WINDOW = 15.0
_FULL = ("ConcurrentRunsExceededException", "ResourceNumberLimitExceededException")


@dataclass(frozen=True)
class _Started:
    """A run that is to be followed.

    Attributes:
        run_id: Glue's id.
        attached: True if it had been started before this call.
        may_have_duplicate: True if a start got no answer, so that another run may appear.
    """

    run_id: str
    attached: bool
    may_have_duplicate: bool


class GlueJob:
    """Runs Glue jobs.

    Args:
        glue: boto3's ``glue`` client. Its retries of StartJobRun are limited here to those that
            cannot start a second run.
        console: for links to the run and its logs.
        logs: boto3's ``logs`` client, to show the run's log lines while it runs; optional.
        backoff, sleep, clock: for tests.
    """

    def __init__(
        self,
        glue: GlueClient,
        console: Console,
        logs: CloudWatchLogsClient | None = None,
        *,
        backoff: Backoff = BACKOFF,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._glue = glue
        self._console = console
        self._logs = logs
        self._runs = JobRuns(glue, backoff=backoff, sleep=sleep, clock=clock)
        self._backoff = backoff
        self._sleep = sleep
        self._clock = clock
        forbid_unsafe_retries(glue, "StartJobRun")

    def run(
        self,
        job_name: str,
        load_id: str,
        arguments: Mapping[str, str],
        *,
        worker_type: str,
        number_of_workers: int,
        timeout_minutes: int,
        execution_class: str | None = None,
        first_attempt: bool = False,
        past_seconds: Sequence[float] = (),
        on_start: Callable[[str, bool], None] | None = None,
        on_tick: Callable[[float], None] | None = None,
        on_log: Callable[[str], None] | None = None,
        log_group: str = LOG_GROUP,
        queue_timeout: float = QUEUE_TIMEOUT,
    ) -> JobRunResult:
        """Do the load with one run, and wait for its end.

        If the wait is interrupted, the run is stopped, and this returns only once it has ended.

        Args:
            job_name: the job.
            load_id: identifies the load; the same id never runs twice at once.
            arguments: the script's arguments; not changed.
            worker_type, number_of_workers, timeout_minutes, execution_class: of StartJobRun.
            first_attempt: True if no run of this load can exist, so that none is looked for.
            past_seconds: durations of similar runs, to poll this one at the right time.
            on_start: called with the run id and whether it had been running before.
            on_tick: called while waiting with the seconds waited.
            on_log: called with each line of the run's log; needs `logs`.
            log_group: prefix of the log groups of the job's runs.
            queue_timeout: seconds to wait for a free place.

        Raises:
            JobRunFailed: the run ended in another state than SUCCEEDED; has Glue's message.
            WaitTimeout: no place in time, or no end in time.
        """
        request: dict[str, Any] = {
            "JobName": job_name,
            "Arguments": {**arguments, MARKER: load_id},
            "Timeout": timeout_minutes,
            "WorkerType": worker_type,
            "NumberOfWorkers": number_of_workers,
            **({"ExecutionClass": execution_class} if execution_class else {}),
        }
        run_id: str | None = None
        try:
            started = self._find_or_start(
                job_name, load_id, request, queue_timeout, on_tick, search=not first_attempt
            )
            run_id = started.run_id
            tail = (
                LogTail(self._logs, run_id, on_log, group=log_group)
                if self._logs and on_log
                else None
            )
            if on_start is not None:
                on_start(run_id, started.attached)
            # Durations of similar runs say nothing of a run that had been running for a while.
            polling = AdaptivePolling(
                () if started.attached else tuple(past_seconds), self._backoff
            )
            sleep = tail.while_sleeping(self._sleep) if tail else self._sleep
            waiter = Waiter(polling, on_tick=on_tick, sleep=sleep, clock=self._clock)
            timeout = timeout_minutes * 60 + END_GRACE + queue_timeout
            run = self._wait(job_name, load_id, started, waiter, timeout)
            # The report of a short run that succeeded says enough; a link leads to its log.
            if tail is not None and (run["JobRunState"] != "SUCCEEDED" or tail.is_begun):
                tail.finish()
        except BaseException as reason:
            self._stop_after(reason, job_name, load_id, run_id)
            raise
        result = result_of(run, self._console, log_group, attached=started.attached)
        if result.state == "SUCCEEDED":
            return result
        raise failure_of(job_name, result, timeout_minutes)

    def _stop_after(
        self, reason: BaseException, job_name: str, load_id: str, run_id: str | None
    ) -> None:
        """Stop what a failed or interrupted `run` may have started."""
        if run_id is not None:
            suppress_and_log(
                lambda: self._runs.stop(job_name, run_id), f"stopping job run {run_id}"
            )
        elif not isinstance(reason, Exception):
            # Interrupted during a request: it may have started a run.
            suppress_and_log(lambda: self._runs.stop_load(job_name, load_id), f"stopping {load_id}")

    def _find_or_start(
        self,
        job_name: str,
        load_id: str,
        request: dict[str, Any],
        queue_timeout: float,
        on_tick: Callable[[float], None] | None,
        *,
        search: bool,
    ) -> _Started:
        """Attach to the load's run, or start one; wait while there is no place for it."""
        may_have_duplicate = False
        waiter = Waiter(self._backoff, on_tick=on_tick, sleep=self._sleep, clock=self._clock)
        began = self._clock()
        delays = self._backoff.delays()
        while True:
            existing = self._find(job_name, load_id, waiter) if search else None
            search = True
            if existing is not None and existing["JobRunState"] != "STOPPING":
                logger.info("attaching to run %s of %s", existing["Id"], job_name)
                return _Started(str(existing["Id"]), True, may_have_duplicate)
            if existing is not None:
                self._await_stopped(job_name, str(existing["Id"]), waiter)
                continue
            try:
                with aws_call("glue:StartJobRun", f"job {job_name}"):
                    run_id = self._glue.start_job_run(**request)["JobRunId"]
                return _Started(str(run_id), False, may_have_duplicate)
            except Unavailable as lost:
                found = self._await_lost(job_name, load_id, lost)
                if found is not None:
                    return _Started(found, False, may_have_duplicate)
                may_have_duplicate = True
                refusal: AwsFailure = lost
            except AwsFailure as failure:
                if failure.code not in _FULL and not failure.retryable:
                    raise
                refusal = failure
            waited = self._clock() - began
            if waited >= queue_timeout:
                raise WaitTimeout(
                    f"no run of job {job_name} could be started for {queue_timeout:.0f} s",
                    reason=refusal.reason,
                    code=refusal.code,
                    fix="wait for other runs to end, or raise the job's MaxConcurrentRuns or the "
                    "account's Glue quotas",
                ) from refusal
            logger.info("job %s has no room or no answer (%s); waiting", job_name, refusal.code)
            if on_tick is not None:
                on_tick(waited)
            self._sleep(next(delays))

    def _find(self, job_name: str, load_id: str, waiter: Waiter) -> Mapping[str, Any] | None:
        return waiter.retry_transient(
            lambda: self._runs.find(job_name, load_id), what=f"the runs of job {job_name}"
        )

    def _await_stopped(self, job_name: str, run_id: str, waiter: Waiter) -> None:
        waiter.until(
            lambda: True if self._runs.get(job_name, run_id)["JobRunState"] in ENDED else None,
            what=f"the earlier run {run_id} of {job_name}, which is being stopped, to end",
            timeout=STOP_TIMEOUT * 5,
        )

    def _await_lost(self, job_name: str, load_id: str, lost: AwsFailure) -> str | None:
        """The run started by a request whose answer was lost, once it appears."""
        logger.warning("starting job %s got no answer; looking for the run: %s", job_name, lost)
        deadline = self._clock() + LOST_ANSWER_WINDOW
        delays = self._backoff.delays()
        while True:
            try:
                found = self._runs.find(job_name, load_id)
            except AwsFailure as failure:
                # Without an answer to the search no other run may be started.
                if not failure.retryable:
                    raise
                deadline = self._clock() + LOST_ANSWER_WINDOW
                found = None
            if found is not None:
                return str(found["Id"])
            if self._clock() >= deadline:
                return None
            self._sleep(next(delays))

    def _wait(
        self, job_name: str, load_id: str, started: _Started, waiter: Waiter, timeout: float
    ) -> Mapping[str, Any]:
        run_id = started.run_id

        def ended() -> Mapping[str, Any] | None:
            run = self._runs.get(job_name, run_id)
            if started.may_have_duplicate:
                # Also once this run has ended: a duplicate would undo what follows.
                self._runs.stop_others(job_name, load_id, spare=run_id)
            state = run["JobRunState"]
            if state not in LIVE and state not in ENDED:
                logger.warning("run %s has an unknown state: %s", run_id, state)
            return run if state in ENDED else None

        return waiter.until(
            ended,
            what=f"the end of run {run_id} of {job_name}",
            timeout=timeout,
            pause_first=not started.attached,
        )
