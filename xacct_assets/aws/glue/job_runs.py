"""The runs of Glue jobs: finding those of a load, reading their state, stopping them."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from xacct_assets.aws.botocore_errors import aws_call
from xacct_assets.aws.errors import WaitTimeout
from xacct_assets.aws.polling import Backoff, Waiter
from xacct_assets.contract.load_request import LOAD_ID_ARGUMENT

if TYPE_CHECKING:
    from mypy_boto3_glue.client import GlueClient

logger = logging.getLogger(__name__)

#: The argument that identifies a load.
MARKER = f"--{LOAD_ID_ARGUMENT}"
LIVE = frozenset({"STARTING", "RUNNING", "WAITING", "STOPPING"})
#: All other states of the service model.
ENDED = frozenset({"STOPPED", "SUCCEEDED", "FAILED", "TIMEOUT", "ERROR", "EXPIRED"})
#: The newest runs that are searched for a marker. A day of a busy job has fewer.
SEARCH_PAGES = 5
PAGE = 100
BACKOFF = Backoff(first=0.3, factor=1.4, cap=10.0)
#: Seconds within which a stopped run must reach STOPPED.
STOP_TIMEOUT = 120.0
#: Seconds in which an interrupted load is looked for, to stop its run.
INTERRUPTED_WINDOW = 5.0


class JobRuns:
    """Job runs of one account.

    Args:
        glue: boto3's ``glue`` client.
        backoff, sleep, clock: for tests.
    """

    def __init__(
        self,
        glue: GlueClient,
        *,
        backoff: Backoff = BACKOFF,
        sleep: Callable[[float], None] = time.sleep,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._glue = glue
        self._backoff = backoff
        self._sleep = sleep
        self._clock = clock

    def get(self, job_name: str, run_id: str) -> Mapping[str, Any]:
        """A run, as GetJobRun describes it."""
        with aws_call("glue:GetJobRun", f"run {run_id} of job {job_name}"):
            run: Mapping[str, Any] = self._glue.get_job_run(JobName=job_name, RunId=run_id)[
                "JobRun"
            ]
        return run

    def find(self, job_name: str, load_id: str) -> Mapping[str, Any] | None:
        """The newest live run of the load, else the newest that succeeded, else None.

        Raises:
            NotFound: there is no such job.
        """
        runs = self._of_load(job_name, load_id)
        live = [run for run in runs if run["JobRunState"] in LIVE]
        succeeded = [run for run in runs if run["JobRunState"] == "SUCCEEDED"]
        return next(iter(live + succeeded), None)

    def stop(self, job_name: str, run_id: str) -> str:
        """Stop a run and wait until it has ended.

        Returns:
            The state in which it ended.

        Raises:
            WaitTimeout: it has not ended in time, or Glue refused the request.
        """
        resource = f"run {run_id} of job {job_name}"
        waiter = Waiter(self._backoff, sleep=self._sleep, clock=self._clock)
        refusals: list[str] = []

        def ended() -> str | None:
            state = str(self.get(job_name, run_id)["JobRunState"])
            if state in ENDED:
                return state
            if state != "STOPPING":
                # Repeated while it runs: one request may be refused or lost.
                with aws_call("glue:BatchStopJobRun", resource):
                    answer = self._glue.batch_stop_job_run(JobName=job_name, JobRunIds=[run_id])
                refusals[:] = [_refusal(error) for error in answer.get("Errors", [])]
                for text in refusals:
                    logger.warning("Glue did not take the request to stop %s: %s", resource, text)
            return None

        try:
            return waiter.until(ended, what=f"{resource} to stop", timeout=STOP_TIMEOUT)
        except WaitTimeout as late:
            raise WaitTimeout(
                late.what,
                reason=refusals[0] if refusals else late.reason,
                resource=resource,
                action="glue:BatchStopJobRun",
                fix=f"stop it by hand: aws glue batch-stop-job-run --job-name {job_name} "
                f"--job-run-ids {run_id}",
            ) from late

    def stop_load(self, job_name: str, load_id: str) -> None:
        """Stop the live runs of the load, if any appears within a few seconds."""
        deadline = self._clock() + INTERRUPTED_WINDOW
        delays = self._backoff.delays()
        while not self.stop_others(job_name, load_id) and self._clock() < deadline:
            self._sleep(next(delays))

    def stop_others(self, job_name: str, load_id: str, *, spare: str | None = None) -> int:
        """Stop the live runs of the load except `spare`; how many there were."""
        live = [
            str(run["Id"])
            for run in self._of_load(job_name, load_id)
            if run["JobRunState"] in LIVE and run["Id"] != spare
        ]
        for run_id in live:
            logger.warning("stopping run %s of %s: nobody follows it", run_id, job_name)
            self.stop(job_name, run_id)
        return len(live)

    def _of_load(self, job_name: str, load_id: str) -> list[Mapping[str, Any]]:
        found: list[Mapping[str, Any]] = []
        next_page: Any = {}
        for _ in range(SEARCH_PAGES):
            with aws_call("glue:GetJobRuns", f"job {job_name}"):
                answer = self._glue.get_job_runs(JobName=job_name, MaxResults=PAGE, **next_page)
            found += [
                run
                for run in answer.get("JobRuns", [])
                if run.get("Arguments", {}).get(MARKER) == load_id
            ]
            token = answer.get("NextToken")
            if not token:
                break
            next_page = {"NextToken": token}
        return found


def _refusal(error: Mapping[str, Any]) -> str:
    """Glue's reason why a run was not stopped; the service model makes every part optional."""
    detail = error.get("ErrorDetail", {})
    parts = (detail.get("ErrorCode"), detail.get("ErrorMessage"))
    return ": ".join(str(part) for part in parts if part) or "Glue gives no reason"
