"""One Glue job run per piece of work, whatever happens to the one who asked for it.

StartJobRun takes no idempotency token (Glue API reference), so each run carries its work in the
argument ``--load_id``. Before starting, and after every answer that got lost, the job's newest runs
are searched for that marker: a live or succeeded one is attached to instead of paying twice. (Its
JobRunId is no such token: it names an earlier run to be retried, and Glue makes the ids.) If none
shows up after a lost answer another is started, and watched for a twin that shows up late.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from xacct_assets.aws.botocore_errors import aws_call, error_code, http_status
from xacct_assets.aws.errors import (
    AwsFailure,
    Unavailable,
    WaitTimeout,
)
from xacct_assets.aws.glue.job_result import JobRunResult, failure_of, result_of
from xacct_assets.aws.glue.log_tail import LogTail
from xacct_assets.aws.polling import AdaptivePolling, Backoff, Waiter, suppress_and_log
from xacct_assets.contract.load_request import LOAD_ID_ARGUMENT

logger = logging.getLogger(__name__)

MARKER = f"--{LOAD_ID_ARGUMENT}"
LIVE = frozenset({"STARTING", "RUNNING", "WAITING", "STOPPING"})
#: All other states of the service model. ERROR and EXPIRED are ends too.
ENDED = frozenset({"STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED"})
#: The newest runs that are searched for a marker. A day of a busy job has fewer.
SEARCH_PAGES = 5
PAGE = 100
BACKOFF = Backoff(first=0.3, factor=1.4, cap=10.0)
#: Seconds to wait for a place when the job is at its MaxConcurrentRuns or the account at its DPUs.
QUEUE_TIMEOUT = 3600.0
#: Seconds beyond the run's own time-out for Glue to say TIMEOUT.
END_GRACE = 900.0
#: Seconds a stopped run is given to reach STOPPED.
STOP_TIMEOUT = 120.0
#: Seconds in which a run whose start got no answer is looked for before another one is started.
#: Glue says nowhere how soon GetJobRuns shows a run; as a rule it is at once. One that comes later
#: is stopped as a twin, so this need only be so long that there rarely is any.
LOST_ANSWER_WINDOW = 15.0
#: Seconds in which it is looked for if nobody waits for it any more: it is to be stopped.
INTERRUPTED_WINDOW = 5.0
_FULL = ("ConcurrentRunsExceededException", "ResourceNumberLimitExceededException")


class GlueJob:
    """Runs Glue jobs.

    Args:
        glue: boto3's ``glue`` client. Its retries of StartJobRun are limited here to those that
            cannot start a second run.
        logs: boto3's ``logs`` client, to show the run's log lines while it runs; optional.
        region: for console links; by default the client's.
        backoff, sleep, clock: for tests.
    """

    def __init__(
        self,
        glue: Any,
        logs: Any = None,
        *,
        region: str | None = None,
        backoff: Backoff = BACKOFF,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._glue = glue
        self._logs = logs
        self._region = region or getattr(getattr(glue, "meta", None), "region_name", "us-east-1")
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
        queue_timeout: float = QUEUE_TIMEOUT,
    ) -> JobRunResult:
        """Have the work done by one run, and wait for it.

        If the wait is interrupted by anything, the run is stopped and seen to stop first.

        Args:
            job_name: the job.
            load_id: identifies the work; the same id never runs twice at once.
            arguments: the script's arguments; not changed.
            worker_type, number_of_workers, timeout_minutes, execution_class: of StartJobRun.
            first_attempt: True if nobody can have tried this work before, so that it need not be
                looked for.
            past_seconds: how long runs of its like took, for well-timed looks at this one.
            on_start: called with the run id and whether it had been running before.
            on_tick: called while waiting with the seconds waited.
            on_log: called with each line of the run's log; needs `logs`.
            queue_timeout: seconds to wait for a free place.

        Raises:
            JobRunFailed: the run ended in another state than SUCCEEDED; has Glue's message.
            WaitTimeout: no place in time, or no end in time.
        """
        waiter = Waiter(self._backoff, on_tick=on_tick, sleep=self._sleep, clock=self._clock)
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
            run_id, attached, may_have_twin = self._find_or_start(
                job_name, load_id, request, waiter, queue_timeout, search=not first_attempt
            )
            tail = LogTail(self._logs, run_id, on_log) if self._logs and on_log else None
            if on_start is not None:
                on_start(run_id, attached)
            # How far a run has come that was there already, its like does not tell.
            pace = AdaptivePolling(() if attached else tuple(past_seconds), self._backoff)
            sleep = tail.while_sleeping(self._sleep) if tail else self._sleep
            waiter = Waiter(pace, on_tick=on_tick, sleep=sleep, clock=self._clock)
            limit = timeout_minutes * 60 + END_GRACE + queue_timeout
            known = run_id

            def look() -> dict[str, Any]:
                run = self._get(job_name, known)
                if may_have_twin:
                    # Also once ours has ended: what the twin does then would undo what follows.
                    self._stop_marked_now(job_name, load_id, spare=known)
                return run

            run = self._wait(job_name, run_id, look, waiter, limit, tail, just_started=not attached)
        except BaseException as reason:
            if run_id is not None:
                known = run_id
                suppress_and_log(lambda: self.stop(job_name, known), f"stopping job run {known}")
            elif not isinstance(reason, Exception):
                # Interrupted while a request was out: a run may have been started by it.
                suppress_and_log(
                    lambda: self._stop_marked(job_name, load_id), f"stopping {load_id}"
                )
            raise
        result = result_of(run, self._region, attached=attached)
        if result.state == "SUCCEEDED":
            return result
        raise failure_of(job_name, result, timeout_minutes)

    def find(self, job_name: str, load_id: str) -> dict[str, Any] | None:
        """The run that does or did this work, if it is live or succeeded: newest first.

        Raises:
            NotFound: there is no such job.
        """
        runs = self._marked(job_name, load_id)
        live = [run for run in runs if run["JobRunState"] in LIVE]
        done = [run for run in runs if run["JobRunState"] == "SUCCEEDED"]
        return next(iter(live + done), None)

    def stop(self, job_name: str, run_id: str, *, timeout: float = STOP_TIMEOUT) -> str:
        """Stop a run and wait until it has ended; the state it ended in.

        Raises:
            WaitTimeout: it has not ended in time, or Glue would not take the request.
        """
        resource = f"run {run_id} of job {job_name}"
        waiter = Waiter(self._backoff, sleep=self._sleep, clock=self._clock)
        refused: list[str] = []

        def ended() -> str | None:
            state = str(self._get(job_name, run_id)["JobRunState"])
            if state in ENDED:
                return state
            if state != "STOPPING":
                # Asked again as long as it runs on: one request may be refused, or lost.
                with aws_call("glue:BatchStopJobRun", resource):
                    answer = self._glue.batch_stop_job_run(JobName=job_name, JobRunIds=[run_id])
                refused[:] = [_refusal(error) for error in answer.get("Errors", [])]
                for text in refused:
                    logger.warning("Glue did not take the request to stop %s: %s", resource, text)
            return None

        try:
            return waiter.until(ended, what=f"{resource} to stop", timeout=timeout)
        except WaitTimeout as late:
            raise WaitTimeout(
                late.what,
                reason=refused[0] if refused else late.reason,
                resource=resource,
                action="glue:BatchStopJobRun",
                fix=f"stop it by hand: aws glue batch-stop-job-run --job-name {job_name} "
                f"--job-run-ids {run_id}",
            ) from late

    def _marked(self, job_name: str, load_id: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        token: str | None = None
        for _ in range(SEARCH_PAGES):
            request: dict[str, Any] = {"JobName": job_name, "MaxResults": PAGE}
            if token:
                request["NextToken"] = token
            with aws_call("glue:GetJobRuns", f"job {job_name}"):
                answer = self._glue.get_job_runs(**request)
            found += [
                run
                for run in answer.get("JobRuns", [])
                if run.get("Arguments", {}).get(MARKER) == load_id
            ]
            token = answer.get("NextToken")
            if not token:
                break
        return found

    def _find_or_start(
        self,
        job_name: str,
        load_id: str,
        request: dict[str, Any],
        waiter: Waiter,
        queue_timeout: float,
        *,
        search: bool,
    ) -> tuple[str, bool, bool]:
        """The run's id, whether it was there before, and whether it may have a twin unseen."""
        may_have_twin = False
        deadline = self._clock() + queue_timeout
        delays = self._backoff.delays()
        while True:
            existing = None
            if search:
                existing = waiter.retry_transient(
                    lambda: self.find(job_name, load_id), what=f"the runs of job {job_name}"
                )
            search = True
            if existing is not None and existing["JobRunState"] != "STOPPING":
                logger.info("attaching to run %s of %s", existing["Id"], job_name)
                return str(existing["Id"]), True, may_have_twin
            if existing is not None:
                self._await_stopped(job_name, str(existing["Id"]), waiter)
                continue
            try:
                with aws_call("glue:StartJobRun", f"job {job_name}"):
                    started = self._glue.start_job_run(**request)
                return str(started["JobRunId"]), False, may_have_twin
            except Unavailable as lost:
                found = self._await_lost(job_name, load_id, lost)
                if found is not None:
                    return found, False, may_have_twin
                may_have_twin = True
                refusal: AwsFailure = lost
            except AwsFailure as failure:
                if failure.code not in _FULL and not failure.retryable:
                    raise
                refusal = failure
            waited = queue_timeout - (deadline - self._clock())
            if self._clock() >= deadline:
                raise WaitTimeout(
                    f"no run of job {job_name} could be started for {queue_timeout:.0f} s",
                    reason=refusal.reason,
                    code=refusal.code,
                    fix="wait for other runs to end, or raise the job's MaxConcurrentRuns or the "
                    "account's Glue quotas",
                ) from refusal
            logger.info("job %s has no room or no answer (%s); waiting", job_name, refusal.code)
            if waiter.on_tick is not None:
                waiter.on_tick(waited)
            self._sleep(next(delays))

    def _await_stopped(self, job_name: str, run_id: str, waiter: Waiter) -> None:
        waiter.until(
            lambda: True if self._get(job_name, run_id)["JobRunState"] in ENDED else None,
            what=f"the earlier run {run_id} of {job_name}, which is being stopped, to end",
            timeout=STOP_TIMEOUT * 5,
        )

    def _await_lost(self, job_name: str, load_id: str, lost: AwsFailure) -> str | None:
        """The run started by a request whose answer got lost, once it shows up."""
        logger.warning("starting job %s got no answer; looking for the run: %s", job_name, lost)
        deadline = self._clock() + LOST_ANSWER_WINDOW
        delays = self._backoff.delays()
        while True:
            try:
                found = self.find(job_name, load_id)
            except AwsFailure as failure:
                # While we cannot look, we must not start again either.
                if not failure.retryable:
                    raise
                deadline = self._clock() + LOST_ANSWER_WINDOW
                found = None
            if found is not None:
                return str(found["Id"])
            if self._clock() >= deadline:
                return None
            self._sleep(next(delays))

    def _stop_marked(self, job_name: str, load_id: str) -> None:
        """Stop the live runs of this work, if any shows up within a moment."""
        deadline = self._clock() + INTERRUPTED_WINDOW
        delays = self._backoff.delays()
        while not self._stop_marked_now(job_name, load_id) and self._clock() < deadline:
            self._sleep(next(delays))

    def _stop_marked_now(self, job_name: str, load_id: str, *, spare: str | None = None) -> int:
        """Stop the live runs of this work but the one spared; how many there were."""
        live = [
            str(run["Id"])
            for run in self._marked(job_name, load_id)
            if run["JobRunState"] in LIVE and run["Id"] != spare
        ]
        for run_id in live:
            logger.warning("stopping run %s of %s: nobody follows it", run_id, job_name)
            self.stop(job_name, run_id)
        return len(live)

    def _wait(
        self,
        job_name: str,
        run_id: str,
        look: Callable[[], dict[str, Any]],
        waiter: Waiter,
        timeout: float,
        tail: LogTail | None,
        *,
        just_started: bool,
    ) -> dict[str, Any]:
        def ended() -> dict[str, Any] | None:
            run = look()
            state = run["JobRunState"]
            if state not in LIVE and state not in ENDED:
                logger.warning("run %s is in a state unknown to us: %s", run_id, state)
            return run if state in ENDED else None

        run = waiter.until(
            ended,
            what=f"the end of run {run_id} of {job_name}",
            timeout=timeout,
            pause_first=just_started,
        )
        # Of a good run that was over soon, its account says enough; a link leads to the rest.
        if tail is not None and (run["JobRunState"] != "SUCCEEDED" or tail.is_begun):
            tail.finish()
        return run

    def _get(self, job_name: str, run_id: str) -> dict[str, Any]:
        with aws_call("glue:GetJobRun", f"run {run_id} of job {job_name}"):
            run: dict[str, Any] = self._glue.get_job_run(JobName=job_name, RunId=run_id)["JobRun"]
        return run


def _refusal(error: Mapping[str, Any]) -> str:
    """Why a run was not stopped, in Glue's words; the detail may be left out."""
    detail = error.get("ErrorDetail", {})
    words = (detail.get("ErrorCode"), detail.get("ErrorMessage"))
    return ": ".join(str(word) for word in words if word) or "Glue gives no reason"


def forbid_unsafe_retries(client: Any, operation: str) -> None:
    """Stop botocore from repeating an operation that may have been done.

    Throttling is still retried (nothing was done), and so is a connection that was never made. A
    time-out, a broken connection or a 5xx leaves it open whether the work was done, and goes to the
    caller at once.
    """
    from botocore.exceptions import ClientError, ConnectTimeoutError, EndpointConnectionError

    def judge(
        response: tuple[Any, dict[str, Any]] | None,
        caught_exception: Exception | None,
        **_: Any,
    ) -> None:
        if caught_exception is not None:
            if isinstance(caught_exception, ConnectTimeoutError | EndpointConnectionError):
                return
            raise caught_exception
        if response is not None:
            failure = ClientError(response[1], operation)
            if http_status(failure) >= 500 and "Throttl" not in error_code(failure):
                raise failure

    service = client.meta.service_model.service_id.hyphenize()
    client.meta.events.register_first(
        f"needs-retry.{service}.{operation}", judge, unique_id=f"xacct-once-{operation}"
    )
